package ca

import (
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"

	"cadastre/aspa"
	"cadastre/ca/kinds"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/roa"
)

// routed is a registry of two holders with so many ROAs each.
func routed(h *testRegistry, ofBig, ofSmall int) {
	h.Helper()
	h.give("afrinic", "41.0.0.0/12")
	h.give("isp", "41.0.0.0/16")
	h.give("other", "41.1.0.0/16")
	var csv strings.Builder
	for i := range ofBig {
		fmt.Fprintf(&csv, "41.0.%d.0/24,AS37000\n", i)
	}
	for i := range ofSmall {
		fmt.Fprintf(&csv, "41.1.%d.%d/28,AS37001\n", i/16, i%16*16)
	}
	h.intend(csv.String())
}

// remove has a holder end its first n ROAs.
func (h *testRegistry) remove(holder string, n int, consent Consent) (*Effect, error) {
	return h.engine.RemoveIntents(h.by(), h.engine.book.Of(holder)[:n], consent)
}

// TestBrakeRemembers: what goes one by one is weighed together, and is forgotten neither by a restart nor by time that is shorter than
// the window.
func TestBrakeRemembers(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		routed(h, 44, 1200)
		for i := range 10 {
			if f := h.decided(h.remove("isp", 1, Consent{})); f.Held != "" || f.Decision == 0 {
				t.Fatalf("removal %d is held: %s", i+1, f.Held)
			}
			time.Sleep(time.Hour)
		}
		eleventh := "with what went in the last 1d it would take away 11 of 44 VRPs of isp"
		_, err := h.remove("isp", 1, Consent{})
		kindOf(h, err, fault.Refused, eleventh)
		h.reopen()
		f, err := h.remove("isp", 1, Consent{})
		kindOf(h, err, fault.Refused, eleventh, f.Code)

		// what was looked at passes, and does not excuse what comes after it
		h.decided(h.remove("isp", 1, Consent{Code: f.Code}))
		_, err = h.remove("isp", 1, Consent{Code: f.Code})
		kindOf(h, err, fault.Refused, "another plan")

		// who takes nothing away, and who has taken nothing yet, is not hindered
		h.intend("41.0.100.0/24,AS37000")
		h.decided(h.remove("other", 1, Consent{}))

		// after the window it is as before
		time.Sleep(24 * time.Hour)
		h.decided(h.remove("isp", 1, Consent{}))
	})
}

// TestBrakeRemembersWhatIsComing: what transfers take when they are finalised is weighed together when they begin, hours before any of it
// has gone.
func TestBrakeRemembersWhatIsComing(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		routed(h, 44, 4)
		lost := h.engine.book.VRPs("isp", h.engine.ledger.Holding("isp"))
		begin := func(i int, code string) (why, needs string) {
			_, err := h.engine.DecideWeighed(Consent{Unbraked: true}, func(l *holdings.Ledger, _ *roa.Book, weigh Weigh) (*holdings.Outcome, error) {
				if why, needs = weigh("isp", lost[5*i:5*i+5], nil); why != "" && code != needs {
					return nil, fault.New(fault.Refused, "%s", why)
				}
				return l.SetPolicy(h.by(), holdings.DefaultPolicy("afrinic", []holdings.Profile{holdings.OnMarket, holdings.Portable}[i%2]))
			})
			if (err == nil) != (why == "" || code == needs) {
				t.Fatal(err)
			}
			return why, needs
		}
		for i := range 2 {
			if why, _ := begin(i, ""); why != "" {
				t.Fatalf("transfer %d is held: %s", i, why)
			}
		}
		third := "with what went in the last 1d it would take away 15 of 58 VRPs"
		why, _ := begin(2, "")
		h.reopen()
		again, code := begin(2, "")
		if !strings.HasPrefix(why, third) || again != why {
			t.Fatalf("the third: %q, after a restart %q", why, again)
		}
		begin(2, code)
		time.Sleep(24 * time.Hour)
		if why, _ := begin(3, ""); why != "" {
			t.Errorf("a day later: %s", why)
		}
	})
}

