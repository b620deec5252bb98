package moves_test

import (
	"strings"
	"testing"
	"time"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/moves"
)

// TestAbandoned: an installation that has been silent for a week is gone on without, on either side and at any point. What it finds
// when it comes back it follows.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		who, gone func(p *pair) *site
		when      func(p *pair, ref string) bool
		keep      bool
		end       holdings.TransferState
	}{
		"the source before":  {source, recipient, func(*pair, string) bool { return true }, false, holdings.Cancelled},
		"the source":         {source, recipient, seenByTheSource, false, holdings.Cancelled},
		"the recipient":      {recipient, source, seenByTheSource, false, holdings.Cancelled},
		"the recipient, all": {recipient, source, seenByTheSource, true, holdings.Finalised},
	} {
		alone := func(p *pair) (ref string, who, gone *site) { // from when on the other is silent
			ref = p.begin(moves.Request{})
			if name != "the source before" {
				p.approve(ref)
			}
			p.until(func() bool { return c.when(p, ref) })
			who, gone = c.who(p), c.gone(p)
			gone.down, gone.dark = true, true
			return ref, who, gone
		}
		t.Run(name, func(t *testing.T) {
			inPair(t, func(p *pair) {
				ref, who, gone := alone(p)
				for day := range 8 {
					if err := who.mover.Abandon(who.By(), who.at(ref).ID, moves.Silence, c.keep); day < 7 && fault.KindOf(err) != fault.Conflict {
						t.Fatalf("on day %d: %v", day, err)
					}
					for range 6 {
						p.step()
						time.Sleep(4 * time.Hour)
					}
				}
				if err := who.mover.RemovePeer(who.By(), gone.name); who.at(ref).Done() != (err == nil) {
					t.Fatalf("it is %s, done: %v; its peer is removed: %v", who.state(ref), who.at(ref).Done(), err)
				}
				if who.state(ref) != c.end || !who.at(ref).Done() {
					t.Fatal("without the other it is", who.state(ref))
				}
			})
			inPair(t, func(p *pair) {
				ref, who, gone := alone(p)
				for range 8 * 6 {
					p.step()
					time.Sleep(4 * time.Hour)
				}
				p.ok(who.mover.Abandon(who.By(), who.at(ref).ID, moves.Silence, c.keep))
				p.step()
				gone.down, gone.dark = false, false // it comes back
				if name == "the source before" {
					p.until(func() bool { return p.a.at(ref).Done() })
					return
				}
				p.rest()
				if c.end == holdings.Finalised {
					p.moved(ref)
					return
				}
				p.asBefore(ref)
			})
		})
	}
}

func source(p *pair) *site    { return p.a }
func recipient(p *pair) *site { return p.b }

func seenByTheSource(p *pair, ref string) bool { return !p.a.at(ref).Seen.IsZero() }

// TestAbandonedAtOdds: the recipient's side, which has not heard that the source finalised, goes on without it and withdraws. The
// source says so when it is back, and an operator ends it there too.
func TestAbandonedAtOdds(t *testing.T) {
	inPair(t, func(p *pair) {
		ref := p.begin(moves.Request{})
		p.approve(ref)
		p.until(func() bool { return p.a.state(ref) == holdings.Finalised })
		if p.b.state(ref) != holdings.Accepted {
			t.Fatal("the recipient's side knows already")
		}
		p.a.down, p.keep = true, nil // what moved is lost by this
		for range 8 * 6 {
			p.step()
			time.Sleep(4 * time.Hour)
		}
		if err := p.b.mover.Abandon(p.b.By(), p.b.at(ref).ID, time.Minute, false); fault.KindOf(err) != fault.BadInput {
			t.Fatal("the recipient's side ends after a minute:", err)
		}
		p.ok(p.b.mover.Abandon(p.b.By(), p.b.at(ref).ID, moves.Silence, false))
		p.step()
		p.a.down = false
		for range 100 {
			p.step()
			time.Sleep(time.Minute)
		}
		if st, _ := p.a.mover.Show(p.a.at(ref).ID); p.a.at(ref).Done() || !strings.Contains(st.Waits, "where it is cancelled") {
			t.Fatal("it waits for", st.Waits)
		}
		p.ok(p.a.mover.Abandon(p.a.By(), p.a.at(ref).ID, moves.Silence, false))
		p.rest()
		for _, c := range []struct {
			s    *site
			says string
		}{{p.a, "it is finalised here and cancelled at "}, {p.b, "it is cancelled here and finalised at "}} {
			st, err := c.s.mover.Show(c.s.at(ref).ID)
			if p.ok(err); !strings.HasPrefix(st.Odds, c.says) || !strings.Contains(st.Odds, "neither side has what moved") || !st.Done() {
				t.Fatalf("it says %q, and waits for %q", st.Odds, st.Waits)
			}
		}
		p.ok(p.a.mover.RemovePeer(p.a.By(), p.b.name))
	})
}
