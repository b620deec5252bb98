package moves_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/principal"
	"cadastre/internal/relying"
	"cadastre/moves"
	"cadastre/roa"
)

const elsewhere = `
[[organisation]]
handle = "world"
kind = "root"
[[organisation]]
handle = "ripe"
parent = "world"
kind = "rir"
[[organisation]]
handle = "apnic"
parent = "world"
kind = "rir"
`

// TestMoveToAnotherInstallation: a holder goes with all that it has, and what it had delegated on.
func TestMoveToAnotherInstallation(t *testing.T) {
	inPair(t, func(p *pair) {
		ref := p.begin(moves.Request{})
		p.until(func() bool { return p.b.at(ref) != nil })
		for range 30 {
			p.step()
			time.Sleep(time.Minute)
		}
		if !p.both(holdings.Initiated, ref) {
			t.Fatal("nobody approved it, and it is", p.a.state(ref), p.b.state(ref))
		}
		p.approve(ref)
		p.rest()
		p.moved(ref)
		a, b := p.a.at(ref), p.b.at(ref)
		if seen := a.When(holdings.StepSeen); b.When("accepted").After(a.When("accepted")) || seen.Before(a.When("accepted")) || a.When("finalised").Sub(seen) < transferSoak ||
			b.When("finalised").Before(a.When("finalised")) {
			t.Fatalf("the order is wrong\n%v\n%v", a.Steps, b.Steps)
		}
	})
}

// TestEvidenceBetweenInstallations: each side has all that the other signed, and can prove it with the other's identity alone.
func TestEvidenceBetweenInstallations(t *testing.T) {
	inPair(t, func(p *pair) {
		ref := p.begin(moves.Request{})
		p.approve(ref)
		p.rest()
		identities := map[*site][]byte{}
		for _, s := range []*site{p.a, p.b} {
			identity, err := s.Engine().Federation.Identity()
			p.ok(err)
			identities[s] = identity
		}
		for _, sides := range [][2]*site{{p.a, p.b}, {p.b, p.a}} {
			signed, err := sides[0].mover.SignEvidence(sides[0].at(ref).ID)
			p.ok(err)
			text, err := json.Marshal(signed)
			p.ok(err)
			v, err := moves.VerifyEvidence(text, identities[sides[0]], identities[sides[1]])
			p.ok(err)
			heard := slices.ContainsFunc(v.Evidence.Messages, func(r moves.Record) bool { return r.Direction == moves.In })
			if v.Proven != len(v.Evidence.Messages) || !heard || len(v.Peers) != 1 {
				t.Errorf("at %s %d of %d messages are proven, of the other's: %v", sides[0].name, v.Proven, len(v.Evidence.Messages), heard)
			}
			if _, err := moves.VerifyEvidence(text, identities[sides[0]], identities[sides[0]]); fault.KindOf(err) != fault.Invalid {
				t.Error("what the other said is proven as one's own:", err)
			}
		}
	})
}

// asBefore checks that a transfer came to nothing, and left nothing.
func (p *pair) asBefore(ref string) {
	p.Helper()
	if !p.both(holdings.Cancelled, ref) {
		p.Fatal(p.a.state(ref), p.b.state(ref))
	}
	l, b := p.b.Ledger()
	if !l.Holding("ripe/x").Empty() || len(b.Of("ripe/x")) > 0 || p.b.Certified("ripe/x") != "" {
		p.Fatal("the recipient's side has something still:", l.Holding("ripe/x"), b.Of("ripe/x"), p.b.Certified("ripe/x"))
	}
	for _, v := range p.b.VRPs() {
		if strings.HasPrefix(v, "41.") {
			p.Fatal("the recipient's side says still", v)
		}
	}
	if !slices.Equal(p.vrps(), p.keep) || p.a.Certified("afrinic/x") == "" {
		p.Fatalf("before\n%v\nafter\n%v", p.keep, p.vrps())
	}
}

