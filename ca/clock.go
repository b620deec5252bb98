package ca

import (
	"time"

	"cadastre/holdings"
)

// manifestDue is when an authority's manifest and CRL are to be made anew.
func (p *Policy) manifestDue(a *Authority) time.Time {
	_, slack := p.manifestLife(a.Holder, a.Number)
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
	Authority
	kind holdings.Kind
}

// clocks is every authority's. The earliest end over all of them is that over every chain of the tree, since each
// chain is made of authorities and their products.
type clocks map[string]clock

// due lists the authorities of which something is to be made anew by now.
func (c clocks) due(p *Policy, now time.Time) []string {
	var holders []string
	for holder := range c {
		if at := c.dueAt(p, holder); !now.Before(at) {
			holders = append(holders, holder)
		}
	}
	return holders
}

// next is when the next one falls due, the zero time when there is none.
func (c clocks) next(p *Policy) time.Time {
	var next time.Time
	for holder := range c {
		if at := c.dueAt(p, holder); next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}

func (c clocks) dueAt(p *Policy, holder string) time.Time {
	own := c[holder]
	at := p.manifestDue(&own.Authority)
	if !own.FirstROA.IsZero() {
		at = sooner(at, p.ROA.dueAt(own.FirstROA, own.CertExpires))
	}
	if issuer, ok := c[own.Issuer]; ok && own.Issuer != holder {
		at = sooner(at, p.lifetime(own.kind).dueAt(own.CertExpires, issuer.CertExpires))
	}
	return at
}

// sooner is the earlier of two times, of which b may be zero for never.
func sooner(a, b time.Time) time.Time {
	if b.IsZero() {
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

// first is when the first thing in the whole tree ends to be valid, and whose it is.
func (c clocks) first() (at time.Time, holder string) {
	for name, own := range c {
		end := earlier(own.NextUpdate, own.CertExpires)
		if end = sooner(end, own.FirstROA); at.IsZero() || end.Before(at) {
			at, holder = end, name
		}
	}
	return at, holder
}
