package holdings_test

import (
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"cadastre/holdings"
	"cadastre/internal/principal"
	"cadastre/internal/store"
)

// memory is a store.Writer in a map, for tests that need many.
type memory map[string][]byte

func (m memory) Revision() store.Revision { return 1 }

func (m memory) Get(bucket store.Bucket, key []byte) ([]byte, error) {
	return m[bucket.String()+"/"+string(key)], nil
}

func (m memory) Put(bucket store.Bucket, key, value []byte) error {
	m[bucket.String()+"/"+string(key)] = value
	return nil
}

func (m memory) Delete(bucket store.Bucket, key []byte) error {
	delete(m, bucket.String()+"/"+string(key))
	return nil
}

func (m memory) Scan(bucket store.Bucket, prefix []byte) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if in, found := strings.CutPrefix(key, bucket.String()+"/"); found && strings.HasPrefix(in, string(prefix)) {
				if !yield(store.Record{Key: []byte(in), Value: m[key]}, nil) {
					return
				}
			}
		}
	}
}

func ledgerOf(t testing.TB, tree []holdings.Organisation) *holdings.Ledger {
	m := memory{}
	if err := holdings.Create(m, tree, principal.Principal{Name: "tester"}, noon); err != nil {
		t.Fatal(err)
	}
	l, err := holdings.Load(m)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLoadSaysWhatIsDamaged(t *testing.T) {
	tree, err := holdings.ParseTree([]byte(world))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holdings.Load(memory{}); err == nil || !strings.Contains(err.Error(), "cadastre init") {
		t.Errorf("without a ledger: %v", err)
	}
	for _, key := range []string{"organisation/lacnic", "organisation/iana", "ledger/counters", "delegation/\x00\x00\x00\x00\x00\x00\x00\x01"} {
		m := memory{}
		if err := holdings.Create(m, tree, principal.Principal{Name: "tester"}, noon); err != nil {
			t.Fatal(err)
		}
		m[key] = []byte(`{"handle": "x`)
		if _, err := holdings.Load(m); err == nil || !strings.Contains(err.Error(), "restore it from a backup") {
			t.Errorf("with %s damaged: %v", key, err)
		}
	}
}

// named is a declared bucket.
func named(name string) store.Bucket {
	bucket, known := store.Named(name)
	if !known {
		panic("no bucket " + name + " is declared")
	}
	return bucket
}
