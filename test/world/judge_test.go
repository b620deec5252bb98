package main

import (
	"strings"
	"testing"
	"time"
)

var (
	one  = vrp{"41.0.0.0/16", 16, 1}
	two  = vrp{"41.1.0.0/16", 16, 2}
	half = vrp{"41.1.0.0/17", 17, 2}
)

// TestJudge gives the judge steps that may not be, each after two that may.
func TestJudge(t *testing.T) {
	now := time.Now()
	downAt := now.Add(time.Hour)
	next := step{At: now, Repository: "https://host/rrdp/afrinic/notification.xml", Session: "s", Serial: 3}
	with := func(change func(*step)) step {
		s := next
		change(&s)
		return s
	}
	unreachable := finding{Severity: "error", Rule: "8182-3.4", Text: "connection refused"}
	for name, c := range map[string]struct {
		step  step
		fault string // "" for none
	}{
		"nothing":               {next, ""},
		"meant loss":            {with(func(s *step) { s.Lost, s.Gained = []vrp{two}, []vrp{half} }), ""},
		"loss without its rest": {with(func(s *step) { s.Lost = []vrp{two} }), "41.1.0.0/17,17,AS2 that its holder keeps is not there"},
		"bystander lost":        {with(func(s *step) { s.Lost = []vrp{one} }), "41.0.0.0/16,16,AS1 is lost"},
		"gain from nowhere":     {with(func(s *step) { s.Gained = []vrp{{"10.0.0.0/8", 8, 1}} }), "was not to be gained"},
		"finding":               {with(func(s *step) { s.Findings = []finding{{Severity: "warning", Rule: "6487-4"}} }), "6487-4"},
		"unreachable":           {with(func(s *step) { s.Findings = []finding{unreachable} }), "connection refused"},
		"unreachable while down": {with(func(s *step) {
			s.Findings, s.At, s.Repository = []finding{unreachable}, downAt.Add(time.Second), ""
		}), ""},
		"invalid while down": {with(func(s *step) { s.Findings, s.At = []finding{{Rule: "6487-4"}}, downAt.Add(time.Second) }), "6487-4"},
		"long after":         {with(func(s *step) { s.Findings, s.At = []finding{unreachable}, downAt.Add(time.Minute) }), "connection refused"},
		"by its snapshot": {with(func(s *step) {
			s.Jump, s.Findings = "no unbroken chain of deltas", []finding{{Severity: "warning", Rule: "9697-3", Text: "used: no unbroken chain of deltas leads from"}}
		}), ""},
		"serial missed":   {with(func(s *step) { s.Serial = 4 }), "it comes after 2"},
		"serial backward": {with(func(s *step) { s.Serial = 1 }), "it comes after 2"},
		"new session":     {with(func(s *step) { s.Session = "t" }), "session"},
	} {
		t.Run(name, func(t *testing.T) {
			o := &outages{spans: []outage{{downAt, downAt.Add(5 * time.Second)}}}
			j := newJudge(o)
			j.allow(&change{gained: vrpSet{one.String(): true, two.String(): true}})
			first := with(func(s *step) { s.Serial, s.Gained = 1, []vrp{one} })
			second := with(func(s *step) { s.Serial, s.Gained = 2, []vrp{two} })
			j.take(&first)
			j.take(&second)
			if err := j.verdict(); err != nil {
				t.Fatal(err)
			}
			j.allow(&change{gained: vrpSet{half.String(): true}, lost: vrpSet{two.String(): true}, rest: map[string][]string{two.String(): {half.String()}}})
			j.take(&c.step)
			err := j.verdict()
			if (c.fault == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.fault) {
				t.Errorf("the verdict is %v, want %q", err, c.fault)
			}
		})
	}
}

func TestSawAll(t *testing.T) {
	j := newJudge(&outages{})
	for serial := uint64(4); serial < 8; serial++ {
		j.take(&step{Repository: "r", Serial: serial})
	}
	if n, err := j.sawAll("r", 5, 7); n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := j.sawAll("r", 3, 7); err == nil {
		t.Error("serial 3 was not seen")
	}
}

func TestLogs(t *testing.T) {
	const good = "rpki-client: https://localhost:1/rrdp/afrinic/notification.xml: downloading 3 deltas (5421ea48-58c5#4)\nManifests: 12 (0 failed parse, 0 seqnum gaps)\n"
	const gap = "rpki-client: .rrdp/7E/localhost:1/a.mft: seqnum gap detected #03 -> #05\n"
	for _, c := range []struct {
		log   string
		later bool
		ok    bool
	}{
		{good, false, true},
		{"", false, false},
		{good + gap, false, false},
		{good + gap, true, true},
		{good + "rpki-client: localhost:1/a.roa: certificate has expired\n", true, false},
		{"Manifests: 12 (1 failed parse, 0 seqnum gaps)\n", true, false},
	} {
		if _, err := unexpected(c.log, c.later); (err == nil) != c.ok {
			t.Errorf("%q: %v", c.log, err)
		}
	}
	routinatorSays := "[DEBUG] RRDP https://localhost:1/rrdp/afrinic/notification.xml: Delta update step (1/3).\n"
	for log, ok := range map[string]bool{
		good: true, routinatorSays: true, "": false,
		routinatorSays + "[DEBUG] RRDP https://localhost:1/rrdp/afrinic/notification.xml: updating from snapshot.\n": false,
		good + "rpki-client: https://localhost:1/rrdp/iana/notification.xml: downloading snapshot (5421#4)\n":        true,
	} {
		if figures, err := onlyDeltas(log); (err == nil) != ok || ok && figures != "3 deltas" {
			t.Errorf("%q: %s, %v", log, figures, err)
		}
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 17098: "17,098", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
