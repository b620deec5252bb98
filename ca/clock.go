package ca

import (
	"time"

	"cadastre/ca/issued"
	"cadastre/holdings"
)

// clock is what the scheduler knows of one authority.
type clock struct {
	issued.Authority
	kind holdings.Kind
}

// clocks is every authority's. The earliest end over all of them is that over every chain of the tree, since each
// chain is made of authorities and their products.
type clocks map[issued.Name]clock

// dueAt is when something of an authority is to be made anew: its manifest, a ROA, or, if its issuer can sign, its
// certificate.
func (c clocks) dueAt(p *Policy, name issued.Name, issuerSigns bool) time.Time {
	own := c[name]
	at := p.ManifestDue(&own.Authority)
	if !own.FirstObject.IsZero() {
		at = issued.Sooner(at, p.ROA.DueAt(own.FirstObject, own.CertExpires))
	}
	if issuer, ok := c[own.Issuer]; ok && own.Issuer != name && issuerSigns {
		at = issued.Sooner(at, p.LifetimeOf(own.kind).DueAt(own.CertExpires, issuer.CertExpires))
	}
	return at
}

// notBefore is a time before which nothing of an authority falls due, whatever its issuer does.
func (own *clock) notBefore(p *Policy) time.Time {
	at := p.ManifestDue(&own.Authority)
	if !own.FirstObject.IsZero() {
		at = issued.Sooner(at, p.ROA.DueAt(own.FirstObject, own.CertExpires))
	}
	if !own.Issuer.IsZero() && own.Issuer != own.Name && !own.CertExpires.IsZero() {
		at = issued.Sooner(at, own.CertExpires.Add(-p.LifetimeOf(own.kind).Lead))
	}
	return at
}

// offline tells whether nothing can be signed with an authority's key.
func (e *Engine) offline(name issued.Name) bool { return name == issued.Anchor && e.anchor == nil }

// seemedDue is when something that seemed due and was not is looked at anew.
const seemedDue = time.Hour

// due is the organisations for which something is due now, and when the next will be; zero where none is known. The engine's
// mu is held.
func (e *Engine) due(now time.Time) (holders []string, next time.Time) {
	e.knownMu.Lock()
	defer e.knownMu.Unlock()
	for name := range e.deadlines.Until(now) {
		own := e.clocks[name]
		at := e.clocks.dueAt(&e.policy, name, !e.offline(own.Issuer))
		switch {
		case e.offline(name) || at.IsZero():
			e.deadlines.Set(name, now.Add(seemedDue))
		case e.aside[own.Holder] != nil:
			e.deadlines.Set(name, now.Add(time.Minute)) // what it waits for is below
		case now.Before(at):
			e.deadlines.Set(name, at)
		default:
			holders = append(holders, own.Holder)
		}
	}
	if len(holders) == 0 {
		next = e.deadlines.Next()
	}
	note := func(holder string, at time.Time) {
		if !now.Before(at) {
			holders = append(holders, holder)
		} else {
			next = issued.Sooner(next, at)
		}
	}
	for holder, w := range e.aside {
		note(holder, w.until)
		for _, name := range e.issuedAt[holder] {
			own := e.clocks[name]
			note(holder, w.next(e.policy.ManifestDue(&own.Authority)))
		}
	}
	for holder, off := range e.later {
		if !e.isAside(holder, off.At) {
			note(holder, off.At)
		}
	}
	return holders, next
}

// first is when the first thing in the whole tree ends to be valid, and whose it is.
func (c clocks) first() (at time.Time, whose issued.Name) {
	for name, own := range c {
		end := issued.Sooner(own.NextUpdate, own.CertExpires)
		if end = issued.Sooner(end, own.FirstObject); !end.IsZero() && (at.IsZero() || end.Before(at)) {
			at, whose = end, name
		}
	}
	return at, whose
}
