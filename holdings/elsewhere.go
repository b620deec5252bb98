package holdings

import (
	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

// Parked is why a transfer is parked with both sides valid: a dispute that was raised here, or at the other installation. It is empty where
// there is none.
func (t *Transfer) Parked() string {
	switch {
	case t.Disputed != "":
		return t.Disputed
	case t.DisputedThere != "":
		return t.Peer + ": " + t.DisputedThere
	}
	return ""
}

// topOf is the top of an incoming or outgoing transfer: the lowest organisation above our side that has what moves from a parent outside
// the tree. The transfer changes nothing above it. It is empty if what moves comes from the tree's root, and if both sides are here. It
// fails with NotHeld if some of what moves comes from outside the tree and some does not.
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

// Given is what an organisation can transfer: what the organisation above delegated to it, without what is incoming.
func (l *Ledger) Given(handle string) inr.Set {
	if n := l.orgs[Fold(handle)]; n != nil {
		return l.inTree(n)
	}
	return inr.Set{}
}
