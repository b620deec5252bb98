package moves_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/moves"
)

// TestEvidenceSurvivesRestarts: whoever is killed and starts again after any step leaves the same evidence, but for keys and
// times; and the same state makes the same octets.
func TestEvidenceSurvivesRestarts(t *testing.T) {
	told := map[bool]string{}
	for _, restarts := range []bool{false, true} {
		inScene(t, func(s *scene) {
			id := s.begin(moves.Request{Kind: holdings.Portability, From: "afrinic/a", To: "nic.br/a", Under: "nic.br"})
			if err := s.mover.Approve(s.By(), id); err != nil {
				t.Fatal(err)
			}
			steps := 0
			s.until(func() bool {
				l, _ := s.Ledger()
				if n := len(l.Transfer(id).Steps); restarts && n != steps {
					steps = n
					s.Reopen()
					s.start()
				}
				l, _ = s.Ledger()
				return l.Transfer(id).Done()
			})
			ev, err := s.mover.Evidence(id)
			if err != nil {
				t.Fatal(err)
			}
			first, err := json.Marshal(ev)
			if err != nil {
				t.Fatal(err)
			}
			s.Reopen()
			s.start()
			ev, _ = s.mover.Evidence(id)
			if again, _ := json.Marshal(ev); string(again) != string(first) {
				t.Errorf("the same state makes\n%s\nand then\n%s", first, again)
			}
			told[restarts] = shape(ev)
			checkFacts(t, ev)
		})
	}
	if told[true] != told[false] {
		t.Fatalf("without restarts\n%s\nwith restarts\n%s", told[false], told[true])
	}
}

// checkFacts wants each side where it must be: the recipient's whole side from when it is seen, the source's until the
// finalisation, and each VRP at every step.
func checkFacts(t *testing.T, ev *moves.Evidence) {
	t.Helper()
	var steps []string
	for _, f := range ev.Facts {
		steps = append(steps, string(f.Step))
		sides := map[string]bool{}
		for _, a := range f.Authorities {
			sides[a.Side] = true
			for _, o := range a.Objects {
				if len(o.SHA256) != 64 || !strings.HasPrefix(o.URI, "rsync://rpki.example/") {
					t.Errorf("%s: %+v", f.Step, o)
				}
			}
		}
		source, recipient := f.Step != holdings.StepReleased, f.Step != holdings.StepInitiated && f.Step != holdings.StepAccepted
		if sides["source"] != source || sides["recipient"] != recipient {
			t.Errorf("%s: %v", f.Step, sides)
		}
		if !slices.Equal(f.VRPs, ev.Facts[0].VRPs) || len(f.VRPs) == 0 {
			t.Errorf("%s: %v are published; at first it was %v", f.Step, f.VRPs, ev.Facts[0].VRPs)
		}
	}
	if !slices.Equal(steps, []string{"initiated", "accepted", "seen", "finalised", "released"}) {
		t.Error(steps)
	}
}

// shape is evidence without keys, hashes and times.
func shape(ev *moves.Evidence) string {
	var b strings.Builder
	for _, d := range ev.Decisions {
		fmt.Fprintln(&b, d.ID, d.Actor, d.Reason, len(d.Changes))
	}
	for _, f := range ev.Facts {
		fmt.Fprintln(&b, f.Decision, f.Step, f.VRPs)
		for _, a := range f.Authorities {
			fmt.Fprintln(&b, "  ", a.Side, a.Name, a.Resources, a.Delegated, a.Published, kinds(a.Objects))
		}
	}
	return b.String()
}

func kinds(objects []ca.ObjectOfFact) (list []string) {
	for _, o := range objects {
		list = append(list, o.Kind+" "+o.Says)
	}
	return list
}

// TestEvidenceOfACancelled: when a cancelled transfer is released, the source alone is certified.
func TestEvidenceOfACancelled(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.begin(moves.Request{Kind: holdings.Merger, From: "afrinic/a", To: "afrinic/b", Soak: 30 * time.Hour})
		s.until(func() bool { l, _ := s.Ledger(); return !l.Transfer(id).Seen.IsZero() })
		if err := s.mover.Cancel(s.By(), id); err != nil {
			t.Fatal(err)
		}
		s.rest()
		ev, err := s.mover.Evidence(id)
		if err != nil {
			t.Fatal(err)
		}
		last := ev.Facts[len(ev.Facts)-1]
		if last.Step != holdings.StepReleased || len(last.Authorities) == 0 {
			t.Fatalf("%+v", last)
		}
		for _, a := range last.Authorities {
			if a.Side != "source" {
				t.Errorf("%s is certified for it still", a.Name)
			}
		}
	})
}
