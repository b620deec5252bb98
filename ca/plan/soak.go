package plan

import (
	"slices"
	"time"

	"cadastre/ca/issued"
	"cadastre/internal/inr"
)

// What one repository says is built on in another when no reader can hold the first as it was before: after the soak. This file
// is what of a plan that puts off.

// Delay is how long an organisation, or a part of what is to be done for it, has to wait.
type Delay struct {
	At    time.Time // when to plan for it again
	Soaks time.Time // until when readers may hold what it must not be built on; zero where it waits for something else
	Since time.Time // since when it waits for that
}

// again has an organisation planned for at a time.
func (p *planner) again(name issued.Name, at time.Time) {
	holder := name.Holder
	off := p.later[holder]
	off.At = issued.Sooner(at, off.At)
	p.later[holder] = off
}

// soaks has an organisation planned for again at a time, since readers may hold something of before until then.
func (p *planner) soaks(name issued.Name, until time.Time) {
	p.again(name, until)
	holder := name.Holder
	off := p.later[holder]
	off.Soaks, off.Since = issued.Later(until, off.Soaks), p.now
	p.later[holder] = off
}

// first is what the first certificate of a new authority names, and from when on it can name the rest. Where an organisation has
// none at all so far, and nothing of what it is to have has soaked above it, nothing is lost for a reader who can't follow the chain
// yet, and it need not wait. What moves is another matter: somebody else has it meanwhile, and looks for it here.
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

// named is what an authority's certificate names after this plan's growth.
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

// given is what of some resources an issuer may certify now, and from when on it may certify the rest; zero where it may
// certify all. A certificate that got more in one repository is not built on in another before readers that fetched the
// first just before it grew are done.
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

// soaked is what an authority's certificate names for every reader, and until when that is not more: each time that it got
// something soaks by itself. With grows, this plan gives it more.
func (p *planner) soaked(name issued.Name, is *issued.Records, grows bool) (base inr.Set, until time.Time) {
	base = is.Certified
	if p.changesHands(name, p.Parent(name), is) { // whatever it is to get
		until = p.now.Add(time.Second)
	}
	if !p.apart(name, is) {
		return base, until
	}
	for _, g := range p.soaking(is) {
		base = base.Intersect(g.Before)
		if until.IsZero() {
			until = issued.Later(g.At.Add(p.policy.Soak), p.now.Add(time.Second)) // over by now is what is unsent alone
		}
	}
	if grows && until.IsZero() {
		until = p.now.Add(p.policy.Soak)
	}
	return base, until
}

// soaking is what an authority's certificate got of late, so that there are readers who do not know of it. Of what has not
// reached the server of another that its issuer publishes at nobody knows, however long ago it was.
func (p *planner) soaking(is *issued.Records) []issued.Growth {
	if is.Issuer != issued.Outside && p.Unsent(is.Issuer) {
		return is.Grown
	}
	over := func(g issued.Growth) bool { return !p.now.Before(g.At.Add(p.policy.Soak)) }
	return slices.DeleteFunc(slices.Clone(is.Grown), over)
}

// apart tells whether a reader may hold an authority's certificate of one moment and what it signed of another, which is what
// a soak is for: where they lie in different repositories. In a transfer nothing is left to chance, and each authority's
// folder counts as one, for readers over rsync may fetch one folder after the other.
func (p *planner) apart(name issued.Name, is *issued.Records) bool {
	if p.policy.Soak <= 0 || is.Issuer == issued.Outside {
		return p.policy.Soak > 0
	}
	issuer := p.Issued(p.Parent(name))
	return issuer != nil && (issuer.Repository != is.Repository || p.Moving(name))
}

// shed is from when on a certificate may name less, or end: some time after those below it do and ROAs were parted, or another
// generation took what it had, where the two lie apart.
func (p *planner) shed(is *issued.Records) time.Time {
	if !p.apart(is.Name, is) {
		return time.Time{}
	}
	if own := p.waves[waveKey{Authorise, 0}][is.Name]; own != nil && len(own.Withdraw) > 0 {
		return p.now.Add(p.policy.Soak)
	}
	for _, product := range is.Products { // those below that this plan shrinks
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
