package rrdp

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"io"

	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// Mend restores the objects of a repository whose bytes have changed on the disk. Each lies there twice, as text and
// deflated, and one makes the other; SHA-256 tells which is whole. What is restored is appended elsewhere, in one
// transaction, and the same bytes are served as were announced. It tells how many objects it restored, and fails with
// Corrupt where both forms of one are damaged, or a segment is missing or cut short; nothing has then changed.
func Mend(st store.Store, cfg Config) (int, error) {
	r, err := load(st, cfg)
	if err != nil {
		return 0, err
	}
	b, err := r.begin()
	if err != nil {
		return 0, err
	}
	if err := b.mend(); err != nil {
		b.drop(true)
		return 0, err
	}
	if _, err := st.Update(store.Any, b.Write); err != nil {
		b.Abandon()
		return 0, err
	}
	b.Apply()
	return len(b.compaction.moved), nil
}

// mend makes the batch one that moves all that is damaged.
func (b *Batch) mend() error {
	r := b.repository
	b.compaction = &compaction{keep: map[uint64]bool{}, moved: map[*entry]place{}, begun: r.index.began}
	g := &group{appender: b.appender}
	for _, e := range r.index.entries {
		b.compaction.keep[e.seq] = true
		object, damaged, err := e.salvage()
		if err != nil {
			return fault.New(fault.Corrupt, "%s has changed on the disk in both of its forms (%w): restore %s and the store from one backup and start with 'serve --restored'; without a backup write another address into config.toml and have everything issued anew with 'cadastre address change'", e.uri, err, r.cfg.Dir)
		}
		if !damaged {
			continue
		}
		text, packed := len(g.text), len(g.packed)
		var crc uint32
		g.text, g.packed, crc = r.press.fragment(g.text, g.packed, e.uri, object)
		if err := g.add(text, packed, crc, func(to place) { b.compaction.moved[e] = to }); err != nil {
			return err
		}
	}
	if err := g.flush(); err != nil {
		return err
	}
	return b.appender.sync()
}

// salvage reads both forms of an object. It tells whether one is damaged, and fails when both are.
func (e *entry) salvage() (object []byte, damaged bool, err error) {
	p := e.place
	text, packed := make([]byte, p.textLen), make([]byte, p.flateLen)
	if err := readFull(p.segment.file, text, int64(p.text)); err != nil {
		return nil, false, err
	}
	if err := readFull(p.segment.file, packed, int64(p.flate)); err != nil {
		return nil, false, err
	}
	object, textErr := e.objectOf(text)
	if textErr == nil {
		return object, crc32.ChecksumIEEE(packed) != p.crc, nil
	}
	end := bytes.NewReader(stored(nil, true, ""))
	text, err = io.ReadAll(io.LimitReader(flate.NewReader(io.MultiReader(bytes.NewReader(packed), end)), int64(p.textLen)+1))
	if err != nil {
		return nil, false, err
	}
	object, err = e.objectOf(text)
	return object, true, err
}

// objectOf is the object in the text of a fragment, if it is the entry's and the tags around it are.
func (e *entry) objectOf(text []byte) ([]byte, error) {
	head := []byte(opening + e.uri + openEnd)
	if len(text) != int(e.place.textLen) || !bytes.HasPrefix(text, head) || !bytes.HasSuffix(text, []byte(closing)) {
		return nil, fmt.Errorf("its text is another")
	}
	object, err := unwrap(text, e.uri)
	if err == nil && sha256.Sum256(object) != e.hash {
		err = fmt.Errorf("its SHA-256 is another")
	}
	return object, err
}

// Quarantine opens a repository that Open refused and Mend could not restore, so that all others can go on. It changes
// nothing any more: Prepare and what else makes a batch fail with the cause. Files are served as they were announced, each
// held against its hash before it is given; those that are damaged are refused. It fails where there is nothing to open.
func Quarantine(st store.Store, cfg Config, cause error) (*Repository, error) {
	r, err := load(st, cfg)
	if err != nil {
		return nil, err
	}
	r.damage = cause
	return r, nil
}

// Damage is why a repository is quarantined, nil where it is not.
func (r *Repository) Damage() error { return r.damage }

// announced fails where a file is not what was announced any more.
func (s *sheet) announced(want sum) error {
	got, err := s.plain().sum()
	if err == nil && got == want {
		err = checkFlate(s)
	} else if err == nil {
		err = fmt.Errorf("its SHA-256 is %x and not %x", got.hash, want.hash)
	}
	return err
}
