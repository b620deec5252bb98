package ca

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/roa"
)

// view is what a plan is made from: who holds what, what they want authorised, and what is issued. It does not change
// while the plan is made.
type view interface {
	Parent(holder string) string // the issuing authority's holder: a parent organisation, or AnchorName for the root
	Children(holder string) []string
	Depth(holder string) int
	Kind(holder string) holdings.Kind
	Registry(holder string) string
	Entitled(holder string) inr.Set
	Authorised(holder string) []roa.VRP
	Issued(holder string) *issued // nil where there is no authority
	Offline(holder string) bool   // nothing can be signed with its key now
	Aside(holder string) bool     // its work failed, and only its manifest is renewed until that is tried again
}

// Step says why a wave comes where it does.
type Step string

// The steps, in the order in which a plan takes them. At every point between two waves each chain is valid, and stays
// so together with any older wave that a reader still holds.
const (
	Refresh   Step = "refresh"   // manifests and CRLs that near their end are made anew, top-down, with nothing else
	Grow      Step = "grow"      // certificates get more resources, top-down
	Create    Step = "create"    // new authorities, top-down, each with its objects before its certificate
	Authorise Step = "authorise" // ROAs come and go
	Withdraw  Step = "withdraw"  // ROAs go that another holder has issued anew meanwhile
	Shrink    Step = "shrink"    // certificates lose resources or are revoked, bottom-up
	Renew     Step = "renew"     // certificates that near their end are made anew, top-down
)

// wave is changes that do not depend on each other. The next wave begins when this one is published.
type wave struct {
	Step    Step
	Depth   int // of the authorities that change
	Updates []update
}

// update is what one authority does in a wave. Whatever it is, a new CRL and manifest go with it.
type update struct {
	Holder    string
	Certify   []certify // certificates to issue to authorities below
	Revoke    []string  // holders below whose certificates are revoked and whose objects are withdrawn
	Create    bool      // the authority itself is new
	Authorise []roa.VRP // ROAs to issue
	Withdraw  []string  // file names of ROAs to withdraw and revoke
}

// certify is one certificate to issue. A replacement keeps key and name.
type certify struct {
	Holder    string
	Resources inr.Set
}

// plan orders what has to be done for some organisations so that what is issued follows what they hold and want, and
// nothing of it nears its end. It is a pure function of the view and now.
//
// The set must be closed: with an organisation come those of its ancestors and descendants that have work waiting.
func plan(v view, policy *Policy, set []string, now time.Time) []wave {
	p := planner{view: v, policy: policy, now: now, waves: map[waveKey]map[string]*update{}}
	for _, holder := range set {
		p.organisation(holder)
	}
	p.handOver()
	return p.ordered()
}

type waveKey struct {
	step  Step
	depth int
}

type planner struct {
	view
	policy *Policy
	now    time.Time
	waves  map[waveKey]map[string]*update
}

// in is the update of an authority in a wave, made where there is none yet.
func (p *planner) in(step Step, depth int, holder string) *update {
	key := waveKey{step, depth}
	if p.waves[key] == nil {
		p.waves[key] = map[string]*update{}
	}
	u := p.waves[key][holder]
	if u == nil {
		u = &update{Holder: holder}
		p.waves[key][holder] = u
	}
	return u
}

func (p *planner) organisation(holder string) {
	depth := 0
	if holder != AnchorName {
		depth = p.Depth(holder) + 1
	}
	is := p.Issued(holder)
	if holder == AnchorName || p.Aside(holder) {
		if is != nil && p.due(p.policy.manifestDue(&is.Authority)) {
			p.in(Refresh, depth, holder)
		}
		return
	}
	parent, entitled := p.Parent(holder), p.Entitled(holder)
	switch {
	case is == nil && (entitled.Empty() || !p.certifies(parent)):
	case is == nil:
		up := p.in(Create, depth, parent)
		up.Certify = append(up.Certify, certify{holder, entitled})
		own := p.in(Create, depth, holder)
		own.Create, own.Authorise = true, p.Authorised(holder)
	case entitled.Empty():
		if names := roaNames(is); len(names) > 0 {
			p.in(Authorise, 0, holder).Withdraw = names
		}
		up := p.in(Shrink, depth, parent)
		up.Revoke = append(up.Revoke, holder)
	default:
		p.existing(holder, parent, depth, is, entitled)
	}
}

