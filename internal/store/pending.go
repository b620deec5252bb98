package store

import (
	"bytes"
	"maps"
	"slices"

	"go.etcd.io/bbolt"
)

// bbolt splits no page before the commit: each key that comes in the middle of a page moves all that have come behind it, so that keys in
// any order cost the square of their number. So a transaction keeps what it writes, and gives it to bbolt in the order of the keys.

// written is a value as it is to be stored, with its checksum; stored is nil for a key that is removed.
type written struct {
	stored []byte
	sum    uint64
}

// pending is what a transaction has written to a bucket, by key, and not yet given to bbolt.
type pending map[string]written

// keep notes a write. What the transaction wrote under the key before is forgotten.
func (t *boltTx) keep(bucket Bucket, key []byte, w written) {
	of := t.pending[bucket.name]
	if of == nil {
		of = pending{}
		if t.pending == nil {
			t.pending = map[string]pending{}
		}
		t.pending[bucket.name] = of
	}
	of[string(key)] = w
}

// flushAll gives bbolt all that is pending.
func (t *boltTx) flushAll() (err error) {
	if t.failed != nil {
		return t.failed
	}
	defer t.caught(&err)
	for _, name := range slices.Sorted(maps.Keys(t.pending)) {
		if err := t.flush(name); err != nil {
			return err
		}
	}
	return nil
}

// flush gives bbolt what is pending of a bucket.
func (t *boltTx) flush(name string) error {
	of := t.pending[name]
	if len(of) == 0 {
		return nil
	}
	delete(t.pending, name)
	b, err := t.tx.CreateBucketIfNotExists([]byte(name))
	if err != nil {
		return err
	}
	keys := slices.Sorted(maps.Keys(of))
	b.FillPercent = fill(b.Cursor(), keys)
	for _, key := range keys {
		if w := of[key]; w.stored == nil {
			err = b.Delete([]byte(key))
		} else {
			err = b.Put([]byte(key), w.stored)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// How full bbolt makes the pages that it splits. Half leaves room for keys that come between those that are there. Where keys come one
// behind the other, as those of logs and of whole registries do, none will come between them.
const (
	halfFull = bbolt.DefaultFillPercent
	full     = 0.95

	longRun = 32 // so many keys without one of the bucket's between them fill a page or more
)

// fill is how full pages are to be that get new keys, which are sorted.
func fill(c *bbolt.Cursor, keys []string) float64 {
	runs := 0
	var next []byte // the bucket's first key that is not before the last one looked at
	for i, key := range keys {
		if i > 0 && (next == nil || bytes.Compare([]byte(key), next) <= 0) {
			continue
		}
		if next, _ = c.Seek([]byte(key)); next == nil && i == 0 {
			return full // all come behind what is there
		}
		runs++
	}
	if runs*longRun <= len(keys) {
		return full
	}
	return halfFull
}
