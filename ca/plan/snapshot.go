package plan

import (
	"maps"
	"math/big"
	"slices"
	"time"

	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/payload"
)

// Snapshot is a View of a ledger, of intents, of what is issued, and of what peers asked for and gave, all as of one moment. The caller makes
// sure that nothing of it changes while it is used, and does not use it later. It is used by one goroutine.
type Snapshot struct {
	Now     time.Time
	Policy  *issued.Policy
	Ledger  *holdings.Ledger
	Intents Intents
	Store   Store
	Peers   Peers
	Rolls   Rolls

	AnchorOffline bool                         // nothing can be signed with the trust anchor's key
	Quarantined   func(holder string) bool     // the holder's work failed, and is not to be tried again yet
	Behind        func(*issued.Authority) bool // the server elsewhere that it publishes at does not have all of it

	failure error
}

// Intents has the intents of holders.
type Intents interface {
	Wants(holder string) int // how many intents a holder has
	// Authorised lists the payloads that a holder's signed objects are to have while it has holding, of which leaving is about to leave.
	Authorised(holder string, holding, leaving inr.Set) []payload.Payload
}

// Store is what is issued.
type Store interface {
	Of(holder string) []issued.Name                      // the authorities that an organisation has, sorted
	Read(authority issued.Name) (*issued.Records, error) // nil where there is none
}

// Peers is what delegated CAs asked for, and what parents elsewhere certified.
type Peers interface {
	Delegated(holder string) bool             // it has a delegated CA
	Keys(holder string) []issued.Name         // the authorities of its delegated CA's keys
	Request(key issued.Name) *Request         // nil where the key is ours
	Received(authority issued.Name) *Received // nil where nothing is
	Notices() []Notice
	SourcedAt(source string) string // the organisation whose parent elsewhere has the source as a class; empty where none has
}

// Request is what a delegated CA asked to have certified.
type Request struct {
	At      time.Time    // when it asked last
	Place   issued.Place // where it publishes
	Granted inr.Set      // what it could have when it asked last, within the limits of its request
}

// Received is the certificate that a parent elsewhere issued to an authority.
type Received struct {
	Serial    *big.Int
	Resources inr.Set
}

// Notice is the time that a delegated CA has to withdraw what rests on the resources that its organisation lost.
type Notice struct {
	Holder string
	Lost   inr.Set
	Until  time.Time
}

// Err is the first error of a read from the store. If there is one, a plan that was made from the snapshot must not be used.
func (s *Snapshot) Err() error { return s.failure }

// Authorities lists the names of all authorities that an organisation has or is to have, sorted.
func (s *Snapshot) Authorities(holder string) []issued.Name {
	if holder == issued.AnchorHolder {
		return []issued.Name{issued.Anchor}
	}
	names := map[issued.Name]bool{}
	for _, source := range s.Ledger.Sources(holder) {
		line := issued.Name{Holder: holder, Source: source}
		roll := s.Rolls.Of(line)
		names[line.At(roll.Active)] = true
		if roll.Next != 0 {
			names[line.At(roll.Next)] = true
		}
	}
	for _, key := range s.Peers.Keys(holder) {
		names[key] = true
	}
	for _, authority := range s.Store.Of(holder) {
		names[authority] = true
	}
	return slices.SortedFunc(maps.Keys(names), issued.Name.Compare)
}

// Active is the generation of an authority's line that issues.
func (s *Snapshot) Active(n issued.Name) issued.Name { return s.Rolls.Active(n) }

// Parent is the authority that certifies another: the active one of the organisation above it, for the same source.
func (s *Snapshot) Parent(n issued.Name) issued.Name {
	if n.Source != "" && s.sourcedAt(n.Source) == n.Holder {
		return issued.Outside
	}
	o, ok := s.Ledger.Organisation(n.Holder)
	if !ok || o.Parent == "" {
		return issued.Anchor
	}
	return s.Active(issued.Name{Holder: o.Parent, Source: n.Source})
}

// sourcedAt is the organisation that has a source outside the tree.
func (s *Snapshot) sourcedAt(source string) string {
	if holder := s.Peers.SourcedAt(source); holder != "" {
		return holder
	}
	return s.Ledger.SourcedAt(source)
}

// Above is the organisation directly above another, or issued.AnchorHolder.
func (s *Snapshot) Above(holder string) string {
	if o, ok := s.Ledger.Organisation(holder); ok && o.Parent != "" {
		return o.Parent
	}
	return issued.AnchorHolder
}

// IsAbove tells whether one organisation is above another.
func (s *Snapshot) IsAbove(high, low string) bool {
	for low != issued.AnchorHolder {
		if low = s.Above(low); low == high {
			return true
		}
	}
	return false
}

// Depth is how many organisations are above that of an authority.
func (s *Snapshot) Depth(authority issued.Name) int { return s.Ledger.Depth(authority.Holder) }

// Kind is that of the authority's organisation.
func (s *Snapshot) Kind(authority issued.Name) holdings.Kind {
	o, _ := s.Ledger.Organisation(authority.Holder)
	return o.Kind
}

