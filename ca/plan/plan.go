// Package plan orders what has to be issued and revoked, so that it follows from what organisations hold and want.
//
// A plan is a pure function of a View and the time: the package knows no engine, no store and no network. Make returns waves of updates;
// each wave is published before the next begins. Chunks cuts a wave into batches, and Parts cuts a batch that failed. Advanced computes
// the next step of a key roll.
package plan

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/payload"
)

// View is what a plan is made from: who holds what, what they want authorised, and what is issued. It does not change
// while the plan is made.
type View interface {
	Authorities(holder string) []issued.Name  // the authorities that an organisation has or is to have
	Parent(authority issued.Name) issued.Name // the issuing authority, issued.Anchor for the root's, or outside
	Depth(authority issued.Name) int
	Kind(authority issued.Name) holdings.Kind
	Entitled(authority issued.Name) inr.Set // what its certificate is to name; nothing: it is to end
	// Authorised is what an authority's signed objects are to say while its certificate names no more than within.
	Authorised(authority issued.Name, within inr.Set) []payload.Payload
	Issued(authority issued.Name) *issued.Records // nil where there is none
	Received(authority issued.Name) *Received     // what a parent elsewhere certified; nil where nothing is
	Asked(authority issued.Name) *Request         // what a delegated CA asked for; nil where the key is ours
	Successor(authority issued.Name) issued.Name  // the generation that issues in its place; zero where it issues itself, or is to
	Holdback(authority issued.Name) time.Time     // if it is retired: it withdraws nothing before this time
	Lingers(authority issued.Name) time.Duration  // if it is retired: its certificate stays so long after what it signed is withdrawn
	Unsent(authority issued.Name) bool            // the server elsewhere that it publishes at does not have all of it
	Moving(authority issued.Name) bool            // it is part of a transfer
	Offline(authority issued.Name) bool           // nothing can be signed with its key now
	InQuarantine(authority issued.Name) bool      // its work failed, and only its manifest is renewed until that is tried again
}

// Step is what the updates of a wave are for. It decides where the wave comes in the plan.
type Step string

// The steps, in the order in which a plan takes them. Between any two waves each chain is valid, also for a reader that holds an older
// state of some repositories.
const (
	Refresh   Step = "refresh"   // manifests and CRLs that near their end are made anew, top-down; nothing else changes
	Grow      Step = "grow"      // certificates get more resources, top-down
	Create    Step = "create"    // new authorities, top-down, each with its objects before its certificate
	Switch    Step = "switch"    // the next generation of an authority certifies what is below it (RFC 6489)
	Authorise Step = "authorise" // signed objects, as ROAs and ASPAs, are issued and withdrawn
	Withdraw  Step = "withdraw"  // signed objects are withdrawn that another authority issued anew in the step before
	Shrink    Step = "shrink"    // certificates lose resources or are revoked, bottom-up
	Renew     Step = "renew"     // certificates that near their end are made anew, top-down
)

// Wave is a set of updates that do not depend on each other. The next wave begins when this one is published.
type Wave struct {
	Step    Step
	Depth   int // of the authorities that change
	Updates []Update
}

// Update is what one authority does in a wave. Each update makes a new CRL and manifest.
type Update struct {
	Name      issued.Name       // of the authority
	Certify   []Certify         // certificates to issue to authorities below
	Revoke    []issued.Name     // authorities below whose certificates are revoked and whose objects are withdrawn
	Release   []string          // file names of certificates that another authority issues in their place from now on
	Create    bool              // the authority itself is new
	Adopt     bool              // it goes by a new certificate from a parent elsewhere
	End       bool              // it withdraws all that it published, and ends
	Authorise []payload.Payload // what signed objects to issue say
	Withdraw  []string          // file names of signed objects to withdraw and revoke, and of certificates that another authority issued anew
}

// Certify is one certificate to issue. A replacement keeps key and name.
type Certify struct {
	Name      issued.Name // of the authority certified
	Resources inr.Set
}

