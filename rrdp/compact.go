package rrdp

import (
	"encoding/binary"
	"slices"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// compaction is what a batch of Compact does: it forgets what nothing that is served needs any more. What is published
// stays the same, and so does its order.
type compaction struct {
	keep  map[uint64]bool  // keys of the entries that stay
	moved map[*entry]place // where those lie now that were in the segments to be emptied
	empty []*segment
	begun uint64  // key of the record of the session: of what is before it, only entries stay
	base  *serial // the oldest that stays known, nil for all: of what is before it, only entries stay too
}

// worthwhile is how many entries must have become useless before they are cleared away.
const worthwhile = 1000

// Compact makes a batch that drops the records of what is served no more and frees the segments of which less than half
// is needed. It returns nil when that is not worth its while yet. Like any batch it is written, and applied or abandoned.
func (r *Repository) Compact() (*Batch, error) {
	c := r.index.compaction(time.Now(), r.front.Load(), r.segments)
	if c == nil {
		return nil, nil
	}
	b, err := r.begin()
	if err != nil {
		return nil, err
	}
	b.compaction = c
	if err := b.move(); err != nil {
		b.drop(true)
		return nil, fault.Wrap(err, "couldn't compact the repository %s", r.cfg.Name)
	}
	return b, nil
}

// compaction says what could be cleared away, nil if that is little.
func (x *index) compaction(now time.Time, f *front, segments *segments) *compaction {
	horizon := x.horizon(now, f)
	c := &compaction{keep: make(map[uint64]bool, len(x.entries)), moved: map[*entry]place{}, begun: x.began}
	if horizon > 0 {
		c.base = x.serial(horizon - 1)
	}
	needed := map[*segment]int64{}
	for _, e := range x.entries {
		// a version that came and went within one serial is in no snapshot and no delta
		if e.removed >= horizon && e.removed != e.added {
			c.keep[e.seq] = true
			needed[e.place.segment] += int64(e.place.textLen) + int64(e.place.flateLen)
		}
	}
	for _, seg := range segments.byID {
		if seg != segments.active && needed[seg] < seg.size/2 {
			c.empty = append(c.empty, seg)
		}
	}
	if len(c.empty) == 0 && len(x.entries)-len(c.keep) < worthwhile {
		return nil
	}
	return c
}

// move copies the fragments that are still needed out of the segments that are to be emptied.
func (b *Batch) move() error {
	c := b.compaction
	emptied := map[*segment]bool{}
	for _, seg := range c.empty {
		emptied[seg] = true
	}
	g := &group{appender: b.appender}
	for _, e := range b.repository.index.entries {
		p := e.place
		if !c.keep[e.seq] || !emptied[p.segment] {
			continue
		}
		text, packed := len(g.text), len(g.packed)
		g.text = append(g.text, make([]byte, p.textLen)...)
		g.packed = append(g.packed, make([]byte, p.flateLen)...)
		if err := readFull(p.segment.file, g.text[text:], int64(p.text)); err != nil {
			return err
		}
		if err := readFull(p.segment.file, g.packed[packed:], int64(p.flate)); err != nil {
			return err
		}
		if err := g.add(text, packed, p.crc, func(to place) { c.moved[e] = to }); err != nil {
			return err
		}
	}
	if err := g.flush(); err != nil {
		return err
	}
	return b.appender.sync()
}

// write removes the records that go and rewrites those of what has moved, under the same keys. A record of entries that have
// left stays without those that go.
func (c *compaction) write(w store.Writer, bucket store.Bucket) error {
	var useless [][]byte
	shorter := map[uint64]*left{}
	for record, err := range w.Scan(bucket, nil) {
		if err != nil {
			return err
		}
		seq := binary.BigEndian.Uint64(record.Key)
		stays := seq == c.begun || seq > c.begun && (c.base == nil || seq >= c.base.key)
		if record.Value[0] == tagEntered {
			stays = c.keep[seq]
		}
		if stays && record.Value[0] == tagLeft {
			rec, err := decode(record.Value, nil)
			if err != nil {
				return err
			}
			l := rec.(*left) // by its tag
			if kept := slices.DeleteFunc(slices.Clone(l.seqs), func(seq uint64) bool { return !c.keep[seq] }); len(kept) < len(l.seqs) {
				shorter[seq] = &left{seqs: kept}
			}
		}
		if !stays {
			useless = append(useless, slices.Clone(record.Key))
		}
	}
	for _, k := range useless {
		if err := w.Delete(bucket, k); err != nil {
			return err
		}
	}
	for seq, l := range shorter {
		if err := w.Put(bucket, key(seq), l.encode()); err != nil {
			return err
		}
	}
	for e, to := range c.moved {
		elsewhere := *e
		elsewhere.place = to
		if err := w.Put(bucket, key(e.seq), (&entered{entry: &elsewhere}).encode()); err != nil {
			return err
		}
	}
	return nil
}

// apply does the same to the index.
func (c *compaction) apply(x *index) {
	for e, to := range c.moved {
		e.place = to
	}
	x.entries = slices.DeleteFunc(x.entries, func(e *entry) bool { return !c.keep[e.seq] })
	if c.base != nil {
		x.serials = slices.Clone(x.serials[c.base.number-x.serials[0].number:])
	}
}

// clear removes the files that are empty now. One that stays behind is removed at the next start.
func (c *compaction) clear(s *segments) {
	for _, seg := range c.empty {
		_ = s.drop(seg)
	}
}
