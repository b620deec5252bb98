package ca

import (
	"maps"
	"slices"
	"time"

	"cadastre/ca/issued"
	"cadastre/federation"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/payload"
)

// ledgerView is the engine as a plan sees it. The engine's mu is held while it is used.
type ledgerView struct {
	*Engine
	now     time.Time
	failure error
}

func (v *ledgerView) Authorities(holder string) []issued.Name {
	if holder == issued.AnchorHolder {
		return []issued.Name{issued.Anchor}
	}
	names := map[issued.Name]bool{}
	for _, source := range v.ledger.Sources(holder) {
		line := issued.Name{Holder: holder, Source: source}
		roll := v.rolls.of(line)
		names[line.At(roll.Active)] = true
		if roll.Next != 0 {
			names[line.At(roll.Next)] = true
		}
	}
	for _, key := range v.peers.Keys(holder) {
		authority := key.Authority
		names[authority] = true
	}
	for _, authority := range v.issuedOf(holder) {
		names[authority] = true
	}
	return slices.SortedFunc(maps.Keys(names), issued.Name.Compare)
}

func (v *ledgerView) Parent(authority issued.Name) issued.Name { return v.parentOf(authority) }
func (v *ledgerView) Depth(authority issued.Name) int          { return v.ledger.Depth(authority.Holder) }
func (v *ledgerView) Kind(authority issued.Name) holdings.Kind {
	return v.ledgerKind(authority.Holder)
}

// Entitled is what the certificate of an authority is to name: what the organisation holds by way of the authority's
// source. What those below may still have for the time of their notice stays.
func (v *ledgerView) Entitled(n issued.Name) inr.Set {
	via := v.ledger.Via(n.Holder, n.Source)
	switch {
	case n.Key != "":
		return v.entitledKey(n, via)
	case !v.certifiesItself(n.Holder):
		return inr.Set{}
	}
	if !v.Successor(n).IsZero() {
		if is := v.Issued(n); is != nil {
			return is.Certified.Intersect(via)
		}
		return inr.Set{}
	}
	if kept := v.keptBelow(n); !kept.Empty() {
		if is := v.Issued(v.active(n)); is != nil { // which has certified it; the next is to take it over
			via = via.Union(kept.Intersect(is.Certified))
		}
	}
	return via
}

// entitledKey is what a delegated CA's key may be certified for: what it had granted when it asked last, as far as its
// organisation holds it or lost it within the time of its notice.
func (v *ledgerView) entitledKey(n issued.Name, via inr.Set) inr.Set {
	key := v.peers.Key(n)
	if key == nil {
		return inr.Set{}
	}
	if notice := v.peers.Notice(n.Holder); notice != nil && v.now.Before(notice.Until) {
		via = via.Union(notice.Lost)
	}
	return key.Granted.Intersect(via)
}

// keptBelow is what certificates of delegated CAs below an authority still name for the time of their notice.
func (v *ledgerView) keptBelow(above issued.Name) inr.Set {
	var kept []inr.Set
	for _, notice := range v.peers.Notices() {
		holder := notice.Holder
		if !v.now.Before(notice.Until) || !v.isAbove(above.Holder, holder) {
			continue
		}
		for _, key := range v.peers.Keys(holder) {
			authority := key.Authority
			if is := v.Issued(authority); is != nil && authority.Source == above.Source {
				kept = append(kept, is.Certified.Intersect(notice.Lost))
			}
		}
	}
	return inr.Sum(kept...)
}

// certifiesItself tells whether an organisation has authorities here: where it has a delegated CA, only as long as there is
// something that needs one, intents or organisations below it.
func (e *Engine) certifiesItself(holder string) bool {
	return e.peers.Child(holder) == nil || e.book.Wants(holder) > 0 || len(e.ledger.Children(holder)) > 0
}

func (v *ledgerView) Authorised(n issued.Name, within inr.Set) []payload.Payload {
	if n.Key != "" || n != v.active(n) {
		return nil
	}
	via, leaving := v.ledger.Via(n.Holder, n.Source).Intersect(within), v.ledger.Leaving(n.Holder)
	return v.book.Authorised(n.Holder, via, leaving)
}