// Make makes the plan for some organisations: after it, what is issued follows from what they hold and want, and nothing nears its end.
// Later has the organisations for which something has to wait. It is a pure function of the view and now.
//
// The set must be closed: it has to contain, for each organisation, those of its ancestors and descendants that have work waiting.
func Make(v View, policy *issued.Policy, set []string, now time.Time) (waves []Wave, later map[string]Delay) {
	p := planner{View: v, policy: policy, now: now, waves: map[waveKey]map[issued.Name]*Update{}, later: map[string]Delay{}}
	for _, holder := range set {
		for _, name := range p.Authorities(holder) {
			p.authority(name)
		}
	}
	p.handOver()
	p.awaitSending()
	p.awaitSwitch()
	return p.ordered(), p.later
}

type waveKey struct {
	step  Step
	depth int
}

type planner struct {
	View
	policy *issued.Policy
	now    time.Time
	waves  map[waveKey]map[issued.Name]*Update
	later  map[string]Delay
}

// in is the update of an authority in a wave. It is made if there is none yet.
func (p *planner) in(step Step, depth int, name issued.Name) *Update {
	key := waveKey{step, depth}
	if p.waves[key] == nil {
		p.waves[key] = map[issued.Name]*Update{}
	}
	u := p.waves[key][name]
	if u == nil {
		u = &Update{Name: name}
		p.waves[key][name] = u
	}
	return u
}

func (p *planner) authority(name issued.Name) {
	depth := 0
	if name != issued.Anchor {
		depth = p.Depth(name) + 1
	}
	is := p.Issued(name)
	if name == issued.Anchor || p.InQuarantine(name) {
		if is != nil && p.due(p.policy.ManifestDue(&is.Authority)) {
			p.in(Refresh, depth, name)
		}
		return
	}
	parent, entitled := p.Parent(name), p.Entitled(name)
	switch {
	case parent == issued.Outside || is != nil && is.Issuer == issued.Outside: // the parent may be forgotten by now
		p.fromOutside(name, depth, is, entitled)
	case is == nil && (entitled.Empty() || !p.certifies(parent)):
	case is == nil:
		p.create(name, parent, depth, entitled)
	case entitled.Empty() || p.spent(name, is): // all that it published goes with its certificate, unless its issuer can't take that back now
		issuer := cmp.Or(is.Issuer, parent)
		if names := is.ObjectNames(); len(names) > 0 && (p.Offline(issuer) || p.InQuarantine(issuer)) {
			p.in(Authorise, 0, name).Withdraw = names
		}
		up := p.in(Shrink, depth, issuer)
		up.Revoke = append(up.Revoke, name)
	case p.changesHands(name, parent, is):
		p.changeOver(name, parent, depth, is)
	case !is.Issuer.IsZero() && is.Issuer != parent && p.Issued(parent) != nil: // until it has a next generation in the new place
		p.existing(name, is.Issuer, depth, is, entitled)
	default:
		p.existing(name, parent, depth, is, entitled)
	}
}

// create plans a new authority. Its certificate names what its issuer may certify now.
func (p *planner) create(name, parent issued.Name, depth int, entitled inr.Set) {
	given, at := p.first(name, parent, entitled)
	if !at.IsZero() {
		p.soaks(name, at)
	}
	if given.Empty() {
		return
	}
	up := p.in(Create, depth, parent)
	up.Certify = append(up.Certify, Certify{name, given})
	own := p.in(Create, depth, name)
	own.Create = true
	if p.Asked(name) == nil {
		own.Authorise = p.Authorised(name, given)
	}
}

