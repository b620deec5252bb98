package store_test

import (
	"testing"

	"cadastre/internal/store"
)

// The buckets of these tests.
var (
	bucketOf  = store.DeclareFamily("test/", "internal/store_test", store.Withheld("it is made up"))
	archived  = store.Declare("test archived", "internal/store_test", store.Archived)
	deposited = store.Declare("test deposited", "internal/store_test", store.Deposited)
)

func TestKinds(t *testing.T) {
	for name, want := range map[string]bool{
		"test archived": true, "test/one": true, "test/": false, "test": false, "tester/one": false, "meta": true, "": false,
	} {
		bucket, known := store.Named(name)
		if known != want || known && (bucket.String() != name || bucket.Kind().Owner == "") {
			t.Errorf("%q: %v, %v", name, known, bucket)
		}
	}
	if one, _ := store.Named("test/one"); one != bucketOf("one") || one.Kind().Escrow.Why != "it is made up" {
		t.Error("a bucket of a family is not what its function names")
	}
	got := store.Buckets(func(k store.Kind) bool { return k.Escrow.Deposited })
	if len(got) != 2 || got[0] != archived || got[1] != deposited {
		t.Errorf("deposits have %v", got)
	}
	for name, declare := range map[string]func(){
		"a bucket that is another's":       func() { store.Declare("meta", "somebody", store.Deposited) },
		"a bucket of nobody":               func() { store.Declare("test nobody's", "", store.Deposited) },
		"what is withheld for no reason":   func() { store.Declare("test unreasoned", "somebody", store.Withheld("")) },
		"a family that could be a bucket":  func() { store.DeclareFamily("test family", "somebody", store.Deposited) },
		"a family that is declared before": func() { store.DeclareFamily("test/", "somebody", store.Deposited) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s can be declared", name)
				}
			}()
			declare()
		}()
	}
}
