package store_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"cadastre/internal/fault"
	"cadastre/internal/store"
)

func TestBolt(t *testing.T) {
	testStore(t, func(t testing.TB) (store.Store, func() store.Store) {
		path := filepath.Join(t.TempDir(), "store")
		st, err := store.Open(path, store.Options{Create: true, NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		return st, func() store.Store {
			if err := st.Close(); err != nil {
				t.Fatal(err)
			}
			if st, err = store.Open(path, store.Options{NoSync: true}); err != nil {
				t.Fatal(err)
			}
			return st
		}
	})
}

// written makes a store with some pages in it, closes it, and gives its path.
func written(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store")
	st, err := store.Open(path, store.Options{Create: true, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		update(t, st, func(w store.Writer) error {
			for i := range 200 {
				if err := w.Put(bucketOf(fmt.Sprint("bucket ", i%3)), fmt.Append(nil, i), make([]byte, 150)); err != nil {
					return err
				}
			}
			return w.Put(bucketOf("large"), []byte("value"), make([]byte, 20_000))
		})
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func openFails(t *testing.T, path string, want fault.Kind, says string) {
	t.Helper()
	before, _ := os.ReadFile(path)
	st, err := store.Open(path, store.Options{})
	if err == nil {
		_ = st.Close()
	}
	if fault.KindOf(err) != want || err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), path) {
		t.Errorf("opening it says (%s) %v", fault.KindOf(err), err)
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Error("opening it changed it")
	}
}

func TestOpen(t *testing.T) {
	path := written(t)
	openFails(t, path+"-absent", fault.NotFound, "cadastre init")
	if _, err := store.Open(path, store.Options{Create: true}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("making one where one is: %v", err)
	}
	if _, err := store.Open(filepath.Join(path, "below"), store.Options{Create: true}); err == nil {
		t.Error("a store was made below a file")
	}
	held, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	openFails(t, path, fault.Busy, "in use by another process")
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	reader, err := store.Open(path, store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Update(store.Any, put("b", "k", "v")); err == nil {
		t.Error("a store that was opened to be read was written")
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDamaged(t *testing.T) {
	good, err := os.ReadFile(written(t))
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	path := filepath.Join(t.TempDir(), "store")
	damage := func(name string, want fault.Kind, says string, change func([]byte) []byte) {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, change(append([]byte(nil), good...)), 0o600); err != nil {
				t.Fatal(err)
			}
			openFails(t, path, want, says)
		})
	}
	damage("empty", fault.Corrupt, "is empty", func([]byte) []byte { return nil })
	damage("text", fault.Corrupt, "damaged", func([]byte) []byte { return []byte(strings.Repeat("this is no store\n", 1000)) })
	damage("both metas", fault.Corrupt, "damaged", func(b []byte) []byte { clear(b[:2*page]); return b })
	for _, size := range []int{1, 100, page, 2 * page, 3 * page, 5*page + 17} {
		damage(fmt.Sprint("cut to ", size), fault.Corrupt, "damaged", func(b []byte) []byte { return b[:size] })
	}
	damage("another's", fault.Corrupt, "no store of ours", func([]byte) []byte {
		other := filepath.Join(t.TempDir(), "other")
		db, err := bbolt.Open(other, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(other)
		if err != nil {
			t.Fatal(err)
		}
		return text
	})
	damage("newer", fault.TooNew, "use the newer program", func([]byte) []byte {
		newer := written(t)
		db, err := bbolt.Open(newer, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("meta")).Put([]byte("format"), binary.BigEndian.AppendUint64(nil, store.Format+1))
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(newer)
		if err != nil {
			t.Fatal(err)
		}
		return text
	})
}

// TestDamagedPages overwrites each page in turn: the store opens as it was, or not at all; it never panics, and never
// shows another state.
func TestDamagedPages(t *testing.T) {
	good, err := os.ReadFile(written(t))
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	path := filepath.Join(t.TempDir(), "store")
	random := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for at := 0; at+page <= len(good); at += page {
		used := false
		for _, b := range good[at : at+page] {
			used = used || b != 0
		}
		if !used {
			continue
		}
		for _, fill := range []func(int) byte{
			func(int) byte { return 0 }, func(int) byte { return 255 }, func(int) byte { return byte(random.Uint32()) },
			func(i int) byte { // a page whose number is right and whose counts are not
				if i < 10 {
					return good[at+i]
				}
				return 255
			},
		} {
			bad := append([]byte(nil), good...)
			for i := range page {
				bad[at+i] = fill(i)
			}
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			st, err := store.Open(path, store.Options{NoSync: true})
			if err != nil {
				if fault.KindOf(err) != fault.Corrupt {
					t.Errorf("page %d: (%s) %v", at/page, fault.KindOf(err), err)
				}
				refused++
				continue
			}
			if st.Revision() > 3 {
				t.Errorf("page %d: it is at revision %d", at/page, st.Revision())
			}
			_ = st.Close()
		}
	}
	if refused < 20 {
		t.Errorf("only %d damaged stores were refused", refused)
	}
}

// TestCutUnderneath has the file cut short while it is open: reading what is gone is an error, and no crash.
func TestCutUnderneath(t *testing.T) {
	path := written(t)
	st, err := store.Open(path, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close() //nolint:errcheck // it is broken by then
	if err := os.Truncate(path, 3*4096); err != nil {
		t.Fatal(err)
	}
	err = st.View(func(r store.Reader) error {
		for i := range 3 {
			for _, err := range r.Scan(bucketOf(fmt.Sprint("bucket ", i)), nil) {
				_ = err // View returns it all the same
			}
		}
		return nil
	})
	if fault.KindOf(err) != fault.Corrupt {
		t.Errorf("reading it says (%s) %v", fault.KindOf(err), err)
	}
}

// TestFlippedBits flips bits of a store at random. It opens with all that was in it, or is refused as damaged.
func TestFlippedBits(t *testing.T) {
	path := written(t)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := all(t, path)
	random := rand.New(rand.NewPCG(12, 6))
	refused := 0
	for trial := range 400 {
		bad := append([]byte(nil), good...)
		for range 1 + 5*(trial%2) { // one or six
			bad[random.IntN(len(bad))] ^= 1 << random.IntN(8)
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		st, err := store.Open(path, store.Options{NoSync: true})
		if err != nil {
			if refused++; fault.KindOf(err) != fault.Corrupt || !strings.Contains(err.Error(), path) {
				t.Errorf("trial %d: (%s) %v", trial, fault.KindOf(err), err)
			}
			continue
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		if got := all(t, path); got != want {
			t.Fatalf("trial %d: it is another store, and nothing says so", trial)
		}
	}
	if refused < 100 {
		t.Errorf("only %d damaged stores were refused", refused)
	}
}

// all is all that is in a store, as text.
func all(t *testing.T, path string) string {
	t.Helper()
	st, err := store.Open(path, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close() //nolint:errcheck // it was only read
	var text strings.Builder
	err = st.View(func(r store.Reader) error {
		fmt.Fprintln(&text, "revision", r.Revision())
		for _, bucket := range []string{"bucket 0", "bucket 1", "bucket 2", "large"} {
			fmt.Fprintf(&text, "%s: %q\n", bucket, scan(t, r, bucket, ""))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// TestStuck damages an open store so that bbolt panics while it has its locks. Whoever comes later is told, and none waits for ever.
func TestStuck(t *testing.T) {
	reading := func(st store.Store) error { return st.View(func(store.Reader) error { return nil }) }
	writing := func(st store.Store) error { _, err := st.Update(store.Any, put("bucket 1", "a", "b")); return err }
	for name, first := range map[string]func(store.Store) error{"reading": reading, "writing": writing} {
		t.Run(name, func(t *testing.T) {
			path := written(t)
			st, err := store.Open(path, store.Options{NoSync: true})
			if err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt(make([]byte, 2*os.Getpagesize()), 0); err != nil { // the two pages that say where all else is
				t.Fatal(err)
			}
			_ = f.Close()
			for what, err := range []error{first(st), reading(st), writing(st), st.Close()} { // in this order
				if fault.KindOf(err) != fault.Corrupt || !strings.Contains(err.Error(), path) {
					t.Errorf("call %d: (%s) %v", what, fault.KindOf(err), err)
				}
			}
		})
	}
}

// TestFlippedUnderneath flips bits of a store while it is open. What is read is what was written, or an error that says what
// is damaged; it never panics.
func TestFlippedUnderneath(t *testing.T) {
	path := written(t)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(6, 12))
	seen := 0
	for trial := range 100 {
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
		st, err := store.Open(path, store.Options{NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		bad := append([]byte(nil), good...)
		for range 6 {
			bad[random.IntN(len(bad))] ^= 1 << random.IntN(8)
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(bad, 0); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		for i := range 3 {
			err = st.View(func(r store.Reader) error {
				for record, err := range r.Scan(bucketOf(fmt.Sprint("bucket ", i)), nil) {
					if err != nil {
						return err
					}
					if string(record.Value) != string(make([]byte, 150)) {
						t.Errorf("trial %d: %s has another value", trial, record.Key)
					}
				}
				return nil
			})
			if err != nil {
				if seen++; fault.KindOf(err) != fault.Corrupt || !strings.Contains(err.Error(), path) {
					t.Errorf("trial %d: (%s) %v", trial, fault.KindOf(err), err)
				}
			}
		}
		if _, err := st.Update(store.Any, put("bucket 1", "a", "b")); err != nil && fault.KindOf(err) != fault.Corrupt {
			t.Errorf("trial %d: writing says (%s) %v", trial, fault.KindOf(err), err)
		}
		_ = st.Close()
	}
	if seen < 20 {
		t.Errorf("only %d damages were seen", seen)
	}
}

// TestChecksums changes stored values as somebody would who does not know of checksums: the error names bucket and key.
func TestChecksums(t *testing.T) {
	for name, change := range map[string]func(b *bbolt.Bucket) error{
		"a value is another": func(b *bbolt.Bucket) error {
			stored := append([]byte(nil), b.Get([]byte("7"))...)
			stored[3]++
			return b.Put([]byte("7"), stored)
		},
		"it is another's":  func(b *bbolt.Bucket) error { return b.Put([]byte("7"), append([]byte(nil), b.Get([]byte("10"))...)) },
		"it is too short":  func(b *bbolt.Bucket) error { return b.Put([]byte("7"), []byte("short")) },
		"it has no record": func(b *bbolt.Bucket) error { return b.Put([]byte("7"), nil) },
	} {
		path := written(t)
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Update(func(tx *bbolt.Tx) error { return change(tx.Bucket([]byte("test/bucket 1"))) }); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		t.Log(name)
		openFails(t, path, fault.Corrupt, `the record "7" of "test/bucket 1" does not fit its checksum`)
	}
	for name, change := range map[string]func(tx *bbolt.Tx) error{
		"a record is missing": func(tx *bbolt.Tx) error { return tx.Bucket([]byte("test/bucket 1")).Delete([]byte("7")) },
		"a bucket is missing": func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("test/bucket 1")) },
	} {
		path := written(t)
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Update(change); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		t.Log(name)
		openFails(t, path, fault.Corrupt, `"test/bucket 1"`)
	}
}