// fromOutside plans for an authority below a parent elsewhere. Its key and record were made before, since the parent had to be asked.
func (p *planner) fromOutside(name issued.Name, depth int, is *issued.Records, entitled inr.Set) {
	got := p.Received(name)
	switch {
	case is == nil:
	case (entitled.Empty() || p.spent(name, is)) && !is.Awaits():
		if names := is.ObjectNames(); len(names) > 0 {
			p.in(Authorise, 0, name).Withdraw = names
		}
		if got == nil { // the parent has revoked it
			p.in(Shrink, depth, name).End = true
		} else if p.due(p.policy.ManifestDue(&is.Authority)) {
			p.in(Refresh, depth, name)
		}
	case got == nil && is.Awaits() && p.Parent(name) != issued.Outside: // no parent will certify it any more
		p.in(Shrink, depth, name).End = true
	case got == nil:
	case is.Awaits():
		own := p.in(Create, depth, name)
		own.Adopt, own.Authorise = true, p.Authorised(name, got.Resources)
	case got.Serial.Cmp(is.CertSerial) != 0 && got.Resources.Contains(is.Certified):
		p.in(Grow, depth, name).Adopt = true
		p.again(name, p.now) // the rest follows from the new certificate
	case got.Serial.Cmp(is.CertSerial) != 0:
		p.products(name, depth, is, entitled)
		p.in(Shrink, depth, name).Adopt = true
	default:
		p.existing(name, issued.Outside, depth, is, entitled)
	}
}

// changesHands tells whether another generation of an authority's issuer is to issue its certificate. If that generation publishes in
// another place, the URI in the AIA of all that the authority signed would be wrong. So an authority of ours gets a next generation of
// its own, and its present certificate stays until that has taken over.
func (p *planner) changesHands(name, parent issued.Name, is *issued.Records) bool {
	if is.Issuer.IsZero() || is.Issuer == parent || is.Issuer == issued.Outside {
		return false
	}
	above := p.Issued(parent)
	return above != nil && (p.Asked(name) != nil || !p.elsewhere(is.Issuer, above))
}

// elsewhere tells whether there is an authority of this name, and it publishes in another place than another one.
func (p *planner) elsewhere(name issued.Name, than *issued.Records) bool {
	is := p.Issued(name)
	return is != nil && p.policy.Place(&is.Authority) != p.policy.Place(&than.Authority)
}

// changeOver plans that the next generation of an issuer issues a certificate. If it publishes in the same place, the file passes from
// one to the other. Otherwise the certificate is a delegated CA's: both certificates are valid for a while, and the CA learns of the new
// one with its next list query. Other changes of the certificate follow in the next plan.
func (p *planner) changeOver(name, parent issued.Name, depth int, is *issued.Records) {
	up := p.in(Switch, 0, parent)
	up.Certify = append(up.Certify, Certify{name, is.Certified})
	if p.Issued(is.Issuer) != nil && !p.elsewhere(is.Issuer, p.Issued(parent)) {
		from := p.in(Switch, 0, is.Issuer)
		from.Release = append(from.Release, is.CertificateName())
	}
	if p.Asked(name) == nil {
		p.products(name, depth, is, is.Certified)
	}
	p.again(name, p.now)
}

func (p *planner) existing(name, parent issued.Name, depth int, is *issued.Records, entitled inr.Set) {
	will, at := p.will(parent, is, entitled)
	if !at.IsZero() {
		p.soaks(name, at)
	}
	if !is.Certified.Contains(will) {
		up := p.in(Grow, depth, parent)
		up.Certify = append(up.Certify, Certify{name, will})
	}
	asked := p.Asked(name)
	if asked == nil {
		p.products(name, depth, is, will)
	}
	if parent == issued.Outside {
		return // its certificate is the parent's business
	}
	switch {
	case !entitled.Contains(is.Certified):
		if at := p.shed(is); p.now.Before(at) {
			p.soaks(name, at)
			return
		}
		up := p.in(Shrink, depth, parent)
		if rest := entitled.Intersect(will); !rest.Empty() {
			up.Certify = append(up.Certify, Certify{name, rest})
		} else { // its resources cannot be certified yet: a later plan does it
			up.Revoke = append(up.Revoke, name)
		}
	case !entitled.Equal(is.Certified):
	case asked != nil && (asked.At.After(is.Certificated) || asked.Place != *is.Delegated), p.certificateDue(name, parent, is):
		up := p.in(Renew, depth-1, parent)
		up.Certify = append(up.Certify, Certify{name, entitled})
	}
}

