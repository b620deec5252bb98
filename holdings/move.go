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

// Initiate resolves that a transfer begins. Of want, everything is taken but its number, state, legs and history. Recipient
// is the organisation that gets the resources where it is not there yet; it is enrolled with the acceptance. What the donor
// delegated on of them goes along, each part to an organisation of the same name below the recipient.
//
// It fails with NotFound, BadInput, NotHeld (the donor does not hold all of it here), Conflict (some of it is in another
// transfer, or the recipient is within what moves) and Forbidden (see MayInitiate).
func (l *Ledger) Initiate(by By, want Transfer, recipient Organisation) (*Outcome, error) {
	return l.InitiateAll(by, []Beginning{{want, recipient}}, "")
}

// Beginning is a transfer that is to begin, and its recipient where that is yet to be enrolled.
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
		t, err := l.begin(b.Transfer, b.Recipient, by.Time)
		if err != nil {
			return nil, err
		}
		if twice := moving.overlapping(t.Resources); len(twice) > 0 {
			return nil, fault.New(fault.Conflict, "%s is in two of these transfers", twice[0].Resources.Intersect(t.Resources))
		}
		if t.Handoff == nil {
			moving.insert(&Delegation{Resources: t.Resources})
		}
		t.ID, next = next, next+1
		d.step(t, string(Initiated), text)
	}
	return d.outcome()
}

// begin is a transfer as it begins at a time.
func (l *Ledger) begin(want Transfer, recipient Organisation, at time.Time) (*Transfer, error) {
	t := want.clone()
	t.From, t.To = Fold(t.From), Fold(t.To)
	t.State, t.Legs, t.Steps, t.Seen, t.Released, t.Disputed = Initiated, nil, nil, time.Time{}, time.Time{}, ""
	t.Top = ""
	if err := t.check(); err != nil {
		return nil, err
	}
	if t.Ref != "" && l.refs[t.Ref] != 0 {
		return nil, fault.New(fault.BadInput, "transfer %d is called %s already; begin it under another name", l.refs[t.Ref], t.Ref)
	}
	if err := l.checkClaim(t); err != nil {
		return nil, err
	}
	if t.From != "" {
		if err := l.checkDonor(t); err != nil {
			return nil, err
		}
		t.FromRegistry = l.Registry(t.From)
	}
	leg := Leg{From: t.From, To: t.To, Resources: t.Resources}
	if t.To != "" {
		var err error
		if leg.New, err = l.checkRecipient(t, recipient); err != nil {
			return nil, err
		}
		t.ToRegistry = l.Registry(orElse(leg.New.Parent, t.To))
	} else {
		leg.New = recipient.normal() // what is asked for there
	}
	if err := l.MayInitiate(t, at); err != nil {
		return nil, err
	}
	leg.Parts = want.parts()
	if t.From != "" {
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
	t.Waits = l.objects(t, at)
	return t, nil
}

// check says what is wrong with a transfer that is to begin by itself.
func (t *Transfer) check() error {
	switch {
	case t.Resources.Empty() && t.Handoff == nil:
		return fault.New(fault.BadInput, "name the resources that move")
	case !slices.Contains(TransferKinds, t.Kind):
		return fault.New(fault.BadInput, "%q is no kind of transfer; use transfer, merger, takeover, move or handoff", t.Kind)
	case t.From == "" && t.To == "":
		return fault.New(fault.BadInput, "neither side of the transfer of %s is here; name the donor or the recipient", t.Resources)
	case (t.From == "" || t.To == "") && t.Peer == "" && t.Handoff == nil && t.Within == 0:
		return fault.New(fault.BadInput, "one side of the transfer of %s is elsewhere; name the installation that it is at", t.Resources)
	}
	return refuseSpecial(t.Resources)
}

// checkParts says what is wrong with what the first leg of a transfer from elsewhere brings.
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

// parts is what the first leg of a transfer from elsewhere brings.
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

// checkClaim says why a transfer can't have what it is to move: another has some of it.
func (l *Ledger) checkClaim(t *Transfer) error {
	if other := l.claims(t); other != nil {
		return fault.New(fault.Conflict, "%s is in transfer %d already; finalise or cancel that first", other.Resources.Intersect(t.Resources), other.ID)
	}
	return nil
}

// checkTaken says why a transfer that was asserted can't be agreed to: another has some of it by now, here or in the same decision.
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

// claims is the first transfer that is not over and has something of what another is to move; nil where none has. A handoff
// has all that its registry has, but for its own holders' transfers. What another installation merely asserts is nothing to others,
// but it can't assert the same twice.
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
		if x.foreign() || x.Arriving || !x.Resources.Overlaps(t.Resources) {
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
		if !x.foreign() && !x.Arriving {
			held = append(held, x.Resources)
		}
	}
	return inr.Sum(held...)
}

