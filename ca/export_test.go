package ca

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/roa"
)

// House is a house for tests of the rooms above this one.
type House struct{ *house }

// InHouse runs a test in a bubble, on a new installation of a tree with a soak between repositories.
func InHouse(t *testing.T, tree string, soak time.Duration, test func(h *House)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		policy := testPolicy()
		policy.Soak = soak
		h := &House{newHouseWith(t, t.TempDir(), tree, policy)}
		defer func() { h.close() }()
		test(h)
	})
}

// Registries is a tree with two registries, one with an NIR.
const Registries = registries

func (h *House) Engine() *Engine      { return h.engine }
func (h *House) Dir() string          { return h.dir }
func (h *House) By() holdings.By      { return h.by() }
func (h *House) Give(to, what string) { h.give(to, what) }
func (h *House) Intend(csv string)    { h.intend(csv) }
func (h *House) Settle()              { must(h, h.engine.Settle(context.Background())) }
func (h *House) Complete()            { h.complete() }
func (h *House) Reopen()              { h.reopen() }
func (h *House) VRPs() []string       { return h.reader.vrps() }
func (h *House) Failed() bool         { return h.reader.failed }
func (h *House) Certified(a string) string {
	if c := h.engine.clockOf(a); c != nil {
		return c.Certified.String()
	}
	return ""
}

// Insist has the relying party miss nothing from now on that was wanted and is, but for what ends by itself.
func (h *House) Insist() {
	wanted := h.wanted()
	must(h, h.engine.Read(func(l *holdings.Ledger, b *roa.Book) error {
		for _, holder := range b.Holders() {
			for _, in := range b.Of(holder) {
				if vrps, _ := roa.Authorised(in, l.Holding(holder)); !in.Until.IsZero() {
					for _, v := range vrps {
						delete(wanted, v.String())
					}
				}
			}
		}
		return nil
	}))
	h.reader.insist(wanted)
}

// Elsewhere has an organisation's CA be elsewhere, one that never comes.
func (h *House) Elsewhere(holder string) (identity []byte) {
	h.Helper()
	newDelegated(h.house, holder)
	c, _ := h.engine.Delegated(holder)
	return c.TrustAnchor
}

// Enrol adds an organisation.
func (h *House) Enrol(handle, parent string, kind holdings.Kind) {
	h.Helper()
	_, err := h.engine.Enrol(h.by(), holdings.Organisation{Handle: handle, Parent: parent, Kind: kind})
	must(h, err)
}

// Set reads resources.
func (h *House) Set(text string) inr.Set { return resources(h, text) }

// Ledger is who holds what and what they want authorised.
func (h *House) Ledger() (l *holdings.Ledger, b *roa.Book) {
	must(h, h.engine.Read(func(ledger *holdings.Ledger, book *roa.Book) error {
		l, b = ledger, book
		return nil
	}))
	return l, b
}
