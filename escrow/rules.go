package escrow

import (
	"cmp"
	"net/netip"
	"slices"

	"cadastre/holdings"
	"cadastre/internal/inr"
)

// checkLedger checks rules of the ledger that holdings.Load does not check: siblings do not overlap, and nobody has from its parent what
// the parent was not allocated. Load trusts the store, but what is in a deposit was not resolved here.
func checkLedger(l *holdings.Ledger) error {
	for _, parent := range l.Organisations() {
		children := l.Children(parent)
		if len(children) == 0 {
			continue
		}
		var given siblings
		var sets []inr.Set
		for _, child := range children {
			for _, d := range l.Delegations(child) {
				if d.Source == "" {
					given.add(child, d.Resources)
					sets = append(sets, d.Resources)
				}
			}
		}
		if a, b := given.overlap(); a != "" {
			return damaged("%s and %s, below %s, hold the same resources: %s", a, b, parent, l.Holding(a).Intersect(l.Holding(b)))
		}
		if o, _ := l.Organisation(parent); o.Kind == holdings.Root {
			continue
		}
		var allocated []inr.Set
		for _, d := range l.Delegations(parent) {
			if d.Status == holdings.Allocated {
				allocated = append(allocated, d.Resources)
			}
		}
		if missing := inr.Sum(sets...).Minus(inr.Sum(allocated...)); !missing.Empty() {
			return damaged("%s is delegated by %s, which was not allocated it", missing, parent)
		}
	}
	return nil
}

// siblings is what the organisations below one hold, in ranges.
type siblings struct {
	ips []ranged[netip.Addr]
	as  []ranged[uint32]
}

type ranged[N any] struct {
	first, last N
	holder      string
}

func (s *siblings) add(holder string, set inr.Set) {
	for _, r := range slices.Concat(set.V4, set.V6) {
		s.ips = append(s.ips, ranged[netip.Addr]{r.First, r.Last, holder})
	}
	for _, r := range set.AS {
		s.as = append(s.as, ranged[uint32]{r.First, r.Last, holder})
	}
}

// overlap is two different holders of one resource, if there are any.
func (s *siblings) overlap() (a, b string) {
	if a, b = overlap(s.ips, netip.Addr.Compare); a != "" {
		return a, b
	}
	return overlap(s.as, cmp.Compare[uint32])
}

func overlap[N any](list []ranged[N], compare func(a, b N) int) (a, b string) {
	slices.SortFunc(list, func(x, y ranged[N]) int { return compare(x.first, y.first) })
	reach := 0 // of those before, the one that ends last
	for i := 1; i < len(list); i++ {
		if compare(list[i].first, list[reach].last) <= 0 && list[i].holder != list[reach].holder {
			return list[reach].holder, list[i].holder
		}
		if compare(list[i].last, list[reach].last) > 0 {
			reach = i
		}
	}
	return "", ""
}
