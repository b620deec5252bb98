package holdings

import (
	"iter"
	"slices"
	"sort"
)

// blockSize is the most spans in a block. A change moves the spans of one block only.
const blockSize = 256

// span is numbers from first to last, and the delegation that they are part of.
type span[N any] struct {
	first, last N
	delegation  *Delegation
}

// spans is an index of disjoint spans in order. The zero value with a compare is empty and ready.
type spans[N any] struct {
	compare func(a, b N) int
	blocks  [][]span[N]
}

// find is the block and the place within it of the first span that ends at or after n; past the end of the last block
// when there is none.
func (s *spans[N]) find(n N) (block, place int) {
	block = sort.Search(len(s.blocks), func(i int) bool {
		b := s.blocks[i]
		return s.compare(b[len(b)-1].last, n) >= 0
	})
	if block == len(s.blocks) {
		return block, 0
	}
	b := s.blocks[block]
	return block, sort.Search(len(b), func(i int) bool { return s.compare(b[i].last, n) >= 0 })
}

// insert adds a span that overlaps none of those that are there.
func (s *spans[N]) insert(add span[N]) {
	block, place := s.find(add.first)
	if block == len(s.blocks) {
		if block == 0 {
			s.blocks = append(s.blocks, []span[N]{add})
			return
		}
		block--
		place = len(s.blocks[block])
	}
	b := slices.Insert(s.blocks[block], place, add)
	s.blocks[block] = b
	if len(b) > blockSize {
		half := len(b) / 2
		s.blocks[block] = slices.Clip(b[:half])
		s.blocks = slices.Insert(s.blocks, block+1, slices.Clone(b[half:]))
	}
}

// remove takes out the span that begins at first.
func (s *spans[N]) remove(first N) {
	block, place := s.find(first)
	if block == len(s.blocks) || s.compare(s.blocks[block][place].first, first) != 0 {
		return
	}
	if s.blocks[block] = slices.Delete(s.blocks[block], place, place+1); len(s.blocks[block]) == 0 {
		s.blocks = slices.Delete(s.blocks, block, block+1)
	}
}

// overlapping goes in order through the spans that share a number with those from first to last.
func (s *spans[N]) overlapping(first, last N) iter.Seq[span[N]] {
	return func(yield func(span[N]) bool) {
		block, place := s.find(first)
		for ; block < len(s.blocks); block, place = block+1, 0 {
			for _, found := range s.blocks[block][place:] {
				if s.compare(found.first, last) > 0 || !yield(found) {
					return
				}
			}
		}
	}
}
