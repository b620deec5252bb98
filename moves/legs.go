package moves

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"

	"cadastre/holdings"
	"cadastre/internal/inr"
)

// lowest finds the lowest leg of a transfer that has a prefix. Of any two legs one is within the other, or they share nothing; if that
// is not so, it finds some leg that has the prefix. The time is in proportion to the number of levels, not of legs.
type lowest struct {
	ranges []legRange // by first address, those that are wider first
}

type legRange struct {
	inr.IPRange
	leg   int
	above int // the narrowest range that it is in; -1: none
}

func lowestLegs(t *holdings.Transfer) lowest {
	var f lowest
	for i, leg := range t.Legs {
		for _, r := range slices.Concat(leg.Resources.V4, leg.Resources.V6) {
			f.ranges = append(f.ranges, legRange{r, i, -1})
		}
	}
	slices.SortStableFunc(f.ranges, func(a, b legRange) int {
		return cmp.Or(a.First.Compare(b.First), b.Last.Compare(a.Last), cmp.Compare(a.leg, b.leg))
	})
	at := -1
	for i := range f.ranges {
		for at >= 0 && f.ranges[at].Last.Less(f.ranges[i].First) {
			at = f.ranges[at].above
		}
		f.ranges[i].above, at = at, i
	}
	return f
}

// of is the index of the lowest leg that has a prefix; -1 where none has.
func (f lowest) of(p netip.Prefix) int {
	want := inr.RangeOf(p)
	at := sort.Search(len(f.ranges), func(i int) bool { return want.First.Less(f.ranges[i].First) }) - 1
	for at >= 0 && f.ranges[at].Last.Less(want.Last) {
		at = f.ranges[at].above
	}
	if at < 0 {
		return -1
	}
	return f.ranges[at].leg
}

// among returns a function that tells whether an element is in a list.
func among[T comparable](list []T) func(T) bool {
	in := make(map[T]bool, len(list))
	for _, x := range list {
		in[x] = true
	}
	return func(x T) bool { return in[x] }
}
