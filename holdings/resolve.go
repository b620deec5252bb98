package holdings

import (
	"maps"
	"slices"
	"strings"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

// outcome settles the draft, checks it, and gives numbers to the delegations that it starts.
func (d *draft) outcome() (*Outcome, error) {
	d.settle()
	if changed, id := d.frozen(); id != 0 {
		return nil, fault.New(fault.Conflict, "%s is in transfer %d; finalise or cancel that first ('cadastre transfer show %d')", changed, id, id)
	}
	if c := d.clashes(); len(c) > 0 {
		return nil, fault.New(fault.Conflict, "%s is held by %s already; it must be returned or revoked first", c[0].shared, c[0].with.To)
	}
	if x, missing := d.exceeds(); x != nil {
		return nil, d.notGivable(x.From, missing)
	}
	l := d.ledger
	o := &Outcome{
		Decision: d.by.decision(l.lastDecision + 1),
		Before:   d.before, After: make(map[string]inr.Set, len(d.after)),
		Imports: d.imports, Redisputed: d.redisputed,
		nextDelegation: l.nextDelegation,
	}
	o.Started = make([]Delegation, 0, len(d.started))
	o.Decision.Changes = make([]Change, 0, len(d.orgs)+len(d.ended)+len(d.started))
	for handle, a := range d.after {
		o.After[handle] = a.holding
	}
	for _, handle := range slices.Sorted(maps.Keys(d.orgs)) {
		o.Organisations = append(o.Organisations, d.orgs[handle])
		o.Decision.Changes = append(o.Decision.Changes, Change{What: Enrolled, Organisation: handle})
	}
	for _, handle := range d.removed {
		o.Removed = append(o.Removed, handle)
		o.Decision.Changes = append(o.Decision.Changes, Change{What: Removed, Organisation: handle})
	}
	for _, id := range slices.Sorted(maps.Keys(d.ended)) {
		x := *d.ended[id]
		x.Ended = o.Decision.ID
		o.Ended = append(o.Ended, x)
		o.Decision.Changes = append(o.Decision.Changes, Change{What: Ended, Organisation: x.To, Delegation: id})
	}
	for _, x := range d.started {
		x.ID, x.Decision = o.nextDelegation, o.Decision.ID
		o.nextDelegation++
		o.Started = append(o.Started, *x)
		o.Decision.Changes = append(o.Decision.Changes, Change{What: Started, Organisation: x.To, Delegation: x.ID})
	}
	for _, t := range d.moved {
		o.Transfers = append(o.Transfers, *t)
		o.Decision.Changes = append(o.Decision.Changes, Change{What: Moved, Transfer: t.ID, Step: t.Steps[len(t.Steps)-1].What})
	}
	for _, p := range d.policies {
		o.Policies = append(o.Policies, p)
		o.Decision.Changes = append(o.Decision.Changes, Change{What: Ruled, Organisation: p.Registry})
	}
	for i := range o.Imports {
		o.Imports[i].Decision = o.Decision.ID
	}
	o.Counts = d.count(o)
	o.Digest = o.digest()
	return o, nil
}

// notGivable is the error for resources that an organisation may not delegate.
func (d *draft) notGivable(from string, missing inr.Set) error {
	if assigned := missing.Intersect(d.account(from).holding); !assigned.Empty() {
		return fault.New(fault.NotHeld, "%s was assigned to %s for its own use and can't be delegated on; only allocated resources can", assigned, from)
	}
	who := d.ledger.PartHolders(missing)
	if len(who) == 0 {
		return fault.New(fault.NotHeld, "%s does not hold %s; no one does", from, missing)
	}
	return fault.New(fault.NotHeld, "%s does not hold %s; it is held by %s", from, missing, strings.Join(who, ", "))
}

// count tells what became of the delegations.
func (d *draft) count(o *Outcome) Counts {
	var c Counts
	for handle := range d.orgs {
		if d.ledger.orgs[handle] == nil {
			c.Organisations++
		}
	}
	var lost, gained []inr.Set
	for _, x := range o.Ended {
		if !x.derived() {
			lost = append(lost, x.Resources.Minus(o.After[x.To]))
		}
	}
	for _, x := range o.Started {
		if !x.derived() {
			gained = append(gained, x.Resources.Minus(o.Before[x.To]))
		}
	}
	allLost, allGained := inr.Sum(lost...), inr.Sum(gained...)
	for _, x := range o.Ended {
		if x.derived() {
			continue
		}
		switch gone := x.Resources.Minus(o.After[x.To]); {
		case gone.Empty():
			c.Kept++
			continue
		case !gone.Minus(allGained).Equal(gone):
			c.Moved++
		default:
			c.Gone++
		}
		if d.cut[x.ID] {
			c.Cut++
		}
	}
	for _, s := range gained {
		if !s.Minus(allLost).Empty() {
			c.New++
		}
	}
	return c
}
