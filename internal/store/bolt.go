package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"cadastre/internal/fault"
)

// Format is the version of what is written in the store. A store of a newer one is not opened.
const Format = 1

const metaBucket = "meta"

var (
	formatKey   = []byte("format")
	revisionKey = []byte("revision")
)

// Bolt is a Store in one bbolt file, for one process at a time.
type Bolt struct {
	db       *bbolt.DB
	path     string
	writing  sync.Mutex // held through Update
	revision atomic.Uint64
}

// Options for Open.
type Options struct {
	Create   bool // make a new, empty store; it is an error if one is there already
	ReadOnly bool
	NoSync   bool // for tests alone: a crash of the machine may lose or break everything
}

// Open opens the store in the file at path. It fails with Busy when another process has it open, NotFound when there
// is none, Conflict when one is to be created and is there, Corrupt when it is damaged, and TooNew.
func Open(path string, opt Options) (*Bolt, error) {
	info, err := os.Stat(path)
	switch {
	case opt.Create && err == nil:
		return nil, fault.New(fault.Conflict, "there is a store at %s already; choose another directory or remove that one", path)
	case !opt.Create && errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.NotFound, "there is no store at %s; make one with 'cadastre init', or restore it from a backup", path)
	case !opt.Create && err != nil:
		return nil, fault.Wrap(err, "couldn't open the store")
	case !opt.Create && info.Size() == 0:
		return nil, fault.New(fault.Corrupt, "the store %s is empty: restore it from a backup", path)
	}
	db, err := openBolt(path, opt)
	if err != nil {
		return nil, err
	}
	b := &Bolt{db: db, path: path}
	if opt.Create {
		err = b.create()
	} else {
		err = b.read()
	}
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	return b, nil
}

// openBolt turns bbolt's errors, and its panics on damaged pages, into ours.
func openBolt(path string, opt Options) (db *bbolt.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = damaged(path, fmt.Errorf("%v", p))
		}
	}()
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:         time.Second,
		FreelistType:    bbolt.FreelistMapType,
		NoFreelistSync:  true,
		InitialMmapSize: 1 << 30,
		ReadOnly:        opt.ReadOnly,
		NoSync:          opt.NoSync,
		NoGrowSync:      opt.NoSync,
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fault.New(fault.Busy, "the store %s is in use by another process; stop that one, or talk to it through its socket", path)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, damaged(path, err)
	case err != nil && fault.KindOf(err) == fault.Internal:
		return nil, damaged(path, err)
	case err != nil:
		return nil, fault.Wrap(err, "couldn't open the store")
	}
	return db, nil
}

func damaged(path string, err error) error {
	return fault.New(fault.Corrupt, "the store %s is damaged (%w): restore it from a backup; nothing was changed", path, err)
}

func (b *Bolt) create() error {
	return b.db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucket([]byte(metaBucket))
		if err != nil {
			return err
		}
		if err := bucket.Put(formatKey, number(Format)); err != nil {
			return err
		}
		return bucket.Put(revisionKey, number(0))
	})
}

func (b *Bolt) read() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = damaged(b.path, fmt.Errorf("%v", p))
		}
	}()
	return b.db.View(func(tx *bbolt.Tx) error {
		// a file cut short still opens: its last pages are missed only when they are read, which would be a fault in
		// the memory map. bbolt notes how many pages there are.
		if info, err := os.Stat(b.path); err != nil {
			return err
		} else if info.Size() < tx.Size() {
			return damaged(b.path, fmt.Errorf("it is cut short: %d bytes of %d", info.Size(), tx.Size()))
		}
		bucket := tx.Bucket([]byte(metaBucket))
		if bucket == nil || len(bucket.Get(formatKey)) != 8 || len(bucket.Get(revisionKey)) != 8 {
			return damaged(b.path, errors.New("it is no store of ours"))
		}
		if format := binary.BigEndian.Uint64(bucket.Get(formatKey)); format > Format {
			return fault.New(fault.TooNew, "the store %s has format %d and this program knows up to %d: use the newer program", b.path, format, Format)
		}
		b.revision.Store(binary.BigEndian.Uint64(bucket.Get(revisionKey)))
		return nil
	})
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// View implements Store.
func (b *Bolt) View(fn func(Reader) error) error {
	return b.db.View(func(tx *bbolt.Tx) error {
		var at Revision
		if meta := tx.Bucket([]byte(metaBucket)); meta != nil {
			at = Revision(binary.BigEndian.Uint64(meta.Get(revisionKey)))
		}
		return fn(&boltTx{tx: tx, at: at})
	})
}

// Update implements Store.
func (b *Bolt) Update(expect Revision, fn func(Writer) error) (Revision, error) {
	b.writing.Lock()
	defer b.writing.Unlock()
	current := b.Revision()
	if expect != Any && expect != current {
		return current, fault.New(fault.Conflict, "the state is at revision %d and no longer at %d: look again and repeat", current, expect)
	}
	next := current + 1
	err := b.db.Update(func(tx *bbolt.Tx) error {
		if err := fn(&boltTx{tx: tx, at: next}); err != nil {
			return err
		}
		return tx.Bucket([]byte(metaBucket)).Put(revisionKey, number(uint64(next)))
	})
	if err != nil {
		return current, err
	}
	b.revision.Store(uint64(next))
	return next, nil
}

// Revision implements Store.
func (b *Bolt) Revision() Revision { return Revision(b.revision.Load()) }

// Size implements Store.
func (b *Bolt) Size() int64 {
	info, err := os.Stat(b.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Close implements Store.
func (b *Bolt) Close() error { return b.db.Close() }

// boltTx is a transaction as Reader and Writer.
type boltTx struct {
	tx *bbolt.Tx
	at Revision
}

func (t *boltTx) Revision() Revision { return t.at }

func (t *boltTx) Get(bucket string, key []byte) []byte {
	if b := t.tx.Bucket([]byte(bucket)); b != nil {
		return b.Get(key)
	}
	return nil
}

func (t *boltTx) Scan(bucket string, prefix []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		b := t.tx.Bucket([]byte(bucket))
		if b == nil {
			return
		}
		c := b.Cursor()
		for k, v := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
			if !yield(k, v) {
				return
			}
		}
	}
}

func (t *boltTx) Put(bucket string, key, value []byte) error {
	b, err := t.tx.CreateBucketIfNotExists([]byte(bucket))
	if err != nil {
		return err
	}
	return b.Put(key, value)
}

func (t *boltTx) Delete(bucket string, key []byte) error {
	if b := t.tx.Bucket([]byte(bucket)); b != nil {
		return b.Delete(key)
	}
	return nil
}
