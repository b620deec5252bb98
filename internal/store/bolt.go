package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"cadastre/internal/fault"
)

// Format is the version of what is written in the store. A store of another one is not opened. 2 has checksums.
const Format = 2

// metaBucket is the store's own: format, revision and tallies.
var metaBucket = Declare("meta", "internal/store", Withheld("the store's own"))

var (
	formatKey   = []byte("format")
	revisionKey = []byte("revision")
)

// Bolt is a Store in one bbolt file, for one process at a time.
type Bolt struct {
	db       *bbolt.DB
	file     *os.File // that bbolt has open
	path     string
	writing  sync.Mutex // held through Update
	revision atomic.Uint64
	stuck    atomic.Bool // a damaged page left bbolt's locks taken: whatever asks for them would wait for ever
}

// Options for Open.
type Options struct {
	Create   bool // make a new, empty store; it is an error if one is there already
	ReadOnly bool
	NoSync   bool // for tests alone: a crash of the machine may lose or break everything
}

// Open opens the store in the file at path. It fails with Busy when another process has it open, NotFound when there
// is none, Conflict when one is to be created and is there, Corrupt when it is damaged or of an older format, and TooNew when
// it is of a newer one.
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
	if !opt.Create {
		if _, err := Check(path); err != nil {
			return nil, err
		}
	}
	b := &Bolt{path: path}
	b.db, err = openFile(path, &bbolt.Options{
		OpenFile: func(name string, flag int, mode os.FileMode) (file *os.File, err error) {
			b.file, err = os.OpenFile(name, flag, mode)
			return b.file, err
		},
		Timeout:         lockTimeout,
		FreelistType:    bbolt.FreelistMapType,
		NoFreelistSync:  true,
		InitialMmapSize: 1 << 30,
		ReadOnly:        opt.ReadOnly,
		NoSync:          opt.NoSync,
		NoGrowSync:      opt.NoSync,
	})
	if err != nil {
		return nil, err
	}
	if opt.Create {
		err = b.create()
	} else {
		err = b.read()
	}
	if err != nil {
		_ = b.Close()
		return nil, err
	}
	return b, nil
}

// openFile turns bbolt's errors, and its panics on damaged pages, into ours.
func openFile(path string, opt *bbolt.Options) (db *bbolt.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = damaged(path, fmt.Errorf("%v", p))
		}
	}()
	db, err = bbolt.Open(path, 0o600, opt)
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
		bucket, err := tx.CreateBucket([]byte(metaBucket.name))
		if err != nil {
			return err
		}
		if err := bucket.Put(formatKey, number(Format)); err != nil {
			return err
		}
		t := &boltTx{path: b.path, tx: tx}
		if err := t.Put(metaBucket, revisionKey, number(0)); err != nil {
			return err
		}
		return t.flushAll()
	})
}

func (b *Bolt) read() error {
	return b.View(func(r Reader) error {
		b.revision.Store(uint64(r.Revision()))
		return nil
	})
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// transact runs a transaction, if bbolt still has its locks.
func (b *Bolt) transact(t *boltTx, transaction func() error) error {
	if b.stuck.Load() {
		return damaged(b.path, errStuck)
	}
	err := t.guarded(transaction)
	if t.stuck() {
		b.stuck.Store(true)
	}
	return err
}

var errStuck = errors.New("an earlier read or write met a damaged page")

// View implements Store.
func (b *Bolt) View(fn func(Reader) error) error {
	t := &boltTx{path: b.path}
	return b.transact(t, func() error {
		return b.db.View(func(tx *bbolt.Tx) error {
			t.tx = tx
			revision, err := t.Get(metaBucket, revisionKey)
			if err != nil {
				return err
			}
			if len(revision) != 8 {
				return damaged(b.path, errors.New("it has no revision"))
			}
			t.at = Revision(binary.BigEndian.Uint64(revision))
			return t.call(func() error { return fn(t) })
		})
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
	t := &boltTx{path: b.path, at: next}
	err := b.transact(t, func() error {
		return b.db.Update(func(tx *bbolt.Tx) error {
			t.tx = tx
			if err := t.call(func() error { return fn(t) }); err != nil {
				return err
			}
			if err := t.putTallies(); err != nil {
				return err
			}
			if err := t.Put(metaBucket, revisionKey, number(uint64(next))); err != nil {
				return err
			}
			return t.flushAll()
		})
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

// Close implements Store. Of a store that is stuck it lets go of the file, with its lock; its memory map stays until the process ends.
func (b *Bolt) Close() error {
	if b.stuck.Load() {
		return errors.Join(damaged(b.path, errStuck), syscall.Flock(int(b.file.Fd()), syscall.LOCK_UN), b.file.Close()) // its map would keep the lock
	}
	return b.db.Close()
}
