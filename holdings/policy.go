package holdings

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

// Profile is the kind of a registry's transfer policy.
type Profile string

// The profiles. In a restricted registry resources move only with the business that they were given for (APNIC-086, section 9.9). In a
// market they move from holder to holder. In a portable registry holders may move to another registry without approval; the registry may
// only object, within a time and on listed grounds.
const (
	Restricted Profile = "restricted"
	OnMarket   Profile = "market"
	Portable   Profile = "portable"
)

// Approval says which transfers to its holders a registry has to approve.
type Approval string

// Which transfers the recipient's registry has to approve.
const (
	ApproveNone    Approval = "never"
	ApproveBetween Approval = "between" // those that come from another registry
	ApproveAll     Approval = "always"
)

// ResourceKind is one of the three kinds of number resources.
type ResourceKind string

// The kinds of resources, by their names in registries' files.
const (
	IPv4 ResourceKind = "ipv4"
	IPv6 ResourceKind = "ipv6"
	ASN  ResourceKind = "asn"
)

// ResourceKinds are all that there are.
var ResourceKinds = []ResourceKind{IPv4, IPv6, ASN}

// Of is the part of a set that is of the kind.
func (k ResourceKind) Of(s inr.Set) inr.Set {
	switch k {
	case IPv4:
		return inr.Set{V4: s.V4}
	case IPv6:
		return inr.Set{V6: s.V6}
	}
	return inr.Set{AS: s.AS}
}

// Anyone stands, in an Exchange, for every registry that no other Exchange of the policy names.
const Anyone = "*"

// Exchange is the kinds of resources that may move between a registry and another.
type Exchange struct {
	With string         `json:"with"` // a handle, of a registry here or elsewhere, or Anyone
	Out  []ResourceKind `json:"out,omitempty"`
	In   []ResourceKind `json:"in,omitempty"`
}

// Policy is a registry's rules for transfers from and to its holders.
type Policy struct {
	Registry string   `json:"registry"`
	Profile  Profile  `json:"profile"`
	Approval Approval `json:"approval"`
	// Answer is how long a transfer waits for approval, or for the other side's acceptance. Then it is cancelled.
	Answer Term `json:"answer"`
	// Object is how long a portable registry may object, on one of Grounds; silence is consent.
	Object  Term     `json:"object"`
	Grounds []string `json:"grounds,omitempty"`
	// LockIn is how long a holder keeps resources of a kind before it may transfer them on.
	LockIn map[ResourceKind]Term `json:"lock_in,omitempty"`
	// Smallest is the length of the smallest prefixes that may be transferred, for IPv4 and IPv6.
	Smallest map[ResourceKind]int `json:"smallest,omitempty"`
	// Exchanges is what may move between this and other registries; if it is empty, everything may.
	Exchanges []Exchange `json:"exchanges,omitempty"`
	Soak      Term       `json:"soak"`      // how long the recipient's side is seen before the donor's goes
	Automatic bool       `json:"automatic"` // finalised without an operator after the soak; else when the source releases it
	Bridge    Term       `json:"bridge"`    // the longest time for which a new holder keeps what the donor had authorised
	Decision  uint64     `json:"decision,omitempty"`
}

// DefaultPolicy is the policy of a registry that has set none, with a profile.
func DefaultPolicy(registry string, profile Profile) Policy {
	p := Policy{
		Registry: registry, Profile: profile, Approval: ApproveBetween, Answer: Days(30), Object: Days(10),
		Grounds: []string{"court-order", "dispute", "fraud"}, Soak: Term(4 * time.Hour), Automatic: true, Bridge: Days(30),
	}
	if profile == Restricted {
		p.Approval = ApproveAll
	}
	return p
}

// PolicyOf is the policy that applies to an organisation: that of the nearest registry above it that has set one, else the default policy
// of its RIR. There is none for the root, or where there is no such organisation.
func (l *Ledger) PolicyOf(handle string) (Policy, bool) {
	rir := ""
	for n := l.orgs[Fold(handle)]; n != nil; n = l.orgs[n.Parent] {
		if p := l.policies[n.Handle]; p != nil {
			return *p, true
		}
		if n.Kind == RIR {
			rir = n.Handle
		}
	}
	return DefaultPolicy(rir, OnMarket), rir != ""
}

// Policies lists the policies that registries have set, by handle.
func (l *Ledger) Policies() []Policy {
	var list []Policy
	for _, handle := range slices.Sorted(maps.Keys(l.policies)) {
		list = append(list, *l.policies[handle])
	}
	return list
}

