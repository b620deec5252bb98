package ca

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/principal"
	"cadastre/roa"
)

// chance makes decisions in a test registry by a seeded dice, so that a failure comes again.
type chance struct {
	*testRegistry
	*rand.Rand
	people []string
}

func (c *chance) some() inr.Set {
	block := []string{"41.0", "41.1", "177.0"}[c.IntN(3)]
	first := c.IntN(64)
	return resources(c, fmt.Sprintf("%s.%d.0-%s.%d.255", block, first, block, min(63, first+c.IntN(40))))
}

func (c *chance) anyone() string { return c.people[c.IntN(len(c.people))] }

// decision makes one decision, or none where the dice ask for what cannot be.
func (c *chance) decision() {
	c.Helper()
	who, what := c.anyone(), c.some()
	held := c.engine.ledger.Holding(who).Intersect(what)
	switch n := c.IntN(10); {
	case n < 5:
		c.delegate(who, what)
	case n < 7:
		for _, p := range held.Prefixes() {
			row := roa.Row{Prefix: p, Origin: uint32(37000 + c.IntN(3)), MaxLength: p.Bits()}
			add := func(consent Consent) (*Effect, error) {
				return c.engine.AddIntents([]roa.Row{row}, roa.Options{Holder: who, By: holdings.By{Who: principal.Principal{Name: "chance"}, Time: time.Now()}}, consent)
			}
			c.decided(add(Consent{Code: code(c.testRegistry, add)}))
		}
	case n < 8:
		if all := c.engine.book.Of(who); len(all) > 0 {
			gone := []roa.Intent{all[c.IntN(len(all))]}
			remove := func(consent Consent) (*Effect, error) { return c.engine.RemoveIntents(c.by(), gone, consent) }
			c.decided(remove(Consent{Code: code(c.testRegistry, remove)}))
		}
	case held.Empty():
	case n < 9:
		c.take(who, held.String())
	default: // a sibling gets it
		c.take(who, held.String())
		for _, sibling := range c.people {
			if sibling != who && c.engine.above(sibling) == c.engine.above(who) {
				c.give(sibling, held.String())
				return
			}
		}
	}
}

// delegate gives one and all above it what they lack of some resources, from the top down.
func (c *chance) delegate(to string, what inr.Set) {
	var chain []string
	for up := to; up != issued.AnchorHolder; up = c.engine.above(up) {
		chain = append(chain, up)
	}
	slices.Reverse(chain)
	for _, handle := range chain[1:] {
		if lacking := what.Minus(c.engine.ledger.Holding(handle)).Intersect(c.engine.ledger.Free(c.engine.above(handle))); !lacking.Empty() {
			c.give(handle, lacking.String())
		}
	}
}

// TestRandomHistories makes decisions by chance, some of them while a plan is being carried out, and has a validator look at
// every serial of every repository. The engine is abandoned and started anew now and then.
func TestRandomHistories(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newTestRegistry(t, t.TempDir(), forest)
				defer func() { h.close() }()
				c := &chance{testRegistry: h, Rand: rand.New(rand.NewPCG(seed, 1))} //nolint:gosec // a dice
				c.people = slices.DeleteFunc(h.engine.ledger.Organisations(), func(handle string) bool { return handle == "iana" })
				h.reader.AfterBatch = func() {
					if c.IntN(8) == 0 {
						c.decision()
					}
				}
				for range 12 {
					for range 1 + c.IntN(3) {
						c.decision()
					}
					switch c.IntN(4) {
					case 0: // stopped in the middle, maybe between two repositories
						ctx, cancel := context.WithTimeout(context.Background(), time.Duration(c.IntN(3000))*time.Millisecond)
						if err := h.engine.Settle(ctx); err != nil && ctx.Err() == nil {
							t.Fatal(err)
						}
						cancel()
						h.reopen()
					case 1:
						hours := time.Duration(c.IntN(100)) * time.Hour
						stop := h.run() // from here on the dice are the engine's
						time.Sleep(hours)
						stop()
					}
					must(t, h.engine.Settle(context.Background()))
					h.complete()
				}
				if h.reader.Reads() < 12 {
					t.Errorf("only %d serials were looked at", h.reader.Reads())
				}
			})
		})
	}
}
