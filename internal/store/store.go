// Package store keeps the state: an ordered map of keys to values in named buckets, changed by whole transactions, each
// with a revision one higher than the last. It knows nothing of what it keeps.
//
// It is trusted: who can change the store can have anything certified. It has no private key in the clear.
package store

import "iter"

// Revision numbers the committed states of a store, from 1. A new store is at 0.
type Revision uint64

// Any is the argument of Update for a change that fits every revision.
const Any Revision = 0

// Record is a key with its value.
type Record struct{ Key, Value []byte }

// Reader sees one committed state. What it returns must not be changed nor kept beyond the transaction.
//
// A read can fail: a record is damaged, or the store cannot be reached. A failed read fails its whole transaction, even if its error was
// ignored: View returns it, and Update keeps nothing.
type Reader interface {
	// Get returns the value of a key, nil where there is none.
	Get(bucket Bucket, key []byte) ([]byte, error)
	// Scan goes through the records whose keys begin with prefix, in the byte order of their keys. An error is the last
	// that it yields.
	Scan(bucket Bucket, prefix []byte) iter.Seq2[Record, error]
	// Revision is the revision of the state that is seen; within Update, the one that is being made.
	Revision() Revision
}

// Writer changes the state that it sees; all of it or nothing is kept.
type Writer interface {
	Reader
	Put(bucket Bucket, key, value []byte) error
	Delete(bucket Bucket, key []byte) error
}

// Store is a store as all of the program knows it. Only what opens one knows which kind it is.
type Store interface {
	// View shows one committed state to fn.
	View(fn func(Reader) error) error
	// Update makes one revision of what fn does, and returns its number. If expect is not Any and not the current revision, it does
	// nothing and fails with Conflict. Fn must not sign, wait, or use the network.
	Update(expect Revision, fn func(Writer) error) (Revision, error)
	// Revision is the newest committed revision.
	Revision() Revision
	// Size is the bytes that the store takes on disk.
	Size() int64
	Close() error
}
