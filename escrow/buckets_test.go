package escrow

import (
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"cadastre/internal/store"
)

// named is a declared bucket.
func named(name string) store.Bucket {
	bucket, known := store.Named(name)
	if !known {
		panic("no bucket " + name + " is declared")
	}
	return bucket
}

// TestWithheld checks that what must never leave the installation is withheld, whatever else is declared.
func TestWithheld(t *testing.T) {
	for _, name := range []string{"key", "engine", "meta", "rrdp/north"} {
		if escrow := named(name).Kind().Escrow; escrow.Deposited || escrow.Why == "" {
			t.Errorf("%s is deposited", name)
		}
		if isDeposited(name) {
			t.Errorf("records of %s are taken from a deposit", name)
		}
	}
	if len(deposited()) < 15 || len(takenOver()) != len(deposited())-1 {
		t.Errorf("%s are deposited, and %s taken over", deposited(), takenOver())
	}
}

// TestBucketsOfStore looks at a store that was used.
func TestBucketsOfStore(t *testing.T) {
	h := newTestInstallation(t)
	h.endow()
	h.delegate("acacia", 1)
	h.settle()
	must(t, h.store.Close())
	db, err := bbolt.Open(filepath.Join(h.data, "store"), 0o600, &bbolt.Options{ReadOnly: true})
	must(t, err)
	seen := 0
	must(t, db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
			seen++
			named(string(name))
			return nil
		})
	}))
	must(t, db.Close())
	if seen < 10 {
		t.Errorf("only %d buckets are there", seen)
	}
}