// TestBrakeRemembersWhatIsComingOfASPAs: the ASPAs that transfers will take count from the beginning of each, after a restart too.
func TestBrakeRemembersWhatIsComingOfASPAs(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		lost := make(kinds.List, 12)
		for i := range lost {
			lost[i] = aspa.VAP{Customer: uint32(37000 + i), Providers: []uint32{174}}
		}
		begin := func(i int, code string) (why, needs string) {
			_, err := h.engine.DecideWeighed(Consent{Unbraked: true}, func(l *holdings.Ledger, _ *roa.Book, weigh Weigh) (*holdings.Outcome, error) {
				if why, needs = weigh("isp", nil, lost[6*i:6*i+6]); why != "" && code != needs {
					return nil, fault.New(fault.Refused, "%s", why)
				}
				return l.SetPolicy(h.by(), holdings.DefaultPolicy("afrinic", []holdings.Profile{holdings.OnMarket, holdings.Portable}[i%2]))
			})
			if (err == nil) != (why == "" || code == needs) {
				t.Fatal(err)
			}
			return why, needs
		}
		h.give("afrinic", "41.0.0.0/12, AS37000-AS37199")
		h.give("isp", "AS37000-AS37099")
		lines := make([]string, 40) // so that six are few
		for i := range lines {
			lines[i] = fmt.Sprintf("AS%d => AS174", 37050+i)
		}
		f, err := aspa.ReadFile("test", strings.NewReader(strings.Join(lines, "\n")))
		must(h, err)
		h.decided(h.engine.ChangeObjects(h.by(), Consent{}, aspa.Changing(f, aspa.Options{By: h.by()})))
		if why, _ := begin(0, ""); why != "" {
			t.Fatalf("the first transfer is held: %s", why)
		}
		h.reopen()
		if why, code := begin(1, ""); !strings.HasPrefix(why, "with what went in the last 1d it would take away 12 of 46 ASPAs") {
			t.Fatalf("the second: %q", why)
		} else {
			begin(1, code)
		}
		time.Sleep(24 * time.Hour)
		if why, _ := begin(1, ""); why != "" {
			t.Errorf("a day later: %s", why)
		}
	})
}

// TestBrakeForgetsWhatIsBack: what is authorised again, or otherwise, is no loss any more.
func TestBrakeForgetsWhatIsBack(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		routed(h, 44, 4)
		for i := range 30 {
			gone := h.engine.book.Of("isp")[0]
			if f := h.decided(h.remove("isp", 1, Consent{})); f.Held != "" {
				t.Fatalf("removal %d is held: %s", i, f.Held)
			}
			time.Sleep(time.Minute)
			if i%2 == 0 {
				gone.Origin++ // to another AS, and the next time back
			} else {
				gone.Origin--
			}
			h.intend(gone.VRP().Prefix.String() + fmt.Sprintf(",AS%d", gone.Origin))
		}
		h.settle()
	})
}

// TestReplacedIsNoLoss: what one decision puts another ROA in place of does not meet the brake; to remove the same alone does.
func TestReplacedIsNoLoss(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		routed(h, 44, 4)
		all := h.engine.book.Of("isp")
		_, err := h.engine.RemoveIntents(h.by(), all, Consent{})
		kindOf(h, err, fault.Refused, "44 of 44 VRPs of isp", "--code")
		replace := &roa.Outcome{By: h.by(), Removed: all}
		for _, in := range all {
			in.Origin++
			replace.Added = append(replace.Added, in)
		}
		f := h.decided(h.engine.Decide(Consent{}, ofIntents(replace)))
		if f.Held != "" || len(f.Lost) != 44 || len(f.Gained) != 44 {
			t.Errorf("the effect is %+v", f)
		}
		h.settle()
		// many more specifics by one that covers them, of the same AS
		aggregate := all[0]
		aggregate.Origin, aggregate.Prefix, aggregate.MaxLength = replace.Added[0].Origin, netip.MustParsePrefix("41.0.0.0/18"), 24
		f = h.decided(h.engine.Decide(Consent{}, ofIntents(&roa.Outcome{By: h.by(), Removed: h.engine.book.Of("isp"), Added: []roa.Intent{aggregate}})))
		if f.Held != "" || len(f.Lost) != 44 {
			t.Errorf("the effect is %+v", f)
		}
		h.settle()
	})
}

