package rrdp

import (
	"crypto/rand"
	"fmt"
	"hash/crc32"
	"slices"

	"cadastre/internal/fault"
)

// newSession makes a session_id, a UUID of version 4 (RFC 8182, section 3.5.1.3), and the secret of its file names.
func newSession() *begun {
	b := &begun{}
	_, _ = rand.Read(b.secret[:]) // never fails: crypto/rand ends the program instead
	var id [16]byte
	_, _ = rand.Read(id[:])
	id[6] = id[6]&0x0f | 0x40 // version 4
	id[8] = id[8]&0x3f | 0x80 // variant of RFC 9562
	b.session = fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	return b
}

// NewSession makes a batch that begins a new session with the same objects at serial 1: for a repository whose history
// is not to be trusted, as after a backup was restored (RFC 9697). A repository without objects closes no serial. Readers of
// the old session find its files no more and fetch the snapshot of the new one.
func (r *Repository) NewSession() (*Batch, error) {
	b, err := r.begin()
	if err != nil {
		return nil, err
	}
	old := r.index
	session := newSession()
	b.records = append(b.records, session)
	if len(old.live) == 0 {
		return b, nil
	}
	// the state after the first record, as far as the closing looks at it
	x := newIndex()
	x.session = session.session
	for _, e := range old.entries {
		if e.removed == never {
			moved := *e
			moved.added = 1
			x.entries = append(x.entries, &moved)
		}
	}
	if err := b.close(x, &left{}, nil); err != nil {
		b.drop(true)
		return nil, fault.Wrap(err, "couldn't begin a new session of %s", r.cfg.Name)
	}
	return b, nil
}

// verify reads the current snapshot and the deltas that are listed, and holds their hashes against the announced ones.
func (r *Repository) verify() error {
	s := r.index.newest()
	if s == nil {
		return nil
	}
	check := func(sh *sheet, want sum) error {
		err := sh.announced(want)
		if err == nil {
			return nil
		}
		return fault.New(fault.Corrupt, "the %s of serial %d of the repository %s is no longer what was announced (%w): restore %s and the store from one backup",
			sh.kind, sh.serial, r.cfg.Name, err, r.cfg.Dir)
	}
	if err := check(r.index.snapshot(s.number), s.snapshot); err != nil {
		return err
	}
	for n := s.first; n <= s.number; n++ {
		if err := check(r.index.delta(n), r.index.serial(n).delta); err != nil {
			return err
		}
	}
	return nil
}

// checkFlate reads the deflate blocks of a document's objects and holds them against their CRCs.
func checkFlate(s *sheet) error {
	var buf []byte
	for i := range s.items {
		p := &s.items[i].place
		if p.segment == nil {
			continue
		}
		buf = slices.Grow(buf[:0], int(p.flateLen))[:p.flateLen]
		if err := readFull(p.segment.file, buf, int64(p.flate)); err != nil {
			return err
		}
		if crc32.ChecksumIEEE(buf) != p.crc {
			return fmt.Errorf("the compressed form of %s has changed on the disk", s.items[i].uri)
		}
	}
	return nil
}
