package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"cadastre/test/internal/process"
)

// follower is a relying party that is there all the time: 'cadastre verify --follow' validates after every serial, and
// the follower judges each.
type follower struct {
	child *process.Child
	judge
}

// follow starts the follower.
func (w *world) follow() (*follower, error) {
	h := w.installation
	args := append([]string{"verify", h.tal(), "--follow", "200ms", "-o", "json", "--tls-ca", h.roots(), "--cache", w.path("follower")}, h.suite...)
	cmd := exec.CommandContext(context.Background(), h.program, args...) // our own program, ended by hand
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(w.path("follower.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the child has its own
	cmd.Stderr = log
	f := &follower{judge: newJudge(&h.outages)}
	if f.child, err = process.Start(cmd); err != nil {
		return nil, err
	}
	go func() {
		decoder := json.NewDecoder(stdout)
		for {
			var s step
			if err := decoder.Decode(&s); err != nil {
				return // the process has ended; who waits for it sees that
			}
			f.take(&s)
		}
	}()
	return f, nil
}

func (f *follower) stop() { f.child.End() }

// catchUp waits until the follower has seen the serials that are published now, and tells what it has found fault with.
func (f *follower) catchUp(ctx context.Context, now status) error {
	for deadline := time.Now().Add(2 * time.Minute); ; {
		if err := f.child.Ended(); err != nil {
			return fmt.Errorf("the follower is gone: %w", err)
		}
		if err := f.verdict(); err != nil {
			return err
		}
		behind := f.behind(now)
		if behind == "" {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the follower does not come to the end: %s", behind)
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// step is what 'cadastre verify --follow' says of one serial.
type step struct {
	At         time.Time `json:"at"`
	Repository string    `json:"repository"`
	Session    string    `json:"session"`
	Serial     uint64    `json:"serial"`
	Jump       string    `json:"jump"`
	Gained     []vrp     `json:"gained"`
	Lost       []vrp     `json:"lost"`
	Findings   []finding `json:"findings"`
}

type vrp struct {
	Prefix    string `json:"prefix"`
	MaxLength int    `json:"max_length"`
	ASN       uint32 `json:"asn"`
}

func (v vrp) String() string { return fmt.Sprintf("%s,%d,AS%d", v.Prefix, v.MaxLength, v.ASN) }

type finding struct {
	URI      string `json:"uri"`
	Severity string `json:"severity"`
	Rule     string `json:"rule"`
	Text     string `json:"text"`
}

func (f finding) String() string {
	return fmt.Sprintf("%s: %s: %s (%s)", f.Severity, f.URI, f.Text, f.Rule)
}

// ofFetching tells whether a finding is that something could not be fetched, rather than that something was wrong with
// what was: RRDP and the trust anchor could not be had, an older copy was used, or a point could not be fetched at all.
func (f finding) ofFetching() bool {
	switch f.Rule {
	case "8182-3.4", "8630-3", "cache-used":
		return true
	case "9286-6.6":
		return strings.Contains(f.Text, "cannot be fetched")
	}
	return false
}

// bySnapshot tells whether a finding is that a serial was read from its snapshot, because deltas do not lead to it. A
// repository lists no deltas that are larger than its snapshot, which those of a small or fast growing one soon are.
func (f finding) bySnapshot() bool {
	return f.Rule == "9697-3" && f.Severity == "warning" && strings.Contains(f.Text, "no unbroken chain of deltas")
}

// judge holds every step against what may be.
type judge struct {
	mu       sync.Mutex
	outages  *outages
	present  vrpSet
	serials  map[string][]uint64 // by repository
	newest   map[string]uint64
	sessions map[string]string
	steps    int
	excused  int
	faults   []string
	meant    *change
}

// change is what may happen between two states: gained what is new, lost what is gone, and what is left of something
// gone is there when it goes.
type change struct {
	gained, lost vrpSet
	rest         map[string][]string
}

func newJudge(o *outages) judge {
	return judge{outages: o, present: vrpSet{}, serials: map[string][]uint64{}, newest: map[string]uint64{}, sessions: map[string]string{}, meant: &change{}}
}

// allow says what may happen from now on.
func (j *judge) allow(c *change) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.meant = c
}

func (j *judge) fault(s *step, format string, args ...any) {
	j.faults = append(j.faults, fmt.Sprintf("%s, serial %d of %s: ", s.At.Format(time.TimeOnly), s.Serial, filepath.Base(filepath.Dir(s.Repository)))+fmt.Sprintf(format, args...))
}

// take judges a step.
func (j *judge) take(s *step) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.steps++
	excusable := j.outages.excuse(s.At)
	for _, f := range s.Findings {
		switch {
		case excusable && f.ofFetching():
			j.excused++
		case !f.bySnapshot(): // whether that missed a serial is seen below
			j.fault(s, "%s", f)
		}
	}
	j.takeSerial(s, excusable)
	for _, v := range s.Gained {
		j.present[v.String()] = true
		if !j.meant.gained[v.String()] {
			j.fault(s, "%s was not to be gained", v)
		}
	}
	for _, v := range s.Lost {
		delete(j.present, v.String())
	}
	for _, v := range s.Lost {
		j.takeLoss(s, v.String())
	}
}

func (j *judge) takeSerial(s *step, excusable bool) {
	if s.Repository == "" {
		return
	}
	last, known := j.newest[s.Repository]
	switch {
	case known && s.Session != j.sessions[s.Repository]:
		j.fault(s, "the session has changed")
	case known && s.Serial > last+1:
		j.fault(s, "it comes after %d: %s", last, s.Jump)
	case known && s.Serial < last+1 && !excusable:
		j.fault(s, "it comes after %d: %s", last, s.Jump)
	}
	j.serials[s.Repository] = append(j.serials[s.Repository], s.Serial)
	j.newest[s.Repository], j.sessions[s.Repository] = s.Serial, s.Session
}

func (j *judge) takeLoss(s *step, v string) {
	if !j.meant.lost[v] {
		j.fault(s, "%s is lost and rests on nothing that was", v)
		return
	}
	for _, rest := range j.meant.rest[v] {
		if !j.present[rest] {
			j.fault(s, "%s is lost, and %s that its holder keeps is not there", v, rest)
		}
	}
}

// verdict is an error where anything was not as it must be.
func (j *judge) verdict() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.faults) == 0 {
		return nil
	}
	return fmt.Errorf("%d faults, the first: %s", len(j.faults), strings.Join(j.faults[:min(3, len(j.faults))], "; "))
}

// behind is which repository has serials that were not judged yet, "" where none has.
func (j *judge) behind(now status) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	for name, r := range now.Repositories {
		if seen, known := j.newest[r.Notify]; known && seen < r.Serial {
			return fmt.Sprintf("%s is at serial %d and it has seen %d", name, r.Serial, seen)
		}
	}
	return ""
}

// count is how many VRPs are there, steps were judged, and findings were excused so far.
func (j *judge) count() (vrps, steps, excused int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.present), j.steps, j.excused
}

// sawAll is how many serials of a repository from one to another were judged, and an error where one was not.
func (j *judge) sawAll(notify string, from, to uint64) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	seen := map[uint64]bool{}
	for _, serial := range j.serials[notify] {
		seen[serial] = true
	}
	for serial := from; serial <= to; serial++ {
		if !seen[serial] {
			return 0, fmt.Errorf("serial %d of %s was not seen", serial, notify)
		}
	}
	return int(to - from + 1), nil // a few hundred at most
}

// differs compares what is there with a list, and names what is too much and what is missing.
func (j *judge) differs(want []string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return compare(j.present.sorted(), want)
}

// compare is nil where two lists are the same, and else names some of the lines that differ.
func compare(got, want []string) error {
	g, m := setOf(got), setOf(want)
	extra, missing := g.without(m).sorted(), m.without(g).sorted()
	if len(extra)+len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("%d lines too many %v, %d missing %v", len(extra), extra[:min(3, len(extra))], len(missing), missing[:min(3, len(missing))])
}
