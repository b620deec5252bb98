package plan

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"cadastre/internal/store"
)

// memory is a store in a map, for a ledger and a book.
type memory map[string][]byte

func (m memory) Revision() store.Revision { return store.Any }
func (m memory) Get(bucket store.Bucket, key []byte) ([]byte, error) {
	return m[bucket.String()+"\x00"+string(key)], nil
}

func (m memory) Put(bucket store.Bucket, key, value []byte) error {
	m[bucket.String()+"\x00"+string(key)] = value
	return nil
}

func (m memory) Delete(bucket store.Bucket, key []byte) error {
	delete(m, bucket.String()+"\x00"+string(key))
	return nil
}

func (m memory) Scan(bucket store.Bucket, prefix []byte) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if rest, ok := strings.CutPrefix(key, bucket.String()+"\x00"); ok && strings.HasPrefix(rest, string(prefix)) && !yield(store.Record{Key: []byte(rest), Value: m[key]}, nil) {
				return
			}
		}
	}
}
