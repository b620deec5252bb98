package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"cadastre/internal/fault"
)

// lockTimeout is how long to wait for another process to let go of the store.
const lockTimeout = time.Second

// Count is what a bucket has.
type Count struct {
	Bucket  string
	Records int
	Bytes   int64 // of keys and values
}

// Check reads all of the store in the file at path, and changes nothing: every page that is in use, every record with its
// checksum, and whether records are missing or double. It tells what each bucket has, by name, and fails as Open does.
//
// It reads the file by itself. bbolt panics on a damaged page, sometimes on a goroutine of its own where nobody can recover.
// So only a file that Check has found whole is given to bbolt to be written.
func Check(path string) ([]Count, error) {
	db, err := openFile(path, &bbolt.Options{Timeout: lockTimeout, ReadOnly: true}) // for its lock
	if err != nil {
		return nil, err
	}
	defer db.Close() //nolint:errcheck // it was only read
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, fault.Wrap(err, "couldn't open the store")
	}
	defer f.Close() //nolint:errcheck // it was only read
	w, err := newWalker(f)
	if err != nil {
		return nil, damaged(path, err)
	}
	buckets, err := w.buckets()
	if err != nil {
		return nil, damaged(path, err)
	}
	own, err := w.own(buckets)
	if err != nil {
		return nil, damaged(path, err)
	}
	if err := checkFormat(path, own[string(formatKey)]); err != nil {
		return nil, err
	}
	counts, err := w.count(buckets, own)
	if err != nil {
		return nil, damaged(path, err)
	}
	return counts, nil
}

// checkFormat fails unless a store's format, as it is stored, is the one that this program reads. The value of the format has
// no checksum in any format, so that every program can read it.
func checkFormat(path string, stored []byte) error {
	if len(stored) != 8 {
		return damaged(path, errors.New("it is no store of ours"))
	}
	switch format := binary.BigEndian.Uint64(stored); {
	case format > maxFormat:
		return damaged(path, fmt.Errorf("its format would be %d", format))
	case format > Format:
		return fault.New(fault.TooNew, "the store %s has format %d and this program knows up to %d: use the newer program", path, format, Format)
	case format < Format:
		return fault.New(fault.Corrupt, "the store %s has format %d, of an older program, and this one reads format %d: make a deposit with the older program and restore it with this one", path, format, Format)
	}
	return nil
}

// maxFormat is more formats than there will ever be: a larger number is damage.
const maxFormat = 1000

// own is the store's own records, by key, as they are stored.
func (w *walker) own(buckets []element) (map[string][]byte, error) {
	own := map[string][]byte{}
	for _, b := range buckets {
		if string(b.key) != metaBucket.name {
			continue
		}
		err := w.records(b, func(key, stored []byte) error {
			own[string(key)] = bytes.Clone(stored)
			return nil
		})
		return own, err
	}
	return own, nil
}

// count reads all records and compares what there is with the tallies.
func (w *walker) count(buckets []element, own map[string][]byte) ([]Count, error) {
	tallies := map[string]tally{}
	for key, stored := range own {
		if key == string(formatKey) {
			continue
		}
		value, _, err := unsealed(metaBucket.name, []byte(key), stored)
		if err != nil {
			return nil, err
		}
		if bucket, is := strings.CutPrefix(key, string(tallyKey(""))); is {
			t, ok := decodeTally(value)
			if !ok {
				return nil, fmt.Errorf("the tally of %q is none", bucket)
			}
			tallies[bucket] = t
		}
	}
	var counts []Count
	for _, b := range buckets {
		name := string(b.key)
		if name == metaBucket.name {
			continue
		}
		n, found := Count{Bucket: name}, tally{}
		err := w.records(b, func(key, stored []byte) error {
			value, sum, err := unsealed(name, key, stored)
			found.add(sum)
			n.Records, n.Bytes = n.Records+1, n.Bytes+int64(len(key)+len(value))
			return err
		})
		if err != nil {
			return nil, err
		}
		if want := tallies[name]; found != want {
			return nil, fmt.Errorf("%q has %d records, and should have %d, or others", name, found.records, want.records)
		}
		delete(tallies, name)
		counts = append(counts, n)
	}
	for name, missing := range tallies {
		if missing.records > 0 {
			return nil, fmt.Errorf("%q is missing, with %d records", name, missing.records)
		}
	}
	return counts, nil
}
