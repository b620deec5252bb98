package holdings

import (
	"slices"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

// Succession is how the holders of a registry move to its successor. It is part of the registry's own transfer. When that is accepted, the
// successor holds all that the registry holds, beside it. Then the holders move, each with a transfer of its own. When the registry's
// transfer is finalised, the registry holds nothing any more.
type Succession struct {
	Batch   int  `json:"batch"`            // how many holders begin at once
	Pace    Term `json:"pace,omitempty"`   // the shortest time from one batch to the next
	Escrow  bool `json:"escrow,omitempty"` // the holders are those of a deposit; all their transfers begin with the registry's
	Holders int  `json:"holders"`          // how many there were at the beginning
}

// Handoffs lists the registries' own transfers, by number.
func (l *Ledger) Handoffs() []*Transfer {
	var list []*Transfer
	for _, t := range l.transfers {
		if t.Handoff != nil {
			list = append(list, t)
		}
	}
	return list
}

// Within lists the transfers of holders that are part of a handoff, by number.
func (l *Ledger) Within(handoff uint64) []*Transfer {
	list := make([]*Transfer, 0, len(l.within[handoff]))
	for _, id := range l.within[handoff] {
		list = append(list, l.Transfer(id))
	}
	return list
}

// HoldersOf lists the organisations directly below a registry, or below an NIR of it, that hold something in the tree, sorted.
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

// LegsOf lists what an organisation and those below it hold, as legs of a transfer of all of it: with parts and donors, without recipients,
// from the top down.
func (l *Ledger) LegsOf(handle string) []Leg {
	n := l.orgs[Fold(handle)]
	if n == nil {
		return nil
	}
	all := l.inTree(n)
	return l.legs(&Transfer{}, Leg{From: n.Handle, Resources: all, Parts: l.partsOf(n.Handle, all)})
}

// checkSuccessor checks the organisation that is to get a registry's holders; the error says what is wrong.
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

// checkWithin checks whether a holder's transfer can take a step of the handoff that it is part of.
func (l *Ledger) checkWithin(t *Transfer) error {
	if t.Within == 0 {
		return nil
	}
	if of := l.Transfer(t.Within); of == nil || of.State != Accepted {
		return fault.New(fault.Conflict, "transfer %d is part of handoff %d, which is not under way", t.ID, t.Within)
	}
	return nil
}

// checkLeft fails with Conflict while an organisation below a registry still holds something: the registry cannot lose that.
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

// checkUnbegun fails with Conflict if holders have begun to move: the handoff cannot be cancelled then.
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
