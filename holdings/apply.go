package holdings

import (
	"cmp"
	"fmt"
	"slices"

	"cadastre/internal/inr"
)

// Apply changes the ledger in memory by an outcome that was written. The caller keeps readers out meanwhile. It panics if the outcome does
// not follow directly on the ledger's last decision, since memory and store would then differ.
func (l *Ledger) Apply(o *Outcome) {
	if o.Empty() {
		return
	}
	if o.Decision.ID != l.lastDecision+1 {
		panic(fmt.Sprintf("holdings: decision %d applied after decision %d", o.Decision.ID, l.lastDecision))
	}
	l.lastDecision, l.nextDelegation = o.Decision.ID, o.nextDelegation
	l.enrol(o.Organisations)
	for _, handle := range o.Removed {
		parent := l.orgs[l.orgs[handle].Parent]
		parent.children = slices.DeleteFunc(parent.children, func(h string) bool { return h == handle })
		delete(l.orgs, handle)
	}
	for i := range o.Ended {
		l.drop(&o.Ended[i])
	}
	for i := range o.Started {
		d := o.Started[i]
		l.add(&d)
	}
	for handle := range o.After {
		l.orgs[handle].sum()
	}
	for i := range o.Transfers {
		t := o.Transfers[i]
		l.setTransfer(&t)
	}
	for i := range o.Policies {
		p := o.Policies[i]
		l.policies[p.Registry] = &p
	}
	for _, m := range o.Imports {
		l.imports[m.Registry] = m
	}
}

func (l *Ledger) enrol(orgs []Organisation) {
	grown := map[string]bool{}
	for _, o := range orgs {
		if n := l.orgs[o.Handle]; n != nil {
			n.Organisation = o
			continue
		}
		l.orgs[o.Handle] = &node{Organisation: o}
		parent := l.orgs[o.Parent]
		parent.children = append(parent.children, o.Handle)
		grown[o.Parent] = true
	}
	for handle := range grown {
		slices.Sort(l.orgs[handle].children)
	}
}

// add puts a delegation in force. The recipient's sums are stale until sum.
func (l *Ledger) add(d *Delegation) {
	to := l.orgs[d.To]
	at, _ := slices.BinarySearchFunc(to.received, d, byID)
	to.received = slices.Insert(to.received, at, d)
	if d.foreign() {
		l.foreign = append(l.foreign, d)
	} else {
		l.orgs[d.From].indexOf(d).insert(d)
	}
	l.inForce++
	if !d.Until.IsZero() {
		at, _ := slices.BinarySearchFunc(l.expiries, d, byExpiry)
		l.expiries = slices.Insert(l.expiries, at, d)
	}
}

// drop takes a delegation out of force. The recipient's sums are stale until sum.
func (l *Ledger) drop(d *Delegation) {
	to := l.orgs[d.To]
	if at, found := slices.BinarySearchFunc(to.received, d, byID); found {
		to.received = slices.Delete(to.received, at, at+1)
	}
	if d.foreign() {
		l.foreign = slices.DeleteFunc(l.foreign, func(x *Delegation) bool { return x.ID == d.ID })
	} else {
		l.orgs[d.From].indexOf(d).remove(d)
	}
	l.inForce--
	if at, found := slices.BinarySearchFunc(l.expiries, d, byExpiry); found {
		l.expiries = slices.Delete(l.expiries, at, at+1)
	}
}

// indexOf is where a delegation that an organisation gave is found.
func (n *node) indexOf(d *Delegation) *index {
	if d.Incoming {
		return &n.incoming
	}
	return &n.given
}

func byExpiry(a, b *Delegation) int {
	return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(a.ID, b.ID))
}

// sum adds up what an organisation received.
func (n *node) sum() {
	if n.Kind == Root {
		n.holding, n.allocated = inr.Everything(), inr.Everything()
		return
	}
	held, allocated := make([]inr.Set, 0, len(n.received)), make([]inr.Set, 0, len(n.received))
	for _, d := range n.received {
		held = append(held, d.Resources)
		if d.Status == Allocated {
			allocated = append(allocated, d.Resources)
		}
	}
	if n.holding = inr.Sum(held...); len(held) == len(allocated) {
		n.allocated = n.holding
		return
	}
	n.allocated = inr.Sum(allocated...)
}
