package roa

import (
	"cmp"
	"encoding/json"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"time"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/store"
)

// intentBucket keeps the intents as JSON by Intent.key.
var intentBucket = store.Declare("intent", "roa", store.Deposited)

func init() { holdings.Audit('r', intentBucket) }

// Book is all intents, live and parked. It has no lock: the caller keeps Apply apart from everything else.
type Book struct {
	of      map[string][]Intent // by holder, in the order of compareIntents
	origins map[uint32]routes   // the prefixes of the intents of an AS
	ending  map[string]Intent   // by key, those that end by themselves
	count   int
}

// Load reads the book. A store without one has an empty one. It fails with Corrupt.
func Load(r store.Reader) (*Book, error) {
	b := &Book{of: map[string][]Intent{}, origins: map[uint32]routes{}, ending: map[string]Intent{}}
	for record, err := range r.Scan(intentBucket, nil) {
		if err != nil {
			return nil, err
		}
		var in Intent
		if err := json.Unmarshal(record.Value, &in); err != nil {
			return nil, fault.New(fault.Corrupt, "an intent is damaged (%w): restore the store from a backup", err)
		}
		b.of[in.Holder] = append(b.of[in.Holder], in)
		b.origins[in.Origin] = append(b.origins[in.Origin], in.Prefix)
		b.setEnd(in)
		b.count++
	}
	for _, list := range b.of {
		slices.SortFunc(list, compareIntents)
	}
	for _, list := range b.origins {
		list.sort()
	}
	return b, nil
}

// Len is how many intents there are.
func (b *Book) Len() int { return b.count }

// Holders is the handles that have intents, sorted.
func (b *Book) Holders() []string { return slices.Sorted(maps.Keys(b.of)) }

// Everyone is the handles of those who have intents, in no order.
func (b *Book) Everyone() iter.Seq[string] { return maps.Keys(b.of) }

// Of is the intents of a holder, in order. It must not be changed.
func (b *Book) Of(holder string) []Intent { return b.of[holder] }

// VRPs is what of a holder's intents stands while it has holding, sorted, each once.
func (b *Book) VRPs(holder string, holding inr.Set) []VRP {
	return AllAuthorised(b.of[holder], holding)
}

// AllAuthorised is what of the intents of one holder stands while it has holding, sorted, each once.
func AllAuthorised(intents []Intent, holding inr.Set) []VRP {
	var vrps []VRP
	for _, in := range intents {
		v, _ := Authorised(in, holding)
		vrps = append(vrps, v...)
	}
	return Unique(vrps)
}

// With is the intents of a holder as they are after an outcome that is about this holder alone; nil changes nothing.
func (b *Book) With(holder string, o *Outcome) []Intent {
	if o == nil {
		return b.of[holder]
	}
	gone := make(map[string]bool, len(o.Removed))
	for _, in := range o.Removed {
		gone[string(in.key())] = true
	}
	list := slices.DeleteFunc(slices.Clone(b.of[holder]), func(in Intent) bool { return gone[string(in.key())] })
	return append(list, o.Added...)
}

// Stands tells whether a holder that has holding authorises a VRP, or has authorised its prefix in another way since some time.
func (b *Book) Stands(holder string, v VRP, holding inr.Set, since time.Time) bool {
	if !holding.ContainsPrefix(v.Prefix) {
		return false
	}
	return slices.ContainsFunc(b.ofPrefix(holder, v.Prefix), func(in Intent) bool { return in.VRP() == v || !in.Added.Before(since) })
}

// KeepsBeside tells whether a holder has the prefix of a VRP authorised for its AS with another maxLength too, by an intent that is not
// among those that go.
func (b *Book) KeepsBeside(holder string, v VRP, gone []Intent) bool {
	return slices.ContainsFunc(b.ofPrefix(holder, v.Prefix), func(in Intent) bool {
		return in.Origin == v.ASN && in.MaxLength != v.MaxLength && !slices.ContainsFunc(gone, func(g Intent) bool { return g.VRP() == in.VRP() })
	})
}

func comparePrefix(in Intent, p netip.Prefix) int {
	return cmp.Or(in.Prefix.Addr().Compare(p.Addr()), cmp.Compare(in.Prefix.Bits(), p.Bits()))
}

// Ahead is what of a holder's intents is authorised beside the rest while a part of its holding is about to leave, sorted,
// each once.
func (b *Book) Ahead(holder string, holding, leaving inr.Set) []VRP {
	var vrps []VRP
	if !leaving.Empty() {
		for _, in := range b.of[holder] {
			vrps = append(vrps, Ahead(in, holding, leaving)...)
		}
	}
	return Unique(vrps)
}

// Brought is the intents of a holder that a transfer brought, in order.
func (b *Book) Brought(holder string, transfer uint64) []Intent {
	var list []Intent
	for _, in := range b.of[holder] {
		if in.Transfer == transfer {
			list = append(list, in)
		}
	}
	return list
}

// NextEnd is when the next intent ends by itself, zero where none does.
func (b *Book) NextEnd() time.Time {
	var next time.Time
	for _, in := range b.ending {
		if next.IsZero() || in.Until.Before(next) {
			next = in.Until
		}
	}
	return next
}

// End resolves that the intents end whose time has come.
func (b *Book) End(now time.Time) *Outcome {
	out := &Outcome{}
	for _, in := range b.ending {
		if !in.Until.After(now) {
			out.Removed = append(out.Removed, in)
		}
	}
	slices.SortFunc(out.Removed, compareIntents)
	return out
}

