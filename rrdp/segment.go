package rrdp

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"cadastre/internal/fault"
)

// file is what a segment needs of its file.
type file interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Close() error
}

// place is where a fragment lies: its XML text and its deflate blocks, in one segment.
type place struct {
	segment         *segment
	text, textLen   uint32
	flate, flateLen uint32
	crc             uint32 // CRC-32 of the deflate blocks
}

// segment is one append-only file. Bytes below size are committed and never change.
//
// A segment that nothing served needs any more is unlinked and forgotten, and its file is closed by the garbage
// collector once the last reader has let go of it: one who is in the middle of a long answer is not cut off.
type segment struct {
	id   uint32
	file file
	size int64
}

// claim raises the committed size of the segment to the end of a fragment that a record says is in it.
func (s *segment) claim(p place) {
	s.size = max(s.size, int64(p.text)+int64(p.textLen), int64(p.flate)+int64(p.flateLen))
}

// segments are the files of one repository. Only the goroutine that changes the repository uses them; readers hold the
// segments that they need.
type segments struct {
	cfg    Config
	mu     sync.Mutex // guards byID: Bytes is asked for by others too
	byID   map[uint32]*segment
	active *segment // takes what is appended; nil when the next append begins a new one
	next   uint32
}

func newSegments(cfg Config) *segments { return &segments{cfg: cfg, byID: map[uint32]*segment{}} }

func (s *segments) name(id uint32) string {
	return filepath.Join(s.cfg.Dir, fmt.Sprintf("segment-%06d", id))
}

// known is the segment of a number, made up if no record has named it before; open looks whether it is there.
func (s *segments) known(id uint32) *segment {
	seg := s.byID[id]
	if seg == nil {
		seg = &segment{id: id}
		s.byID[id] = seg
	}
	return seg
}

// open opens the files of all segments that the records named, cuts off what was appended to the newest without being
// committed, and removes files that no record names.
func (s *segments) open() error {
	for id, seg := range s.byID {
		f, err := s.cfg.openFile(s.name(id), os.O_RDWR)
		if errors.Is(err, fs.ErrNotExist) {
			return fault.New(fault.Corrupt, "the segment %s is missing: restore the directory and the store from one backup", s.name(id))
		}
		if err != nil {
			return fault.Wrap(err, "couldn't open a segment of the repository %s", s.cfg.Name)
		}
		seg.file = f
		if s.active == nil || id > s.active.id {
			s.active = seg
		}
	}
	names, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return fault.Wrap(err, "couldn't list the segments of the repository %s", s.cfg.Name)
	}
	for _, n := range names {
		if err := s.settle(n); err != nil {
			return err
		}
	}
	return nil
}

// settle brings one file of the directory to what the records say of it.
func (s *segments) settle(n fs.DirEntry) error {
	var id uint32
	if found, _ := fmt.Sscanf(n.Name(), "segment-%06d", &id); found == 0 {
		return nil // not ours
	}
	s.next = max(s.next, id+1)
	seg := s.byID[id]
	if seg == nil { // begun by a batch or a compaction that was not committed, or left behind by one that was
		return fault.Wrap(os.Remove(s.name(id)), "couldn't clear away a left-over segment")
	}
	info, err := n.Info()
	if err != nil {
		return fault.Wrap(err, "couldn't look at a segment of the repository %s", s.cfg.Name)
	}
	switch {
	case info.Size() < seg.size:
		return fault.New(fault.Corrupt, "the segment %s is cut short, %d bytes of %d: restore the directory and the store from one backup", s.name(id), info.Size(), seg.size)
	case info.Size() > seg.size && seg == s.active:
		return fault.Wrap(seg.file.Truncate(seg.size), "couldn't cut the tail off the segment %s", s.name(id))
	}
	return nil
}

// bytes is how much disk the segments take.
func (s *segments) bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int64
	for _, seg := range s.byID {
		n += seg.size
	}
	return n
}

// drop forgets a segment and unlinks its file.
func (s *segments) drop(seg *segment) error {
	s.mu.Lock()
	delete(s.byID, seg.id)
	s.mu.Unlock()
	if s.active == seg {
		s.active = nil
	}
	return os.Remove(s.name(seg.id))
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	d, err := os.Open(filepath.Clean(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
