package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"cadastre/aspa"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/intents"
	"cadastre/internal/payload"
	"cadastre/roa"
)

// providers is a set of providers for each customer AS.
type providers map[uint32]map[uint32]bool

func (p providers) add(v aspa.VAP) {
	if p[v.Customer] == nil {
		p[v.Customer] = map[uint32]bool{}
	}
	for _, provider := range v.Providers {
		p[v.Customer][provider] = true
	}
}

func (p providers) equal(o providers) bool { return maps.EqualFunc(p, o, maps.Equal) }

// wantedASPA is an ASPA that a holder asked for, or that came to it. It is kept beside the book.
type wantedASPA struct {
	aspa.VAP
	until time.Time
}

// names has a holder authorise providers of a customer AS: those are all that it has.
func (v *village) names(holder string, customer uint32, list ...uint32) error {
	f := &aspa.File{Add: []aspa.Row{{VAP: aspa.VAP{Customer: customer, Providers: list}}}}
	r, err := aspa.Resolve(v.book.Objects, v.Ledger, f, aspa.Options{Holder: holder, Replace: true, By: holdings.By{Time: v.now}})
	if err != nil {
		return err
	}
	return v.want(&roa.Outcome{Objects: r.ObjectChange}, nil)
}

// nameSome has someone authorise providers of an AS that it has, or other ones than before.
func (r *region) nameSome(t *rapid.T) (holder string, v aspa.VAP, ok bool) {
	holder = rapid.SampledFrom(r.people).Draw(t, "whose AS")
	held := r.Holding(holder).AS
	if len(held) == 0 {
		return "", v, false
	}
	of := held[0]
	v = aspa.VAP{Customer: of.First + uint32(rapid.IntRange(0, int(of.Last-of.First)).Draw(t, "customer"))}
	if r.InTransfer(inr.OfAS(v.Customer, v.Customer)) != nil {
		return "", v, false
	}
	v.Providers = []uint32{174, uint32(3356 + rapid.IntRange(0, 2).Draw(t, "provider"))}
	return holder, v, r.names(holder, v.Customer, v.Providers...) == nil
}

// asked notes which ASPAs the books say are wanted.
func (m *model) asked() {
	m.aspas = map[*village]map[string]map[uint32]wantedASPA{}
	for _, v := range m.villages {
		m.aspas[v] = map[string]map[uint32]wantedASPA{}
		for in := range v.book.Objects.All() {
			m.ask(v, in.Holder, in.Says.(aspa.VAP), in.Until)
		}
	}
}

func (m *model) ask(v *village, holder string, vap aspa.VAP, until time.Time) {
	if m.aspas[v][holder] == nil {
		m.aspas[v][holder] = map[uint32]wantedASPA{}
	}
	m.aspas[v][holder][vap.Customer] = wantedASPA{vap, until}
}

// promisedASPAs is the providers that can be counted on from now on: those of customer ASes that are held for good.
func (m *model) promisedASPAs() providers {
	p := providers{}
	for v, of := range m.aspas {
		for holder, all := range of {
			has := settled(v.Ledger, holder)
			for _, w := range all {
				if has.Contains(w.Resources()) && (w.until.IsZero() || w.until.After(m.now())) {
					p.add(w.VAP)
				}
			}
		}
	}
	return p
}

// demandedASPAs is the providers that were promised all along since before the oldest version that a reader holds was replaced.
func (m *model) demandedASPAs() providers {
	d := providers{}
	for customer, all := range m.promises[len(m.promises)-1].aspas {
		for _, p := range m.promises {
			if p.aspas[customer] == nil {
				all = nil
			}
		}
		if all == nil {
			continue
		}
		d[customer] = map[uint32]bool{}
		for provider := range all {
			if !slices.ContainsFunc(m.promises, func(p promise) bool { return !p.aspas[customer][provider] }) {
				d[customer][provider] = true
			}
		}
	}
	return d
}

