package ca

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/relying"
	"cadastre/internal/store"
	"cadastre/internal/updown"
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

// InHouses runs a test in a bubble, on new installations, each of a tree and with hosts of its own: 0.example, 1.example.
func InHouses(t *testing.T, soak time.Duration, test func(h []*House), trees ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var all []*House
		for i, tree := range trees {
			policy := testPolicy()
			policy.Soak = soak
			host := fmt.Sprintf("%d.example", i)
			policy.RsyncBase, policy.RRDPBase, policy.AnchorURL = "rsync://"+host+"/", "https://"+host+"/rrdp/", "https://"+host+"/ta/ta.cer"
			policy.ServiceBase = "https://" + host + "/"
			h := &House{newHouseWith(t, t.TempDir(), tree, policy)}
			defer func() { h.close() }()
			all = append(all, h)
		}
		test(all)
	})
}

// Seen is what a relying party finds that has just fetched everything below our trust anchor.
func (h *House) Seen() *relying.Report {
	h.reader.read("a look")
	h.reader.mu.Lock()
	defer h.reader.mu.Unlock()
	r := &relying.Report{At: time.Now().UTC(), Authorities: h.reader.last.Authorities, VRPs: h.reader.last.VRPs}
	for registry := range h.engine.repositories {
		r.Repositories = append(r.Repositories, relying.Repository{URI: h.policy.notify(registry), How: relying.HowDeltas})
	}
	return r
}

// Fail lets each transaction of the store through that gate does, as soon as the house is reopened.
func (h *House) Fragile() *Fragile {
	f := &fragile{Store: h.store}
	h.store = f
	return &Fragile{f}
}

// Fragile is a store that fails when a test says so, before or after a transaction.
type Fragile struct{ f *fragile }

// Set sets what is asked before and after each transaction; nil lets it through.
func (f *Fragile) Set(before, after func() error) { f.f.before, f.f.after = before, after }

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

// Asks has the CA elsewhere of an organisation ask for a certificate for all that it may have.
func (h *House) Asks(holder string) {
	h.Helper()
	d := newDelegatedKey(h.house, strings.ReplaceAll(holder, "/", "-")) // as it is called in messages
	place := farAway + holder + "/"
	d.ask(&updown.Issue{Class: treeClass, Request: d.request(place)})
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

// Records is how many records the store has in a bucket.
func (h *House) Records(bucket string) (n int) {
	in, known := store.Named(bucket)
	if !known {
		h.Fatalf("no bucket %q is declared", bucket)
	}
	err := h.engine.Kept(func(r store.Reader) error {
		for _, err := range r.Scan(in, nil) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		h.Fatal(err)
	}
	return n
}
