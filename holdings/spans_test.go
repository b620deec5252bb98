package holdings

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The index must find what a list that is gone through finds, whatever is inserted and removed.
func TestSpansFindWhatAListFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := spans[int]{compare: cmp.Compare[int]}
		taken := map[int]int{} // first to last
		for _, first := range rapid.SliceOfN(rapid.IntRange(0, 4000), 0, 1500).Draw(t, "firsts") {
			first *= 4 // so that neighbours are disjoint whatever their width
			if _, there := taken[first]; there {
				s.remove(first)
				delete(taken, first)
				continue
			}
			taken[first] = first + first%3
			s.insert(span[int]{first: first, last: first + first%3})
		}
		from := rapid.IntRange(0, 16000).Draw(t, "from")
		to := from + rapid.IntRange(0, 3000).Draw(t, "width")
		var want, got []int
		for first, last := range taken {
			if last >= from && first <= to {
				want = append(want, first)
			}
		}
		slices.Sort(want)
		for found := range s.overlapping(from, to) {
			got = append(got, found.first)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("from %d to %d it finds %v, want %v", from, to, got, want)
		}
		for _, b := range s.blocks {
			if len(b) == 0 || len(b) > blockSize {
				t.Fatalf("a block has %d spans", len(b))
			}
		}
	})
}