// Entitled is what the certificate of an authority is to name: what the organisation holds from the authority's source, and what
// certificates of delegated CAs below may still name until their notice ends.
func (s *Snapshot) Entitled(n issued.Name) inr.Set {
	via := s.Ledger.Via(n.Holder, n.Source)
	switch {
	case n.Key != "":
		return s.entitledKey(n, via)
	case !s.CertifiesItself(n.Holder):
		return inr.Set{}
	}
	if !s.Successor(n).IsZero() {
		if is := s.Issued(n); is != nil {
			return is.Certified.Intersect(via)
		}
		return inr.Set{}
	}
	if kept := s.keptBelow(n); !kept.Empty() {
		if is := s.Issued(s.Active(n)); is != nil { // the next generation has to take over what the active one certified
			via = via.Union(kept.Intersect(is.Certified))
		}
	}
	return via
}

// entitledKey is what a delegated CA's key may be certified for: what was granted when it asked last, as far as its organisation holds that,
// or has lost it and the notice has not ended.
func (s *Snapshot) entitledKey(n issued.Name, via inr.Set) inr.Set {
	request := s.Peers.Request(n)
	if request == nil {
		return inr.Set{}
	}
	for _, notice := range s.Peers.Notices() {
		if notice.Holder == n.Holder && s.Now.Before(notice.Until) {
			via = via.Union(notice.Lost)
		}
	}
	return request.Granted.Intersect(via)
}

// keptBelow is what certificates of delegated CAs below an authority may still name until their notice ends.
func (s *Snapshot) keptBelow(above issued.Name) inr.Set {
	var kept []inr.Set
	for _, notice := range s.Peers.Notices() {
		if !s.Now.Before(notice.Until) || !s.IsAbove(above.Holder, notice.Holder) {
			continue
		}
		for _, key := range s.Peers.Keys(notice.Holder) {
			if is := s.Issued(key); is != nil && key.Source == above.Source {
				kept = append(kept, is.Certified.Intersect(notice.Lost))
			}
		}
	}
	return inr.Sum(kept...)
}

// CertifiesItself tells whether an organisation has authorities here. If it has a delegated CA, it does only as long as it has intents here,
// or organisations below it.
func (s *Snapshot) CertifiesItself(holder string) bool {
	return !s.Peers.Delegated(holder) || s.Intents.Wants(holder) > 0 || len(s.Ledger.Children(holder)) > 0
}

// Authorised lists the payloads that an authority's signed objects are to have while its certificate names no more than within.
func (s *Snapshot) Authorised(n issued.Name, within inr.Set) []payload.Payload {
	if n.Key != "" || n != s.Active(n) {
		return nil
	}
	return s.Intents.Authorised(n.Holder, s.Ledger.Via(n.Holder, n.Source).Intersect(within), s.Ledger.Leaving(n.Holder))
}

// Moving tells whether an authority's organisation is part of a transfer.
func (s *Snapshot) Moving(authority issued.Name) bool { return s.Ledger.Moving(authority.Holder) }

// Issued is the records of an authority; nil where there is none. If they cannot be read, Err says so.
func (s *Snapshot) Issued(authority issued.Name) *issued.Records {
	is, err := s.Store.Read(authority)
	if err != nil {
		s.failure = err
	}
	return is
}

// Received is what a parent elsewhere certified for an authority.
func (s *Snapshot) Received(authority issued.Name) *Received { return s.Peers.Received(authority) }

// Asked is what a delegated CA asked for; nil where the key is ours.
func (s *Snapshot) Asked(authority issued.Name) *Request { return s.Peers.Request(authority) }

// Successor is the generation that issues in a retired authority's place; the zero name where it is not retired.
func (s *Snapshot) Successor(n issued.Name) issued.Name {
	roll := s.Rolls.Of(n.Line())
	if n.Key != "" || !roll.Retired(n.Generation) {
		return issued.Name{}
	}
	return n.At(roll.Active)
}

// Holdback is the time until which a retired generation withdraws nothing. If the generation that took over publishes in another place, its
// objects have to be there, and to have soaked, before.
func (s *Snapshot) Holdback(authority issued.Name) time.Time {
	roll := s.Rolls.Of(authority.Line())
	old, active := s.Issued(authority), s.Issued(authority.At(roll.Active))
	switch {
	case old == nil || active == nil || s.Policy.Place(&old.Authority) == s.Policy.Place(&active.Authority):
		return time.Time{}
	case s.Unsent(active.Name) || active.Objects < old.Objects && len(s.Authorised(active.Name, active.Certified)) > active.Objects:
		return s.Now.Add(5 * time.Second)
	}
	return roll.Switched.Add(s.Policy.Soak)
}

// Lingers is how long the certificate of a retired generation stays after all that it signed is withdrawn: as long as the soak of its key
// roll. A reader that cannot reach the repository meanwhile still has valid objects. If the soak was ended early (ActivateKey) the old
// certificate goes early, too.
func (s *Snapshot) Lingers(authority issued.Name) time.Duration {
	return s.Rolls.Of(authority.Line()).Soak
}

// Unsent tells whether an authority publishes at a server elsewhere that does not have all of it.
func (s *Snapshot) Unsent(authority issued.Name) bool {
	is := s.Issued(authority)
	return is != nil && s.Behind(&is.Authority)
}

// Offline tells whether nothing can be signed with an authority's key now.
func (s *Snapshot) Offline(authority issued.Name) bool {
	return authority == issued.Anchor && s.AnchorOffline
}

// InQuarantine tells whether an authority's organisation is quarantined: until the next try only its manifest is renewed.
func (s *Snapshot) InQuarantine(authority issued.Name) bool { return s.Quarantined(authority.Holder) }