// active is the generation of an authority's line that issues.
func (e *Engine) active(n issued.Name) issued.Name { return n.At(e.rolls.of(n.Line()).Active) }

func (v *ledgerView) Moving(authority issued.Name) bool {
	return v.ledger.Moving(authority.Holder)
}

func (v *ledgerView) Issued(authority issued.Name) *issued.Records {
	is, err := v.issuedTo(authority)
	if err != nil {
		v.failure = err
	}
	return is
}

func (v *ledgerView) Received(authority issued.Name) *federation.Received {
	return v.peers.Received(authority)
}
func (v *ledgerView) Asked(authority issued.Name) *federation.ChildKey { return v.peers.Key(authority) }

func (v *ledgerView) Successor(n issued.Name) issued.Name {
	roll := v.rolls.of(n.Line())
	if n.Key != "" || !roll.retired(n.Generation) {
		return issued.Name{}
	}
	return n.At(roll.Active)
}

// Holdback is until when a retired generation withdraws nothing: where the one that took over publishes in another place,
// until its objects have arrived there and readers have had the time to see them.
func (v *ledgerView) Holdback(authority issued.Name) time.Time {
	roll := v.rolls.of(authority.Line())
	old, active := v.Issued(authority), v.Issued(authority.At(roll.Active))
	switch {
	case old == nil || active == nil || v.policy.place(&old.Authority) == v.policy.place(&active.Authority):
		return time.Time{}
	case v.Unsent(active.Name) || active.Objects < old.Objects && len(v.Authorised(active.Name, active.Certified)) > active.Objects:
		return v.now.Add(5 * time.Second)
	}
	return roll.Switched.Add(v.policy.Soak)
}

// Lingers is for how long the certificate of a retired generation stays when all that it signed has gone: as long as the next one
// was published before it issued. Who can't reach the repository meanwhile goes on with what it has of before. Who has the next key
// issue at once wants the old one gone.
func (v *ledgerView) Lingers(authority issued.Name) time.Duration {
	return v.rolls.of(authority.Line()).Soak
}

func (v *ledgerView) Unsent(authority issued.Name) bool {
	is := v.Issued(authority)
	return is != nil && v.unsent(&is.Authority)
}

func (v *ledgerView) Offline(authority issued.Name) bool { return v.offline(authority) }
func (v *ledgerView) Aside(authority issued.Name) bool {
	return v.isAside(authority.Holder, v.now)
}

// The following need the engine's mu held.

// parentOf is the authority that certifies another: the active one of the organisation above it, by way of the same source.
func (e *Engine) parentOf(n issued.Name) issued.Name {
	if n.Source != "" && e.sourcedAt(n.Source) == n.Holder {
		return issued.Outside
	}
	o, ok := e.ledger.Organisation(n.Holder)
	if !ok || o.Parent == "" {
		return issued.Anchor
	}
	return e.active(issued.Name{Holder: o.Parent, Source: n.Source})
}

// sourcedAt is the organisation that has a source outside the tree.
func (e *Engine) sourcedAt(source string) string {
	if p := e.peers.ParentOf(source); p != nil {
		return p.Holder
	}
	return e.ledger.SourcedAt(source)
}

// above is the organisation directly above another, or issued.AnchorHolder.
func (e *Engine) above(holder string) string {
	if o, ok := e.ledger.Organisation(holder); ok && o.Parent != "" {
		return o.Parent
	}
	return issued.AnchorHolder
}

// isAbove tells whether one organisation is above another.
func (e *Engine) isAbove(high, low string) bool {
	for low != issued.AnchorHolder {
		if low = e.above(low); low == high {
			return true
		}
	}
	return false
}

func (e *Engine) registryOf(holder string) string { return e.ledger.Registry(holder) }

func (e *Engine) ledgerKind(holder string) holdings.Kind {
	o, _ := e.ledger.Organisation(holder)
	return o.Kind
}

// touch has the engine plan for an organisation, and where something comes from outside the tree for all below it: what they
// hold may rest on other sources now, although it is the same.
func (e *Engine) touch(holder string) {
	e.dirty[holder] = true
	if e.peers.HasSources() {
		for _, child := range e.ledger.Children(holder) {
			e.touch(child)
		}
	}
}
