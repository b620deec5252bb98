package holdings

import (
	"net/netip"
	"slices"

	"cadastre/internal/inr"
)

// Holders lists the organisations that hold all of a prefix, from the lowest in the tree up to the root. Those that hold it from outside
// the tree come after those that hold it from the tree.
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

// holdersBelow lists an organisation that holds a prefix, and those below it that hold it, from the lowest up.
func (l *Ledger) holdersBelow(top string, p netip.Prefix) []string {
	whole := inr.OfPrefix(p)
	held := []string{top}
	for n := l.orgs[top]; n != nil; {
		// siblings never overlap, so at most one child holds all of it: the one that holds its first address
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

// PartHolders lists, for each part of a set, its lowest holder in the tree, sorted. A registry is listed only for what it delegated to
// nobody; the root is never listed.
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
