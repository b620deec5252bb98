package store_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"cadastre/internal/store"
)

const benchRecords = 20_000

// BenchmarkRead reads records of 300 bytes: as the store does, with checksums, and as bbolt does, without.
func BenchmarkRead(b *testing.B) {
	path := filepath.Join(b.TempDir(), "store")
	st, err := store.Open(path, store.Options{Create: true, NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	bucket := bucketOf("bench")
	update(b, st, func(w store.Writer) error { return fillBench(func(k, v []byte) error { return w.Put(bucket, k, v) }) })
	b.Run("checksums", func(b *testing.B) {
		for b.Loop() {
			_ = st.View(func(r store.Reader) error {
				for _, err := range r.Scan(bucket, nil) {
					if err != nil {
						b.Fatal(err)
					}
				}
				return nil
			})
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRecords, "ns/record")
	})
	_ = st.Close()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // it was only read
	b.Run("bbolt", func(b *testing.B) {
		for b.Loop() {
			_ = db.View(func(tx *bbolt.Tx) error {
				return tx.Bucket([]byte(bucket.String())).ForEach(func(_, _ []byte) error { return nil })
			})
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRecords, "ns/record")
	})
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			if _, err := store.Check(path); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRecords, "ns/record")
	})
}

// BenchmarkWrite writes the same in one transaction, without waiting for the disk.
func BenchmarkWrite(b *testing.B) {
	bucket := bucketOf("bench")
	b.Run("checksums", func(b *testing.B) {
		st, err := store.Open(filepath.Join(b.TempDir(), "store"), store.Options{Create: true, NoSync: true})
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			update(b, st, func(w store.Writer) error { return fillBench(func(k, v []byte) error { return w.Put(bucket, k, v) }) })
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRecords, "ns/record")
		_ = st.Close()
	})
	b.Run("bbolt", func(b *testing.B) {
		db, err := bbolt.Open(filepath.Join(b.TempDir(), "raw"), 0o600, &bbolt.Options{NoSync: true, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			err := db.Update(func(tx *bbolt.Tx) error {
				in, err := tx.CreateBucketIfNotExists([]byte(bucket.String()))
				if err != nil {
					return err
				}
				return fillBench(in.Put)
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRecords, "ns/record")
		_ = db.Close()
	})
}

func fillBench(put func(k, v []byte) error) error {
	for i := range benchRecords {
		if err := put(fmt.Appendf(nil, "organisation-%06d/%d", i, i%7), fmt.Appendf(nil, "%0300d", i)); err != nil {
			return err
		}
	}
	return nil
}
