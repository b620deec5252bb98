package holdings

import (
	"net/netip"
	"slices"

	"cadastre/internal/inr"
)

// Holders is the organisations that hold all of a prefix, the most specific first and the root last. Those that hold it
// from outside the tree come after those that hold it within.
func (l *Ledger) Holders(p netip.Prefix) []string {
	held := l.holdersBelow(l.root, p)
	held, root := held[:len(held)-1], held[len(held)-1]
	for _, d := range l.foreign {
		if d.Resources.ContainsPrefix(p) {
			for _, h := range l.holdersBelow(d.To, p) {
				if !slices.Contains(held, h) {
					held = append(held, h)
				}
			}
		}
	}
	return append(held, root)
}

// holdersBelow is an organisation that holds a prefix, and those below it that do, the most specific first.
func (l *Ledger) holdersBelow(top string, p netip.Prefix) []string {
	whole := inr.OfPrefix(p)
	held := []string{top}
	for n := l.orgs[top]; n != nil; {
		// siblings never overlap, so that one child at most holds all of it: the one that holds its first address
		first := inr.OfRange(inr.IPRange{First: p.Masked().Addr(), Last: p.Masked().Addr()})
		given := n.given.overlapping(first)
		if n = nil; len(given) == 1 && l.orgs[given[0].To].holding.Contains(whole) {
			n = l.orgs[given[0].To]
			held = append(held, n.Handle)
		}
	}
	slices.Reverse(held)
	return held
}

// PartHolders is the most specific holders of the parts of a set, sorted. A registry is named only for what it gave to
// nobody, and the root never.
func (l *Ledger) PartHolders(s inr.Set) []string {
	var held []string
	var below func(n *node, s inr.Set)
	below = func(n *node, s inr.Set) {
		rest := s
		for _, d := range n.given.overlapping(s) {
			below(l.orgs[d.To], s.Intersect(d.Resources))
			rest = rest.Minus(d.Resources)
		}
		if !rest.Empty() && n.Kind != Root {
			held = append(held, n.Handle)
		}
	}
	if root := l.orgs[l.root]; root != nil {
		below(root, s)
	}
	for _, d := range l.foreign {
		if part := s.Intersect(d.Resources); !part.Empty() {
			below(l.orgs[d.To], part)
		}
	}
	slices.Sort(held)
	return slices.Compact(held)
}