// will is what an authority's certificate names after the Grow step of this plan, and when it can name the rest; zero where nothing is
// left.
func (p *planner) will(parent issued.Name, is *issued.Records, entitled inr.Set) (inr.Set, time.Time) {
	more := entitled.Minus(is.Certified)
	if more.Empty() || parent == issued.Outside || p.changesHands(is.Name, parent, is) {
		return is.Certified, time.Time{}
	}
	given, at := p.given(more, parent)
	return is.Certified.Union(given), at
}

// products plans an authority's signed objects and its manifest. Will is what its certificate names by then.
func (p *planner) products(name issued.Name, depth int, is *issued.Records, will inr.Set) {
	var add []payload.Payload
	var withdraw []string
	if next := p.Successor(name); next.IsZero() {
		add, withdraw = p.objects(name, is, will)
	} else {
		withdraw = append(p.taken(name, is, next), p.passedOn(name, is)...)
		if at := p.Holdback(name); p.now.Before(at) {
			withdraw = nil
			p.again(name, at)
		} else {
			p.again(name, issued.Later(p.spentAt(name, is), p.now.Add(time.Second))) // it ends when it has nothing left
		}
	}
	if len(add)+len(withdraw) > 0 {
		own := p.in(Authorise, 0, name)
		own.Authorise, own.Withdraw = add, withdraw
	}
	// any change makes a new manifest; but if the present one has ended already it has to be refreshed before
	if changes := len(add)+len(withdraw) > 0; p.due(p.policy.ManifestDue(&is.Authority)) && (!changes || p.due(is.NextUpdate)) {
		p.in(Refresh, depth, name)
	}
}

// spent tells whether a retired authority is not needed any more: what it signed is withdrawn, and no reader needs it.
func (p *planner) spent(name issued.Name, is *issued.Records) bool {
	return !p.Successor(name).IsZero() && len(is.Products) == 0 && !p.now.Before(p.spentAt(name, is))
}

func (p *planner) spentAt(name issued.Name, is *issued.Records) time.Time {
	return issued.Later(p.Holdback(name), issued.Later(is.Shed.Add(p.Lingers(name)), p.shed(is)))
}

// taken lists the signed objects of a retired authority that readers do not need any more: with this plan its successor has all objects
// that it is to have, and every reader can have the successor's certificate for them.
func (p *planner) taken(name issued.Name, is *issued.Records, next issued.Name) (withdraw []string) {
	successor := p.Issued(next)
	if successor == nil {
		return nil
	}
	will, _ := p.will(p.Parent(next), successor, p.Entitled(next))
	authorised := p.Authorised(next, will)
	readers, until := p.readersOf(next, successor, will)
	for _, file := range is.ObjectNames() {
		product := is.Products[file]
		if said, _ := product.Payload(); needed(said, authorised, readers) {
			p.again(name, until)
		} else {
			withdraw = append(withdraw, file)
		}
	}
	return withdraw
}

// speaks tells whether an authority has all its signed objects by the end of this plan's Authorise step. It may not, if its certificate
// has to change hands first, or its organisation is quarantined.
func (p *planner) speaks(name issued.Name) bool {
	is := p.Issued(name)
	if is == nil {
		return false
	}
	said := map[payload.Key]bool{}
	for _, says := range is.Payloads() {
		said[payload.ID(says)] = true
	}
	if own := p.waves[waveKey{Authorise, 0}][name]; own != nil {
		for _, says := range own.Authorise {
			said[payload.ID(says)] = true
		}
	}
	will, _ := p.will(p.Parent(name), is, p.Entitled(name))
	return !slices.ContainsFunc(p.Authorised(name, will), func(says payload.Payload) bool { return !said[payload.ID(says)] })
}

