package plan

import (
	"slices"
	"time"

	"cadastre/holdings"
	"cadastre/roa"
)

// initiate begins a transfer, unless the ledger refuses it.
func (m *model) initiate(d *deal, recipient holdings.Organisation) error {
	d.ids = map[*village]uint64{}
	want := holdings.Transfer{
		Kind: d.kind, From: d.from, To: d.to, FromRegistry: d.donor.Ledger.Registry(d.from), Resources: d.resources, Bridge: holdings.Term(d.bridge), Soak: holdings.Term(m.watch.soak),
	}
	if d.donor != d.taker {
		there := want
		want.To, want.Elsewhere, want.Peer = "", d.to, "there"
		there.From, there.Elsewhere, there.Peer = "", d.from, "here"
		if err := d.taker.decide(d.taker.Initiate(d.taker.by(), there, recipient)); err != nil {
			return err
		}
		d.ids[d.taker] = newest(d.taker.Ledger)
	}
	if err := d.donor.decide(d.donor.Initiate(d.donor.by(), want, recipient)); err != nil {
		if id, begun := d.ids[d.taker]; begun {
			d.taker.must(d.taker.decide(d.taker.Cancel(d.taker.by(), id, "")))
		}
		return err
	}
	d.ids[d.donor] = newest(d.donor.Ledger)
	d.state = holdings.Initiated
	m.trace("%s: transfer %d (%s) of %s by %s to %s", m.now().Sub(noon), d.ids[d.taker], d.kind, d.resources, d.from, d.to)
	m.deals = append(m.deals, d)
	return nil
}

// accept has the recipient's side hold what moves, and brings what was agreed.
func (m *model) accept(d *deal) error {
	for v, id := range d.ids {
		v.must(v.decide(v.Accept(v.by(), id, "")))
	}
	d.state, d.agreed = holdings.Accepted, m.agreement(d)
	m.trace("%s: transfer %d is accepted, with %v", m.now().Sub(noon), d.ids[d.taker], d.agreed)
	d.aspas = m.agreedASPAs(d)
	if !m.mutation.mirrorless {
		m.bringASPAs(d)
		d.taker.must(d.taker.want(d.taker.book.Bring(d.agreed), nil))
	}
	return m.look()
}

// agreement is what the recipient's side is to have authorised.
func (m *model) agreement(d *deal) []roa.Intent {
	var list []roa.Intent
	add := func(to string, r holdings.Route) {
		list = append(list, roa.Intent{Holder: to, Prefix: r.Prefix, MaxLength: r.MaxLength, Origin: r.Origin, Actor: "tester", Added: d.taker.now, Until: r.Until, Transfer: d.ids[d.taker]})
	}
	if d.kind.SameHolder() || d.bridge > 0 {
		t := d.donor.Transfer(d.ids[d.donor])
		for _, leg := range t.Legs {
			to := leg.To
			if to == "" {
				to = d.to // elsewhere one has it all
			}
			for _, r := range d.donor.book.Along(d.donor.Ledger, t, leg) {
				add(to, r)
			}
		}
	}
	for _, v := range d.staged {
		add(d.to, holdings.Route{Prefix: v.Prefix, MaxLength: v.MaxLength, Origin: v.ASN})
	}
	return list
}

// brings is what was agreed and has not ended.
func (d *deal) brings(now time.Time) []roa.Intent {
	return slices.DeleteFunc(slices.Clone(d.agreed), func(in roa.Intent) bool { return hasEnded(in, now) })
}

func hasEnded(in roa.Intent, now time.Time) bool { return !in.Until.IsZero() && !in.Until.After(now) }

// finalise ends the donor's side. From then on what was agreed is promised; it must have been there for all readers before.
func (m *model) finalise(d *deal) error {
	before := m.promised()
	for _, v := range []*village{d.donor, d.taker} {
		if id := d.ids[v]; v.Transfer(id).State == holdings.Accepted {
			v.must(v.decide(v.Finalise(v.by(), id, "")))
		}
	}
	d.state = holdings.Finalised
	m.trace("%s: transfer %d is finalised", m.now().Sub(noon), d.ids[d.taker])
	var agreed promise
	for _, in := range d.brings(d.taker.now) {
		says, _ := roa.Authorised(in, d.taker.Holding(in.Holder))
		if ends := d.taker.now.Add(d.bridge); !d.kind.SameHolder() && !slices.Contains(d.staged, in.VRP()) && (in.Until.IsZero() || in.Until.After(ends)) {
			in.Until = ends
			if slices.ContainsFunc(d.taker.book.Brought(in.Holder, d.ids[d.taker]), sameAs(in)) {
				out, err := d.taker.book.Remove([]roa.Intent{in})
				d.taker.must(err)
				out.Added = []roa.Intent{in}
				d.taker.must(d.taker.want(out, nil))
			}
		}
		agreed.add(in, says)
		own := m.wants[d.taker][in.Holder]
		at := slices.IndexFunc(own, sameAs(in))
		switch {
		case at < 0:
			m.wants[d.taker][in.Holder] = append(own, in)
		case !own[at].Until.IsZero() && (in.Until.IsZero() || in.Until.After(own[at].Until)):
			own[at] = in
		}
	}
	m.settleASPAs(d)
	if err := m.agreedKeeps(d, before, m.promised()); err != nil {
		return err
	}
	m.promise(false)
	for i := range m.promises {
		p := &m.promises[i]
		p.vrps, p.lasting = slices.Concat(p.vrps, agreed.vrps), slices.Concat(p.lasting, agreed.lasting)
		p.ending, p.parts = slices.Concat(p.ending, agreed.ending), slices.Concat(p.parts, agreed.parts)
		p.sort()
	}
	return m.look()
}

// sameAs tells whether an intent says the same as another.
func sameAs(in roa.Intent) func(roa.Intent) bool {
	return func(other roa.Intent) bool { return other.String() == in.String() }
}

// cancel ends the recipient's side.
func (m *model) cancel(d *deal) error {
	accepted := d.state == holdings.Accepted
	for v, id := range d.ids {
		v.must(v.decide(v.Cancel(v.by(), id, "")))
	}
	d.state = holdings.Cancelled
	m.trace("%s: transfer %d is cancelled", m.now().Sub(noon), d.ids[d.taker])
	if accepted {
		out := &roa.Outcome{}
		for _, leg := range d.taker.Transfer(d.ids[d.taker]).Legs {
			out.Removed = append(out.Removed, d.taker.book.Brought(leg.To, d.ids[d.taker])...)
		}
		d.taker.must(d.taker.want(out, nil))
		m.settleASPAs(d)
	}
	return m.look()
}

// ripe tells whether a transfer may be finalised.
func (m *model) ripe(d *deal) bool {
	if d.state != holdings.Accepted || d.parked {
		return false
	}
	return m.mutation.blind || !d.seen.IsZero() && (m.mutation.hasty || !m.now().Before(d.seen.Add(m.watch.soak)))
}

// dispute parks a transfer, or has it go on.
func (m *model) dispute(d *deal, parked bool) {
	d.parked = parked
	for v, id := range d.ids {
		if parked {
			v.must(v.decide(v.Dispute(v.by(), id, "a court looks at it")))
		} else {
			v.must(v.decide(v.Resolve(v.by(), id, "")))
		}
	}
}

// newest is the number of the transfer that was begun last.
func newest(l *holdings.Ledger) uint64 {
	all := l.Transfers()
	return all[len(all)-1].ID
}
