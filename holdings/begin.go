package holdings

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

func compareIDs(a, b uint64) int { return cmp.Compare(a, b) }

func sortedKeys[V any](m map[uint64]V) []uint64 { return slices.Sorted(maps.Keys(m)) }

// Initiate resolves that a transfer begins. All fields of want are taken but its number, state, legs and history. Recipient is the
// organisation that gets the resources, if it is new; it is added to the tree when the transfer is accepted. What the donor delegated on
// goes along: each part goes to an organisation of the same name below the recipient.
//
// It fails with NotFound, BadInput, NotHeld (the donor does not hold all of it here), Conflict (some of it is in another
// transfer, or the recipient is within what moves) and Forbidden (see MayInitiate).
func (l *Ledger) Initiate(by By, want Transfer, recipient Organisation) (*Outcome, error) {
	return l.InitiateAll(by, []Beginning{{want, recipient}}, "")
}

// Beginning is a transfer that is to begin, and its recipient where that is new.
type Beginning struct {
	Transfer  Transfer
	Recipient Organisation
}

// InitiateAll resolves in one decision that several transfers begin, as Initiate does. Text goes into their records.
func (l *Ledger) InitiateAll(by By, begin []Beginning, text string) (*Outcome, error) {
	d := l.draft(by)
	var moving index
	next := l.NextTransfer()
	for _, b := range begin {
		t, err := l.begin(by, b.Transfer, b.Recipient, next, text)
		if err != nil {
			return nil, err
		}
		if twice := moving.overlapping(t.Resources); len(twice) > 0 {
			return nil, fault.New(fault.Conflict, "%s is in two of these transfers", twice[0].Resources.Intersect(t.Resources))
		}
		if t.Handoff == nil {
			moving.insert(&Delegation{Resources: t.Resources})
		}
		d.moved, next = append(d.moved, t), next+1
	}
	return d.outcome()
}