// passedOn lists the certificates of a retired authority that another authority has issued anew.
func (p *planner) passedOn(name issued.Name, is *issued.Records) []string {
	var names []string
	for file, product := range is.Products {
		certified, is := product.Certifies()
		if !is {
			continue
		}
		if child := p.Issued(certified); child == nil || child.Issuer != name {
			names = append(names, file)
		}
	}
	slices.Sort(names)
	return names
}

// certifies tells whether an authority can certify others: it is there, or this plan creates it, and its key is not offline.
func (p *planner) certifies(name issued.Name) bool {
	switch {
	case p.Offline(name):
		return false
	case name == issued.Anchor || p.Issued(name) != nil:
		return name == issued.Anchor || !p.Issued(name).Awaits()
	case name == issued.Outside || p.Parent(name) == issued.Outside:
		return false
	default:
		return !p.InQuarantine(name) && !p.Entitled(name).Empty() && p.certifies(p.Parent(name))
	}
}

// objects compares the signed objects that are issued with the payloads that are wanted, and with their ends. Of two objects with the same
// payload one is withdrawn. An object that became superfluous because the certificate grew is withdrawn when no reader can have the
// certificate from before.
func (p *planner) objects(authority issued.Name, is *issued.Records, will inr.Set) (add []payload.Payload, withdraw []string) {
	authorised := p.Authorised(authority, will)
	wanted := map[payload.Key]payload.Payload{}
	for _, says := range authorised {
		wanted[payload.ID(says)] = says
	}
	readers, until := p.readersOf(authority, is, will)
	for _, name := range is.ObjectNames() {
		product := is.Products[name]
		said, _ := product.Payload()
		says, keep := wanted[payload.ID(said)]
		switch {
		case !keep && needed(said, authorised, readers):
			p.soaks(authority, until)
		case !keep:
			withdraw = append(withdraw, name)
		case p.due(p.policy.ROA.DueAt(product.Expires, is.CertExpires)):
			add, withdraw = append(add, says), append(withdraw, name)
		}
		delete(wanted, payload.ID(said))
	}
	return append(add, slices.SortedFunc(maps.Values(wanted), payload.Compare)...), withdraw
}

// readersOf lists what an authority's certificate names for readers that do not have the newest one, and until when there are such
// readers.
func (p *planner) readersOf(authority issued.Name, is *issued.Records, will inr.Set) (readers []inr.Set, until time.Time) {
	grows := !is.Certified.Contains(will)
	base, until := p.soaked(authority, is, grows)
	if !p.now.Before(until) {
		return nil, until
	}
	readers = append(readers, base)
	for _, g := range p.soaking(is) {
		readers = append(readers, g.Before)
	}
	if grows {
		readers = append(readers, is.Certified)
	}
	return readers, until
}

// needed tells whether some reader still needs a signed object whose payload is covered by that of a larger one from now on. That is so if
// the certificate that the reader has is too small for the larger one, and no other object that it accepts covers the payload.
func needed(said payload.Payload, authorised []payload.Payload, readers []inr.Set) bool {
	return len(readers) > 0 && slices.ContainsFunc(readers, func(certified inr.Set) bool {
		part := false
		for _, says := range authorised {
			switch cover := says.Covers(said); {
			case cover == payload.None:
			case !certified.Contains(says.Resources()):
				part = true
			case cover == payload.Whole:
				return false
			}
		}
		return part && certified.Contains(said.Resources())
	})
}

// certificateDue tells whether an authority's certificate nears its end and its issuer can give it a better one.
func (p *planner) certificateDue(name, parent issued.Name, is *issued.Records) bool {
	issuer := p.Issued(parent)
	return issuer != nil && p.due(p.policy.LifetimeOf(p.Kind(name)).DueAt(is.CertExpires, issuer.CertExpires))
}

func (p *planner) due(at time.Time) bool { return !at.IsZero() && !p.now.Before(at) }
