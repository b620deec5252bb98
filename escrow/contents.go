package escrow

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"cadastre/holdings"
	"cadastre/internal/intents"
	"cadastre/internal/store"
)

// contents is a state in memory: by bucket and key. It is a store.Reader, so that the ledger and the book load from it as
// they do from the store.
type contents struct {
	buckets map[string]map[string][]byte
	sorted  map[string][]string // keys by bucket; made when they are asked for
	objects int
}

func newContents() *contents {
	return &contents{buckets: map[string]map[string][]byte{}, sorted: map[string][]string{}}
}

func (c *contents) put(bucket, key string, value []byte) {
	if c.buckets[bucket] == nil {
		c.buckets[bucket] = map[string][]byte{}
	}
	c.buckets[bucket][key] = value
	delete(c.sorted, bucket)
}

// remove takes a key away; false where it is not there.
func (c *contents) remove(bucket, key string) bool {
	_, there := c.buckets[bucket][key]
	delete(c.buckets[bucket], key)
	delete(c.sorted, bucket)
	return there
}

// sort makes the contents ready to be scanned, by several at once.
func (c *contents) sort() {
	for bucket, values := range c.buckets {
		if c.sorted[bucket] == nil {
			c.sorted[bucket] = slices.Sorted(maps.Keys(values))
		}
	}
}

// Get, Scan and Revision implement store.Reader.
func (c *contents) Get(bucket store.Bucket, key []byte) ([]byte, error) {
	return c.buckets[bucket.String()][string(key)], nil
}

func (c *contents) Scan(bucket store.Bucket, prefix []byte) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		keys, values := c.sorted[bucket.String()], c.buckets[bucket.String()]
		at, _ := slices.BinarySearch(keys, string(prefix))
		for ; at < len(keys) && strings.HasPrefix(keys[at], string(prefix)); at++ {
			if !yield(store.Record{Key: []byte(keys[at]), Value: values[keys[at]]}, nil) {
				return
			}
		}
	}
}

func (c *contents) Revision() store.Revision { return 0 }

func (c *contents) sum() (s Sum) {
	for bucket, values := range c.buckets {
		if n := s.count(bucket); n != nil {
			*n += len(values) // several kinds of records are intents
		}
	}
	s.Log = logOf(c, uint64(s.Decisions)) // #nosec G115 -- a count
	return s
}

// logOf is the hash of the newest decision, zero where there is none that could be it.
func logOf(r store.Reader, newest uint64) (h Hash) {
	if head, err := holdings.HeadAt(r, newest); err == nil {
		_ = h.UnmarshalText([]byte(head.SHA256)) // it is a hash
	}
	return h
}

// count is where the records of a bucket are counted, nil where they are not.
func (s *Sum) count(bucket string) *int {
	switch bucket {
	case "organisation":
		return &s.Organisations
	case "delegation":
		return &s.Delegations
	case "intent":
		return &s.Intents
	case "decision":
		return &s.Decisions
	case "child":
		return &s.Children
	}
	if intents.Kept(bucket) {
		return &s.Intents
	}
	return nil
}
