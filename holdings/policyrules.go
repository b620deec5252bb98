package holdings

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/term"
)

// parties has the policies of a transfer's two sides; nil for a side that is elsewhere.
type parties struct{ source, recipient *Policy }

func (l *Ledger) parties(t *Transfer) parties {
	var p parties
	if t.DonorHere() {
		if policy, ok := l.PolicyOf(t.From); ok {
			p.source = &policy
		}
	}
	if to := l.recipientAt(t); to != "" {
		if policy, ok := l.PolicyOf(to); ok {
			p.recipient = &policy
		}
	}
	return p
}

// recipientAt is the recipient or, if it is new, the lowest organisation above it that is in the tree; empty where it is elsewhere.
func (l *Ledger) recipientAt(t *Transfer) string {
	switch {
	case !t.RecipientHere() || l.orgs[Fold(t.To)] != nil:
		return t.To
	case len(t.Legs) > 0 && t.Legs[0].New.Parent != "":
		return t.Legs[0].New.Parent
	}
	return t.ToRegistry
}

// between tells whether the transfer is from one registry to another. An NIR without a policy of its own counts as its RIR.
func (p parties) between() bool {
	return p.source == nil || p.recipient == nil || p.source.Registry != p.recipient.Registry
}

// ofRight tells whether the holder may move without approval (profile portable).
func (p parties) ofRight(t *Transfer) bool {
	return t.Kind == Portability && p.source != nil && p.source.Profile == Portable
}

// here lists the policies of the sides that are here, without duplicates.
func (p parties) here() []*Policy {
	if !p.between() {
		return []*Policy{p.source}
	}
	return slices.DeleteFunc([]*Policy{p.source, p.recipient}, func(x *Policy) bool { return x == nil })
}

// MayInitiate checks whether the policies of the registries on both sides, as far as they are here, let a transfer begin: its kind, what
// the registries exchange with each other, lock-in times, sizes, and how long a bridge lasts. No policy binds a handoff that was begun
// here. If the recipient is new, ToRegistry is its registry. It fails with Forbidden.
func (l *Ledger) MayInitiate(t *Transfer, now time.Time) error {
	p := l.parties(t)
	if t.exempt() {
		return nil
	}
	for _, policy := range p.here() {
		switch {
		case policy.Profile == Restricted && t.Kind != Merger && t.Kind != Takeover:
			return fault.New(fault.Forbidden, "%s is restricted to mergers and takeovers, and this is a %s; begin it as one of these, with the evidence, or have the profile changed ('cadastre policy set')", policy.Registry, t.Kind)
		case t.Bridge > policy.Bridge:
			return fault.New(fault.Forbidden, "%s allows a bridge copy for %s at most, and this would last %s; shorten it", policy.Registry, policy.Bridge, t.Bridge)
		}
		if small, length := policy.tooSmall(t); small != "" {
			return fault.New(fault.Forbidden, "%s transfers nothing smaller than a /%d, and %s is; move the whole block, or wait until its neighbour can move too", policy.Registry, length, small)
		}
	}
	if err := l.exchanged(t, p); err != nil {
		return err
	}
	if p.source != nil && (t.Kind == Market || t.Kind == Portability && !p.ofRight(t)) {
		return l.lockedIn(t, p.source, now)
	}
	return nil
}

// tooSmall is the first prefix in a transfer that is smaller than the policy allows. There is no limit if the resources move with a
// business, or with their holder.
func (p *Policy) tooSmall(t *Transfer) (prefix string, length int) {
	if t.Kind != Market {
		return "", 0
	}
	for _, kind := range []ResourceKind{IPv4, IPv6} {
		if length := p.Smallest[kind]; length > 0 {
			for _, prefix := range kind.Of(t.Resources).Prefixes() {
				if prefix.Bits() > length {
					return prefix.String(), length
				}
			}
		}
	}
	return "", 0
}

// exchanged checks whether both registries let the resources move from one to the other.
func (l *Ledger) exchanged(t *Transfer, p parties) error {
	if !p.between() {
		return nil
	}
	if p.source != nil && !p.ofRight(t) {
		if kind := p.source.withheld(t.Resources, l.namesOf(t.ToRegistry, p.recipient), func(e Exchange) []ResourceKind { return e.Out }); kind != "" {
			return fault.New(fault.Forbidden, "%s lets no %s go to %s; leave out %s, or move it where it may go ('cadastre policy show %s')",
				p.source.Registry, kind, cmp.Or(t.ToRegistry, "that registry"), kind.Of(t.Resources), p.source.Registry)
		}
	}
	if p.recipient != nil {
		if kind := p.recipient.withheld(t.Resources, l.namesOf(t.FromRegistry, p.source), func(e Exchange) []ResourceKind { return e.In }); kind != "" {
			return fault.New(fault.Forbidden, "%s takes no %s from %s; leave out %s, or move it where it is taken ('cadastre policy show %s')",
				p.recipient.Registry, kind, cmp.Or(t.FromRegistry, "that registry"), kind.Of(t.Resources), p.recipient.Registry)
		}
	}
	return nil
}

// namesOf lists the names that a registry on the other side may have in an exchange: its handle, and those of the organisations above it
// here.
func (l *Ledger) namesOf(registry string, policy *Policy) []string {
	names := append([]string{Fold(registry)}, l.chain(Fold(registry))...)
	if policy != nil {
		names = append(names, l.chain(policy.Registry)...)
	}
	return slices.DeleteFunc(names, func(h string) bool { return h == "" || h == l.root })
}