// TestTooMuch: what is lost of how much, and whether the brake lets it pass.
func TestTooMuch(t *testing.T) {
	p := DefaultPolicy()
	for _, c := range []struct {
		scope
		now, before, had uint64
		own, held        bool
	}{
		{scope{holder: "isp"}, 1, 0, 1, true, false}, // its only one
		{scope{holder: "isp"}, 1, 0, 2, true, false},
		{scope{holder: "isp"}, 2, 0, 2, true, true}, // all at once
		{scope{holder: "isp"}, 1, 1, 1, true, true}, // all, one by one
		{scope{holder: "isp"}, 1, 1, 4, true, false},
		{scope{holder: "isp"}, 10, 0, 44, true, false},
		{scope{holder: "isp"}, 1, 10, 34, true, true},
		{scope{holder: "isp"}, 1, 35, 3623, true, false}, // 36 of 3,658 is less than 1 %
		{scope{holder: "isp"}, 1, 36, 3622, true, true},
		{scope{}, 1, 0, 1, false, true}, // what the ledger takes is never few where it is all
		{scope{}, 1, 0, 1, true, false},
		{scope{registry: "afrinic"}, 400, 0, 3658, true, true},
		{scope{registry: "afrinic"}, 1, 399, 3259, true, true},
		{scope{registry: "afrinic"}, 1, 99, 9901, true, false},
	} {
		now, before := tally{says: ofVRPs(int(c.now))}, tally{says: ofVRPs(int(c.before))}
		if c.own {
			now.own, before.own = now.says, before.says
		}
		if why := tooMuchOf(&p, c.scope, now, before, amounts{says: ofVRPs(int(c.had))}); (why != "") != c.held {
			t.Errorf("%+v: %q", c, why)
		}
	}
}

// TestCodesAreKeyed: the same plan has the same code here, and another one elsewhere.
func TestCodesAreKeyed(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		here := h.engine.Code([]byte("plan"))
		h.reopen()
		if again := h.engine.Code([]byte("plan")); again != here {
			t.Errorf("after a restart the code is %s, not %s", again, here)
		}
		if other := h.engine.Code([]byte("plan 2")); other == here {
			t.Error("another plan has the same code")
		}
		h.engine.brake.secret[0]++
		if elsewhere := h.engine.Code([]byte("plan")); elsewhere == here {
			t.Error("the code does not depend on the secret")
		}
	})
}

// recounted checks that what the brake keeps in step with decisions is what there is.
func (h *testRegistry) recounted() {
	h.Helper()
	kept, anew := h.engine.brake, &brake{parts: map[string]amounts{}}
	kept.total(h.engine)
	anew.total(h.engine)
	maps.DeleteFunc(kept.totals, func(_ string, a amounts) bool { return a == amounts{} })
	maps.DeleteFunc(anew.totals, func(_ string, a amounts) bool { return a == amounts{} })
	if !maps.Equal(kept.totals, anew.totals) {
		h.Errorf("the brake counts %+v, and there is %+v", kept.totals, anew.totals)
	}
}

// ofIntents is for a decision that changes the intents alone, and is resolved already.
func ofIntents(o *roa.Outcome) Resolve {
	return func(*holdings.Ledger, *roa.Book) (*holdings.Outcome, *roa.Outcome, error) { return nil, o, nil }
}
