package store

import (
	"errors"
	"fmt"
	"os"
	"time"

	"go.etcd.io/bbolt"
)

// check reads every page of the store's tree before bbolt opens the file for writing. bbolt does so too, to find what
// is free, but on a goroutine of its own, where a damaged page is a panic that nobody can catch.
func check(path string) error {
	db, err := openFile(path, &bbolt.Options{Timeout: lockTimeout, ReadOnly: true})
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // it was only read
	t := &boltTx{path: path}
	return t.guarded(func() error {
		return db.View(func(tx *bbolt.Tx) error {
			// bbolt notes how many pages there are; a file cut short opens all the same, and its last pages are missed
			// only when they are read
			if info, err := os.Stat(path); err != nil {
				return err
			} else if info.Size() < tx.Size() {
				return damaged(path, fmt.Errorf("it is cut short: %d bytes of %d", info.Size(), tx.Size()))
			}
			return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
				c := b.Cursor()
				for k, v := c.First(); k != nil; k, v = c.Next() {
					if v == nil {
						return damaged(path, errors.New("a bucket lies within another"))
					}
				}
				return nil
			})
		})
	})
}

// lockTimeout is how long is waited for another process to let go of the store.
const lockTimeout = time.Second