// withheld is the first kind of resources, of a set, that a registry does not exchange with another; empty where it exchanges all.
func (p *Policy) withheld(s inr.Set, other []string, way func(Exchange) []ResourceKind) ResourceKind {
	if p.Exchanges == nil {
		return ""
	}
	at := slices.IndexFunc(p.Exchanges, func(e Exchange) bool { return slices.Contains(other, e.With) })
	if at < 0 {
		at = slices.IndexFunc(p.Exchanges, func(e Exchange) bool { return e.With == Anyone })
	}
	for _, kind := range ResourceKinds {
		if !kind.Of(s).Empty() && (at < 0 || !slices.Contains(way(p.Exchanges[at]), kind)) {
			return kind
		}
	}
	return ""
}

// lockedIn fails with Forbidden if the donor has not had all of the resources for the lock-in time.
func (l *Ledger) lockedIn(t *Transfer, p *Policy, now time.Time) error {
	for _, kind := range ResourceKinds {
		term, moves := p.LockIn[kind], kind.Of(t.Resources)
		if term == 0 || moves.Empty() {
			continue
		}
		if since := l.receivedAt(Fold(t.From), moves); !since.IsZero() && now.Before(since.Add(time.Duration(term))) {
			return fault.New(fault.Forbidden, "%s keeps %s with who received it for %s, and %s did on %s; come again on %s",
				p.Registry, kind, term, t.From, since.Format(time.DateOnly), since.Add(time.Duration(term)).Format(time.DateOnly))
		}
	}
	return nil
}

// receivedAt is when an organisation got the newest of some resources, by their dates of registration and the last transfer from another
// holder; zero where that is not known.
func (l *Ledger) receivedAt(handle string, s inr.Set) (at time.Time) {
	later := func(t time.Time) {
		if t.After(at) {
			at = t
		}
	}
	n := l.orgs[handle]
	if n == nil {
		return at
	}
	for _, x := range n.received {
		if x.foreign() || x.Incoming || !x.Resources.Overlaps(s) {
			continue
		}
		if by := l.Transfer(x.Transfer); by != nil && (by.Kind == Portability || by.Kind == Handoff) {
			later(by.Since) // the holder is the same
		} else {
			later(x.Since)
		}
	}
	for _, t := range l.transfers {
		if t.State == Finalised && t.To == handle && t.Resources.Overlaps(s) && t.Kind != Portability && t.Kind != Handoff {
			later(t.When(StepFinalised))
		}
	}
	return at
}

// Terms is what the policies of both sides, as far as they are here, say about a transfer: of each term the stricter.
type Terms struct {
	Soak      Term `json:"soak"`
	Automatic bool `json:"automatic"` // finalised by itself after the soak
	Bridge    Term `json:"bridge"`    // the longest
}

// TermsOf is the terms of a transfer, begun or not.
func (l *Ledger) TermsOf(t *Transfer) Terms {
	terms := Terms{Automatic: true, Bridge: Days(term.Longest)}
	for _, p := range l.parties(t).here() {
		terms.Soak = max(terms.Soak, p.Soak)
		terms.Automatic = terms.Automatic && p.Automatic
		terms.Bridge = min(terms.Bridge, p.Bridge)
	}
	return terms
}

// MayObject checks whether the source's registry may object to an initiated transfer on a ground: the registry has to be portable, the time
// must not be over, it must not have consented, and its policy has to list the ground. If the source is elsewhere only the time is checked,
// since its own installation knows the grounds. It fails with Conflict and Forbidden.
func (l *Ledger) MayObject(t *Transfer, ground string, now time.Time) error {
	ground = strings.TrimSpace(Fold(ground))
	p := l.parties(t)
	switch {
	case t.State != Initiated:
		return fault.New(fault.Conflict, "transfer %d is %s; only one that is initiated can be objected to", t.ID, t.State)
	case t.Waits.IsZero():
		return fault.New(fault.Forbidden, "%s has no say in transfer %d: only a portable registry objects, and to what leaves it", t.FromRegistry, t.ID)
	case !t.When(StepConsented).IsZero():
		return fault.New(fault.Forbidden, "%s consented to transfer %d on %s and can't object any more", t.FromRegistry, t.ID, t.When(StepConsented).Format(time.RFC3339))
	case !now.Before(t.Waits):
		return fault.New(fault.Forbidden, "%s could object to transfer %d until %s; its silence is consent", t.FromRegistry, t.ID, t.Waits.Format(time.RFC3339))
	case ground == "":
		return fault.New(fault.Forbidden, "name the ground on which %s objects to transfer %d", t.FromRegistry, t.ID)
	case p.source != nil && !slices.Contains(p.source.Grounds, ground):
		return fault.New(fault.Forbidden, "%q is no ground on which %s may object; those are %s", ground, p.source.Registry, strings.Join(p.source.Grounds, ", "))
	}
	return nil
}

// objects is the time until which the source may object to a transfer that begins; zero where it may not.
func (l *Ledger) objects(t *Transfer, now time.Time) time.Time {
	p := l.parties(t)
	switch {
	case p.source == nil:
		return t.Waits // as its own installation says
	case p.source.Profile != Portable || t.exempt() || !p.between():
		return time.Time{}
	}
	return now.UTC().Truncate(time.Second).Add(time.Duration(p.source.Object))
}
