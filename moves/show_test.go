package moves_test

import (
	"strings"
	"testing"
	"time"

	"cadastre/holdings"
	"cadastre/moves"
)

// TestWaits checks that at each moment a transfer says what it waits for, on whom, and until when.
func TestWaits(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.begin(moves.Request{Kind: holdings.Portability, From: "afrinic/a", To: "nic.br/a", Under: "nic.br", Hold: true})
		says := func(what, on string, until time.Time) {
			s.Helper()
			is, err := s.mover.Show(id)
			if err != nil {
				s.Fatal(err)
			}
			if !strings.Contains(is.Waits, what) || is.On != on || !is.Until.Equal(until) {
				s.Fatalf("it waits for %q, on %q, until %s; and not for %q, on %q, until %s", is.Waits, is.On, is.Until, what, on, until)
			}
		}
		step := func(err error) {
			s.Helper()
			if err != nil {
				s.Fatal(err)
			}
		}
		never := time.Time{}
		l, _ := s.Ledger()
		says("that lacnic approves it", "lacnic", l.Assess(l.Transfer(id), time.Now()).Next()) // whose policy its NIR has
		dispute := s.By()
		dispute.Reason = "the heirs disagree"
		step(s.mover.Dispute(dispute, id))
		says("the heirs disagree", "both registries", never)
		step(s.mover.Approve(s.By(), id))
		s.step()
		says("the heirs disagree", "both registries", never)
		step(s.mover.Resolve(s.By(), id))
		says("its acceptance, which is due", "the daemon here", never)
		if _, err := s.mover.Step(t.Context()); err != nil {
			s.Fatal(err)
		}
		says("that the recipient's side is published", "the authorities here", never) // it has not looked yet
		if _, err := s.mover.Step(t.Context()); err != nil {
			s.Fatal(err)
		}
		says("has no certificate for", "the authorities here", never)
		s.start() // another process, which has not looked
		says("that the recipient's side is published", "the authorities here", never)

		transfer := func() *holdings.Transfer { l, _ := s.Ledger(); return l.Transfer(id) }
		s.until(func() bool { return !transfer().Seen.IsZero() })
		soaked := transfer().Seen.Add(transferSoak)
		says("and then that the source releases it", "time", soaked)
		s.until(func() bool { return time.Now().After(soaked) })
		says("that the source releases it", "afrinic", never)
		step(s.mover.Dispute(dispute, id))
		says("the heirs disagree", "both registries", never)
		step(s.mover.Resolve(s.By(), id))
		step(s.mover.Hold(s.By(), id, false))
		says("its finalisation, which is due", "the daemon here", never)
		if _, err := s.mover.Step(t.Context()); err != nil {
			s.Fatal(err)
		}
		says("that what the source's side had is withdrawn", "the authorities here", never)
		if _, err := s.mover.Step(t.Context()); err != nil {
			s.Fatal(err)
		}
		says("the certificate of afrinic", "the authorities here", never)
		s.rest()
		says("", "", never)
		if is, _ := s.mover.Show(id); is.Waits != "" {
			s.Fatal(is.Waits)
		}
	})
}
