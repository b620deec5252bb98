package store_test

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"

	"cadastre/internal/store"
)

// TestFull writes records one behind the other, as logs grow, and a whole registry between two others. The store takes little more room
// than they have bytes, however many transactions they came in.
func TestFull(t *testing.T) {
	const records, size = 20_000, 200
	value := make([]byte, size)
	behind := func(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) } // an index
	between := func(i int) []byte { return fmt.Appendf(nil, "b/%05d", i*7_919%records) }  // in no order
	for _, c := range []struct {
		name string
		key  func(i int) []byte
		at   int // in a transaction
	}{{"log", behind, 100}, {"import", behind, records}, {"registry", between, records}} {
		t.Run(c.name, func(t *testing.T) {
			st, err := store.Open(filepath.Join(t.TempDir(), "store"), store.Options{Create: true, NoSync: true})
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close() //nolint:errcheck // it is thrown away
			bucket := bucketOf("one")
			put := func(keys ...[]byte) {
				update(t, st, func(w store.Writer) error {
					for _, key := range keys {
						if err := w.Put(bucket, key, value); err != nil {
							return err
						}
					}
					return nil
				})
			}
			put([]byte{0}, []byte("c"))
			if c.name != "registry" {
				update(t, st, func(w store.Writer) error { return w.Delete(bucket, []byte("c")) })
			}
			first := st.Size()
			var keys [][]byte
			for i := range records {
				if keys = append(keys, c.key(i)); len(keys) == c.at {
					put(keys...)
					keys = nil
				}
			}
			// of a record: its key, value and checksum, and 16 bytes of bbolt
			if took, bytes := st.Size()-first, int64(records*(8+size+8+16)); took > bytes*13/10 {
				t.Errorf("%d records of %d bytes take %d", records, bytes, took)
			}
		})
	}
}

// BenchmarkUnsorted writes records in an order that is none, in one transaction: the time for each does not depend on how many there are.
func BenchmarkUnsorted(b *testing.B) {
	for _, records := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(records), func(b *testing.B) {
			bucket := bucketOf("bench")
			for b.Loop() {
				st, err := store.Open(filepath.Join(b.TempDir(), "store"), store.Options{Create: true, NoSync: true})
				if err != nil {
					b.Fatal(err)
				}
				update(b, st, func(w store.Writer) error {
					for i := range records {
						if err := w.Put(bucket, fmt.Appendf(nil, "%08d", i*7_919%records), make([]byte, 200)); err != nil {
							return err
						}
					}
					return nil
				})
				_ = st.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(records), "ns/record")
		})
	}
}

// TestCheckMemory: to check a store takes no more memory where there is more in it.
func TestCheckMemory(t *testing.T) {
	allocated := func(records int) uint64 {
		path := filepath.Join(t.TempDir(), "store")
		st, err := store.Open(path, store.Options{Create: true, NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		update(t, st, func(w store.Writer) error {
			for i := range records {
				if err := w.Put(bucketOf("one"), binary.BigEndian.AppendUint64(nil, uint64(i)), make([]byte, 300)); err != nil { // an index
					return err
				}
			}
			return nil
		})
		_ = st.Close()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := store.Check(path); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	if few, many := allocated(1000), allocated(50_000); many > few+1<<20 {
		t.Errorf("1,000 records take %d bytes, 50,000 %d", few, many)
	}
}
