package store

import (
	"bytes"
	"fmt"
	"iter"
	"runtime"
	"runtime/debug"

	"go.etcd.io/bbolt"
)

// boltTx is a transaction as Reader and Writer.
type boltTx struct {
	tx     *bbolt.Tx
	at     Revision
	inside bool // the function that the transaction was opened for is running
}

// damage is a panic of bbolt, which has no errors for damaged pages.
type damage struct{ value any }

// guarded runs a transaction and turns a panic of bbolt on a damaged page into an error of kind Corrupt, and so too
// what is otherwise fatal: a read beyond the end of a file that was cut short under its memory map. A panic of the
// function that the transaction was opened for is none of the store's, and goes on.
func (t *boltTx) guarded(path string, transact func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		d, marked := p.(damage)
		switch {
		case p == nil:
		case marked:
			err = damaged(path, fmt.Errorf("%v", d.value))
		case !t.inside || isMemoryFault(p):
			err = damaged(path, fmt.Errorf("%v", p))
		default:
			panic(p)
		}
	}()
	return transact()
}

func isMemoryFault(p any) bool {
	_, hasAddress := p.(interface {
		runtime.Error
		Addr() uintptr
	})
	return hasAddress
}

// call runs the function that the transaction was opened for.
func (t *boltTx) call(fn func() error) error {
	t.inside = true
	err := fn()
	t.inside = false
	return err
}

// mark marks a panic as bbolt's own. To be deferred by what fn calls.
func mark() {
	if p := recover(); p != nil {
		panic(damage{p})
	}
}

func (t *boltTx) Revision() Revision { return t.at }

func (t *boltTx) Get(bucket string, key []byte) []byte {
	defer mark()
	if b := t.tx.Bucket([]byte(bucket)); b != nil {
		return b.Get(key)
	}
	return nil
}

func (t *boltTx) Scan(bucket string, prefix []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		c := t.cursor(bucket)
		if c == nil {
			return
		}
		for k, v := seek(c, prefix); k != nil && bytes.HasPrefix(k, prefix); k, v = next(c) {
			if !yield(k, v) {
				return
			}
		}
	}
}

// cursor, seek and next are apart from Scan so that a panic of the loop's body is not taken for one of bbolt.

func (t *boltTx) cursor(bucket string) *bbolt.Cursor {
	defer mark()
	if b := t.tx.Bucket([]byte(bucket)); b != nil {
		return b.Cursor()
	}
	return nil
}

func seek(c *bbolt.Cursor, prefix []byte) (k, v []byte) {
	defer mark()
	return c.Seek(prefix)
}

func next(c *bbolt.Cursor) (k, v []byte) {
	defer mark()
	return c.Next()
}

func (t *boltTx) Put(bucket string, key, value []byte) error {
	defer mark()
	b, err := t.tx.CreateBucketIfNotExists([]byte(bucket))
	if err != nil {
		return err
	}
	return b.Put(key, value)
}

func (t *boltTx) Delete(bucket string, key []byte) error {
	defer mark()
	if b := t.tx.Bucket([]byte(bucket)); b != nil {
		return b.Delete(key)
	}
	return nil
}
