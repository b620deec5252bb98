package plan

import (
	"slices"
	"time"

	"cadastre/ca/issued"
	"cadastre/internal/inr"
)

// What is published in one repository is relied on in another only when no reader can hold an older state of the first: after the soak. This
// file has the parts of the planner that put something off for that.

// Delay is how long an organisation, or a part of the work for it, has to wait.
type Delay struct {
	At    time.Time // when to plan for it again
	Soaks time.Time // until when readers may hold an older state; zero where it waits for something else
	Since time.Time // since when it waits
}

// again notes that an organisation is to be planned for again at a time.
func (p *planner) again(name issued.Name, at time.Time) {
	holder := name.Holder
	off := p.later[holder]
	off.At = issued.Sooner(at, off.At)
	p.later[holder] = off
}

// soaks notes that an organisation is to be planned for again at a time, since readers may hold an older state until then.
func (p *planner) soaks(name issued.Name, until time.Time) {
	p.again(name, until)
	holder := name.Holder
	off := p.later[holder]
	off.Soaks, off.Since = issued.Later(until, off.Soaks), p.now
	p.later[holder] = off
}

// first is what the first certificate of a new authority names, and when it can name the rest. If the organisation has no authority so far,
// and nothing of what it is to have has soaked above it, the certificate need not wait: a reader that cannot validate it yet loses nothing.
// That does not apply to what moves in a transfer, since the source's side is withdrawn when this one has been seen.
func (p *planner) first(name, parent issued.Name, entitled inr.Set) (inr.Set, time.Time) {
	given, at := p.given(entitled, parent)
	if at.IsZero() || !given.Empty() || p.Moving(name) || p.known(name.Holder) {
		return given, at
	}
	if given = entitled.Intersect(p.named(parent)); given.Contains(entitled) {
		at = time.Time{}
	}
	return given, at
}

// known tells whether an organisation has any authority.
func (p *planner) known(holder string) bool {
	return slices.ContainsFunc(p.Authorities(holder), func(name issued.Name) bool { return p.Issued(name) != nil })
}

// named is what an authority's certificate names after the Grow and Create steps of this plan.
func (p *planner) named(name issued.Name) inr.Set {
	if name == issued.Anchor || name == issued.Outside {
		return inr.Everything()
	}
	is, parent, entitled := p.Issued(name), p.Parent(name), p.Entitled(name)
	var names inr.Set
	if is == nil {
		names, _ = p.first(name, parent, entitled)
	} else {
		names, _ = p.will(parent, is, entitled)
	}
	return names
}

// given is the part of some resources that an issuer may certify now, and when it may certify the rest; zero where it may certify all. If a
// certificate above grew in another repository, the new part has to soak first: a reader may have fetched that repository just before.
func (p *planner) given(resources inr.Set, issuer issued.Name) (inr.Set, time.Time) {
	at := time.Time{}
	for above := issuer; above != issued.Anchor && above != issued.Outside; above = p.Parent(above) {
		is := p.Issued(above)
		if is == nil {
			continue
		}
		base, until := p.soaked(above, is, !is.Certified.Contains(p.Entitled(above)))
		if p.now.Before(until) && !base.Contains(resources) {
			resources, at = resources.Intersect(base), issued.Later(until, at)
		}
	}
	return resources, at
}

// soaked is what an authority's certificate names for every reader, and until when it is no more than that. Each growth soaks separately.
// Grows tells that this plan gives it more.
func (p *planner) soaked(name issued.Name, is *issued.Records, grows bool) (base inr.Set, until time.Time) {
	base = is.Certified
	if p.changesHands(name, p.Parent(name), is) { // its new certificate comes first
		until = p.now.Add(time.Second)
	}
	if !p.apart(name, is) {
		return base, until
	}
	for _, g := range p.soaking(is) {
		base = base.Intersect(g.Before)
		if until.IsZero() {
			until = issued.Later(g.At.Add(p.policy.Soak), p.now.Add(time.Second)) // if the soak is over by now, only sending is waited for
		}
	}
	if grows && until.IsZero() {
		until = p.now.Add(p.policy.Soak)
	}
	return base, until
}

// soaking lists the growths of an authority's certificate that some readers may not have seen yet. If the issuer publishes at a server
// elsewhere that does not have all of it, no growth counts as seen, however old it is.
func (p *planner) soaking(is *issued.Records) []issued.Growth {
	if is.Issuer != issued.Outside && p.Unsent(is.Issuer) {
		return is.Grown
	}
	over := func(g issued.Growth) bool { return !p.now.Before(g.At.Add(p.policy.Soak)) }
	return slices.DeleteFunc(slices.Clone(is.Grown), over)
}

// apart tells whether a reader may hold an authority's certificate as of one moment, and what the authority signed as of another. Then a soak
// is needed. It is so if they lie in different repositories. In a transfer each authority's folder counts as a repository, since readers
// over rsync may fetch one folder after the other.
func (p *planner) apart(name issued.Name, is *issued.Records) bool {
	if p.policy.Soak <= 0 || is.Issuer == issued.Outside {
		return p.policy.Soak > 0
	}
	issuer := p.Issued(p.Parent(name))
	return issuer != nil && (issuer.Repository != is.Repository || p.Moving(name))
}

// shed is when a certificate may name less, or end. If it and what its authority signed lie apart, that is a soak after the certificates below
// it shrank, its ROAs were parted or withdrawn, or another generation took over what it had issued.
func (p *planner) shed(is *issued.Records) time.Time {
	if !p.apart(is.Name, is) {
		return time.Time{}
	}
	if own := p.waves[waveKey{Authorise, 0}][is.Name]; own != nil && len(own.Withdraw) > 0 {
		return p.now.Add(p.policy.Soak)
	}
	for _, product := range is.Products { // certificates that this plan shrinks
		below, is := product.Certifies()
		if !is {
			continue
		}
		if child := p.Issued(below); child != nil && !p.Entitled(below).Empty() && !p.Entitled(below).Contains(child.Certified) {
			return p.now.Add(p.policy.Soak)
		}
	}
	return is.Shed.Add(p.policy.Soak)
}
