package rrdp

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"
)

// never is the serial at which an entry goes that has not gone.
const never = math.MaxUint64

// entry is one object at one URI from one serial until another. The snapshot of serial s holds the entries with
// added <= s < removed, in the order of seq. An entry that came and went before its serial was closed has
// removed == added, and is in none.
type entry struct {
	uri     string
	hash    [32]byte // SHA-256 of the object
	seq     uint64   // key of its record; never changes, so that the order of a snapshot does not
	added   uint64
	removed uint64
	place   place // changes when its segment is compacted
}

func (e *entry) at(serial uint64) bool { return e.added <= serial && serial < e.removed }

// serial is one that was closed in this session.
type serial struct {
	closed
	key   uint64   // of its record
	gone  []*entry // those that the serial before had and this one has not
	first uint64   // oldest delta that its notification lists; above number if it lists none
}

// index is what the log says, in memory: about 110 bytes and the URI for each entry.
type index struct {
	session string
	secret  [32]byte
	began   uint64            // key of the session's record
	next    uint64            // key of the next record
	entries []*entry          // by seq
	live    map[string]*entry // the newest of each URI, with what is staged
	serials []*serial         // ascending without a gap; the oldest may be missing
	gone    []*entry          // what has gone since the newest serial
	staged  int               // objects that came or went since the newest serial
}

func newIndex() *index { return &index{live: map[string]*entry{}} }

// current is the newest serial that is closed, 0 before the first.
func (x *index) current() uint64 {
	if len(x.serials) == 0 {
		return 0
	}
	return x.serials[len(x.serials)-1].number
}

// newest is the record of the current serial, nil before the first.
func (x *index) newest() *serial {
	if len(x.serials) == 0 {
		return nil
	}
	return x.serials[len(x.serials)-1]
}

// serial finds a serial that is still known.
func (x *index) serial(number uint64) *serial {
	if len(x.serials) == 0 || number < x.serials[0].number || number > x.current() {
		return nil
	}
	return x.serials[number-x.serials[0].number]
}

// since is the entries that came with this serial or later.
func (x *index) since(number uint64) []*entry {
	return x.entries[sort.Search(len(x.entries), func(i int) bool { return x.entries[i].added >= number }):]
}

func (x *index) find(seq uint64) *entry {
	i, ok := slices.BinarySearchFunc(x.entries, seq, func(e *entry, seq uint64) int {
		switch {
		case e.seq < seq:
			return -1
		case e.seq > seq:
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	return x.entries[i]
}

// apply of a new session: the objects stay, all as if they had come with its first serial.
func (b *begun) apply(x *index, seq uint64) error {
	x.session, x.secret, x.began, x.next = b.session, b.secret, seq, seq+1
	x.serials, x.gone = nil, nil
	x.entries = slices.DeleteFunc(x.entries, func(e *entry) bool { return e.removed != never })
	for _, e := range x.entries {
		e.added = 1
	}
	x.staged = len(x.entries)
	return nil
}

func (r *entered) apply(x *index, seq uint64) error {
	e := r.entry
	if x.live[e.uri] != nil {
		return fmt.Errorf("it adds %s, which is there", e.uri)
	}
	e.seq = seq
	x.entries = append(x.entries, e)
	x.live[e.uri] = e
	if e.added > x.current() {
		x.staged++
	}
	x.next = seq + 1
	return nil
}

func (l *left) apply(x *index, seq uint64) error {
	pending := x.current() + 1
	for _, gone := range l.seqs {
		e := x.find(gone)
		if e == nil || e.removed != never {
			return fmt.Errorf("it removes entry %d, which is not there", gone)
		}
		e.removed = pending
		delete(x.live, e.uri)
		if e.added == pending {
			x.staged--
			continue
		}
		x.gone = append(x.gone, e)
		x.staged++
	}
	x.next = seq + 1
	return nil
}

func (c *closed) apply(x *index, seq uint64) error {
	last := x.newest()
	if last != nil && (c.number != last.number+1 || !c.at.After(last.at)) {
		return errors.New("its serial does not follow the one before")
	}
	s := &serial{closed: *c, key: seq, gone: x.gone}
	x.serials = append(x.serials, s)
	s.first = x.oldestListed(s)
	if last != nil {
		s.first = max(s.first, last.first) // what has been dropped does not come back: deltaUntil relies on it
	}
	x.gone, x.staged, x.next = nil, 0, seq+1
	return nil
}

// oldestListed says from which delta on the notification of s lists them: those of four hours, as many as readers
// take, and in sum no larger than the snapshot (RFC 8182, section 3.3.2).
func (x *index) oldestListed(s *serial) uint64 {
	var size int64
	for n := s.number; ; n-- {
		d := x.serial(n)
		if d == nil || d.delta.size == 0 || s.number-n >= maxDeltas || n < s.number && s.at.Sub(d.at) > listed {
			return n + 1
		}
		if size += d.delta.size; size > s.snapshot.size {
			return n + 1
		}
	}
}

// horizon is the oldest serial of which anything may still be asked for at a time.
func (x *index) horizon(now time.Time, f *front) uint64 {
	oldest := x.current()
	for _, s := range x.serials {
		if now.Sub(s.at) < memory {
			oldest = min(oldest, s.number)
		}
	}
	if f != nil {
		for _, file := range f.files {
			if file.servedAt(now) {
				oldest = min(oldest, file.serial)
			}
		}
	}
	return oldest
}