// SetPolicy resolves that a registry has a policy for transfers. It also applies to transfers that were initiated before, except for the
// time in which the source may object. The outcome is empty if the registry has this policy already. It fails with NotFound and BadInput.
func (l *Ledger) SetPolicy(by By, p Policy) (*Outcome, error) {
	p = p.normal()
	n := l.orgs[p.Registry]
	if n == nil {
		return nil, unknown(p.Registry)
	}
	if n.Kind != RIR && n.Kind != NIR {
		return nil, fault.New(fault.BadInput, "%s is a %s; policies are registries'", p.Registry, n.Kind)
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	d := l.draft(by)
	if was := l.policies[p.Registry]; was != nil {
		p.Decision = was.Decision
		if reflect.DeepEqual(*was, p) {
			return d.outcome()
		}
	}
	p.Decision = l.lastDecision + 1
	d.policies = append(d.policies, p)
	return d.outcome()
}

// normal is the policy with its names in the case and order in which they are stored.
func (p Policy) normal() Policy {
	p.Registry, p.Profile, p.Approval = Fold(p.Registry), Profile(Fold(string(p.Profile))), Approval(Fold(string(p.Approval)))
	grounds := []string{}
	for _, g := range p.Grounds {
		grounds = append(grounds, Fold(g))
	}
	slices.Sort(grounds)
	if p.Grounds = slices.Compact(grounds); len(grounds) == 0 {
		p.Grounds = nil
	}
	exchanges := []Exchange{}
	for _, e := range p.Exchanges {
		e.With, e.Out, e.In = Fold(e.With), sortedKinds(e.Out), sortedKinds(e.In)
		exchanges = append(exchanges, e)
	}
	slices.SortFunc(exchanges, func(a, b Exchange) int { return strings.Compare(a.With, b.With) })
	if p.Exchanges = exchanges; len(exchanges) == 0 {
		p.Exchanges = nil
	}
	if p.LockIn = maps.Clone(p.LockIn); len(p.LockIn) == 0 {
		p.LockIn = nil
	}
	if p.Smallest = maps.Clone(p.Smallest); len(p.Smallest) == 0 {
		p.Smallest = nil
	}
	return p
}

func sortedKinds(kinds []ResourceKind) []ResourceKind {
	if len(kinds) == 0 {
		return nil
	}
	return slices.Compact(slices.Sorted(slices.Values(kinds)))
}

// check says what is wrong with a normal policy by itself.
func (p Policy) check() error {
	switch {
	case !slices.Contains([]Profile{Restricted, OnMarket, Portable}, p.Profile):
		return fault.New(fault.BadInput, "%q is no profile; use restricted, market or portable", p.Profile)
	case !slices.Contains([]Approval{ApproveNone, ApproveBetween, ApproveAll}, p.Approval):
		return fault.New(fault.BadInput, "%q does not say which transfers are approved; use never, between or always", p.Approval)
	case p.Answer <= 0:
		return fault.New(fault.BadInput, "a transfer would be cancelled before it can be answered; give an answer some time, such as 30d")
	case p.Object < 0 || p.Soak < 0 || p.Bridge < 0:
		return fault.New(fault.BadInput, "the policy of %s has a time that is negative", p.Registry)
	case p.Profile == Portable && len(p.Grounds) == 0:
		return fault.New(fault.BadInput, "list the grounds on which %s may object, such as dispute, fraud or court-order", p.Registry)
	}
	for kind, term := range p.LockIn {
		if !slices.Contains(ResourceKinds, kind) || term < 0 {
			return fault.New(fault.BadInput, "%s=%s is no lock-in time; write ipv4, ipv6 or asn, and how long, such as ipv4=730d", kind, term)
		}
	}
	for kind, length := range p.Smallest {
		if longest := map[ResourceKind]int{IPv4: 32, IPv6: 128}[kind]; length < 1 || length > longest {
			return fault.New(fault.BadInput, "%s=%d is no smallest size; write the length of a prefix of ipv4 or ipv6, such as ipv4=24", kind, length)
		}
	}
	for i, e := range p.Exchanges {
		if e.With == "" || i > 0 && p.Exchanges[i-1].With == e.With {
			return fault.New(fault.BadInput, "the policy of %s names the registry %q twice or not at all; say once what it exchanges with each", p.Registry, e.With)
		}
		for _, kind := range slices.Concat(e.Out, e.In) {
			if !slices.Contains(ResourceKinds, kind) {
				return fault.New(fault.BadInput, "%q is no kind of resources; use ipv4, ipv6 or asn", kind)
			}
		}
	}
	return nil
}