// Bring resolves that a transfer brings intents to a holder. Those that are there already stay as they are, unless they would
// end before what is brought.
func (b *Book) Bring(intents []Intent) *Outcome {
	out, fresh := &Outcome{}, map[string]int{}
	for _, in := range intents {
		b.take(in, out, fresh, false)
	}
	return out
}

// take has an outcome add an intent, in place of one that ends before it, or that it renews. Fresh is where in the outcome those are that were
// added, by their keys.
func (b *Book) take(in Intent, out *Outcome, fresh map[string]int, renewed bool) {
	key := string(in.key())
	at, again := fresh[key]
	has, there := b.find(in)
	switch {
	case again && Outlasts(in.Until, out.Added[at].Until):
		out.Added[at] = in
		out.Duplicates++
	case again || there && !renewed && !Outlasts(in.Until, has.Until):
		out.Duplicates++
	default:
		if there {
			out.Removed = append(out.Removed, has)
		}
		fresh[key] = len(out.Added)
		out.Added = append(out.Added, in)
	}
}

// Outcome is a change of intents, resolved and not yet made.
type Outcome struct {
	By         holdings.By // who decides, where nothing else is decided with it
	Added      []Intent
	Removed    []Intent
	Duplicates int       // rows that were there already, or twice
	Left       []Left    // rows that OnlyHeld passed over
	Warnings   []Warning // of rows that were taken
	Breaks     []Break   // announcements that turn invalid
	Over       []string  // what a registry would authorise of what its holders hold
}

// Empty tells whether nothing would change.
func (o *Outcome) Empty() bool { return len(o.Added)+len(o.Removed) == 0 }

// Changes is what changes, for the log of decisions: what ends, then what is new.
func (o *Outcome) Changes() []holdings.IntentChange {
	changes := make([]holdings.IntentChange, 0, len(o.Removed)+len(o.Added))
	for i, in := range slices.Concat(o.Removed, o.Added) {
		changes = append(changes, holdings.IntentChange{
			Holder: in.Holder, Removed: i < len(o.Removed), Comment: in.Comment,
			Route: holdings.Route{Prefix: in.Prefix, MaxLength: in.MaxLength, Origin: in.Origin, Until: in.Until},
		})
	}
	return changes
}

// Holders is the handles whose intents change, sorted.
func (o *Outcome) Holders() []string {
	touched := map[string]bool{}
	for _, in := range slices.Concat(o.Added, o.Removed) {
		touched[in.Holder] = true
	}
	return slices.Sorted(maps.Keys(touched))
}

// ByHolder is the change of each holder's intents.
func (o *Outcome) ByHolder() map[string]*Outcome {
	parts := map[string]*Outcome{}
	of := func(holder string) *Outcome {
		if parts[holder] == nil {
			parts[holder] = &Outcome{}
		}
		return parts[holder]
	}
	for _, in := range o.Removed {
		of(in.Holder).Removed = append(of(in.Holder).Removed, in)
	}
	for _, in := range o.Added {
		of(in.Holder).Added = append(of(in.Holder).Added, in)
	}
	return parts
}

// Write makes the change in the store.
func (o *Outcome) Write(w store.Writer) error {
	for _, in := range o.Removed {
		if err := w.Delete(intentBucket, in.key()); err != nil {
			return err
		}
	}
	for _, in := range o.Added {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		if err := w.Put(intentBucket, in.key(), data); err != nil {
			return err
		}
	}
	return nil
}

// Apply makes the change, once it was written, in memory.
func (b *Book) Apply(o *Outcome) {
	for _, in := range o.Removed {
		list := b.of[in.Holder]
		at, found := slices.BinarySearchFunc(list, in, compareIntents)
		if !found {
			continue
		}
		if list = slices.Delete(slices.Clone(list), at, at+1); len(list) == 0 {
			delete(b.of, in.Holder)
		} else {
			b.of[in.Holder] = list
		}
		b.origins[in.Origin] = b.origins[in.Origin].without(in.Prefix)
		delete(b.ending, string(in.key()))
		b.count--
	}
	grown := map[string][]Intent{}
	for _, in := range o.Added {
		grown[in.Holder] = append(grown[in.Holder], in)
		b.origins[in.Origin] = b.origins[in.Origin].with(in.Prefix)
		b.setEnd(in)
		b.count++
	}
	for holder, added := range grown {
		list := slices.Concat(b.of[holder], added)
		slices.SortFunc(list, compareIntents)
		b.of[holder] = list
	}
}

func (b *Book) setEnd(in Intent) {
	if !in.Until.IsZero() {
		b.ending[string(in.key())] = in
	}
}

// find is the intent that a holder has of what another says.
func (b *Book) find(in Intent) (Intent, bool) {
	at, found := slices.BinarySearchFunc(b.of[in.Holder], in, compareIntents)
	if !found {
		return Intent{}, false
	}
	return b.of[in.Holder][at], true
}

// routes is prefixes in the order of netip.Prefix.Compare, some perhaps twice.
type routes []netip.Prefix

func (r routes) sort() { slices.SortFunc(r, netip.Prefix.Compare) }

func (r routes) with(p netip.Prefix) routes {
	at, _ := slices.BinarySearchFunc(r, p, netip.Prefix.Compare)
	return slices.Insert(r, at, p)
}

func (r routes) without(p netip.Prefix) routes {
	if at, found := slices.BinarySearchFunc(r, p, netip.Prefix.Compare); found {
		return slices.Delete(r, at, at+1)
	}
	return r
}
