package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// testStore is what any Store has to keep to. open gives an empty one, and reopen one on what another left.
func testStore(t *testing.T, open func(testing.TB) (st store.Store, reopen func() store.Store)) {
	for name, test := range map[string]func(*testing.T, store.Store, func() store.Store){
		"values": testValues, "revisions": testRevisions, "conflict": testConflict, "failure": testFailure,
		"panic": testPanic, "isolation": testIsolation, "concurrent": testConcurrent,
	} {
		t.Run(name, func(t *testing.T) {
			st, reopen := open(t)
			test(t, st, reopen)
		})
	}
	t.Run("model", func(t *testing.T) {
		rapid.Check(t, func(r *rapid.T) {
			st, reopen := open(t)
			testModel(r, st, reopen)
		})
	})
}

func update(t testing.TB, st store.Store, fn func(store.Writer) error) store.Revision {
	t.Helper()
	revision, err := st.Update(store.Any, fn)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

func put(bucket, key, value string) func(store.Writer) error {
	return func(w store.Writer) error { return w.Put(bucketOf(bucket), []byte(key), []byte(value)) }
}

func get(t testing.TB, st store.Store, bucket, key string) (value string) {
	t.Helper()
	err := st.View(func(r store.Reader) error { value = valueIn(t, r, bucket, key); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// failer is what testing and rapid have in common.
type failer interface {
	Helper()
	Fatal(...any)
}

func valueIn(t failer, r store.Reader, bucket, key string) string {
	t.Helper()
	value, err := r.Get(bucketOf(bucket), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return string(value)
}

func scan(t failer, r store.Reader, bucket, prefix string) (all []string) {
	t.Helper()
	for record, err := range r.Scan(bucketOf(bucket), []byte(prefix)) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(record.Key)+"="+string(record.Value))
	}
	return all
}

func testValues(t *testing.T, st store.Store, reopen func() store.Store) {
	update(t, st, func(w store.Writer) error {
		for _, key := range []string{"b", "a/2", "a/1", "a", "c\x00", "\xff"} {
			if err := w.Put(bucketOf("one"), []byte(key), []byte("value of "+key)); err != nil {
				return err
			}
		}
		if valueIn(t, w, "one", "b") == "" || valueIn(t, w, "two", "b") != "" {
			t.Error("a writer does not see what it wrote, or sees what it did not")
		}
		return w.Put(bucketOf("two"), []byte("empty"), nil)
	})
	st = reopen()
	err := st.View(func(r store.Reader) error {
		if got := scan(t, r, "one", "a"); !slices.Equal(got, []string{"a=value of a", "a/1=value of a/1", "a/2=value of a/2"}) {
			t.Errorf("below a: %q", got)
		}
		if got := scan(t, r, "one", ""); len(got) != 6 || got[5] != "\xff=value of \xff" {
			t.Errorf("all: %q", got)
		}
		if got := scan(t, r, "nowhere", ""); got != nil {
			t.Errorf("a bucket that is not there has %q", got)
		}
		if valueIn(t, r, "nowhere", "a") != "" || valueIn(t, r, "one", "absent") != "" {
			t.Error("what is not there has a value")
		}
		for _, err := range r.Scan(bucketOf("one"), nil) {
			if err != nil {
				t.Error(err)
			}
			break // a scan may be left
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	update(t, st, func(w store.Writer) error {
		return errors.Join(w.Delete(bucketOf("one"), []byte("a")), w.Delete(bucketOf("one"), []byte("absent")), w.Delete(bucketOf("nowhere"), []byte("a")))
	})
	if got := get(t, st, "one", "a"); got != "" {
		t.Errorf("what was deleted is %q", got)
	}
	if st.Size() <= 0 {
		t.Error("it takes no room")
	}
}

func testRevisions(t *testing.T, st store.Store, reopen func() store.Store) {
	if st.Revision() != 0 {
		t.Fatalf("a new store is at revision %d", st.Revision())
	}
	for want := store.Revision(1); want <= 5; want++ {
		got := update(t, st, func(w store.Writer) error {
			if w.Revision() != want {
				t.Errorf("within the change the revision is %d", w.Revision())
			}
			return w.Put(bucketOf("b"), []byte("k"), fmt.Append(nil, want))
		})
		if got != want || st.Revision() != want {
			t.Fatalf("the revision is %d and %d, not %d", got, st.Revision(), want)
		}
	}
	st = reopen()
	if st.Revision() != 5 || get(t, st, "b", "k") != "5" {
		t.Fatalf("after opening it again it is at revision %d", st.Revision())
	}
	if err := st.View(func(r store.Reader) error {
		if r.Revision() != 5 {
			t.Errorf("a reader is at revision %d", r.Revision())
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func testConflict(t *testing.T, st store.Store, _ func() store.Store) {
	at := update(t, st, put("b", "k", "1"))
	if _, err := st.Update(at, put("b", "k", "2")); err != nil {
		t.Fatal(err)
	}
	for _, stale := range []store.Revision{at, at + 2} {
		ran := false
		_, err := st.Update(stale, func(store.Writer) error { ran = true; return nil })
		if fault.KindOf(err) != fault.Conflict || ran {
			t.Errorf("a change at revision %d: %v, ran: %v", stale, err, ran)
		}
	}
	if got := get(t, st, "b", "k"); got != "2" || st.Revision() != at+1 {
		t.Errorf("after a conflict it is %q at revision %d", got, st.Revision())
	}
}

func testFailure(t *testing.T, st store.Store, reopen func() store.Store) {
	at := update(t, st, put("b", "k", "1"))
	failure := errors.New("it was not meant")
	_, err := st.Update(store.Any, func(w store.Writer) error {
		return errors.Join(put("b", "k", "2")(w), put("new", "k", "2")(w), failure)
	})
	if !errors.Is(err, failure) {
		t.Errorf("the error is %v", err)
	}
	if err := st.View(func(store.Reader) error { return failure }); !errors.Is(err, failure) {
		t.Errorf("a reader's error is %v", err)
	}
	for range 2 {
		if got := get(t, st, "b", "k"); got != "1" || get(t, st, "new", "k") != "" || st.Revision() != at {
			t.Errorf("after a failure it is %q at revision %d", got, st.Revision())
		}
		st = reopen()
	}
}

// testPanic checks that a panic of a caller goes on to the caller, and neither changes nor blocks the store.
func testPanic(t *testing.T, st store.Store, _ func() store.Store) {
	at := update(t, st, put("b", "k", "1"))
	for name, fn := range map[string]func(){
		"update": func() {
			_, _ = st.Update(store.Any, func(w store.Writer) error {
				_ = put("b", "k", "2")(w)
				panic("mine")
			})
		},
		"view": func() { _ = st.View(func(store.Reader) error { panic("mine") }) },
		"scan": func() {
			_ = st.View(func(r store.Reader) error {
				for _, err := range r.Scan(bucketOf("b"), nil) {
					if err == nil {
						panic("mine")
					}
				}
				return nil
			})
		},
	} {
		func() {
			defer func() {
				if p := recover(); p != "mine" {
					t.Errorf("%s: the panic is %v", name, p)
				}
			}()
			fn()
		}()
	}
	if got := get(t, st, "b", "k"); got != "1" || st.Revision() != at {
		t.Errorf("after a panic it is %q at revision %d", got, st.Revision())
	}
	update(t, st, put("b", "k", "3"))
}

// testIsolation checks that a reader goes on seeing the state that it began with.
func testIsolation(t *testing.T, st store.Store, _ func() store.Store) {
	update(t, st, put("b", "k", "1"))
	err := st.View(func(r store.Reader) error {
		done := make(chan struct{})
		go func() {
			defer close(done)
			update(t, st, put("b", "k", "2"))
		}()
		<-done
		if got := valueIn(t, r, "b", "k"); got != "1" || r.Revision() != 1 || st.Revision() != 2 {
			t.Errorf("the reader sees %q at revision %d of %d", got, r.Revision(), st.Revision())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// testConcurrent has many count at once, each time on the revision that it read: none may be lost.
func testConcurrent(t *testing.T, st store.Store, _ func() store.Store) {
	const writers, each = 8, 20
	update(t, st, func(store.Writer) error { return nil }) // before the first revision there is none to expect
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for done := 0; done < each; {
				var n int
				var at store.Revision
				err := st.View(func(r store.Reader) error {
					at = r.Revision()
					text, err := r.Get(bucketOf("b"), []byte("n"))
					if text != nil {
						_, err = fmt.Sscan(string(text), &n)
					}
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				switch _, err := st.Update(at, put("b", "n", fmt.Sprint(n+1))); {
				case err == nil:
					done++
				case fault.KindOf(err) != fault.Conflict:
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	if got := get(t, st, "b", "n"); got != fmt.Sprint(writers*each) {
		t.Errorf("%d were counted as %s", writers*each, got)
	}
}

// testModel does the same to a store and to maps.
func testModel(t *rapid.T, st store.Store, reopen func() store.Store) {
	model := map[string]map[string]string{}
	key := rapid.StringOfN(rapid.RuneFrom([]rune("ab/")), 1, 4, -1)
	for range rapid.IntRange(1, 12).Draw(t, "revisions") {
		fails := rapid.IntRange(0, 3).Draw(t, "fails") == 0
		next := map[string]map[string]string{}
		for name, bucket := range model {
			next[name] = maps.Clone(bucket)
		}
		_, err := st.Update(store.Any, func(w store.Writer) error {
			for range rapid.IntRange(0, 8).Draw(t, "changes") {
				name, k := rapid.SampledFrom([]string{"one", "two"}).Draw(t, "bucket"), key.Draw(t, "key")
				if next[name] == nil {
					next[name] = map[string]string{}
				}
				if rapid.Bool().Draw(t, "delete") {
					delete(next[name], k)
					if err := w.Delete(bucketOf(name), []byte(k)); err != nil {
						return err
					}
					continue
				}
				next[name][k] = rapid.String().Draw(t, "value")
				if err := w.Put(bucketOf(name), []byte(k), []byte(next[name][k])); err != nil {
					return err
				}
			}
			if fails {
				return errors.New("as drawn")
			}
			return nil
		})
		if (err != nil) != fails {
			t.Fatal(err)
		}
		if !fails {
			model = next
		}
		if rapid.IntRange(0, 5).Draw(t, "reopen") == 0 {
			st = reopen()
		}
		compare(t, st, model, key.Draw(t, "prefix"))
	}
}

func compare(t *rapid.T, st store.Store, model map[string]map[string]string, prefix string) {
	err := st.View(func(r store.Reader) error {
		for _, name := range []string{"one", "two"} {
			var want []string
			for k, v := range model[name] {
				if bytes.HasPrefix([]byte(k), []byte(prefix)) {
					want = append(want, k+"="+v)
				}
				if got := valueIn(t, r, name, k); got != v {
					t.Fatalf("%s/%s is %q, not %q", name, k, got, v)
				}
			}
			got := scan(t, r, name, prefix)
			slices.Sort(want)
			sorted := slices.Clone(got)
			slices.Sort(sorted)
			if !slices.Equal(sorted, want) {
				t.Fatalf("%s below %q has %q, not %q", name, prefix, got, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
