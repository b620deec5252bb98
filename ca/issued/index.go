package issued

import (
	"slices"
	"sync"
	"time"

	"cadastre/holdings"
	"cadastre/internal/due"
	"cadastre/internal/payload"
	"cadastre/internal/store"
	"cadastre/roa"
)

// Index has every authority's record in memory, with its deadlines, and the products of authorities that were read lately. It agrees with
// what is committed, and is safe for concurrent use. Callers may hold their own lock while they use it; it never takes theirs.
type Index struct {
	store  store.Store
	policy *Policy
	kind   func(holder string) holdings.Kind // asked by Load, Note and Keep

	mu        sync.Mutex // guards what follows
	known     map[Name]*Records
	clocks    map[Name]clock
	deadlines due.Queue[Name]   // for each authority, a time before which nothing of it is due
	of        map[string][]Name // by organisation: its authorities, sorted
	borders   map[string]Name   // by the URI of their certificate: delegated CAs, and authorities certified by parents elsewhere
}

// clock is what the index has of one authority.
type clock struct {
	Authority
	kind holdings.Kind
}

// keptKnown is how many authorities are kept in memory with their products.
const keptKnown = 20_000

// NewIndex makes an index of a store; Load fills it. Kind returns the kind of an organisation.
func NewIndex(st store.Store, policy *Policy, kind func(holder string) holdings.Kind) *Index {
	return &Index{store: st, policy: policy, kind: kind, known: map[Name]*Records{}, clocks: map[Name]clock{}, of: map[string][]Name{}, borders: map[string]Name{}}
}

// Load reads every authority's record, without its products, and forgets what was in memory.
func (x *Index) Load() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	clear(x.known)
	return x.store.View(func(r store.Reader) error {
		return store.EachValue(r, Authorities, nil, func(_ string, a *Authority) { x.note(a) })
	})
}

// Read is all records of an authority; nil where there is none. They must not be changed.
func (x *Index) Read(authority Name) (*Records, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if is := x.known[authority]; is != nil {
		return is, nil
	}
	if _, exists := x.clocks[authority]; !exists {
		return nil, nil
	}
	var is *Records
	err := x.store.View(func(r store.Reader) (err error) {
		is, err = Read(r, authority)
		return err
	})
	if is != nil {
		if len(x.known) >= keptKnown {
			clear(x.known)
		}
		x.known[authority] = is
	}
	return is, err
}

// Authority is an authority's record, nil where there is none.
func (x *Index) Authority(authority Name) *Authority {
	x.mu.Lock()
	defer x.mu.Unlock()
	if c, exists := x.clocks[authority]; exists {
		return &c.Authority
	}
	return nil
}

// Any tells whether is returns true for some record. It is called with the index's lock held.
func (x *Index) Any(is func(*Authority) bool) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range x.clocks {
		if is(&c.Authority) {
			return true
		}
	}
	return false
}

// All is a copy of all records, in no order.
func (x *Index) All() []Authority {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := make([]Authority, 0, len(x.clocks))
	for _, c := range x.clocks {
		all = append(all, c.Authority)
	}
	return all
}

// Len is how many authorities there are.
func (x *Index) Len() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.clocks)
}

// Counts is how many signed objects with a payload there are, by their kinds.
func (x *Index) Counts() map[payload.Kind]int {
	x.mu.Lock()
	defer x.mu.Unlock()
	counts := map[payload.Kind]int{}
	for _, c := range x.clocks {
		if c.Kinds == nil {
			counts[roa.Kind] += c.Objects
		}
		for kind, n := range c.Kinds {
			counts[kind] += n
		}
	}
	return counts
}

// Of lists the names of an organisation's authorities, sorted. The list must not be changed.
func (x *Index) Of(holder string) []Name {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.of[holder]
}

// Border is the authority whose certificate is at a URI, if our part of the RPKI ends there: a delegated CA, or an authority certified by a
// parent elsewhere; else nil.
func (x *Index) Border(uri string) *Authority {
	x.mu.Lock()
	defer x.mu.Unlock()
	if c, exists := x.clocks[x.borders[uri]]; exists {
		return &c.Authority
	}
	return nil
}

// Roots lists the URIs of the certificates that authorities have from parents elsewhere.
func (x *Index) Roots() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	var uris []string
	for uri, name := range x.borders {
		if x.clocks[name].Issuer == Outside {
			uris = append(uris, uri)
		}
	}
	return uris
}