// checkRecipient is the organisation that gets the resources, if it is new.
func (l *Ledger) checkRecipient(t *Transfer, recipient Organisation) (Organisation, error) {
	if t.Handoff != nil {
		return Organisation{}, l.checkSuccessor(t)
	}
	if n := l.orgs[t.To]; n != nil {
		switch {
		case n.Kind.IsRegistry():
			return Organisation{}, fault.New(fault.BadInput, "%s is a registry; name a holder as the recipient", t.To)
		case t.From != "" && (slices.Contains(l.chain(t.To), t.From) || slices.Contains(l.chain(t.From), t.To)):
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
	if t.From != "" && slices.Contains(l.chain(recipient.Parent), t.From) {
		return recipient, fault.New(fault.BadInput, "%s would be below %s: delegate to it instead", t.To, t.From)
	}
	return recipient, nil
}

// partsOf is an organisation's delegations as far as they are in a set.
func (l *Ledger) partsOf(handle string, s inr.Set) []Part {
	var parts []Part
	for _, x := range l.orgs[handle].received {
		if in := x.Resources.Intersect(s); !in.Empty() && !x.foreign() && !x.Arriving {
			parts = append(parts, Part{in, x.Status, x.Until, x.Country})
		}
	}
	return parts
}

// legs is a leg and those of what was delegated on, which go along. A registry's holders have transfers of their own.
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

// nameBelow is the handle of an organisation below another: its own is kept as far as no other has it, there or in the same
// transfer.
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

// transfer is one that a decision is about, in one of some states.
func (l *Ledger) transfer(id uint64, states ...TransferState) (*Transfer, error) {
	t := l.Transfer(id)
	if t == nil {
		return nil, fault.New(fault.NotFound, "there is no transfer %d", id)
	}
	if !slices.Contains(states, t.State) {
		return nil, fault.New(fault.Conflict, "transfer %d is %s", id, t.State)
	}
	return t.clone(), nil
}

// Accept resolves that the recipient's side of a transfer begins to hold what moves, beside the donor's. The two are the
// only ones of whom siblings may hold the same.
func (l *Ledger) Accept(by By, id uint64, text string) (*Outcome, error) {
	return l.each(by, []uint64{id}, text, (*draft).accept)
}

// AcceptAll does the same for several, in one decision.
func (l *Ledger) AcceptAll(by By, ids []uint64, text string) (*Outcome, error) {
	return l.each(by, ids, text, (*draft).accept)
}

// each resolves one step of several transfers in one decision.
func (l *Ledger) each(by By, ids []uint64, text string, step func(*draft, uint64, string) error) (*Outcome, error) {
	d := l.draft(by)
	for _, id := range ids {
		if err := step(d, id, text); err != nil {
			return nil, err
		}
	}
	return d.outcome()
}

func (d *draft) accept(id uint64, text string) error {
	l := d.ledger
	t, err := l.transfer(id, Initiated)
	if err != nil {
		return err
	}
	if t.From != "" { // what moves may have changed since
		if err := l.checkDonor(t); err != nil {
			return err
		}
		first := t.Legs[0]
		first.Parts = l.partsOf(t.From, t.Resources)
		t.Legs = l.legs(t, first)
	}
	if err := l.checkWithin(t); err != nil {
		return err
	}
	t.State = Accepted
	if t.Top, err = l.topOf(t); err != nil {
		return err
	}
	if d.isStepOf(t); l.donor(t) != "" {
		d.steps[t.ID] = l.meeting(t)
	}
	if t.To != "" {
		for i, leg := range t.Legs {
			if err := d.enrolRecipient(leg); err != nil {
				return err
			}
			if i == 0 {
				path := l.pathTo(t, leg)
				if len(path) == 0 {
					continue // the successor stands above the registry, and has it all
				}
				for _, h := range path[:len(path)-1] {
					d.arrive(t, h, []Part{{Resources: t.Resources, Status: Allocated}})
				}
			}
			d.arrive(t, leg.To, leg.Parts)
		}
	}
	d.step(t, string(Accepted), text)
	return d.checkTaken(t)
}

// enrolRecipient adds who gets something, unless it has come since the transfer began, and sees to it that who stands above
// may have it below.
func (d *draft) enrolRecipient(leg Leg) error {
	n := d.ledger.orgs[leg.To]
	switch {
	case n == nil:
		if err := leg.New.check(); err != nil {
			return err
		}
		d.enrol(leg.New)
	case leg.New.Handle != "" && n.Parent != leg.New.Parent:
		return fault.New(fault.Conflict, "%s is there by now, below %s and not %s; cancel the transfer and begin it anew", leg.To, n.Parent, leg.New.Parent)
	default:
		return nil
	}
	above, changed := d.orgs[leg.New.Parent]
	if !changed {
		n := d.ledger.orgs[leg.New.Parent]
		if n == nil {
			return unknown(leg.New.Parent)
		}
		above = n.Organisation
	}
	if above.Kind == EndUser { // who gets what was delegated on becomes one who delegates
		above.Kind = LIR
		d.enrol(above)
	}
	if !slices.Contains(parents[leg.New.Kind], above.Kind) {
		return fault.New(fault.BadInput, "%s: a %s can't be below %s, which is a %s", leg.To, leg.New.Kind, above.Handle, above.Kind)
	}
	return nil
}

// arrive starts delegations that come with a transfer.
func (d *draft) arrive(t *Transfer, to string, parts []Part) {
	parent := d.orgs[to].Parent
	if n := d.ledger.orgs[to]; n != nil {
		parent = n.Parent
	}
	for _, p := range parts {
		if p.Resources.Empty() {
			continue
		}
		d.start(&Delegation{
			From: parent, To: to, Resources: p.Resources, Status: p.Status, Until: p.Until, Country: p.Country,
			Since: d.by.Time.UTC().Truncate(time.Second), Ground: "transfer from " + t.Source(), Transfer: t.ID, Arriving: true,
		})
	}
}

// Finalise resolves that what moves is the recipient's alone: the donor, and all above it that do not stand above both, hold
// it no more.
func (l *Ledger) Finalise(by By, id uint64, text string) (*Outcome, error) {
	return l.each(by, []uint64{id}, text, (*draft).finalise)
}

// FinaliseAll does the same for several, in one decision.
func (l *Ledger) FinaliseAll(by By, ids []uint64, text string) (*Outcome, error) {
	return l.each(by, ids, text, (*draft).finalise)
}

func (d *draft) finalise(id uint64, text string) error {
	l := d.ledger
	t, err := l.transfer(id, Accepted)
	if err != nil {
		return err
	}
	if why := t.Parked(); why != "" {
		return fault.New(fault.Conflict, "transfer %d is disputed (%s); both sides stay valid until that is resolved", id, why)
	}
	if err := l.checkLeft(t); err != nil {
		return err
	}
	t.State = Finalised
	d.isStepOf(t)
	above := l.shared(t)
	if path := l.pathBelow(above, l.donor(t)); len(path) > 0 {
		for _, x := range l.orgs[above].given.overlapping(t.Resources) {
			if x.To == path[0] {
				d.take(x, t.Resources)
			}
		}
	}
	for _, x := range l.arriving(t) {
		d.end(x)
		stays := *x
		stays.ID, stays.Decision, stays.Replaces, stays.Arriving = 0, 0, x.ID, false
		d.start(&stays)
	}
	d.step(t, string(Finalised), text)
	return nil
}

// take shrinks a delegation of which the same draft may have taken something already.
func (d *draft) take(old *Delegation, resources inr.Set) {
	if d.ended[old.ID] == nil {
		d.shrink(old, old.Resources.Minus(resources))
		return
	}
	for _, x := range d.got[old.To] {
		if x.Replaces != old.ID {
			continue
		}
		if x.Resources = x.Resources.Minus(resources); x.Resources.Empty() {
			is := func(y *Delegation) bool { return x == y }
			d.started, d.got[old.To] = slices.DeleteFunc(d.started, is), slices.DeleteFunc(d.got[old.To], is)
		}
		return
	}
}

// Cancel resolves that a transfer comes to nothing: the recipient's side goes, the donor's was never touched.
func (l *Ledger) Cancel(by By, id uint64, text string) (*Outcome, error) {
	return l.each(by, []uint64{id}, text, (*draft).cancel)
}

func (d *draft) cancel(id uint64, text string) error {
	l := d.ledger
	t, err := l.transfer(id, Initiated, Accepted)
	if err != nil {
		return err
	}
	if t.State == Initiated && (t.Peer == "" || t.From == "") { // nothing had come, and nobody elsewhere has to hear of it
		t.Released = d.by.Time.UTC().Truncate(time.Second)
	}
	if err := l.checkUnbegun(t); err != nil {
		return err
	}
	t.State = Cancelled
	d.isStepOf(t)
	for _, x := range l.arriving(t) {
		if d.ended[x.ID] == nil {
			d.end(x)
		}
	}
	d.step(t, string(Cancelled), text)
	return nil
}

// Note resolves that something about transfers is as change makes it. It must leave state, sides and resources alone.
func (l *Ledger) Note(by By, ids []uint64, what, text string, change func(*Transfer)) (*Outcome, error) {
	return l.each(by, ids, text, func(d *draft, id uint64, text string) error {
		t, err := l.transfer(id, Initiated, Accepted, Finalised, Cancelled)
		if err != nil {
			return err
		}
		if change != nil {
			change(t)
		}
		d.step(t, what, text)
		return d.checkTaken(t)
	})
}

// arriving is the delegations that came with a transfer and are not for good yet, by ID.
func (l *Ledger) arriving(t *Transfer) []*Delegation {
	_, taking := l.Involved(t)
	var list []*Delegation
	for _, h := range taking {
		if n := l.orgs[h]; n != nil {
			for _, x := range n.received {
				if x.Arriving && x.Transfer == t.ID {
					list = append(list, x)
				}
			}
		}
	}
	slices.SortFunc(list, byID)
	return list
}

// step makes a draft a step of a transfer.
func (d *draft) step(t *Transfer, what, text string) {
	d.moved = append(d.moved, t)
	t.Steps = append(t.Steps, TransferStep{At: d.by.Time.UTC().Truncate(time.Second), What: what, Text: text, Actor: d.by.Actor, Decision: d.ledger.lastDecision + 1})
}

// isStepOf has a draft be a step of a transfer, and of the handoff that it is within.
func (d *draft) isStepOf(t *Transfer) {
	d.steps[t.ID] = ""
	if t.Within != 0 {
		d.steps[t.Within] = ""
	}
}

func (d *draft) isStep(id uint64) bool {
	_, yes := d.steps[id]
	return yes
}

// frozen is what a draft changes of what is in a transfer that it is no step of, and the transfer's number; 0 where it
// leaves all as it is.
func (d *draft) frozen() (inr.Set, uint64) {
	if len(d.ledger.unrest) == 0 {
		return inr.Set{}, 0
	}
	for _, handle := range slices.Sorted(maps.Keys(d.after)) {
		if len(d.ledger.moving[handle]) == 0 {
			continue
		}
		was, now := d.before[handle], d.after[handle].holding
		if changed, id := d.inOther(handle, was.Minus(now).Union(now.Minus(was))); id != 0 {
			return changed, id
		}
	}
	for _, x := range d.started {
		if len(d.ledger.moving[x.From]) == 0 {
			continue
		}
		if fresh, id := d.inOther(x.From, x.Resources.Minus(d.before[x.To])); id != 0 {
			return fresh, id
		}
	}
	return inr.Set{}, 0
}

// inOther is what of a set is in a transfer that has begun to change an organisation and that the draft is no step of, and
// the transfer's number; 0 where nothing is.
func (d *draft) inOther(handle string, s inr.Set) (inr.Set, uint64) {
	if s.Empty() {
		return s, 0
	}
	l, moving := d.ledger, d.ledger.moving[handle]
	for _, x := range l.claimed.overlapping(s) {
		if id := x.Transfer; moving[id] && !d.isStep(id) && l.Transfer(id).State == Accepted {
			return x.Resources.Intersect(s), id
		}
	}
	for id := range l.handoffs {
		if t := l.Transfer(id); moving[id] && !d.isStep(id) && t.State == Accepted && t.Resources.Overlaps(s) {
			return t.Resources.Intersect(s), id
		}
	}
	return inr.Set{}, 0
}
