package holdings

import (
	"slices"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

// Succession is how the holders of a registry are brought to its successor. The registry's own transfer has it: with its
// acceptance the successor holds all that the registry does, beside it; then the holders move from the one to the other, with
// transfers of their own; with its finalisation the registry holds nothing any more.
type Succession struct {
	Batch   int  `json:"batch"`            // so many holders begin at once
	Pace    Term `json:"pace,omitempty"`   // from one batch to the next at least
	Escrow  bool `json:"escrow,omitempty"` // the holders are those that were deposited, and all their transfers begin with it
	Holders int  `json:"holders"`          // how many there were
}

// Handoffs is the registries' own transfers, by number.
func (l *Ledger) Handoffs() []*Transfer {
	var list []*Transfer
	for _, t := range l.transfers {
		if t.Handoff != nil {
			list = append(list, t)
		}
	}
	return list
}

// Within is the transfers of holders that are part of a handoff, by number.
func (l *Ledger) Within(handoff uint64) []*Transfer {
	list := make([]*Transfer, 0, len(l.within[handoff]))
	for _, id := range l.within[handoff] {
		list = append(list, l.Transfer(id))
	}
	return list
}

// HoldersOf is the organisations directly below a registry, or a registry below it, that hold something in the tree, in
// order. An NIR's are among them.
func (l *Ledger) HoldersOf(registry string) []string {
	var list []string
	for _, child := range l.Children(registry) {
		switch n := l.orgs[child]; {
		case n.Kind.IsRegistry():
			list = append(list, l.HoldersOf(child)...)
		case !l.inTree(n).Empty():
			list = append(list, child)
		}
	}
	slices.Sort(list)
	return list
}

// InTree is what an organisation holds from its parent, for good: what can move.
func (l *Ledger) InTree(handle string) inr.Set {
	if n := l.orgs[Fold(handle)]; n != nil {
		return l.inTree(n)
	}
	return inr.Set{}
}

// LegsOf is what an organisation and those below it hold, as a recipient of all of it would get it: legs with parts and
// donors, those above first, and no recipients.
func (l *Ledger) LegsOf(handle string) []Leg {
	n := l.orgs[Fold(handle)]
	if n == nil {
		return nil
	}
	all := l.inTree(n)
	return l.legs(&Transfer{}, Leg{From: n.Handle, Resources: all, Parts: l.partsOf(n.Handle, all)})
}

// checkSuccessor says what is wrong with who is to get a registry's holders.
func (l *Ledger) checkSuccessor(t *Transfer) error {
	n := l.orgs[t.To]
	switch {
	case n == nil:
		return unknown(t.To)
	case !n.Kind.IsRegistry() || n.Kind == Root:
		return fault.New(fault.BadInput, "%s is a %s; a successor is a RIR or an NIR, since holders are below one", t.To, n.Kind)
	case t.DonorHere() && slices.Contains(l.chain(t.To), t.From):
		return fault.New(fault.BadInput, "%s is below %s and would go with it; name another successor", t.To, t.From)
	}
	return nil
}

// checkWithin says why a holder's transfer can't take a step of the handoff that it is part of.
func (l *Ledger) checkWithin(t *Transfer) error {
	if t.Within == 0 {
		return nil
	}
	if of := l.Transfer(t.Within); of == nil || of.State != Accepted {
		return fault.New(fault.Conflict, "transfer %d is part of handoff %d, which is not under way", t.ID, t.Within)
	}
	return nil
}

// checkLeft says why a registry can't lose what it holds: someone below it has something yet.
func (l *Ledger) checkLeft(t *Transfer) error {
	if t.Handoff == nil {
		return nil
	}
	for _, w := range l.Within(t.ID) {
		if !w.State.Over() {
			return fault.New(fault.Conflict, "transfer %d is part of handoff %d and not over", w.ID, t.ID)
		}
	}
	if !t.DonorHere() || t.Handoff.Escrow {
		return nil
	}
	if left := l.HoldersOf(t.From); len(left) > 0 {
		return fault.New(fault.Conflict, "%d holders of %s have not moved, first %s", len(left), t.From, left[0])
	}
	return nil
}

// checkUnbegun says why a handoff can't be cancelled: holders have begun to move.
func (l *Ledger) checkUnbegun(t *Transfer) error {
	if t.Handoff == nil {
		return nil
	}
	for _, w := range l.Within(t.ID) {
		if w.State != Cancelled {
			return fault.New(fault.Conflict, "holders of %s have transfers already, first %d; pause the handoff, and cancel those", t.FromRegistry, w.ID)
		}
	}
	return nil
}

// NextTransfer is the number that the next transfer gets.
func (l *Ledger) NextTransfer() uint64 {
	if n := len(l.transfers); n > 0 {
		return l.transfers[n-1].ID + 1
	}
	return 1
}