// Note takes a committed record of an authority into the index.
func (x *Index) Note(a *Authority) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.note(a)
}

// Keep takes all committed records of an authority into the index.
func (x *Index) Keep(is *Records) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.known[is.Name] = is
	x.note(&is.Authority)
}

// Drop removes an authority that has ended.
func (x *Index) Drop(name Name) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.known, name)
	a, exists := x.clocks[name]
	if !exists {
		return
	}
	names := slices.DeleteFunc(slices.Clone(x.of[a.Holder]), func(n Name) bool { return n == name })
	if x.of[a.Holder] = names; len(names) == 0 {
		delete(x.of, a.Holder)
	}
	delete(x.borders, a.CertificateURI)
	delete(x.clocks, name)
	x.deadlines.Set(name, time.Time{})
}

// note is Note; the caller holds the index's lock.
func (x *Index) note(a *Authority) {
	if was, exists := x.clocks[a.Name]; exists {
		delete(x.borders, was.CertificateURI)
	} else {
		names := x.of[a.Holder]
		at, _ := slices.BinarySearchFunc(names, a.Name, Name.Compare)
		x.of[a.Holder] = slices.Insert(slices.Clone(names), at, a.Name)
	}
	if (a.Delegated != nil || a.Issuer == Outside) && !a.Awaits() {
		x.borders[a.CertificateURI] = a.Name
	}
	own := clock{*a, x.kind(a.Holder)}
	x.clocks[a.Name] = own
	x.deadlines.Set(a.Name, own.notBefore(x.policy))
}

// notBefore is a time before which nothing of an authority is due, whatever its issuer does.
func (own *clock) notBefore(p *Policy) time.Time {
	at := p.ManifestDue(&own.Authority)
	if !own.FirstObject.IsZero() {
		at = Sooner(at, p.ROA.DueAt(own.FirstObject, own.CertExpires))
	}
	if !own.Issuer.IsZero() && own.Issuer != own.Name && !own.CertExpires.IsZero() {
		at = Sooner(at, own.CertExpires.Add(-p.LifetimeOf(own.kind).Lead))
	}
	return at
}

// DueAt is when something of an authority is to be made anew: its manifest, a signed object, or, if its issuer can sign, its
// certificate.
func (x *Index) DueAt(name Name, issuerSigns bool) time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.dueAt(name, issuerSigns)
}

func (x *Index) dueAt(name Name, issuerSigns bool) time.Time {
	own := x.clocks[name]
	at := x.policy.ManifestDue(&own.Authority)
	if !own.FirstObject.IsZero() {
		at = Sooner(at, x.policy.ROA.DueAt(own.FirstObject, own.CertExpires))
	}
	if issuer, ok := x.clocks[own.Issuer]; ok && own.Issuer != name && issuerSigns {
		at = Sooner(at, x.policy.LifetimeOf(own.kind).DueAt(own.CertExpires, issuer.CertExpires))
	}
	return at
}

// seemedDue is after how long an authority is looked at again that had come to notBefore and had nothing due.
const seemedDue = time.Hour

// Due lists the organisations of authorities of which something is due now. Next is when something may be due; zero where that is not known,
// or something is due now. Signs tells whether an authority's key is at hand. If waits returns true for an organisation, it is looked at
// again in a minute. Both are called with the index's lock held.
func (x *Index) Due(now time.Time, signs func(Name) bool, waits func(holder string) bool) (holders []string, next time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for name := range x.deadlines.Until(now) {
		own := x.clocks[name]
		at := x.dueAt(name, signs(own.Issuer))
		switch {
		case !signs(name) || at.IsZero():
			x.deadlines.Set(name, now.Add(seemedDue))
		case waits(own.Holder):
			x.deadlines.Set(name, now.Add(time.Minute))
		case now.Before(at):
			x.deadlines.Set(name, at)
		default:
			holders = append(holders, own.Holder)
		}
	}
	if len(holders) == 0 {
		next = x.deadlines.Next()
	}
	return holders, next
}

// First is the first time at which an object ceases to be valid, and the authority whose it is. It is the minimum over all authorities. That
// is also the minimum over every chain of the tree, since each chain is made of authorities and their products.
func (x *Index) First() (at time.Time, whose Name) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for name, own := range x.clocks {
		end := Sooner(own.NextUpdate, own.CertExpires)
		if end = Sooner(end, own.FirstObject); !end.IsZero() && (at.IsZero() || end.Before(at)) {
			at, whose = end, name
		}
	}
	return at, whose
}
