package main

import (
	"strings"
	"testing"
	"time"

	"cadastre/ca"
	"cadastre/internal/inr"
)

// TestStatusShowsEachWait: the text of 'status' has a line for each wait that its JSON has, with whose it is, why and until when; three
// kinds are in the line of the state.
func TestStatusShowsEachWait(t *testing.T) {
	lost, err := inr.Parse("192.0.2.0/24")
	if err != nil {
		t.Fatal(err)
	}
	until := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for _, kind := range ca.WaitKinds {
		s := &ca.Status{Running: true, Waits: []ca.Wait{{Kind: kind, Of: "acme", Count: 3, Resources: lost, Error: "this failed", Code: "c0de", Until: until}}}
		want := []string{"\nwaits        acme: ", "this failed", "code c0de", when(until)}
		switch kind {
		case ca.NoDaemon:
			s.Running, want = false, []string{"state        no daemon\n"}
		case ca.ClockFrozen:
			s.Frozen, want = "the clock is wrong", []string{"state        frozen: the clock is wrong\n"}
		case ca.InWork:
			s.Waiting, want = 3, []string{"state        at work, 3 organisations to go\n"}
		case ca.Failing:
			want[0] = "\nwaits        the work fails and is tried again: "
		case ca.Quarantined:
			want = append(want, "it is quarantined", "tried again at ")
		case ca.Braked:
			want = append(want, "cadastre holdings expire --holder acme --dry-run", "tried again at ")
		case ca.ChildSilent, ca.ChildSheds:
			want = append(want, "192.0.2.0/24")
		}
		var text strings.Builder
		printStatus(&text, s)
		for _, words := range want {
			if !strings.Contains(text.String(), words) {
				t.Errorf("%s: there is no %q in\n%s", kind, words, &text)
			}
		}
		if !strings.HasPrefix(text.String(), "state ") || strings.Contains(text.String(), "all is published\n") {
			t.Errorf("%s: the state is wrong in\n%s", kind, &text)
		}
	}
}
