package ca

import (
	"time"

	"cadastre/ca/issued"
	"cadastre/holdings"
)

// manifestDue is when an authority's manifest and CRL are to be made anew. It is zero, which is never, while they last as
// long as the authority's certificate, since it is then the issuer's turn first, and where it makes none: its key is
// elsewhere, or it has no certificate yet.
func (p *Policy) manifestDue(a *issued.Authority) time.Time {
	if a.NextUpdate.IsZero() || !a.NextUpdate.Before(a.CertExpires) {
		return time.Time{}
	}
	_, slack := p.manifestLife(a.Name, a.Number)
	return a.NextUpdate.Add(-slack).Truncate(p.Grid)
}

// dueAt is when something that ends at expires is to be made anew: when its lead begins. It is zero, which is never,
// while a new one would not last noticeably longer because the issuer's own end is what cuts it short; it is then the
// issuer's turn first.
func (l Lifetime) dueAt(expires, issuerExpires time.Time) time.Time {
	if issuerExpires.Sub(expires) < day {
		return time.Time{}
	}
	return expires.Add(-l.Lead)
}

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
	at := p.manifestDue(&own.Authority)
	if !own.FirstObject.IsZero() {
		at = sooner(at, p.ROA.dueAt(own.FirstObject, own.CertExpires))
	}
	if issuer, ok := c[own.Issuer]; ok && own.Issuer != name && issuerSigns {
		at = sooner(at, p.lifetime(own.kind).dueAt(own.CertExpires, issuer.CertExpires))
	}
	return at
}

// notBefore is a time before which nothing of an authority falls due, whatever its issuer does.
func (p *Policy) notBefore(own *clock) time.Time {
	at := p.manifestDue(&own.Authority)
	if !own.FirstObject.IsZero() {
		at = sooner(at, p.ROA.dueAt(own.FirstObject, own.CertExpires))
	}
	if !own.Issuer.IsZero() && own.Issuer != own.Name && !own.CertExpires.IsZero() {
		at = sooner(at, own.CertExpires.Add(-p.lifetime(own.kind).Lead))
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
			next = sooner(next, at)
		}
	}
	for holder, w := range e.aside {
		note(holder, w.until)
		for _, name := range e.issuedAt[holder] {
			own := e.clocks[name]
			note(holder, w.next(e.policy.manifestDue(&own.Authority)))
		}
	}
	for holder, off := range e.later {
		if !e.isAside(holder, off.At) {
			note(holder, off.At)
		}
	}
	return holders, next
}

// sooner is the earlier of two times, of which either may be zero for never.
func sooner(a, b time.Time) time.Time {
	switch {
	case a.IsZero():
		return b
	case b.IsZero():
		return a
	}
	return earlier(a, b)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// first is when the first thing in the whole tree ends to be valid, and whose it is.
func (c clocks) first() (at time.Time, whose issued.Name) {
	for name, own := range c {
		end := sooner(own.NextUpdate, own.CertExpires)
		if end = sooner(end, own.FirstObject); !end.IsZero() && (at.IsZero() || end.Before(at)) {
			at, whose = end, name
		}
	}
	return at, whose
}
