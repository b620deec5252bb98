package roa

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/intents"
	"cadastre/internal/store"
	"cadastre/routes"
)

// intentBucket keeps the intents as JSON by Intent.Key.
var intentBucket = store.Declare("intent", "roa", store.Deposited)

func init() { holdings.Audit('r', intentBucket) }

// Book has all intents, live and parked: those for ROAs, and those for signed objects of all other kinds. It has no lock: the caller keeps
// Apply apart from everything else.
type Book struct {
	Objects intents.Objects
	roas    *intents.Book[Intent]
	origins map[uint32]prefixes // by origin AS, the prefixes of intents
}

// Load reads the book. A store without one has an empty one. It fails with Corrupt.
func Load(r store.Reader) (b *Book, err error) {
	b = &Book{origins: map[uint32]prefixes{}}
	if b.Objects, err = intents.LoadObjects(r); err != nil {
		return nil, err
	}
	if b.roas, err = intents.Load[Intent](r, intentBucket); err != nil {
		return nil, err
	}
	for in := range b.roas.All() {
		b.origins[in.Origin] = append(b.origins[in.Origin], in.Prefix)
	}
	for _, list := range b.origins {
		list.sort()
	}
	return b, nil
}

// Len is how many intents there are.
func (b *Book) Len() int { return b.roas.Len() + b.Objects.Len() }

// Holders lists the holders that have intents, sorted.
func (b *Book) Holders() []string {
	all := slices.AppendSeq(slices.Collect(b.roas.Everyone()), b.Objects.Everyone())
	slices.Sort(all)
	return slices.Compact(all)
}

// Wants is how many intents a holder has.
func (b *Book) Wants(holder string) int { return len(b.roas.Of(holder)) + len(b.Objects.Of(holder)) }

// Of lists the ROA intents of a holder, in order. The list must not be changed.
func (b *Book) Of(holder string) []Intent { return b.roas.Of(holder) }

// VRPs lists what a holder's intents authorise while it has holding, sorted, without duplicates.
func (b *Book) VRPs(holder string, holding inr.Set) []VRP {
	return AllAuthorised(b.roas.Of(holder), holding)
}

// AllAuthorised lists what intents of one holder authorise while it has holding, sorted, without duplicates.
func AllAuthorised(intents []Intent, holding inr.Set) []VRP {
	var vrps []VRP
	for _, in := range intents {
		v, _ := Authorised(in, holding)
		vrps = append(vrps, v...)
	}
	return Unique(vrps)
}

// With lists the ROA intents of a holder after an outcome that is only about this holder; a nil outcome changes nothing.
func (b *Book) With(holder string, o *Outcome) []Intent {
	if o == nil {
		return b.Of(holder)
	}
	return b.roas.With(holder, o.change())
}

// Stands tells whether a holder that has holding authorises a VRP, or has added another intent for its prefix since some time.
func (b *Book) Stands(holder string, v VRP, holding inr.Set, since time.Time) bool {
	if !holding.ContainsPrefix(v.Prefix) {
		return false
	}
	return slices.ContainsFunc(b.ofPrefix(holder, v.Prefix), func(in Intent) bool { return in.VRP() == v || !in.Added.Before(since) })
}

// KeepsBeside tells whether a holder has another intent for the prefix and AS of a VRP, with another maxLength, that is not in gone.
func (b *Book) KeepsBeside(holder string, v VRP, gone []Intent) bool {
	return slices.ContainsFunc(b.ofPrefix(holder, v.Prefix), func(in Intent) bool {
		return in.Origin == v.ASN && in.MaxLength != v.MaxLength && !slices.ContainsFunc(gone, func(g Intent) bool { return g.VRP() == in.VRP() })
	})
}

func comparePrefix(in Intent, p netip.Prefix) int {
	return cmp.Or(in.Prefix.Addr().Compare(p.Addr()), cmp.Compare(in.Prefix.Bits(), p.Bits()))
}

// Ahead lists what is authorised in advance while a part of a holder's holding is about to leave: what its intents will authorise after
// that, beside what they authorise now. It is sorted, without duplicates.
func (b *Book) Ahead(holder string, holding, leaving inr.Set) []VRP {
	var vrps []VRP
	if !leaving.Empty() {
		for _, in := range b.roas.Of(holder) {
			vrps = append(vrps, Ahead(in, holding, leaving)...)
		}
	}
	return Unique(vrps)
}

// Brought lists the ROA intents of a holder that came with a transfer, in order.
func (b *Book) Brought(holder string, transfer uint64) []Intent {
	return b.roas.Brought(holder, transfer)
}

// NextEnd is when the next intent comes to its date; zero where none does.
func (b *Book) NextEnd() time.Time {
	next := b.roas.NextEnd()
	if end := b.Objects.NextEnd(); next.IsZero() || !end.IsZero() && end.Before(next) {
		next = end
	}
	return next
}

