// Package holdings is the ledger: who holds which number resources, from whom, until when and on what ground.
//
// All that is certified follows from the ledger. A change enters as a decision. It is resolved into an Outcome, which checks every rule and
// changes nothing; the outcome is written in one transaction of the store; then it is applied to the ledger in memory. Only resolving
// checks the rules, so only this package makes outcomes, and what is in the store is trusted.
//
// The rules: an organisation gets resources from its parent, or from a source outside the tree, which is recorded; siblings never overlap;
// a child never has more than its parent was allocated; what was assigned is not delegated on; nobody holds special-purpose space. A
// transfer is the one exception: from its acceptance to its finalisation both sides hold what moves.
//
// The package is large because the rules need each other: delegations, imports, policies and the state machine of transfers are checked
// against the same unexported ledger, and a second package would need all of it exported.
//
// A Ledger has no lock of its own. All methods but Apply only read, and may run at the same time. The caller's lock keeps Apply apart from
// them.
package holdings

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"cadastre/internal/inr"
)

// Ledger is the organisations and the delegations that are in force.
type Ledger struct {
	root           string
	orgs           map[string]*node
	expiries       []*Delegation // those with an Until, soonest first
	imports        map[string]Mark
	lastDecision   uint64
	nextDelegation uint64
	inForce        int
	foreign        []*Delegation // those from outside the tree, by ID

	policies  map[string]*Policy         // by registry, those that are set
	transfers []*Transfer                // by ID
	unrest    map[uint64]bool            // transfers that are not done
	moving    map[string]map[uint64]bool // by organisation, transfers that have begun to change it and are not done
	refs      map[string]uint64          // by Ref
	within    map[uint64][]uint64        // by handoff, the transfers of its holders
	handoffs  map[uint64]bool            // transfers of registries that are not over
	claimed   index                      // transfers of holders that are not over, by the resources in them
}

// node is an organisation with what it has and gave.
type node struct {
	Organisation
	children  []string      // sorted
	received  []*Delegation // by ID
	holding   inr.Set       // all that it received
	allocated inr.Set       // what of it may be delegated on
	given     index
	incoming  index // what it gave to recipients of transfers that are under way, while donors have the same
}

// index finds the delegations that an organisation gave by the resources in them.
type index struct {
	ips spans[netip.Addr]
	as  spans[uint32]
}

func (x *index) insert(d *Delegation) {
	x.ips.compare, x.as.compare = netip.Addr.Compare, cmp.Compare[uint32]
	for _, r := range slices.Concat(d.Resources.V4, d.Resources.V6) {
		x.ips.insert(span[netip.Addr]{r.First, r.Last, d})
	}
	for _, r := range d.Resources.AS {
		x.as.insert(span[uint32]{r.First, r.Last, d})
	}
}

func (x *index) remove(d *Delegation) {
	for _, r := range slices.Concat(d.Resources.V4, d.Resources.V6) {
		x.ips.remove(r.First)
	}
	for _, r := range d.Resources.AS {
		x.as.remove(r.First)
	}
}

func (x *index) empty() bool { return len(x.ips.blocks)+len(x.as.blocks) == 0 }

// overlapping lists the delegations that share anything with a set, by ID, without duplicates.
func (x *index) overlapping(s inr.Set) []*Delegation {
	var found []*Delegation
	for _, r := range slices.Concat(s.V4, s.V6) {
		for sp := range x.ips.overlapping(r.First, r.Last) {
			found = append(found, sp.delegation)
		}
	}
	for _, r := range s.AS {
		for sp := range x.as.overlapping(r.First, r.Last) {
			found = append(found, sp.delegation)
		}
	}
	slices.SortFunc(found, byID)
	return slices.Compact(found)
}

func byID(a, b *Delegation) int { return cmp.Compare(a.ID, b.ID) }

// Root is the handle of the organisation at the top.
func (l *Ledger) Root() string { return l.root }

// Len is how many organisations there are and how many delegations in force.
func (l *Ledger) Len() (organisations, delegations int) { return len(l.orgs), l.inForce }

// LastDecision is the number of the newest decision that was applied.
func (l *Ledger) LastDecision() uint64 { return l.lastDecision }

// Organisation is the organisation with a handle, and whether there is one. Upper and lower case are the same.
func (l *Ledger) Organisation(handle string) (Organisation, bool) {
	if n := l.orgs[Fold(handle)]; n != nil {
		return n.Organisation, true
	}
	return Organisation{}, false
}

// Organisations lists every handle, sorted.
func (l *Ledger) Organisations() []string {
	handles := make([]string, 0, len(l.orgs))
	for h := range l.orgs {
		handles = append(handles, h)
	}
	slices.Sort(handles)
	return handles
}

// Holding is all that an organisation holds: the sum of its delegations. What it delegated on is included, since its certificate must
// name that, too. The root holds everything. It is empty where there is no such organisation.
func (l *Ledger) Holding(handle string) inr.Set {
	if n := l.orgs[Fold(handle)]; n != nil {
		return n.holding
	}
	return inr.Set{}
}

// Free is what an organisation may still delegate on: what it was allocated, without what it delegated on.
func (l *Ledger) Free(handle string) inr.Set {
	n := l.orgs[Fold(handle)]
	if n == nil {
		return inr.Set{}
	}
	var given []inr.Set
	for _, child := range n.children {
		given = append(given, l.orgs[child].holding)
	}
	return n.allocated.Minus(inr.Sum(given...))
}

// Children is the handles of the organisations directly below one, sorted.
func (l *Ledger) Children(handle string) []string {
	if n := l.orgs[Fold(handle)]; n != nil {
		return slices.Clone(n.children)
	}
	return nil
}

// Depth is how many organisations are above one; 0 for the root.
func (l *Ledger) Depth(handle string) int {
	depth := 0
	for n := l.orgs[Fold(handle)]; n != nil && n.Kind != Root; n = l.orgs[n.Parent] {
		depth++
	}
	return depth
}

// Registry is the nearest registry at an organisation or above it: a RIR, an NIR or the root. Empty where there is no
// such organisation.
func (l *Ledger) Registry(handle string) string {
	for n := l.orgs[Fold(handle)]; n != nil; n = l.orgs[n.Parent] {
		if n.Kind.IsRegistry() {
			return n.Handle
		}
	}
	return ""
}

// Delegations lists the delegations in force to an organisation, by ID.
func (l *Ledger) Delegations(handle string) []Delegation {
	n := l.orgs[Fold(handle)]
	if n == nil {
		return nil
	}
	list := make([]Delegation, len(n.received))
	for i, d := range n.received {
		list[i] = *d
	}
	return list
}

// NextExpiry is when the next delegation comes to its date; zero where none does. Delegations in a transfer are left out.
func (l *Ledger) NextExpiry() time.Time {
	for _, x := range l.expiries {
		if !l.stays(x) {
			return x.Until
		}
	}
	return time.Time{}
}