// begin makes the record of a transfer that begins.
func (l *Ledger) begin(by By, want Transfer, recipient Organisation, id uint64, text string) (*Transfer, error) {
	t := want.clone()
	t.ID, t.From, t.To = id, Fold(t.From), Fold(t.To)
	t.State, t.Legs, t.Steps, t.Seen, t.Released, t.Disputed, t.Top = "", nil, nil, time.Time{}, time.Time{}, "", ""
	if err := t.advance(StepInitiated, by, l.lastDecision+1, text); err != nil {
		return nil, err
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	if t.Ref != "" && l.refs[t.Ref] != 0 {
		return nil, fault.New(fault.BadInput, "transfer %d is called %s already; begin it under another name", l.refs[t.Ref], t.Ref)
	}
	if err := l.checkClaim(t); err != nil {
		return nil, err
	}
	if t.DonorHere() {
		if err := l.checkDonor(t); err != nil {
			return nil, err
		}
		t.FromRegistry = l.Registry(t.From)
	}
	leg := Leg{From: t.From, To: t.To, Resources: t.Resources}
	if t.RecipientHere() {
		var err error
		if leg.New, err = l.checkRecipient(t, recipient); err != nil {
			return nil, err
		}
		t.ToRegistry = l.Registry(cmp.Or(leg.New.Parent, t.To))
	} else {
		leg.New = recipient.normal() // what the other installation is asked for
	}
	if err := l.MayInitiate(t, by.Time); err != nil {
		return nil, err
	}
	leg.Parts = want.parts()
	if t.DonorHere() {
		leg.Parts = l.partsOf(t.From, t.Resources)
		t.Legs = l.legs(t, leg)
	} else {
		if err := t.checkParts(leg.Parts); err != nil {
			return nil, err
		}
		if len(want.Legs) > 0 {
			leg.CA = want.Legs[0].CA
		}
		t.Legs = append([]Leg{leg}, want.legsBelow()...)
	}
	t.Waits = l.objects(t, by.Time)
	return t, nil
}

// check checks a transfer that is to begin, without the ledger; the error says what is wrong.
func (t *Transfer) check() error {
	switch {
	case t.Resources.Empty() && t.Handoff == nil:
		return fault.New(fault.BadInput, "name the resources that move")
	case !slices.Contains(TransferKinds, t.Kind):
		return fault.New(fault.BadInput, "%q is no kind of transfer; use transfer, merger, takeover, move or handoff", t.Kind)
	case !t.DonorHere() && !t.RecipientHere():
		return fault.New(fault.BadInput, "neither side of the transfer of %s is here; name the donor or the recipient", t.Resources)
	case t.DonorHere() && t.RecipientHere() && !t.Local():
		return fault.New(fault.BadInput, "both sides of the transfer of %s are here; name no other installation", t.Resources)
	case (!t.DonorHere() || !t.RecipientHere()) && t.Local() && t.Handoff == nil && t.Within == 0:
		return fault.New(fault.BadInput, "one side of the transfer of %s is elsewhere; name the installation that it is at", t.Resources)
	}
	return refuseSpecial(t.Resources)
}

// checkParts checks the delegations that the first leg of an incoming transfer brings.
func (t *Transfer) checkParts(parts []Part) error {
	var all inr.Set
	for _, p := range parts {
		if p.Status != Allocated && p.Status != Assigned {
			return fault.New(fault.BadInput, "%q is no status of a delegation; use allocated or assigned", p.Status)
		}
		if shared := all.Intersect(p.Resources); !shared.Empty() {
			return fault.New(fault.BadInput, "%s is in two parts of the transfer", shared)
		}
		all = all.Union(p.Resources)
	}
	if !all.Equal(t.Resources) {
		return fault.New(fault.BadInput, "the parts of the transfer are %s where it is of %s", all, t.Resources)
	}
	return nil
}

// parts lists the delegations that the first leg of an incoming transfer brings.
func (t *Transfer) parts() []Part {
	if len(t.Legs) > 0 {
		return t.Legs[0].Parts
	}
	return []Part{{Resources: t.Resources, Status: Allocated}}
}

func (t *Transfer) legsBelow() []Leg {
	if len(t.Legs) > 1 {
		return t.Legs[1:]
	}
	return nil
}

// checkClaim fails with Conflict where another transfer has some of the resources.
func (l *Ledger) checkClaim(t *Transfer) error {
	if other := l.claims(t); other != nil {
		return fault.New(fault.Conflict, "%s is in transfer %d already; finalise or cancel that first", other.Resources.Intersect(t.Resources), other.ID)
	}
	return nil
}

// checkTaken checks whether an asserted transfer can be agreed to. It cannot if another transfer has some of the resources by now, in the
// ledger or in the same decision.
func (d *draft) checkTaken(t *Transfer) error {
	if !d.ledger.Transfer(t.ID).Asserted() || t.Asserted() || t.State.Over() {
		return nil
	}
	for _, other := range d.moved {
		if other.ID != t.ID && !other.State.Over() && other.Handoff == nil && other.Resources.Overlaps(t.Resources) {
			return fault.New(fault.Conflict, "%s is in transfer %d already; finalise or cancel that first", other.Resources.Intersect(t.Resources), other.ID)
		}
	}
	return d.ledger.checkClaim(t)
}

// claims is the first transfer that is not over and has some of the resources that want is to move; nil where there is none. A handoff
// has all that its registry has, except for the transfers of its own holders. A transfer that another installation only asserts does not
// count for others, but no installation can assert the same twice.
func (l *Ledger) claims(want *Transfer) *Transfer {
	if want.Asserted() {
		for _, id := range sortedKeys(l.unrest) {
			if t := l.Transfer(id); t.Asserted() && t.Peer == want.Peer && t.Resources.Overlaps(want.Resources) {
				return t
			}
		}
	}
	if found := l.claimed.overlapping(want.Resources); len(found) > 0 {
		return l.Transfer(found[0].Transfer)
	}
	for _, id := range sortedKeys(l.handoffs) {
		if t := l.Transfer(id); id != want.Within && t.Resources.Overlaps(want.Resources) {
			return t
		}
	}
	return nil
}

func (l *Ledger) checkDonor(t *Transfer) error {
	n := l.orgs[t.From]
	switch {
	case n == nil:
		return unknown(t.From)
	case t.Handoff != nil && (!n.Kind.IsRegistry() || n.Kind == Root):
		return fault.New(fault.BadInput, "%s is a %s: only a registry below the root is handed off", t.From, n.Kind)
	case t.Handoff == nil && n.Kind.IsRegistry():
		return fault.New(fault.BadInput, "%s is a registry: its holders' resources move, one holder after the other ('cadastre handoff' moves all)", t.From)
	}
	if missing := t.Resources.Minus(l.inTree(n)); !missing.Empty() {
		if who := l.PartHolders(missing); len(who) > 0 {
			return fault.New(fault.NotHeld, "%s does not hold %s; it is held by %s", t.From, missing, strings.Join(who, ", "))
		}
		return fault.New(fault.NotHeld, "%s does not hold %s; no one does", t.From, missing)
	}
	t.Original, t.Since = inr.Set{}, time.Time{}
	for _, x := range n.received {
		if x.foreign() || x.Incoming || !x.Resources.Overlaps(t.Resources) {
			continue
		}
		t.Original = t.Original.Union(x.Resources)
		if t.Since.IsZero() || x.Since.Before(t.Since) {
			t.Since = x.Since
		}
	}
	return nil
}

// inTree is what an organisation holds from its parent, for good.
func (l *Ledger) inTree(n *node) inr.Set {
	var held []inr.Set
	for _, x := range n.received {
		if !x.foreign() && !x.Incoming {
			held = append(held, x.Resources)
		}
	}
	return inr.Sum(held...)
}

// checkRecipient checks the recipient, and returns its record if it is new.
func (l *Ledger) checkRecipient(t *Transfer, recipient Organisation) (Organisation, error) {
	if t.Handoff != nil {
		return Organisation{}, l.checkSuccessor(t)
	}
	if n := l.orgs[t.To]; n != nil {
		switch {
		case n.Kind.IsRegistry():
			return Organisation{}, fault.New(fault.BadInput, "%s is a registry; name a holder as the recipient", t.To)
		case t.DonorHere() && (slices.Contains(l.chain(t.To), t.From) || slices.Contains(l.chain(t.From), t.To)):
			return Organisation{}, fault.New(fault.BadInput, "%s and %s are one above the other: delegate or return instead", t.From, t.To)
		}
		return Organisation{}, nil
	}
	recipient.Handle = t.To
	if from := l.orgs[t.From]; from != nil {
		recipient.Kind = cmp.Or(recipient.Kind, from.Kind)
		recipient.Name, recipient.Country = cmp.Or(recipient.Name, from.Name), cmp.Or(recipient.Country, from.Country)
	}
	recipient.Kind = cmp.Or(recipient.Kind, LIR)
	recipient = recipient.normal()
	if recipient.Parent == "" {
		return recipient, fault.New(fault.NotFound, "there is no organisation %s; name the one that it is to be below", t.To)
	}
	if err := l.checkEnrolment(recipient); err != nil {
		return recipient, err
	}
	if t.DonorHere() && slices.Contains(l.chain(recipient.Parent), t.From) {
		return recipient, fault.New(fault.BadInput, "%s would be below %s: delegate to it instead", t.To, t.From)
	}
	return recipient, nil
}

// partsOf lists the parts of an organisation's delegations that are in a set.
func (l *Ledger) partsOf(handle string, s inr.Set) []Part {
	var parts []Part
	for _, x := range l.orgs[handle].received {
		if in := x.Resources.Intersect(s); !in.Empty() && !x.foreign() && !x.Incoming {
			parts = append(parts, Part{in, x.Status, x.Until, x.Country})
		}
	}
	return parts
}

// legs lists a leg, and the legs for what was delegated on, which go along. The holders of a registry have transfers of their own.
func (l *Ledger) legs(t *Transfer, leg Leg) []Leg {
	list := []Leg{leg}
	taken := map[string]bool{}
	if t.Handoff != nil {
		return list
	}
	for _, child := range l.Children(leg.From) {
		parts := l.partsOf(child, leg.Resources)
		if len(parts) == 0 {
			continue
		}
		below := Leg{From: child, Parts: parts}
		for _, p := range parts {
			below.Resources = below.Resources.Union(p.Resources)
		}
		if leg.To != "" {
			below.To = l.nameBelow(leg.To, path.Base(child), taken)
			if was := l.orgs[child].Organisation; l.orgs[below.To] == nil {
				below.New = Organisation{Handle: below.To, Parent: leg.To, Kind: was.Kind, Name: was.Name, Country: was.Country}
			}
		}
		list = append(list, l.legs(t, below)...)
	}
	return list
}

// nameBelow is the handle of an organisation below another. Its last part is kept, with a number if another organisation, there or in the
// same transfer, has that handle.
func (l *Ledger) nameBelow(parent, base string, taken map[string]bool) string {
	handle := parent + "/" + base
	for n := 2; ; n++ {
		if org := l.orgs[handle]; !taken[handle] && (org == nil || org.Parent == parent) {
			taken[handle] = true
			return handle
		}
		handle = fmt.Sprintf("%s/%s-%d", parent, base, n)
	}
}