// misses says what of some providers a reader does not find; empty where it finds all. It takes several ASPAs of a customer as one.
func (p providers) misses(found providers) string {
	for _, customer := range slices.Sorted(maps.Keys(p)) {
		if found[customer] == nil {
			return fmt.Sprintf("the ASPA of AS%d", customer)
		}
		for _, provider := range slices.Sorted(maps.Keys(p[customer])) {
			if !found[customer][provider] {
				return fmt.Sprintf("the provider AS%d of AS%d", provider, customer)
			}
		}
	}
	return ""
}

// agreedASPAs lists the ASPAs that go along with a transfer.
func (m *model) agreedASPAs(d *deal) []intents.Object {
	if !d.kind.SameHolder() && d.bridge == 0 {
		return nil
	}
	var list []intents.Object
	legs := d.donor.Transfer(d.ids[d.donor]).Legs
	for i, leg := range legs {
		for _, in := range d.donor.book.Objects.Of(leg.From) {
			below := func(leg holdings.Leg) bool { return leg.Resources.Contains(in.Says.Resources()) }
			if in.Holder = leg.To; leg.To == "" {
				in.Holder = d.to // elsewhere one has it all, and the lowest counts
				if slices.ContainsFunc(legs[i+1:], below) {
					continue
				}
			}
			if in.Authorised(leg.Resources) && (in.Until.IsZero() || in.Until.After(m.now())) {
				in.Transfer, in.Displaced = d.ids[d.taker], nil
				list = append(list, in)
			}
		}
	}
	return list
}

// bringASPAs has the recipient's side want them.
func (m *model) bringASPAs(d *deal) {
	taking := d.taker.book.Objects.Taking()
	for _, in := range d.aspas {
		if has, there := d.taker.book.Objects.Find(in); there {
			displaced, err := json.Marshal(has)
			d.taker.must(err)
			in.Displaced = displaced
		}
		taking.Take(in, true)
	}
	d.taker.must(d.taker.want(&roa.Outcome{Objects: taking.Change}, nil))
}

// standASPAs tells whether the recipient's side has signed what goes along.
func (m *model) standASPAs(d *deal) bool {
	for _, in := range d.aspas {
		if m.mutation.mirrorless || !in.Until.IsZero() && !in.Until.After(m.now()) {
			continue
		}
		if is := d.taker.issued[d.taker.active(in.Holder)]; !slices.ContainsFunc(is.Payloads(), func(p payload.Payload) bool { return payload.Same(p, in.Says) }) {
			return false
		}
	}
	return true
}

// lasts is until when what goes along is there after the finalisation, which is now.
func (m *model) lasts(d *deal, in intents.Object) time.Time {
	if ends := m.now().Add(d.bridge); !d.kind.SameHolder() && (in.Until.IsZero() || in.Until.After(ends)) {
		return ends
	}
	return in.Until
}

// settleASPAs promises what came to the recipient's side, and gives what a bridge keeps its end; or takes back what came.
func (m *model) settleASPAs(d *deal) {
	var c intents.ObjectChange
	for _, leg := range d.taker.Transfer(d.ids[d.taker]).Legs {
		for _, in := range d.taker.book.Objects.Brought(leg.To, d.ids[d.taker]) {
			if d.state == holdings.Cancelled {
				d.taker.must(d.taker.book.Objects.Drop(&c, in))
				continue
			}
			if until := m.lasts(d, in); !until.Equal(in.Until) {
				c.Removed = append(c.Removed, in)
				in.Until = until
				c.Added = append(c.Added, in)
			}
		}
	}
	if d.state == holdings.Finalised {
		for _, in := range d.aspas {
			m.ask(d.taker, in.Holder, in.Says.(aspa.VAP), m.lasts(d, in))
		}
	}
	d.taker.must(d.taker.want(&roa.Outcome{Objects: c}, nil))
}
