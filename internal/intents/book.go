// Package intents is what all kinds of intents have in common: how they are kept, found, changed, ended by their date, and read from
// files. What an intent says, and which are allowed, is the business of the package of its kind.
package intents

import (
	"cmp"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// Intent is an intent of a kind I: something that a holder authorises.
type Intent[I any] interface {
	Owner() string   // handle of the holder
	Compare(I) int   // among the intents of one holder, in the order of their keys; 0: the two are the same one
	Key() []byte     // the holder, a zero byte, and what tells its intents apart
	Ends() time.Time // when it ends by itself; zero: never
	BroughtBy() uint64
}

// Book is all intents of a kind, whether or not they are authorised. It has no lock: the caller keeps Apply apart from everything
// else.
type Book[I Intent[I]] struct {
	of     map[string][]I // by holder, in the order of Compare
	ending map[string]I   // by key, those that end by themselves
	count  int
}

// Change is a change of intents of one kind that is resolved and not yet made. An intent that is replaced is in both lists.
type Change[I Intent[I]] struct {
	Added      []I
	Removed    []I
	Duplicates int // that were asked for and are there already, or were asked for twice
}

// Load reads a book of intents that are kept as JSON in a bucket. A store without one has an empty one. It fails with Corrupt.
func Load[I Intent[I]](r store.Reader, bucket store.Bucket) (*Book[I], error) {
	b := newBook[I]()
	err := b.read(r, bucket, func(record []byte) (in I, err error) { return in, json.Unmarshal(record, &in) })
	return b, err
}

func newBook[I Intent[I]]() *Book[I] { return &Book[I]{of: map[string][]I{}, ending: map[string]I{}} }

// read adds the intents of a bucket.
func (b *Book[I]) read(r store.Reader, bucket store.Bucket, decode func([]byte) (I, error)) error {
	for record, err := range r.Scan(bucket, nil) {
		if err != nil {
			return err
		}
		in, err := decode(record.Value)
		if err != nil {
			return fault.New(fault.Corrupt, "an intent is damaged (%w): restore the store from a backup", err)
		}
		b.of[in.Owner()] = append(b.of[in.Owner()], in)
		b.setEnd(in)
		b.count++
	}
	for _, list := range b.of {
		slices.SortFunc(list, I.Compare)
	}
	return nil
}

// Len is how many intents there are.
func (b *Book[I]) Len() int { return b.count }

// Everyone yields the holders that have intents, in no order.
func (b *Book[I]) Everyone() iter.Seq[string] { return maps.Keys(b.of) }

// All is all intents, in no order of their holders.
func (b *Book[I]) All() iter.Seq[I] {
	return func(yield func(I) bool) {
		for _, list := range b.of {
			for _, in := range list {
				if !yield(in) {
					return
				}
			}
		}
	}
}

// Of is the intents of a holder, in order. It must not be changed.
func (b *Book[I]) Of(holder string) []I { return b.of[holder] }

// Find is the intent in the book that is the same one as in (Compare is 0), and whether there is one.
func (b *Book[I]) Find(in I) (I, bool) {
	list := b.of[in.Owner()]
	at, found := slices.BinarySearchFunc(list, in, I.Compare)
	if !found {
		var none I
		return none, false
	}
	return list[at], true
}

// With is the intents of a holder as they are after a change that is about this holder alone.
func (b *Book[I]) With(holder string, c Change[I]) []I {
	if c.Empty() {
		return b.of[holder]
	}
	gone := make(map[string]bool, len(c.Removed))
	for _, in := range c.Removed {
		gone[string(in.Key())] = true
	}
	list := slices.DeleteFunc(slices.Clone(b.of[holder]), func(in I) bool { return gone[string(in.Key())] })
	return append(list, c.Added...)
}

// Brought is the intents of a holder that a transfer brought, in order.
func (b *Book[I]) Brought(holder string, transfer uint64) []I {
	var list []I
	for _, in := range b.of[holder] {
		if in.BroughtBy() == transfer {
			list = append(list, in)
		}
	}
	return list
}

// NextEnd is when the next intent ends by itself, zero where none does.
func (b *Book[I]) NextEnd() time.Time {
	var next time.Time
	for _, in := range b.ending {
		if next.IsZero() || in.Ends().Before(next) {
			next = in.Ends()
		}
	}
	return next
}

// End resolves that the intents whose date has come end.
func (b *Book[I]) End(now time.Time) Change[I] {
	var c Change[I]
	for _, in := range b.ending {
		if !in.Ends().After(now) {
			c.Removed = append(c.Removed, in)
		}
	}
	slices.SortFunc(c.Removed, compareAll[I])
	return c
}

// Bring resolves that intents come with a transfer. An intent that is there already stays as it is, unless it ends before the one that comes.
func (b *Book[I]) Bring(brought []I) Change[I] {
	t := b.Taking()
	for _, in := range brought {
		t.Take(in, false)
	}
	return t.Change
}

// Taking builds a change from one intent after the other.
type Taking[I Intent[I]] struct {
	Change[I]
	book  *Book[I]
	fresh map[string]int // by key, the place in Added of each intent that was taken
}

// Taking begins a change that takes nothing yet.
func (b *Book[I]) Taking() *Taking[I] { return &Taking[I]{book: b, fresh: map[string]int{}} }

// Take adds an intent. If the book has it already, it is replaced if that one ends earlier, or if renewed is set. If the same intent is
// taken twice, the one with the later end counts.
func (t *Taking[I]) Take(in I, renewed bool) {
	key := string(in.Key())
	at, again := t.fresh[key]
	has, there := t.book.Find(in)
	switch {
	case again && Outlasts(in.Ends(), t.Added[at].Ends()):
		t.Added[at] = in
		t.Duplicates++
	case again || there && !renewed && !Outlasts(in.Ends(), has.Ends()):
		t.Duplicates++
	default:
		if there {
			t.Removed = append(t.Removed, has)
		}
		t.fresh[key] = len(t.Added)
		t.Added = append(t.Added, in)
	}
}

// Outlasts tells whether the end a is later than the end b; zero is never.
func Outlasts(a, b time.Time) bool { return !b.IsZero() && (a.IsZero() || a.After(b)) }

// Empty tells whether nothing would change.
func (c *Change[I]) Empty() bool { return len(c.Added)+len(c.Removed) == 0 }

// Holders adds to a set the handles whose intents change.
func (c *Change[I]) Holders(touched map[string]bool) {
	for _, in := range slices.Concat(c.Added, c.Removed) {
		touched[in.Owner()] = true
	}
}

// ByHolder is the change of each holder's intents.
func (c *Change[I]) ByHolder() map[string]Change[I] {
	parts := map[string]Change[I]{}
	for _, in := range c.Removed {
		of := parts[in.Owner()]
		of.Removed = append(of.Removed, in)
		parts[in.Owner()] = of
	}
	for _, in := range c.Added {
		of := parts[in.Owner()]
		of.Added = append(of.Added, in)
		parts[in.Owner()] = of
	}
	return parts
}

// Write makes a change of a book that Load reads from a bucket.
func Write[I Intent[I]](w store.Writer, bucket store.Bucket, c *Change[I]) error {
	return c.write(w, func(in I) (store.Bucket, []byte) { return bucket, in.Key() }, func(in I) ([]byte, error) { return json.Marshal(in) })
}

func (c *Change[I]) write(w store.Writer, place func(I) (store.Bucket, []byte), encode func(I) ([]byte, error)) error {
	for _, in := range c.Removed {
		bucket, key := place(in)
		if err := w.Delete(bucket, key); err != nil {
			return err
		}
	}
	for _, in := range c.Added {
		data, err := encode(in)
		if err != nil {
			return err
		}
		bucket, key := place(in)
		if err := w.Put(bucket, key, data); err != nil {
			return err
		}
	}
	return nil
}

// Apply makes a change, once it was written, in memory.
func (b *Book[I]) Apply(c *Change[I]) {
	for _, in := range c.Removed {
		list := b.of[in.Owner()]
		at, found := slices.BinarySearchFunc(list, in, I.Compare)
		if !found {
			continue
		}
		if list = slices.Delete(slices.Clone(list), at, at+1); len(list) == 0 {
			delete(b.of, in.Owner())
		} else {
			b.of[in.Owner()] = list
		}
		delete(b.ending, string(in.Key()))
		b.count--
	}
	grown := map[string][]I{}
	for _, in := range c.Added {
		grown[in.Owner()] = append(grown[in.Owner()], in)
		b.setEnd(in)
		b.count++
	}
	for holder, added := range grown {
		list := slices.Concat(b.of[holder], added)
		slices.SortFunc(list, I.Compare)
		b.of[holder] = list
	}
}

func (b *Book[I]) setEnd(in I) {
	if !in.Ends().IsZero() {
		b.ending[string(in.Key())] = in
	}
}

func compareAll[I Intent[I]](a, b I) int {
	return cmp.Or(cmp.Compare(a.Owner(), b.Owner()), a.Compare(b))
}
