package holdings

import (
	"maps"
	"slices"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

// taking is a copy of a transfer, if it may take a step now.
func (l *Ledger) taking(id uint64, step Step) (*Transfer, error) {
	t := l.Transfer(id)
	if t == nil {
		return nil, fault.New(fault.NotFound, "there is no transfer %d; 'cadastre transfer list' shows those that there are", id)
	}
	return t.clone(), t.may(step)
}

// Accept resolves that the recipient's side of a transfer begins to hold what moves, beside the donor's side. It is the only case in which
// siblings may overlap.
func (l *Ledger) Accept(by By, id uint64, text string) (*Outcome, error) {
	return l.each(by, []uint64{id}, text, (*draft).accept)
}

// AcceptAll does the same for several, in one decision.
func (l *Ledger) AcceptAll(by By, ids []uint64, text string) (*Outcome, error) {
	return l.each(by, ids, text, (*draft).accept)
}

// each resolves one step of several transfers in one decision.
func (l *Ledger) each(by By, ids []uint64, text string, step func(*draft, uint64, string) error) (*Outcome, error) {
	d := l.draft(by)
	for _, id := range ids {
		if err := step(d, id, text); err != nil {
			return nil, err
		}
	}
	return d.outcome()
}

func (d *draft) accept(id uint64, text string) error {
	l := d.ledger
	t, err := l.taking(id, StepAccepted)
	if err != nil {
		return err
	}
	if t.DonorHere() { // what moves may have changed since
		if err := l.checkDonor(t); err != nil {
			return err
		}
		first := t.Legs[0]
		first.Parts = l.partsOf(t.From, t.Resources)
		t.Legs = l.legs(t, first)
	}
	if err := l.checkWithin(t); err != nil {
		return err
	}
	if t.Top, err = l.topOf(t); err != nil {
		return err
	}
	if d.isStepOf(t); l.donor(t) != "" {
		d.steps[t.ID] = l.meeting(t)
	}
	if t.RecipientHere() {
		for i, leg := range t.Legs {
			if err := d.enrolRecipient(leg); err != nil {
				return err
			}
			if i == 0 {
				path := l.pathTo(t, leg)
				if len(path) == 0 {
					continue // the successor is above the registry, and holds it all already
				}
				for _, h := range path[:len(path)-1] {
					d.startIncoming(t, h, []Part{{Resources: t.Resources, Status: Allocated}})
				}
			}
			d.startIncoming(t, leg.To, leg.Parts)
		}
	}
	if err := d.step(t, StepAccepted, text); err != nil {
		return err
	}
	return d.checkTaken(t)
}

// enrolRecipient adds the recipient of a leg to the tree, unless somebody added it since the transfer began. An end user that gets an
// organisation below it becomes an LIR.
func (d *draft) enrolRecipient(leg Leg) error {
	n := d.ledger.orgs[leg.To]
	switch {
	case n == nil:
		if err := leg.New.check(); err != nil {
			return err
		}
		d.enrol(leg.New)
	case leg.New.Handle != "" && n.Parent != leg.New.Parent:
		return fault.New(fault.Conflict, "%s is there by now, below %s and not %s; cancel the transfer and begin it anew", leg.To, n.Parent, leg.New.Parent)
	default:
		return nil
	}
	above, changed := d.orgs[leg.New.Parent]
	if !changed {
		n := d.ledger.orgs[leg.New.Parent]
		if n == nil {
			return unknown(leg.New.Parent)
		}
		above = n.Organisation
	}
	if above.Kind == EndUser { // it gets organisations below it, so it is an LIR from now on
		above.Kind = LIR
		d.enrol(above)
	}
	if !slices.Contains(parents[leg.New.Kind], above.Kind) {
		return fault.New(fault.BadInput, "%s: a %s can't be below %s, which is a %s", leg.To, leg.New.Kind, above.Handle, above.Kind)
	}
	return nil
}

// startIncoming starts delegations that come with a transfer.
func (d *draft) startIncoming(t *Transfer, to string, parts []Part) {
	parent := d.orgs[to].Parent
	if n := d.ledger.orgs[to]; n != nil {
		parent = n.Parent
	}
	for _, p := range parts {
		if p.Resources.Empty() {
			continue
		}
		d.start(&Delegation{
			From: parent, To: to, Resources: p.Resources, Status: p.Status, Until: p.Until, Country: p.Country,
			Since: d.by.Time.UTC().Truncate(time.Second), Ground: "transfer from " + t.Source(), Transfer: t.ID, Incoming: true,
		})
	}
}

// Finalise resolves that only the recipient's side holds what moves. The donor loses it, and so do all organisations above the donor that
// are not above the recipient, too.
func (l *Ledger) Finalise(by By, id uint64, text string) (*Outcome, error) {
	return l.each(by, []uint64{id}, text, (*draft).finalise)
}

// FinaliseAll does the same for several, in one decision.
func (l *Ledger) FinaliseAll(by By, ids []uint64, text string) (*Outcome, error) {
	return l.each(by, ids, text, (*draft).finalise)
}

func (d *draft) finalise(id uint64, text string) error {
	l := d.ledger
	t, err := l.taking(id, StepFinalised)
	if err != nil {
		return err
	}
	if why := t.Parked(); why != "" {
		return fault.New(fault.Conflict, "transfer %d is disputed (%s); both sides stay valid until that is resolved", id, why)
	}
	if err := l.checkLeft(t); err != nil {
		return err
	}
	d.isStepOf(t)
	above := l.shared(t)
	if path := l.pathBelow(above, l.donor(t)); len(path) > 0 {
		for _, x := range l.orgs[above].given.overlapping(t.Resources) {
			if x.To == path[0] {
				d.take(x, t.Resources)
			}
		}
	}
	for _, x := range l.incoming(t) {
		d.end(x)
		stays := *x
		stays.ID, stays.Decision, stays.Replaces, stays.Incoming = 0, 0, x.ID, false
		d.start(&stays)
	}
	return d.step(t, StepFinalised, text)
}

// take shrinks a delegation of which the same draft may have taken something already.
func (d *draft) take(old *Delegation, resources inr.Set) {
	if d.ended[old.ID] == nil {
		d.shrink(old, old.Resources.Minus(resources))
		return
	}
	for _, x := range d.got[old.To] {
		if x.Replaces != old.ID {
			continue
		}
		if x.Resources = x.Resources.Minus(resources); x.Resources.Empty() {
			is := func(y *Delegation) bool { return x == y }
			d.started, d.got[old.To] = slices.DeleteFunc(d.started, is), slices.DeleteFunc(d.got[old.To], is)
		}
		return
	}
}

// Cancel resolves that a transfer is cancelled: the recipient's side loses what it got; the donor's side was never changed.
func (l *Ledger) Cancel(by By, id uint64, text string) (*Outcome, error) {
	return l.each(by, []uint64{id}, text, (*draft).cancel)
}

func (d *draft) cancel(id uint64, text string) error {
	l := d.ledger
	t, err := l.taking(id, StepCancelled)
	if err != nil {
		return err
	}
	if t.State == Initiated && !t.Outgoing() { // the recipient's side had got nothing, and no other installation has to be told
		t.Released = second(d.by.Time)
	}
	if err := l.checkUnbegun(t); err != nil {
		return err
	}
	d.isStepOf(t)
	for _, x := range l.incoming(t) {
		if d.ended[x.ID] == nil {
			d.end(x)
		}
	}
	return d.step(t, StepCancelled, text)
}

// incoming lists the delegations of a transfer that are marked as incoming, by ID.
func (l *Ledger) incoming(t *Transfer) []*Delegation {
	_, taking := l.Involved(t)
	var list []*Delegation
	for _, h := range taking {
		if n := l.orgs[h]; n != nil {
			for _, x := range n.received {
				if x.Incoming && x.Transfer == t.ID {
					list = append(list, x)
				}
			}
		}
	}
	slices.SortFunc(list, byID)
	return list
}

// step has a transfer take a step in a draft.
func (d *draft) step(t *Transfer, step Step, text string) error {
	if err := t.advance(step, d.by, d.ledger.lastDecision+1, text); err != nil {
		return err
	}
	d.moved = append(d.moved, t)
	return nil
}

// isStepOf notes that a transfer, and the handoff that it is within, take a step in a draft.
func (d *draft) isStepOf(t *Transfer) {
	d.steps[t.ID] = ""
	if t.Within != 0 {
		d.steps[t.Within] = ""
	}
}

func (d *draft) isStep(id uint64) bool {
	_, yes := d.steps[id]
	return yes
}

// frozen finds a change in a draft that is not allowed, since the resources are in a transfer that takes no step in the draft. It returns
// the resources and the number of the transfer; 0 where there is none.
func (d *draft) frozen() (inr.Set, uint64) {
	if len(d.ledger.unrest) == 0 {
		return inr.Set{}, 0
	}
	for _, handle := range slices.Sorted(maps.Keys(d.after)) {
		if len(d.ledger.moving[handle]) == 0 {
			continue
		}
		was, now := d.before[handle], d.after[handle].holding
		if changed, id := d.inOther(handle, was.Minus(now).Union(now.Minus(was))); id != 0 {
			return changed, id
		}
	}
	for _, x := range d.started {
		if len(d.ledger.moving[x.From]) == 0 {
			continue
		}
		if fresh, id := d.inOther(x.From, x.Resources.Minus(d.before[x.To])); id != 0 {
			return fresh, id
		}
	}
	return inr.Set{}, 0
}

// inOther is the part of a set that is in a transfer which has begun to change an organisation and takes no step in the draft, and the
// number of that transfer; 0 where there is none.
func (d *draft) inOther(handle string, s inr.Set) (inr.Set, uint64) {
	if s.Empty() {
		return s, 0
	}
	l, moving := d.ledger, d.ledger.moving[handle]
	for _, x := range l.claimed.overlapping(s) {
		if id := x.Transfer; moving[id] && !d.isStep(id) && l.Transfer(id).State == Accepted {
			return x.Resources.Intersect(s), id
		}
	}
	for id := range l.handoffs {
		if t := l.Transfer(id); moving[id] && !d.isStep(id) && t.State == Accepted && t.Resources.Overlaps(s) {
			return t.Resources.Intersect(s), id
		}
	}
	return inr.Set{}, 0
}
