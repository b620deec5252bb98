package rrdp

import (
	"slices"
)

// snapshot is the snapshot of a serial that is known.
func (x *index) snapshot(number uint64) *sheet { return x.snapshotWith(number, nil, nil) }

// snapshotWith is the snapshot of a serial, or of the one that is next when the entries gone (their keys, ascending) have
// left and those in fresh have come.
func (x *index) snapshotWith(number uint64, gone []uint64, fresh []*entry) *sheet {
	s := &sheet{kind: "snapshot", session: x.session, serial: number}
	s.items = make([]item, 0, len(x.live)+len(fresh))
	for _, e := range x.entries {
		if !e.at(number) {
			continue
		}
		for len(gone) > 0 && gone[0] < e.seq {
			gone = gone[1:]
		}
		if len(gone) > 0 && gone[0] == e.seq {
			continue
		}
		s.items = append(s.items, item{uri: e.uri, place: e.place})
	}
	for _, e := range fresh {
		s.items = append(s.items, item{uri: e.uri, place: e.place})
	}
	return s
}

// delta is the delta of a serial that is known.
func (x *index) delta(number uint64) *sheet { return x.deltaWith(number, nil, nil) }

// deltaWith is the delta from the serial before to a serial that is known, or to the one that is next as for
// snapshotWith: what has come in the order in which it came, then what has gone in the order in which that had come.
func (x *index) deltaWith(number uint64, gone []uint64, fresh []*entry) *sheet {
	s := &sheet{kind: "delta", session: x.session, serial: number}
	replaced := map[string]*entry{}
	left := x.gone
	if known := x.serial(number); known != nil {
		left = known.gone
	}
	for _, e := range left {
		replaced[e.uri] = e
	}
	for _, seq := range gone {
		if e := x.find(seq); e.added < number {
			replaced[e.uri] = e
		}
	}
	come := func(e *entry) {
		it := item{uri: e.uri, place: e.place}
		if old := replaced[e.uri]; old != nil {
			it.replaced = &old.hash
			delete(replaced, e.uri)
		}
		s.items = append(s.items, it)
	}
	for _, e := range x.since(number) {
		if e.added > number {
			break
		}
		if _, leaves := slices.BinarySearch(gone, e.seq); e.at(number) && !leaves {
			come(e)
		}
	}
	for _, e := range fresh {
		come(e)
	}
	withdrawn := make([]*entry, 0, len(replaced))
	for _, e := range replaced {
		withdrawn = append(withdrawn, e)
	}
	slices.SortFunc(withdrawn, func(a, b *entry) int { return int(a.seq) - int(b.seq) }) // far below 2^63
	for _, e := range withdrawn {
		s.items = append(s.items, item{uri: e.uri, replaced: &e.hash})
	}
	return s
}