// End resolves that the intents whose date has come end. It fails with Corrupt.
func (b *Book) End(now time.Time) (*Outcome, error) {
	objects, err := b.Objects.End(now)
	return &Outcome{Removed: b.roas.End(now).Removed, Objects: objects}, err
}

// Bring resolves that ROA intents come with a transfer. An intent that is there already stays as it is, unless it ends before the one that
// comes.
func (b *Book) Bring(brought []Intent) *Outcome {
	c := b.roas.Bring(brought)
	return &Outcome{Added: c.Added, Removed: c.Removed, Duplicates: c.Duplicates}
}

// SaidOf is an intent as the log of decisions and transfers have it.
func SaidOf(in intents.Object) holdings.Said {
	return holdings.Said{Kind: in.Says.Kind(), Says: in.Says.String(), Until: in.Until}
}

// Outcome is a change of intents, resolved and not yet made.
type Outcome struct {
	By         holdings.By // who decides, where nothing else is decided with it
	Added      []Intent
	Removed    []Intent
	Objects    intents.ObjectChange
	Duplicates int             // rows of ROAs that were there already, or twice
	Left       []Left          // rows that OnlyHeld passed over
	Warnings   []Warning       // of rows that were taken
	Announced  []*routes.Table // what came with the change as announced; package ca sets it
	Over       []string        // rows by which a registry would authorise space of its holders
}

// change is the change of ROA intents.
func (o *Outcome) change() intents.Change[Intent] {
	return intents.Change[Intent]{Added: o.Added, Removed: o.Removed}
}

// Empty tells whether nothing would change.
func (o *Outcome) Empty() bool { return len(o.Added)+len(o.Removed) == 0 && o.Objects.Empty() }

// Changes lists the changes for the log of decisions: first what is removed, then what is new.
func (o *Outcome) Changes() []holdings.IntentChange {
	changes := make([]holdings.IntentChange, 0, len(o.Removed)+len(o.Added))
	for i, in := range slices.Concat(o.Removed, o.Added) {
		changes = append(changes, holdings.IntentChange{
			Holder: in.Holder, Removed: i < len(o.Removed), Comment: in.Comment,
			Route: &holdings.Route{Prefix: in.Prefix, MaxLength: in.MaxLength, Origin: in.Origin, Until: in.Until},
		})
	}
	for i, in := range slices.Concat(o.Objects.Removed, o.Objects.Added) {
		changes = append(changes, holdings.IntentChange{
			Holder: in.Holder, Removed: i < len(o.Objects.Removed), Comment: in.Comment, Object: new(SaidOf(in)),
		})
	}
	return changes
}

// Holders lists the holders whose intents change, sorted.
func (o *Outcome) Holders() []string {
	touched, c := map[string]bool{}, o.change()
	c.Holders(touched)
	o.Objects.Holders(touched)
	return slices.Sorted(maps.Keys(touched))
}

// ByHolder is the change of each holder's intents.
func (o *Outcome) ByHolder() map[string]*Outcome {
	parts, c := map[string]*Outcome{}, o.change()
	for holder, part := range c.ByHolder() {
		parts[holder] = &Outcome{Added: part.Added, Removed: part.Removed}
	}
	for holder, part := range o.Objects.ByHolder() {
		if parts[holder] == nil {
			parts[holder] = &Outcome{}
		}
		parts[holder].Objects = part
	}
	return parts
}

// Write writes the change to the store.
func (o *Outcome) Write(w store.Writer) error {
	c := o.change()
	if err := intents.Write(w, intentBucket, &c); err != nil {
		return err
	}
	return intents.WriteObjects(w, &o.Objects)
}

// Apply makes a change in memory, once it was written.
func (b *Book) Apply(o *Outcome) {
	for _, in := range o.Removed {
		if _, there := b.roas.Find(in); there {
			b.origins[in.Origin] = b.origins[in.Origin].without(in.Prefix)
		}
	}
	for _, in := range o.Added {
		b.origins[in.Origin] = b.origins[in.Origin].with(in.Prefix)
	}
	c := o.change()
	b.roas.Apply(&c)
	b.Objects.Apply(&o.Objects)
}

// prefixes is prefixes in the order of netip.Prefix.Compare, some perhaps twice.
type prefixes []netip.Prefix

func (r prefixes) sort() { slices.SortFunc(r, netip.Prefix.Compare) }

func (r prefixes) with(p netip.Prefix) prefixes {
	at, _ := slices.BinarySearchFunc(r, p, netip.Prefix.Compare)
	return slices.Insert(r, at, p)
}

func (r prefixes) without(p netip.Prefix) prefixes {
	if at, found := slices.BinarySearchFunc(r, p, netip.Prefix.Compare); found {
		return slices.Delete(r, at, at+1)
	}
	return r
}