func (p *planner) existing(holder, parent string, depth int, is *issued, entitled inr.Set) {
	if more := entitled.Minus(is.Certified); !more.Empty() {
		up := p.in(Grow, depth, parent)
		up.Certify = append(up.Certify, certify{holder, is.Certified.Union(entitled)})
	}
	add, withdraw := p.roas(holder, is)
	if len(add)+len(withdraw) > 0 {
		own := p.in(Authorise, 0, holder)
		own.Authorise, own.Withdraw = add, withdraw
	}
	// a new manifest comes with any change, but what has ended already can carry none
	if changes := len(add)+len(withdraw) > 0; p.due(p.policy.manifestDue(&is.Authority)) && (!changes || p.due(is.NextUpdate)) {
		p.in(Refresh, depth, holder)
	}
	switch {
	case !entitled.Contains(is.Certified):
		up := p.in(Shrink, depth, parent)
		up.Certify = append(up.Certify, certify{holder, entitled})
	case p.certificateDue(holder, parent, is) && entitled.Equal(is.Certified):
		up := p.in(Renew, depth-1, parent)
		up.Certify = append(up.Certify, certify{holder, entitled})
	}
}

// certifies tells whether an authority can certify another one: it is there or comes with this plan, and so does its key.
func (p *planner) certifies(holder string) bool {
	switch {
	case p.Offline(holder):
		return false
	case holder == AnchorName || p.Issued(holder) != nil:
		return true
	default:
		return !p.Aside(holder) && !p.Entitled(holder).Empty() && p.certifies(p.Parent(holder))
	}
}

// roas compares the ROAs that are issued with those that are wanted, and with the clock. Of two that say the same one
// goes.
func (p *planner) roas(holder string, is *issued) (add []roa.VRP, withdraw []string) {
	wanted := map[string]roa.VRP{}
	for _, vrp := range p.Authorised(holder) {
		wanted[vrp.String()] = vrp
	}
	for _, name := range roaNames(is) {
		product := is.products[name]
		vrp, keep := wanted[product.Says]
		switch {
		case !keep:
			withdraw = append(withdraw, name)
		case p.due(p.policy.ROA.dueAt(product.Expires, is.CertExpires)):
			add, withdraw = append(add, vrp), append(withdraw, name)
		}
		delete(wanted, product.Says)
	}
	for _, says := range slices.Sorted(maps.Keys(wanted)) {
		add = append(add, wanted[says])
	}
	return add, withdraw
}

func roaNames(is *issued) []string {
	var names []string
	for name, product := range is.products {
		if product.Kind == ROAProduct {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// certificateDue tells whether an authority's certificate nears its end and its issuer can give it a better one.
func (p *planner) certificateDue(holder, parent string, is *issued) bool {
	issuer := p.Issued(parent)
	return issuer != nil && p.due(p.policy.lifetime(p.Kind(holder)).dueAt(is.CertExpires, issuer.CertExpires))
}

func (p *planner) due(at time.Time) bool { return !at.IsZero() && !p.now.Before(at) }

// handOver has what changes hands issued by the new holder before the old one withdraws it: they may publish in
// different repositories.
func (p *planner) handOver() {
	issuers := map[string]int{} // by what the new ROAs say, those who issue one
	for _, updates := range p.waves {
		for _, u := range updates {
			for _, vrp := range u.Authorise {
				issuers[vrp.String()]++
			}
		}
	}
	for _, u := range p.waves[waveKey{Authorise, 0}] {
		own := map[string]bool{}
		for _, vrp := range u.Authorise {
			own[vrp.String()] = true
		}
		products, now := p.Issued(u.Holder).products, u.Withdraw[:0:0]
		for _, name := range u.Withdraw {
			if says := products[name].Says; issuers[says] == 0 || own[says] {
				now = append(now, name)
				continue
			}
			late := p.in(Withdraw, 0, u.Holder)
			late.Withdraw = append(late.Withdraw, name)
		}
		u.Withdraw = now
	}
}

// What is refreshed comes first: after a long outage nothing else would be valid.
var stepOrder = map[Step]int{Refresh: 0, Grow: 1, Create: 2, Authorise: 3, Withdraw: 4, Shrink: 5, Renew: 6}

// ordered puts the waves in order, and the updates in each, so that the same view gives the same plan. What needs a key
// that is offline is left out: it stays due.
func (p *planner) ordered() []wave {
	keys := slices.SortedFunc(maps.Keys(p.waves), func(a, b waveKey) int {
		if a.step != b.step {
			return cmp.Compare(stepOrder[a.step], stepOrder[b.step])
		}
		if a.step == Shrink {
			return cmp.Compare(b.depth, a.depth)
		}
		return cmp.Compare(a.depth, b.depth)
	})
	var out []wave
	for _, key := range keys {
		w := wave{Step: key.step, Depth: key.depth}
		for _, holder := range slices.Sorted(maps.Keys(p.waves[key])) {
			if !p.Offline(holder) {
				w.Updates = append(w.Updates, *p.waves[key][holder])
			}
		}
		if len(w.Updates) > 0 {
			out = append(out, w)
		}
	}
	return out
}
