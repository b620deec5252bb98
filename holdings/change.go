package holdings

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

// Enrol resolves that an organisation is added, or that its name, country, statistics or countries change. It fails
// with BadInput, NotFound (its parent) or Conflict (its kind or parent would change). The outcome is empty when it is there
// just so.
func (l *Ledger) Enrol(by By, o Organisation) (*Outcome, error) {
	o = o.normal()
	if err := l.checkEnrolment(o); err != nil {
		return nil, err
	}
	d := l.draft(by)
	if n := l.orgs[o.Handle]; n == nil || !o.equal(n.Organisation) {
		d.enrol(o)
	}
	return d.outcome()
}

func (l *Ledger) checkEnrolment(o Organisation) error {
	if err := o.check(); err != nil {
		return err
	}
	if n := l.orgs[o.Handle]; n != nil {
		if n.Parent != o.Parent || n.Kind != o.Kind {
			return fault.New(fault.Conflict, "%s is there already, a %s below %s; choose another handle", o.Handle, n.Kind, n.Parent)
		}
		if o.equal(n.Organisation) {
			return nil
		}
	}
	if o.Kind != Root {
		return l.checkPlace(o)
	}
	if o.Handle != l.root {
		return fault.New(fault.Conflict, "%s is the root; a tree has one", l.root)
	}
	return nil
}

// Remove resolves that an organisation is removed. It must hold nothing, have no organisation below it, and be in no transfer's record.
// What it had in the past stays in the history. It fails with NotFound, BadInput (a registry) and Conflict.
func (l *Ledger) Remove(by By, handle string) (*Outcome, error) {
	n := l.orgs[Fold(handle)]
	switch {
	case n == nil:
		return nil, unknown(handle)
	case n.Kind.IsRegistry():
		return nil, fault.New(fault.BadInput, "%s is a registry, which has a repository of its own and stays", n.Handle)
	case len(n.received) > 0:
		return nil, fault.New(fault.Conflict, "%s holds %s; return or revoke that first", n.Handle, n.holding)
	case len(n.children) > 0:
		return nil, fault.New(fault.Conflict, "%s stands below %s; remove what is below first", n.children[0], n.Handle)
	}
	for _, t := range l.transfers {
		if t.names(n.Handle) {
			return nil, fault.New(fault.Conflict, "%s is in the record of transfer %d, which is kept", n.Handle, t.ID)
		}
	}
	d := l.draft(by)
	d.removed = append(d.removed, n.Handle)
	return d.outcome()
}

// names tells whether an organisation here is in a transfer's record.
func (t *Transfer) names(handle string) bool {
	return t.From == handle || t.To == handle || slices.ContainsFunc(t.Legs, func(leg Leg) bool {
		return leg.From == handle || leg.To == handle || leg.New.Handle == handle || leg.New.Parent == handle
	})
}

// Delegate resolves that an organisation gets resources from its parent. Of want, To, Resources, Status, Ground and,
// if not zero, Since (else the time of the decision), Until and Country are taken. It fails with NotFound, BadInput,
// Conflict (a sibling holds some of it) or NotHeld (the parent may not give it).
func (l *Ledger) Delegate(by By, want Delegation) (*Outcome, error) {
	n := l.orgs[Fold(want.To)]
	if n == nil {
		return nil, unknown(want.To)
	}
	add, err := delegationTo(n.Organisation, by, want)
	if err != nil {
		return nil, err
	}
	d := l.draft(by)
	d.start(add)
	return d.outcome()
}

// DelegateNew resolves, in one decision, that an organisation is added and gets resources from its parent. It fails as
// Enrol and Delegate do, and with Conflict when it is there already.
func (l *Ledger) DelegateNew(by By, o Organisation, want Delegation) (*Outcome, error) {
	o = o.normal()
	if l.orgs[o.Handle] != nil {
		return nil, fault.New(fault.Conflict, "%s is there already; delegate to it as it is", o.Handle)
	}
	if err := l.checkEnrolment(o); err != nil {
		return nil, err
	}
	add, err := delegationTo(o, by, want)
	if err != nil {
		return nil, err
	}
	d := l.draft(by)
	d.enrol(o)
	d.start(add)
	return d.outcome()
}

// DelegateBelow resolves that an organisation gets resources from the organisation from, directly above it. If it is new it is added there
// with a name: as an end user if the resources are assigned, as an LIR if they are allocated. Without from it must be in the tree already.
// It fails as Delegate and DelegateNew do, with Conflict where it is below another organisation, and with NotFound where it is new and
// from is empty.
func (l *Ledger) DelegateBelow(by By, from, name string, want Delegation) (*Outcome, error) {
	o, exists := l.Organisation(want.To)
	switch {
	case exists && from != "" && o.Parent != Fold(from):
		return nil, fault.New(fault.Conflict, "%s stands below %s, not below %s; delegate from %s", o.Handle, o.Parent, from, o.Parent)
	case exists:
		return l.Delegate(by, want)
	case from == "":
		return nil, fault.New(fault.NotFound, "there is no organisation %q; name the one that it is to stand below with --from", want.To)
	}
	kind := LIR
	if want.Status == Assigned {
		kind = EndUser
	}
	return l.DelegateNew(by, Organisation{Handle: want.To, Parent: from, Kind: kind, Name: name}, want)
}

