package rrdp

import "os"

// appender writes fragments behind what is committed. Nothing of it counts before commit.
type appender struct {
	segments *segments
	at       int64      // where the next byte goes in the active segment
	begun    []*segment // segments that were made for this batch
	old      *segment   // the active one before
	dirty    map[*segment]int64
}

func (s *segments) append() *appender {
	a := &appender{segments: s, old: s.active, dirty: map[*segment]int64{}}
	if s.active != nil {
		a.at = s.active.size
	}
	return a
}

// write appends parts, one behind the other, and says where the first lies.
func (a *appender) write(parts ...[]byte) (*segment, uint32, error) {
	s := a.segments
	if s.active == nil || a.at >= s.cfg.segmentSize {
		if err := a.begin(); err != nil {
			return nil, 0, err
		}
	}
	seg, at := s.active, a.at
	for _, data := range parts {
		a.dirty[seg] = a.at + int64(len(data))
		if _, err := seg.file.WriteAt(data, a.at); err != nil {
			return nil, 0, err
		}
		a.at += int64(len(data))
	}
	return seg, uint32(at), nil // segmentSize and a group of fragments are far below 4 GiB
}

// begin makes a new active segment.
func (a *appender) begin() error {
	s := a.segments
	f, err := s.cfg.openFile(s.name(s.next), os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	seg := &segment{id: s.next, file: f}
	s.next++
	s.mu.Lock()
	s.byID[seg.id] = seg
	s.mu.Unlock()
	s.active, a.at = seg, 0
	a.begun = append(a.begun, seg)
	return nil
}

// sync makes what was written durable, the names of new segments too.
func (a *appender) sync() error {
	for seg := range a.dirty {
		if err := seg.file.Sync(); err != nil {
			return err
		}
	}
	if len(a.begun) == 0 {
		return nil
	}
	return syncDir(a.segments.cfg.Dir)
}

// commit makes what was written part of the segments.
func (a *appender) commit() {
	a.segments.mu.Lock()
	defer a.segments.mu.Unlock()
	for seg, size := range a.dirty {
		seg.size = size
	}
}

// abandon takes back what was written. A segment that cannot be cut back, or whose disk has failed, takes no more: what
// is committed in it is still read, and the next append begins a new one.
func (a *appender) abandon(failed bool) {
	s := a.segments
	for _, seg := range a.begun {
		_ = s.drop(seg)
		_ = seg.file.Close() // nobody reads it
	}
	s.active = a.old
	if a.old == nil || a.dirty[a.old] == 0 {
		return
	}
	if err := a.old.file.Truncate(a.old.size); err != nil || failed {
		s.active = nil
	}
}

// groupSize is how much text is gathered before it is written: the texts of a group lie side by side, and behind them
// their deflate blocks, so that a document has few ranges.
const groupSize = 1 << 20

// group gathers fragments.
type group struct {
	appender     *appender
	text, packed []byte
	places       []place // relative to text and packed
	settle       []func(place)
}

// add takes note of the fragment that was appended to text and packed from these offsets on. settle is told where it
// lies once that is known.
func (g *group) add(text, packed int, crc uint32, settle func(place)) error {
	// a group has a few MB
	g.places = append(g.places, place{
		text: uint32(text), textLen: uint32(len(g.text) - text),
		flate: uint32(packed), flateLen: uint32(len(g.packed) - packed), crc: crc,
	})
	g.settle = append(g.settle, settle)
	if len(g.text) < groupSize {
		return nil
	}
	return g.flush()
}

// flush writes what is gathered.
func (g *group) flush() error {
	if len(g.places) == 0 {
		return nil
	}
	shift := uint32(len(g.text)) // a group has a few MB
	seg, at, err := g.appender.write(g.text, g.packed)
	if err != nil {
		return err
	}
	for i, p := range g.places {
		p.segment = seg
		p.text += at
		p.flate += at + shift
		g.settle[i](p)
	}
	g.text, g.packed, g.places, g.settle = g.text[:0], g.packed[:0], g.places[:0], g.settle[:0]
	return nil
}
