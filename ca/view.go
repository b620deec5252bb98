package ca

import (
	"maps"
	"slices"
	"time"

	"cadastre/federation"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/roa"
)

// ledgerView is the engine as a plan sees it. The engine's mu is held while it is used.
type ledgerView struct {
	*Engine
	now     time.Time
	failure error
}

func (v *ledgerView) Authorities(holder string) []string {
	if holder == AnchorName {
		return []string{AnchorName}
	}
	names := map[string]bool{}
	for _, source := range v.ledger.Sources(holder) {
		line := name{holder: holder, source: source}
		roll := v.rolls.of(line.String())
		line.generation = roll.Active
		names[line.String()] = true
		if roll.Next != 0 {
			line.generation = roll.Next
			names[line.String()] = true
		}
	}
	for _, key := range v.peers.Keys(holder) {
		authority := key.Authority
		names[authority] = true
	}
	for _, authority := range v.issuedOf(holder) {
		names[authority] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func (v *ledgerView) Parent(authority string) string { return v.parentOf(authority) }
func (v *ledgerView) Depth(authority string) int     { return v.ledger.Depth(parseName(authority).holder) }
func (v *ledgerView) Kind(authority string) holdings.Kind {
	return v.ledgerKind(parseName(authority).holder)
}

// Entitled is what the certificate of an authority is to name: what the organisation holds by way of the authority's
// source. What those below may still have for the time of their notice stays.
func (v *ledgerView) Entitled(authority string) inr.Set {
	n := parseName(authority)
	via := v.ledger.Via(n.holder, n.source)
	switch {
	case n.key != "":
		return v.entitledKey(n, via)
	case !v.certifiesItself(n.holder):
		return inr.Set{}
	}
	if v.Successor(authority) != "" {
		if is := v.Issued(authority); is != nil {
			return is.Certified.Intersect(via)
		}
		return inr.Set{}
	}
	if kept := v.keptBelow(n); !kept.Empty() {
		n.generation = v.rolls.of(n.line()).Active // which has certified it; the next is to take it over
		if is := v.Issued(n.String()); is != nil {
			via = via.Union(kept.Intersect(is.Certified))
		}
	}
	return via
}

// entitledKey is what a delegated CA's key may be certified for: what it had granted when it asked last, as far as its
// organisation holds it or lost it within the time of its notice.
func (v *ledgerView) entitledKey(n name, via inr.Set) inr.Set {
	key := v.peers.Key(n.String())
	if key == nil {
		return inr.Set{}
	}
	if notice := v.peers.Notice(n.holder); notice != nil && v.now.Before(notice.Until) {
		via = via.Union(notice.Lost)
	}
	return key.Granted.Intersect(via)
}

// keptBelow is what certificates of delegated CAs below an authority still name for the time of their notice.
func (v *ledgerView) keptBelow(above name) inr.Set {
	var kept []inr.Set
	for _, notice := range v.peers.Notices() {
		holder := notice.Holder
		if !v.now.Before(notice.Until) || !v.isAbove(above.holder, holder) {
			continue
		}
		for _, key := range v.peers.Keys(holder) {
			authority := key.Authority
			if is := v.Issued(authority); is != nil && parseName(authority).source == above.source {
				kept = append(kept, is.Certified.Intersect(notice.Lost))
			}
		}
	}
	return inr.Sum(kept...)
}

// certifiesItself tells whether an organisation has authorities here: where it has a delegated CA, only as long as there is
// something that needs one, intents or organisations below it.
func (e *Engine) certifiesItself(holder string) bool {
	return e.peers.Child(holder) == nil || len(e.book.Of(holder)) > 0 || len(e.ledger.Children(holder)) > 0
}

func (v *ledgerView) Authorised(authority string, within inr.Set) []roa.VRP {
	n := parseName(authority)
	if n.key != "" || n.generation != v.rolls.of(n.line()).Active {
		return nil
	}
	via := v.ledger.Via(n.holder, n.source).Intersect(within)
	ahead := v.book.Ahead(n.holder, via, v.ledger.Leaving(n.holder))
	return roa.Unique(append(ahead, v.book.VRPs(n.holder, via)...))
}

func (v *ledgerView) Moving(authority string) bool {
	return v.ledger.Moving(parseName(authority).holder)
}

func (v *ledgerView) Issued(authority string) *issued {
	is, err := v.issuedTo(authority)
	if err != nil {
		v.failure = err
	}
	return is
}

func (v *ledgerView) Received(authority string) *federation.Received {
	return v.peers.Received(authority)
}
func (v *ledgerView) Asked(authority string) *federation.ChildKey { return v.peers.Key(authority) }

func (v *ledgerView) Successor(authority string) string {
	n := parseName(authority)
	roll := v.rolls.of(n.line())
	if n.key != "" || !roll.retired(n.generation) {
		return ""
	}
	n.generation = roll.Active
	return n.String()
}

// Holdback is until when a retired generation withdraws nothing: where the one that took over publishes in another place,
// until its objects have arrived there and readers have had the time to see them.
func (v *ledgerView) Holdback(authority string) time.Time {
	n := parseName(authority)
	roll := v.rolls.of(n.line())
	n.generation = roll.Active
	old, active := v.Issued(authority), v.Issued(n.String())
	switch {
	case old == nil || active == nil || v.policy.place(&old.Authority) == v.policy.place(&active.Authority):
		return time.Time{}
	case v.Unsent(n.String()) || active.ROAs < old.ROAs && len(v.Authorised(n.String(), active.Certified)) > active.ROAs:
		return v.now.Add(5 * time.Second)
	}
	return roll.Switched.Add(v.policy.Soak)
}

// Lingers is for how long the certificate of a retired generation stays when all that it signed has gone: as long as the next one
// was published before it issued. Who can't reach the repository meanwhile goes on with what it has of before. Who has the next key
// issue at once wants the old one gone.
func (v *ledgerView) Lingers(authority string) time.Duration {
	return v.rolls.of(parseName(authority).line()).Soak
}

func (v *ledgerView) Unsent(authority string) bool {
	is := v.Issued(authority)
	return is != nil && v.unsent(&is.Authority)
}

func (v *ledgerView) Offline(authority string) bool { return v.offline(authority) }
func (v *ledgerView) Aside(authority string) bool {
	return v.isAside(parseName(authority).holder, v.now)
}

// The following need the engine's mu held.

// parentOf is the authority that certifies another: the active one of the organisation above it, by way of the same source.
func (e *Engine) parentOf(authority string) string {
	n := parseName(authority)
	if n.source != "" && e.sourcedAt(n.source) == n.holder {
		return outside
	}
	o, ok := e.ledger.Organisation(n.holder)
	if !ok || o.Parent == "" {
		return AnchorName
	}
	above := name{holder: o.Parent, source: n.source}
	above.generation = e.rolls.of(above.String()).Active
	return above.String()
}

// sourcedAt is the organisation that has a source outside the tree.
func (e *Engine) sourcedAt(source string) string {
	if p := e.peers.ParentOf(source); p != nil {
		return p.Holder
	}
	return e.ledger.SourcedAt(source)
}

// above is the organisation directly above another, or AnchorName.
func (e *Engine) above(holder string) string {
	if o, ok := e.ledger.Organisation(holder); ok && o.Parent != "" {
		return o.Parent
	}
	return AnchorName
}

// isAbove tells whether one organisation is above another.
func (e *Engine) isAbove(high, low string) bool {
	for low != AnchorName {
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
