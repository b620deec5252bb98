package holdings

import (
	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

// Parked is why a transfer is parked with both sides valid: a dispute that this side has raised, or the one elsewhere. Empty
// where there is none.
func (t *Transfer) Parked() string {
	switch {
	case t.Disputed != "":
		return t.Disputed
	case t.DisputedThere != "":
		return t.Peer + ": " + t.DisputedThere
	}
	return ""
}

// topOf is the lowest organisation above this side of a transfer from or to an installation elsewhere that has what moves from
// a parent outside the tree. What the tree gave stands on that: the tree's root answers for none of it. Empty where the tree
// is what it stands on, and where both sides are here. It fails with NotHeld where some of it comes from outside and some not.
func (l *Ledger) topOf(t *Transfer) (string, error) {
	if t.Local() {
		return "", nil
	}
	above := l.chain(t.From)
	if !t.DonorHere() {
		above = append(l.chain(t.To), l.chain(t.Legs[0].New.Parent)...) // one of them is empty, or both lead the same way
	}
	for _, h := range above {
		if h == t.From || h == t.To || l.Via(h, "").Overlaps(t.Resources) {
			continue
		}
		for _, x := range l.orgs[h].received {
			switch {
			case !x.foreign() || !x.Resources.Overlaps(t.Resources):
			case x.Resources.Contains(t.Resources):
				return h, nil
			default:
				return "", fault.New(fault.NotHeld, "%s has %s of what moves from %s, outside the tree, and not the rest; move the parts one by one",
					h, x.Resources.Intersect(t.Resources), x.Source)
			}
		}
	}
	return "", nil
}

// Above is an organisation and all above it, up to the root.
func (l *Ledger) Above(handle string) []string { return l.chain(Fold(handle)) }

// Given is what the organisation above one delegated to it, and is not incoming: what it can transfer.
func (l *Ledger) Given(handle string) inr.Set {
	if n := l.orgs[Fold(handle)]; n != nil {
		return l.inTree(n)
	}
	return inr.Set{}
}
