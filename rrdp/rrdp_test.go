package rrdp

import (
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"cadastre/internal/store"
)

// newStore is an empty store.
func newStore(t testing.TB, dir string, noSync bool) store.Store {
	t.Helper()
	st, err := store.Open(filepath.Join(dir, "store"), store.Options{Create: true, NoSync: noSync})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

// newRepository is an empty repository and what it was made from.
func newRepository(t testing.TB) (*Repository, store.Store, Config) {
	t.Helper()
	return newRepositoryIn(t, t.TempDir(), true)
}

func newRepositoryIn(t testing.TB, dir string, noSync bool) (*Repository, store.Store, Config) {
	t.Helper()
	st := newStore(t, dir, noSync)
	cfg := Config{Name: "test", Dir: filepath.Join(dir, "segments"), BaseURI: "https://rrdp.example.net/rrdp/test/"}
	if _, err := st.Update(store.Any, func(w store.Writer) error { return Create(w, cfg) }); err != nil {
		t.Fatal(err)
	}
	return reopen(t, st, cfg), st, cfg
}

func reopen(t testing.TB, st store.Store, cfg Config) *Repository {
	t.Helper()
	r, err := Open(st, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// publish prepares, commits and applies.
func publish(t testing.TB, r *Repository, st store.Store, closeSerial bool, changes ...Change) {
	t.Helper()
	b, err := r.Prepare(changes, closeSerial)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, st, b)
}

func commit(t testing.TB, st store.Store, b *Batch) {
	t.Helper()
	if _, err := st.Update(store.Any, b.Write); err != nil {
		b.Abandon()
		t.Fatal(err)
	}
	b.Apply()
}

func uri(name string) string { return "rsync://rpki.example.net/test/" + name }

// scratch is a directory and a store for one run of a property.
func scratch(t *rapid.T) (string, store.Store) {
	dir, err := os.MkdirTemp("", "rrdp")
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(filepath.Join(dir, "store"), store.Options{Create: true, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = st.Close()
		_ = os.RemoveAll(dir)
	})
	return filepath.Join(dir, "segments"), st
}
