package moves_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/slowtest"
	"cadastre/moves"
)

// TestKilledBetweenInstallations ends one of the two before or after a transaction of a transfer: each in its turn with
// CADASTRE_SLOW=1, every third with 0.3, else some of them. It starts again, and the end is the same.
func TestKilledBetweenInstallations(t *testing.T) {
	t.Parallel()
	stride := 29
	if share, slow := slowtest.Share(t); slow {
		stride = max(1, int(1/share))
	}
	first := 1 + rand.IntN(min(stride, 12))
	t.Logf("every %d. transaction, from the %d. on", stride, first)
	for _, side := range []string{"source", "recipient"} {
		for _, where := range []string{"before", "after"} {
			n, done := 0, false
			for ; !done && !t.Failed(); n++ {
				inPair(t, func(p *pair) { done = p.killedAt(side, where, n*stride+first) })
			}
			if t.Logf("the %s's side was killed %s %d transactions", side, where, n); (n-1)*stride < 24 && !t.Failed() {
				t.Errorf("there were only %d transactions", (n-1)*stride)
			}
		}
	}
}

// killedAt tells whether the transfer came to its end before the side could be killed.
func (p *pair) killedAt(side, where string, n int) (survived bool) {
	s := p.a
	if side == "recipient" {
		s = p.b
	}
	fragile := s.Fragile()
	s.Reopen()
	p.open(s)
	var dead atomic.Bool
	var left atomic.Int64
	left.Store(int64(n))
	kill := func() { // from here on nothing is kept, and nobody is told anything
		if left.Add(-1) <= 0 {
			dead.Store(true)
		}
	}
	p.intern = func(*http.Request, []byte) ([]byte, bool) { return nil, !dead.Load() }
	before := func() error {
		if where == "before" {
			kill()
		}
		if dead.Load() {
			return errors.New("killed")
		}
		return nil
	}
	after := func() error {
		if where == "after" {
			kill()
		}
		return nil
	}
	ref, began := "", false
	fragile.Before, fragile.After = before, after
	survived = true
	revive := func() {
		if !dead.Load() {
			return
		}
		survived = false
		dead.Store(false)
		left.Store(1 << 30)
		s.Reopen()
		p.open(s)
	}
	wait := time.Duration(0)
	for end := time.Now().Add(14 * 24 * time.Hour); ; time.Sleep(max(wait, 20*time.Second)) {
		wait = 10 * time.Minute
		if !began {
			b, err := p.a.mover.Initiate(p.a.By(), moves.Request{Kind: holdings.Portability, From: "afrinic/x", To: "ripe/x", Under: "ripe", Peer: p.b.name, Soak: soak}, ca.Consent{})
			revive()
			if l, _ := p.a.Ledger(); len(l.Transfers()) > 0 {
				ref, began = l.Transfers()[0].Ref, true
			} else if err == nil {
				p.Fatal("it began and is not there", b)
			}
			continue
		}
		if at := p.b.at(ref); at != nil && at.State == holdings.Initiated && at.When(holdings.StepApproved).IsZero() {
			_ = p.b.mover.Approve(p.b.By(), at.ID)
			revive()
		}
		for _, one := range []*site{p.a, p.b} {
			next, err := one.mover.Step(context.Background())
			synctest.Wait()
			switch {
			case err == nil: // as Run does: what was heard beside does not wait for longer
				wait = min(wait, next)
			case !dead.Load():
				p.Fatal(err)
			}
			revive()
			one.Insist()
			if err := one.Engine().Settle(context.Background()); err != nil && !dead.Load() {
				p.Fatal(err)
			}
			revive()
		}
		p.whole()
		if a, b := p.a.at(ref), p.b.at(ref); a != nil && b != nil && a.Done() && b.Done() {
			break
		}
		if time.Now().After(end) {
			p.Fatal("two weeks were not enough", p.a.state(ref), p.b.state(ref))
		}
	}
	fragile.Before, fragile.After = nil, nil
	p.rest()
	p.moved(ref)
	return survived
}
