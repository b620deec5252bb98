package rrdp

import (
	"bytes"
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

// TestReplacedWithinOneSerial: versions that came and went within one serial are in no snapshot and no delta, and their room
// is free at the next compaction, before the serial is closed and after it.
func TestReplacedWithinOneSerial(t *testing.T) {
	_, st, cfg := newRepositoryIn(t, t.TempDir(), true)
	cfg.segmentSize = 100_000
	r := reopen(t, st, cfg)
	publish(t, r, st, true, Change{URI: uri("a.roa"), Object: made(10_000)}, Change{URI: uri("b.roa"), Object: made(10_000)})
	for round := range 3 {
		var last []byte
		for range 100 {
			last = made(10_000)
			publish(t, r, st, false, Change{URI: uri("a.roa"), Object: last})
		}
		publish(t, r, st, round == 1, Change{URI: uri("c.roa"), Object: made(10_000)})
		b, err := r.Compact()
		if err != nil || b == nil {
			t.Fatalf("compacting gives %v, %v", b, err)
		}
		commit(t, st, b)
		if _, disk := r.Bytes(); disk > 400_000 { // 100 versions take more than two million
			t.Errorf("round %d: the segments have %d bytes", round, disk)
		}
		if n := len(r.index.entries); n > 10 {
			t.Errorf("round %d: %d entries are known", round, n)
		}
		r = reopen(t, st, cfg)
		if got, ok := r.Get(uri("a.roa")); !ok || !bytes.Equal(got, last) {
			t.Errorf("round %d: the newest version is another", round)
		}
	}
	publish(t, r, st, true, Change{URI: uri("d.roa"), Object: made(100)})
	r = reopen(t, st, cfg) // which holds the hashes against what was announced
	if err := r.verify(); err != nil {
		t.Error(err)
	}
}
