package store

import (
	"maps"
	"slices"
	"strings"
)

// Kind is one kind of records: where they are kept, by whom, and what deposits do with them. The package that keeps them
// declares it in a variable, once, and no bucket can be read or written without such a declaration.
type Kind struct {
	Bucket string // the name of its bucket; of a family, what the names begin with, as "rrdp/"
	Owner  string // the package that reads and writes it
	Escrow Escrow
}

// Escrow is what deposits do with a kind of records.
type Escrow struct {
	Deposited bool   // deposits have it
	TakenOver bool   // an installation that is made from a deposit takes it over as it is
	Why       string // why deposits do not have it
}

// What deposits do with records, besides Withheld.
var (
	Deposited = Escrow{Deposited: true, TakenOver: true}
	Archived  = Escrow{Deposited: true} // an installation that is made from a deposit does not take it over
)

// Withheld is for records that deposits never have.
func Withheld(why string) Escrow { return Escrow{Why: why} }

// Bucket is where the records of a declared kind are kept.
type Bucket struct {
	name string
	kind *Kind
}

// String is the name of the bucket.
func (b Bucket) String() string { return b.name }

// Kind is what was declared of the records in the bucket.
func (b Bucket) Kind() Kind { return *b.kind }

// declared is filled while the program's packages are initialised, and not changed after.
var declared = map[string]*Kind{}

// Declare declares a kind of records that has one bucket. It panics on a mistake of the programmer: when the bucket is
// another kind's, has no owner, or is withheld from deposits without a reason.
func Declare(bucket, owner string, escrow Escrow) Bucket {
	switch {
	case bucket == "" || owner == "" || escrow.Deposited != (escrow.Why == ""):
		panic("store: the kind of records " + bucket + " needs a bucket, an owner, and a reason if it is withheld from deposits")
	case declared[bucket] != nil:
		panic("store: the bucket " + bucket + " is declared twice")
	}
	kind := &Kind{bucket, owner, escrow}
	declared[bucket] = kind
	return Bucket{bucket, kind}
}

// DeclareFamily declares a kind of records that has a bucket for each of several names, and gives the function that names
// one of them.
func DeclareFamily(prefix, owner string, escrow Escrow) func(name string) Bucket {
	if !strings.HasSuffix(prefix, "/") {
		panic("store: the family of buckets " + prefix + " needs a slash at its end")
	}
	family := Declare(prefix, owner, escrow)
	return func(name string) Bucket { return Bucket{prefix + name, family.kind} }
}

// Named finds a bucket of a declared kind by its name.
func Named(name string) (Bucket, bool) {
	kind := declared[name]
	if at := strings.IndexByte(name, '/'); at >= 0 {
		if kind = declared[name[:at+1]]; at+1 == len(name) {
			return Bucket{}, false
		}
	}
	return Bucket{name, kind}, kind != nil
}

// Buckets lists the buckets of the declared kinds for which take is true, by name. Families are not among them.
func Buckets(take func(Kind) bool) []Bucket {
	var out []Bucket
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		if !strings.HasSuffix(name, "/") && take(*declared[name]) {
			out = append(out, Bucket{name, declared[name]})
		}
	}
	return out
}