// delegationTo makes the delegation that is wanted, and checks what can be checked without the ledger.
func delegationTo(n Organisation, by By, want Delegation) (*Delegation, error) {
	add := &Delegation{
		From: n.Parent, To: n.Handle, Resources: want.Resources, Status: want.Status, Ground: strings.TrimSpace(want.Ground),
		Since: want.Since, Until: want.Until, Country: want.Country,
	}
	if add.Since.IsZero() {
		add.Since = by.Time
	}
	// times in certificates are whole seconds
	add.Since, add.Until = add.Since.UTC().Truncate(time.Second), add.Until.UTC().Truncate(time.Second)
	switch {
	case n.Kind == Root:
		return nil, fault.New(fault.BadInput, "%s is the root and holds everything; delegate to an organisation below it", n.Handle)
	case add.Resources.Empty():
		return nil, fault.New(fault.BadInput, "no resources are named to delegate to %s", n.Handle)
	case add.Status != Allocated && add.Status != Assigned:
		return nil, fault.New(fault.BadInput, "%q is no status of a delegation; use allocated or assigned", add.Status)
	case add.Ground == "":
		return nil, fault.New(fault.BadInput, "name the ground on which %s gets %s", n.Handle, add.Resources)
	case due(add, by.Time):
		return nil, fault.New(fault.BadInput, "the delegation to %s would end at %s, which is past", n.Handle, add.Until.Format(time.RFC3339))
	}
	return add, refuseSpecial(add.Resources)
}

// Return resolves that an organisation gives resources back to its parent. It fails with NotFound, BadInput (nothing is
// named) or NotHeld (it does not hold all of them). What it delegated on of them ends too, to any depth.
func (l *Ledger) Return(by By, handle string, resources inr.Set) (*Outcome, error) {
	if resources.Empty() {
		return nil, fault.New(fault.BadInput, "name the resources that %s returns", Fold(handle))
	}
	return l.take(by, handle, resources)
}

// Revoke resolves that resources are taken from an organisation, all that it holds when none are named. It fails as
// Return does.
func (l *Ledger) Revoke(by By, handle string, resources inr.Set) (*Outcome, error) {
	if resources.Empty() {
		resources = l.Holding(handle)
	}
	return l.take(by, handle, resources)
}

func (l *Ledger) take(by By, handle string, resources inr.Set) (*Outcome, error) {
	n := l.orgs[Fold(handle)]
	if n == nil {
		return nil, unknown(handle)
	}
	if n.Kind == Root {
		return nil, fault.New(fault.BadInput, "%s is the root: nothing can be taken from it", n.Handle)
	}
	if missing := resources.Minus(n.holding); !missing.Empty() {
		if who := l.PartHolders(missing); len(who) > 0 {
			return nil, fault.New(fault.NotHeld, "%s does not hold %s; it is held by %s", n.Handle, missing, strings.Join(who, ", "))
		}
		return nil, fault.New(fault.NotHeld, "%s does not hold %s; no one does", n.Handle, missing)
	}
	d := l.draft(by)
	for _, x := range n.received {
		if !x.foreign() && x.Resources.Overlaps(resources) {
			d.shrink(x, x.Resources.Minus(resources))
		}
	}
	return d.outcome()
}

// Expire resolves that delegations end whose date has come at the time of the decision: of all holders, or of some. A delegation in a
// transfer ends when that is over. The outcome is empty where nothing is due.
func (l *Ledger) Expire(by By, holders ...string) (*Outcome, error) {
	d := l.draft(by)
	for _, x := range l.expiries {
		if !due(x, by.Time) {
			break
		}
		if (len(holders) == 0 || slices.Contains(holders, x.To)) && !l.stays(x) {
			d.end(x)
		}
	}
	return d.outcome()
}

// Due lists the holders with delegations whose date has come, those lower in the tree first. Next is when the next delegation ends after
// now, zero where none does. Delegations in a transfer are left out.
func (l *Ledger) Due(now time.Time) (holders []string, next time.Time) {
	seen := map[string]bool{}
	for _, x := range l.expiries {
		switch {
		case l.stays(x):
		case !due(x, now):
			return l.lowestFirst(holders), x.Until
		case !seen[x.To]:
			seen[x.To] = true
			holders = append(holders, x.To)
		}
	}
	return l.lowestFirst(holders), time.Time{}
}

func (l *Ledger) lowestFirst(holders []string) []string {
	slices.SortStableFunc(holders, func(a, b string) int { return cmp.Compare(l.Depth(b), l.Depth(a)) })
	return holders
}

func unknown(handle string) error {
	return fault.New(fault.NotFound, "there is no organisation %s", Fold(handle))
}

// due tells whether a delegation has come to its end.
func due(d *Delegation, now time.Time) bool { return !d.Until.IsZero() && !d.Until.After(now) }