func (p *pair) ok(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// TestEndsBetweenInstallations: either side has it end before its finalisation, and the donor's was never touched.
func TestEndsBetweenInstallations(t *testing.T) {
	t.Parallel()
	seen := func(p *pair, ref string) bool { return !p.a.at(ref).Seen.IsZero() }
	accepted := func(p *pair, ref string) bool { return p.b.state(ref) == holdings.Accepted }
	for name, c := range map[string]struct {
		approved bool
		when     func(p *pair, ref string) bool
		end      func(p *pair, ref string)
	}{
		"the source before": {false, func(*pair, string) bool { return true }, func(p *pair, ref string) { p.ok(p.a.mover.Cancel(p.a.By(), p.a.at(ref).ID)) }},
		"the source":        {true, seen, func(p *pair, ref string) { p.ok(p.a.mover.Cancel(p.a.By(), p.a.at(ref).ID)) }},
		"the recipient before": {false, func(p *pair, ref string) bool { return p.b.at(ref) != nil }, func(p *pair, ref string) {
			p.ok(p.b.mover.Cancel(p.b.By(), p.b.at(ref).ID))
		}},
		"the recipient": {true, accepted, func(p *pair, ref string) { p.ok(p.b.mover.Cancel(p.b.By(), p.b.at(ref).ID)) }},
		"the recipient late": {true, seen, func(p *pair, ref string) {
			p.ok(p.b.mover.Cancel(p.b.By(), p.b.at(ref).ID))
			if p.b.state(ref) != holdings.Accepted {
				t.Error("the recipient's side withdrew before the source had told it to")
			}
		}},
		"both at once": {true, seen, func(p *pair, ref string) {
			p.ok(p.b.mover.Cancel(p.b.By(), p.b.at(ref).ID))
			p.ok(p.a.mover.Cancel(p.a.By(), p.a.at(ref).ID))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inPair(t, func(p *pair) {
				ref := p.begin(moves.Request{})
				if c.approved {
					p.approve(ref)
				}
				p.until(func() bool { return c.when(p, ref) })
				c.end(p, ref)
				p.until(func() bool { return p.b.at(ref) == nil || p.b.at(ref).Done() && p.a.at(ref).Done() })
				p.rest()
				if p.b.at(ref) == nil {
					if p.a.state(ref) != holdings.Cancelled || !slices.Equal(p.vrps(), p.keep) {
						t.Fatal(p.a.state(ref))
					}
					return
				}
				p.asBefore(ref)
			})
		})
	}
}

// TestAWeekOfSilence: a peer that is down, whole or in part, delays a transfer and harms nothing.
func TestAWeekOfSilence(t *testing.T) {
	t.Parallel()
	week := func(p *pair) {
		for end := time.Now().Add(7 * 24 * time.Hour); time.Now().Before(end); time.Sleep(time.Hour) {
			p.step()
		}
	}
	for name, c := range map[string]struct {
		when func(p *pair, ref string) bool
		of   func(p *pair) *site
	}{
		"before it is known": {func(*pair, string) bool { return true }, func(p *pair) *site { return p.b }},
		"accepted there": {func(p *pair, ref string) bool {
			p.b.down = p.b.state(ref) == holdings.Initiated && !p.b.at(ref).When(holdings.StepApproved).IsZero() // the source does not hear of it
			return p.b.state(ref) == holdings.Accepted
		}, func(p *pair) *site { return p.b }},
		"seen":                {func(p *pair, ref string) bool { return !p.a.at(ref).Seen.IsZero() }, func(p *pair) *site { return p.b }},
		"the source, seen":    {func(p *pair, ref string) bool { return !p.a.at(ref).Seen.IsZero() }, func(p *pair) *site { return p.a }},
		"the source, decided": {func(p *pair, ref string) bool { return p.a.state(ref) == holdings.Finalised }, func(p *pair) *site { return p.b }},
	} {
		t.Run(name, func(t *testing.T) {
			inPair(t, func(p *pair) {
				ref := p.begin(moves.Request{})
				gone := c.of(p)
				if name != "before it is known" {
					p.approve(ref)
				}
				p.until(func() bool { return c.when(p, ref) })
				was := p.a.state(ref)
				gone.down, gone.dark = true, true
				if name == "accepted there" && was != holdings.Initiated {
					p.Fatal("the source heard of it already")
				}
				week(p)
				if gone == p.b && p.a.state(ref) != was {
					t.Fatalf("it was %s and is %s without a report or a look", was, p.a.state(ref))
				}
				if gone == p.b && was == holdings.Accepted && p.b.state(ref) != holdings.Accepted {
					t.Fatal("the recipient's side is", p.b.state(ref))
				}
				gone.down, gone.dark = false, false
				if name == "before it is known" {
					p.approve(ref)
				}
				p.rest()
				p.moved(ref)
			})
		})
	}
}

// TestDisputesBetweenInstallations: whoever disputes parks it on both sides, with both valid, until he resolves it.
func TestDisputesBetweenInstallations(t *testing.T) {
	inPair(t, func(p *pair) {
		ref := p.begin(moves.Request{})
		p.approve(ref)
		p.until(func() bool { return !p.a.at(ref).Seen.IsZero() })
		for _, sides := range [][2]*site{{p.a, p.b}, {p.b, p.a}} {
			one, other := sides[0], sides[1]
			by := one.By()
			by.Reason = "a court has it"
			p.ok(one.mover.Dispute(by, one.at(ref).ID))
			p.until(func() bool { return other.at(ref).DisputedThere != "" })
			for end := time.Now().Add(3 * 24 * time.Hour); time.Now().Before(end); time.Sleep(time.Hour) {
				p.step()
			}
			if !p.both(holdings.Accepted, ref) || p.b.Certified("ripe/x") == "" || p.a.Certified("afrinic/x") == "" {
				t.Fatal("it is not parked with both sides valid:", p.a.state(ref), p.b.state(ref))
			}
			if err := other.mover.Resolve(other.By(), other.at(ref).ID); err == nil || !strings.Contains(err.Error(), one.name) {
				t.Fatal("the other side resolves what is not its dispute:", err)
			}
			p.ok(one.mover.Resolve(one.By(), one.at(ref).ID))
			if one == p.a { // before it goes on, the other disputes it
				by := other.By()
				by.Reason = "another court has it"
				p.ok(other.mover.Dispute(by, other.at(ref).ID))
				p.until(func() bool { return one.at(ref).DisputedThere != "" && other.at(ref).DisputedThere == "" })
				p.ok(other.mover.Resolve(other.By(), other.at(ref).ID))
			}
		}
		p.rest()
		p.moved(ref)
	})
}

// TestRoutesOfTheRecipient: a new holder elsewhere has its own routes from the first, those that its registry named when it agreed
// as those that the source named, and nothing that the source says later takes them away.
func TestRoutesOfTheRecipient(t *testing.T) {
	inPair(t, func(p *pair) {
		ref := p.begin(moves.Request{Kind: holdings.Market, Resources: p.a.Set("41.0.128.0/17"), Routes: rows(t, "41.0.128.0/17,AS36021\n")})
		p.until(func() bool { return p.b.at(ref) != nil })
		for _, routes := range []string{"41.0.0.0/17,AS36022\n", "80.1.0.0/16,AS36022\n"} {
			if err := p.b.mover.Approve(p.b.By(), p.b.at(ref).ID, rows(t, routes)...); fault.KindOf(err) != fault.BadInput {
				t.Fatalf("%q is not within what moves: %v", routes, err)
			}
		}
		p.ok(p.b.mover.Approve(p.b.By(), p.b.at(ref).ID, rows(t, "41.0.128.0/17,AS36021\n41.0.192.0/18,AS36022,20\n")...))
		own := []string{"41.0.128.0/17,17,AS36021", "41.0.192.0/18,20,AS36022"}
		p.until(func() bool { return p.b.Certified("ripe/x") != "" })
		for _, v := range own {
			if !p.b.has(v) {
				t.Errorf("with its certificate there is no %s", v)
			}
		}
		p.keep = nil // what the donor had authorised of it ends
		p.rest()
		for _, v := range own {
			if !p.b.has(v) {
				t.Errorf("in the end there is no %s", v)
			}
		}
		if p.a.has("41.0.128.0/17,17,AS36003") || p.b.has("41.0.128.0/17,17,AS36003") {
			t.Error("the donor's route went along to a new holder")
		}
	})
	inPair(t, func(p *pair) { // what goes along over a bridge changes after both sides' routes were named
		ref := p.begin(moves.Request{Kind: holdings.Market, Resources: p.a.Set("41.0.128.0/17"), Bridge: 48 * time.Hour})
		p.until(func() bool { return p.b.at(ref) != nil })
		p.a.down = true // so that the recipient's side is ahead of the source
		p.ok(p.b.mover.Approve(p.b.By(), p.b.at(ref).ID, rows(t, "41.0.192.0/18,AS36022,20\n")...))
		p.until(func() bool { return p.b.state(ref) == holdings.Accepted })
		p.a.Intend("41.0.128.0/18,AS36009\n")
		p.a.down = false
		p.until(func() bool { return !p.b.at(ref).When(holdings.StepRoutes).IsZero() })
		p.until(func() bool { return p.b.has("41.0.128.0/18,18,AS36009") })
		if !p.b.has("41.0.192.0/18,20,AS36022") {
			t.Error("what the source said took the recipient's own route away:", p.b.VRPs())
		}
		p.keep = nil
		p.rest()
		if !p.b.has("41.0.192.0/18,20,AS36022") {
			t.Error("in the end the recipient's own route is gone:", p.b.VRPs())
		}
	})
	inPair(t, func(p *pair) {
		ref := p.begin(moves.Request{})
		p.until(func() bool { return p.b.at(ref) != nil })
		if err := p.b.mover.Approve(p.b.By(), p.b.at(ref).ID, rows(t, "41.0.0.0/17,AS36022\n")...); fault.KindOf(err) != fault.BadInput {
			t.Fatal("the same holder's routes are added to:", err)
		}
	})
}

func rows(t *testing.T, csv string) []roa.Row {
	t.Helper()
	list, err := roa.ParseCSV("routes.csv", strings.NewReader(csv))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestRoutesFollowTheSource: what the donor changes before both have accepted, and what it takes back, changes with the
// recipient; then it is frozen.
func TestRoutesFollowTheSource(t *testing.T) {
	inPair(t, func(p *pair) {
		ref := p.begin(moves.Request{})
		p.until(func() bool { return p.b.at(ref) != nil })
		p.a.Intend("41.0.64.0/18,AS36009\n")
		_, b := p.a.Ledger()
		_, err := p.a.Engine().RemoveIntents(holdings.By{Who: principal.Principal{Name: "tester"}, Time: time.Now()}, b.Of("afrinic/x/shop"), ca.Consent{})
		p.ok(err)
		p.keep = nil
		p.until(func() bool { return len(p.b.at(ref).Carried) == 4 && p.a.has("41.0.64.0/18,18,AS36009") })
		p.a.down = true // so that the recipient's side is ahead of the source
		p.approve(ref)
		p.a.down = false
		p.rest()
		want := []string{"41.0.0.0/16,20,AS36001", "41.0.128.0/17,17,AS36003", "41.0.64.0/18,18,AS36009", "2c00:1::/32,32,AS36001"}
		for _, v := range want {
			if !slices.Contains(p.b.VRPs(), v) {
				t.Error(v, "is missing of", p.b.VRPs())
			}
		}
		if slices.Contains(p.b.VRPs(), "41.0.16.0/20,20,AS36002") {
			t.Error("what the source took back went along")
		}
	})
}

func (s *site) has(vrp string) bool { return slices.Contains(s.VRPs(), vrp) }

// TestLostMessages: every other message, or its answer, is lost.
func TestLostMessages(t *testing.T) {
	inPair(t, func(p *pair) {
		n := 0
		p.intern = func(*http.Request, []byte) ([]byte, bool) { n++; return nil, n%3 == 0 }
		ref := p.begin(moves.Request{})
		p.approve(ref)
		p.rest()
		p.moved(ref)
	})
}

// TestSeenNoMore: a recipient's side that is not seen any more begins its soak anew.
func TestSeenNoMore(t *testing.T) {
	inPair(t, func(p *pair) {
		ref := p.begin(moves.Request{})
		p.approve(ref)
		p.until(func() bool { return !p.a.at(ref).Seen.IsZero() })
		_, b := p.b.Ledger()
		blind := true
		look := p.a.mover.Look
		p.a.mover.Look = func(ctx context.Context, dir, tal string, roots ...string) (*relying.Report, error) {
			r, err := look(ctx, dir, tal, roots...)
			if err == nil && blind {
				r.Authorities = r.Authorities[:1]
			}
			return r, err
		}
		p.until(func() bool { return !p.a.at(ref).When(holdings.StepLost).IsZero() })
		for end := time.Now().Add(24 * time.Hour); time.Now().Before(end); time.Sleep(time.Hour) {
			p.step()
		}
		if p.a.state(ref) != holdings.Accepted {
			t.Fatal("it is finalised although nobody sees the recipient's side:", b)
		}
		blind = false
		p.rest()
		p.moved(ref)
		if at := p.a.at(ref); at.When("finalised").Sub(at.When(holdings.StepSeen)) < transferSoak {
			t.Fatal("the soak was not begun anew", at.Steps)
		}
	})
}
