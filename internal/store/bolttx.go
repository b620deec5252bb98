package store

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"

	"go.etcd.io/bbolt"

	"cadastre/internal/fault"
)

// boltTx is a transaction as Reader and Writer.
type boltTx struct {
	path   string
	tx     *bbolt.Tx
	at     Revision
	inside bool  // the function that the transaction was opened for is running
	failed error // the first read or write that failed

	panicked bool // bbolt did, on a damaged page

	tallies map[string]*tally  // of the buckets that were changed
	pending map[string]pending // by name of their bucket, writes that bbolt does not have yet
}

// guarded runs a transaction. bbolt has no errors for damaged pages: it panics, and a read beyond the end of a file that
// was cut short under its memory map is a fault that would end the process. Both become errors of kind Corrupt. A panic
// of the function that the transaction was opened for is not the store's, and goes on.
func (t *boltTx) guarded(transact func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		switch {
		case p == nil:
		case !t.inside || isMemoryFault(p):
			t.panicked = true
			err = damaged(t.path, fmt.Errorf("%v", p))
		default:
			panic(p)
		}
	}()
	return transact()
}

// stuck tells whether bbolt panicked before it had let go of its locks: while it began the transaction, or while it took it back.
func (t *boltTx) stuck() bool { return t.panicked && (t.tx == nil || t.tx.DB() != nil) }

func isMemoryFault(p any) bool {
	_, hasAddress := p.(interface {
		runtime.Error
		Addr() uintptr
	})
	return hasAddress
}

// call runs the function that the transaction was opened for. It fails when that does, and when a read or write failed.
func (t *boltTx) call(fn func() error) error {
	t.inside = true
	err := fn()
	t.inside = false
	if err == nil {
		err = t.failed
	}
	return err
}

// caught makes a panic of bbolt an error, and says of an error which store is damaged. It is deferred by whatever calls bbolt
// while fn runs.
func (t *boltTx) caught(err *error) {
	p := recover()
	switch {
	case p != nil:
		*err = damaged(t.path, fmt.Errorf("%v", p))
	case *err == nil || t.failed != nil:
		return
	case fault.KindOf(*err) == fault.Corrupt:
		*err = damaged(t.path, *err)
	}
	t.failed = *err
}

func (t *boltTx) Revision() Revision { return t.at }

func (t *boltTx) Get(bucket Bucket, key []byte) (value []byte, err error) {
	if t.failed != nil {
		return nil, t.failed
	}
	defer t.caught(&err)
	value, _, err = t.stored(bucket, key)
	return value, err
}

// stored is the value of a key, as the transaction sees it, and its checksum; nil where there is none.
func (t *boltTx) stored(bucket Bucket, key []byte) (value []byte, sum uint64, err error) {
	if w, ours := t.pending[bucket.name][string(key)]; ours {
		if w.stored == nil {
			return nil, 0, nil
		}
		end := len(w.stored) - checksumSize
		return w.stored[:end:end], w.sum, nil
	}
	if b := t.tx.Bucket([]byte(bucket.name)); b != nil {
		if stored := b.Get(key); stored != nil {
			return unsealed(bucket.name, key, stored)
		}
	}
	return nil, 0, nil
}

func (t *boltTx) Scan(bucket Bucket, prefix []byte) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		var c *bbolt.Cursor
		for {
			record, err := t.next(&c, bucket, prefix)
			switch {
			case err != nil:
				yield(Record{}, err)
				return
			case record.Key == nil || !yield(record, nil):
				return
			}
		}
	}
}

// next moves a cursor, which it makes the first time, to the next record whose key begins with prefix. The key is nil
// where there is none. It is apart from Scan so that a panic of the loop's body is not taken for one of bbolt.
func (t *boltTx) next(c **bbolt.Cursor, bucket Bucket, prefix []byte) (r Record, err error) {
	if t.failed != nil {
		return r, t.failed
	}
	defer t.caught(&err)
	if *c != nil {
		r.Key, r.Value = (*c).Next()
	} else if err := t.flush(bucket.name); err != nil {
		return r, err
	} else if b := t.tx.Bucket([]byte(bucket.name)); b != nil {
		*c = b.Cursor()
		r.Key, r.Value = (*c).Seek(prefix)
	}
	if r.Key == nil || !bytes.HasPrefix(r.Key, prefix) {
		return Record{}, nil
	}
	r.Value, _, err = unsealed(bucket.name, r.Key, r.Value)
	return r, err
}

func (t *boltTx) Put(bucket Bucket, key, value []byte) (err error) {
	if t.failed != nil {
		return t.failed
	}
	defer t.caught(&err)
	total, err := t.without(bucket, key)
	if err != nil {
		return err
	}
	stored, sum := sealed(bucket.name, key, value)
	total.add(sum)
	t.keep(bucket, key, written{stored, sum})
	return nil
}

func (t *boltTx) Delete(bucket Bucket, key []byte) (err error) {
	if t.failed != nil {
		return t.failed
	}
	defer t.caught(&err)
	if value, _, err := t.stored(bucket, key); value == nil || err != nil {
		return err
	}
	if _, err := t.without(bucket, key); err != nil {
		return err
	}
	t.keep(bucket, key, written{})
	return nil
}

// without is the tally of a bucket without the record that is there under a key, if there is one.
func (t *boltTx) without(bucket Bucket, key []byte) (*tally, error) {
	if bucket == metaBucket {
		return &tally{}, nil
	}
	total := t.tallies[bucket.name]
	if total == nil {
		text, err := t.Get(metaBucket, tallyKey(bucket.name))
		if err != nil {
			return nil, err
		}
		was, _ := decodeTally(text) // none yet is empty
		if total = &was; t.tallies == nil {
			t.tallies = map[string]*tally{}
		}
		t.tallies[bucket.name] = total
	}
	value, sum, err := t.stored(bucket, key)
	if err != nil {
		return nil, err
	}
	if value != nil {
		total.remove(sum)
	}
	return total, nil
}

// putTallies keeps the tallies of what was changed.
func (t *boltTx) putTallies() error {
	for _, name := range slices.Sorted(maps.Keys(t.tallies)) {
		if err := t.Put(metaBucket, tallyKey(name), t.tallies[name].encode()); err != nil {
			return err
		}
	}
	return nil
}
