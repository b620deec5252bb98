// Package storetest is a store that fails when a test says so. It is for tests alone.
package storetest

import "cadastre/internal/store"

// Fragile is a store whose transactions fail, or end the program by a panic, when a test says so.
type Fragile struct {
	store.Store
	Before, After func() error // are asked around each transaction, if set; an error of Before is that of the transaction
}

// Update is one transaction. An error of After comes when all of it is kept.
func (f *Fragile) Update(expect store.Revision, fn func(store.Writer) error) (store.Revision, error) {
	if f.Before != nil {
		if err := f.Before(); err != nil {
			return f.Revision(), err
		}
	}
	at, err := f.Store.Update(expect, fn)
	if err == nil && f.After != nil {
		err = f.After()
	}
	return at, err
}
