package holdings

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"cadastre/internal/inr"
)

// TransferKind says on what ground resources move.
type TransferKind string

// The kinds of transfer. All but the first are moves of one holder's business: what was authorised goes with them.
const (
	Market      TransferKind = "transfer" // from one holder to another, who has routes of its own
	Merger      TransferKind = "merger"   // two holders become one
	Takeover    TransferKind = "takeover" // a holder closes, and another goes on with its resources and routes
	Portability TransferKind = "move"     // a holder moves to another registry
	Handoff     TransferKind = "handoff"  // a registry fails, and its holders move to its successor
)

// SameHolder tells whether the recipient goes on with what the donor had authorised.
func (k TransferKind) SameHolder() bool { return k != Market }

// TransferKinds are all kinds that there are.
var TransferKinds = []TransferKind{Market, Merger, Takeover, Portability, Handoff}

// Transfer is a move of resources from one holder to another: inside a registry, between registries, or to or from an
// installation elsewhere. Its record is replaced by each decision about it; decisions and Steps are its history. It has many fields, as both
// sides agree on many terms, and all steps of all kinds of transfers are in one record.
type Transfer struct {
	ID   uint64       `json:"id"`  // in this ledger, from 1
	Ref  string       `json:"ref"` // the same on both sides of a transfer between two installations
	Kind TransferKind `json:"kind"`
	// From and To are holders' handles here. One is empty when it is at the installation elsewhere that Peer names; Elsewhere is
	// its handle there.
	From         string        `json:"from,omitempty"`
	To           string        `json:"to,omitempty"`
	Peer         string        `json:"peer,omitempty"`
	Elsewhere    string        `json:"elsewhere,omitempty"`
	FromRegistry string        `json:"from_registry"`
	ToRegistry   string        `json:"to_registry"`
	Resources    inr.Set       `json:"resources"`
	Original     inr.Set       `json:"original,omitzero"` // the donor's delegations that they were in
	Legs         []Leg         `json:"legs,omitempty"`    // who gets what from whom, from the top down; only on this side if one is elsewhere
	State        TransferState `json:"state"`

	Routes []Route `json:"routes,omitempty"` // the recipient's own routes
	// Carried is what the donor had authorised and goes along, if the donor is elsewhere. For a donor here it is found in the book of intents.
	Carried        []Route `json:"carried,omitempty"`
	CarriedObjects []Said  `json:"carried_objects,omitempty"` // likewise, of other kinds than ROAs
	Bridge         Term    `json:"bridge,omitempty"`          // how long a new holder keeps what the donor had authorised, if both agreed on it
	Soak           Term    `json:"soak"`                      // how long the recipient's side is seen before the donor's goes

	Waits    time.Time `json:"waits,omitzero"`     // until when the source may object; silence is consent (profile portable)
	Disputed string    `json:"disputed,omitempty"` // why it is parked, with both sides valid
	// DisputedThere is why the other installation parks it. Top is the organisation here that has what moves from a parent outside the
	// tree: the transfer changes nothing above it.
	DisputedThere string    `json:"disputed_there,omitempty"`
	Top           string    `json:"top,omitempty"`
	Held          bool      `json:"held,omitempty"`    // finalisation waits until the source releases it
	Forced        bool      `json:"forced,omitempty"`  // it does not wait for what CAs elsewhere publish
	Seen          time.Time `json:"seen,omitzero"`     // since when the recipient's side has been seen to be published
	Released      time.Time `json:"released,omitzero"` // when nothing of the side that lost was certified any more
	Since         time.Time `json:"since,omitzero"`    // when the donor had got the oldest of the resources

	// Handoff is set if it is a registry's own transfer to its successor. Within is set in the transfers of its holders: the number of the
	// registry's own transfer.
	Handoff *Succession `json:"handoff,omitempty"`
	Within  uint64      `json:"within,omitempty"`

	Steps []TransferStep `json:"steps"`
}

// Leg is what one organisation gets from another in a transfer.
type Leg struct {
	From      string       `json:"from,omitempty"`
	To        string       `json:"to,omitempty"`
	Resources inr.Set      `json:"resources"`
	New       Organisation `json:"new,omitzero"` // the recipient's record, if it is new
	// CA is the identity of the donor's CA if that is elsewhere (RFC 8183): the recipient's side offers it a new parent.
	CA    []byte `json:"ca,omitempty"`
	Parts []Part `json:"parts,omitempty"`
	Path  string `json:"path,omitempty"` // the other installation's name for the leg
}

// Part is a delegation that a recipient gets.
type Part struct {
	Resources inr.Set   `json:"resources"`
	Status    Status    `json:"status"`
	Until     time.Time `json:"until,omitzero"`
	Country   string    `json:"country,omitempty"`
}

// Route is an authorisation that goes with a transfer: a ROA's.
type Route struct {
	Prefix    netip.Prefix `json:"prefix"`
	MaxLength int          `json:"max_length"`
	Origin    uint32       `json:"origin"`
	Until     time.Time    `json:"until,omitzero"` // when it ends by itself; zero: never
}

// TransferStep is something that happened to a transfer.
type TransferStep struct {
	At       time.Time `json:"at"`
	What     Step      `json:"what"`
	Text     string    `json:"text,omitempty"`
	Actor    string    `json:"actor,omitempty"`
	Decision uint64    `json:"decision"`
}

// Source is the donor as "registry:handle", here or elsewhere.
func (t *Transfer) Source() string { return t.FromRegistry + ":" + cmp.Or(t.From, t.Elsewhere) }

// Recipient is the recipient as "registry:handle", here or elsewhere.
func (t *Transfer) Recipient() string { return t.ToRegistry + ":" + cmp.Or(t.To, t.Elsewhere) }

// Soaked is when the recipient's side has been seen for its soak.
func (t *Transfer) Soaked() time.Time { return t.Seen.Add(t.Soak.Duration()) }

// Done tells whether a transfer is over and released: nothing is left to be done for it.
func (t *Transfer) Done() bool { return t.State.Over() && !t.Released.IsZero() }

// Asserted tells whether only another installation says that there is this transfer: it comes from there, and nobody here has agreed to it.
// It freezes nothing here.
func (t *Transfer) Asserted() bool {
	return t.State == Initiated && t.Incoming() && t.When(StepApproved).IsZero()
}

// exempt tells whether no policy binds a transfer: it is a handoff that was begun here. An incoming handoff is bound like every incoming
// transfer.
func (t *Transfer) exempt() bool { return t.Kind == Handoff && !t.Incoming() }

// clone is a copy that can be changed.
func (t *Transfer) clone() *Transfer {
	c := *t
	c.Steps, c.Legs, c.Routes = slices.Clone(t.Steps), slices.Clone(t.Legs), slices.Clone(t.Routes)
	return &c
}

// Transfers is all of them, by number.
func (l *Ledger) Transfers() []*Transfer { return l.transfers }

// Transfer is one by its number; nil where there is none. It must not be changed.
func (l *Ledger) Transfer(id uint64) *Transfer {
	if at, found := slices.BinarySearchFunc(l.transfers, id, func(t *Transfer, id uint64) int { return compareIDs(t.ID, id) }); found {
		return l.transfers[at]
	}
	return nil
}

// TransferByRef is one by the name that both sides have for it.
func (l *Ledger) TransferByRef(ref string) *Transfer {
	return l.Transfer(l.refs[ref])
}

// Unrest is the transfers that are under way, or over with something still to be withdrawn, by number.
func (l *Ledger) Unrest() []*Transfer {
	var list []*Transfer
	for _, id := range sortedKeys(l.unrest) {
		list = append(list, l.Transfer(id))
	}
	return list
}

// Moving tells whether an organisation is part of a transfer that is under way, or over with something still to be withdrawn.
func (l *Ledger) Moving(handle string) bool { return len(l.moving[handle]) > 0 }

// Leaving is what of an organisation's holding goes with transfers that are accepted and not over.
func (l *Ledger) Leaving(handle string) inr.Set {
	var sets []inr.Set
	for id := range l.moving[handle] {
		t := l.Transfer(id)
		if t.State != Accepted {
			continue
		}
		if giving, _ := l.Involved(t); slices.Contains(giving, handle) {
			sets = append(sets, t.Resources)
		}
	}
	return inr.Sum(sets...)
}

// InTransfer is the first transfer that is accepted and not over and has something of a set; nil where none has. In a handoff
// it is that of the holder: what is not on its way yet is not in it.
func (l *Ledger) InTransfer(s inr.Set) *Transfer {
	for _, d := range l.claimed.overlapping(s) {
		if t := l.Transfer(d.Transfer); t.State == Accepted {
			return t
		}
	}
	return nil
}

// stays tells whether a delegation does not end by itself for now: something of it is in a transfer, or it is that of a
// registry in a handoff.
func (l *Ledger) stays(x *Delegation) bool {
	if l.InTransfer(x.Resources) != nil {
		return true
	}
	for id := range l.handoffs {
		if t := l.Transfer(id); t.State == Accepted && l.moving[x.To][id] && t.Resources.Overlaps(x.Resources) {
			return true
		}
	}
	return false
}

// unsettled is all that is in transfers that are not over, accepted or not. What another installation merely asserts is not.
func (l *Ledger) unsettled() inr.Set {
	var sets []inr.Set
	for id := range l.unrest {
		if t := l.Transfer(id); !t.State.Over() && !t.Asserted() {
			sets = append(sets, t.Resources)
		}
	}
	return inr.Sum(sets...)
}

// gone is what organisations gave to others by transfers that are over, as far as these hold it still and they do not, by
// handle.
func (l *Ledger) gone() map[string]inr.Set {
	given := map[string][]inr.Set{}
	var kept []inr.Set
	for _, t := range l.transfers {
		if t.State != Finalised {
			continue
		}
		giving, taking := l.Involved(t)
		for _, h := range giving {
			given[h] = append(given[h], t.Resources)
		}
		if t.Outgoing() {
			kept = append(kept, t.Resources)
		}
		for _, h := range taking {
			kept = append(kept, t.Resources.Intersect(l.Holding(h)))
		}
	}
	stays := inr.Sum(kept...)
	gone := make(map[string]inr.Set, len(given))
	for h, sets := range given {
		gone[h] = inr.Sum(sets...).Intersect(stays).Minus(l.Holding(h))
	}
	return gone
}

// Involved is the organisations here that a transfer changes, those above first: at the donor's side, and the recipient's.
func (l *Ledger) Involved(t *Transfer) (giving, taking []string) {
	for i, leg := range t.Legs {
		switch donor := l.donor(t); {
		case i > 0 && leg.From != "":
			giving = append(giving, leg.From)
		case i == 0 && donor != "":
			giving = append(giving, l.pathBelow(l.shared(t), donor)...)
		}
		if leg.To != "" {
			if i == 0 {
				taking = append(taking, l.pathTo(t, leg)...)
			} else {
				taking = append(taking, leg.To)
			}
		}
	}
	return giving, taking
}

// donor is the organisation here that a transfer takes from: that of a holder who was deposited is its registry, if that is
// here. Empty where none is.
func (l *Ledger) donor(t *Transfer) string {
	if of := l.Transfer(t.Within); of != nil && !t.DonorHere() {
		return of.From
	}
	return t.From
}

// shared is the organisation whose delegations to the donor's side a transfer takes from: where the sides meet. In a handoff
// the registries' own transfer does that, and their holders' leave to it what is above them, unless the successor stands
// above the registry.
func (l *Ledger) shared(t *Transfer) string {
	meeting := l.meeting(t)
	switch {
	case t.Within == 0 || meeting == l.above(t):
		return meeting
	case !t.DonorHere():
		return l.donor(t)
	}
	return l.orgs[t.From].Parent
}

// above is the organisation above the recipient of the first leg.
func (l *Ledger) above(t *Transfer) string {
	if n := l.orgs[t.To]; n != nil {
		return n.Parent
	}
	return t.Legs[0].New.Parent
}

// pathTo is the organisations from below where the two sides meet down to the recipient of the first leg.
func (l *Ledger) pathTo(t *Transfer, leg Leg) []string {
	switch {
	case t.Within != 0:
		return []string{leg.To} // what is above it came with the handoff
	case l.orgs[leg.To] == nil:
		return append(l.pathBelow(l.meeting(t), leg.New.Parent), leg.To)
	}
	return l.pathBelow(l.meeting(t), leg.To)
}

// meeting is the lowest organisation above both sides of a transfer. Where one is elsewhere, it is the one that has what moves
// from a parent outside the tree, and the root where none has.
func (l *Ledger) meeting(t *Transfer) string {
	from := l.donor(t)
	if from == "" || !t.RecipientHere() {
		return cmp.Or(t.Top, l.root)
	}
	to := t.To
	if l.orgs[to] == nil {
		to = t.Legs[0].New.Parent
	}
	above := l.chain(to)
	for _, h := range l.chain(from)[1:] {
		if slices.Contains(above, h) {
			return h
		}
	}
	return l.root
}

// chain is an organisation and all above it, up to the root.
func (l *Ledger) chain(handle string) []string {
	var list []string
	for n := l.orgs[handle]; n != nil; n = l.orgs[n.Parent] {
		list = append(list, n.Handle)
	}
	return list
}

// pathBelow is the organisations from below one down to another.
func (l *Ledger) pathBelow(top, handle string) []string {
	var path []string
	for _, h := range l.chain(handle) {
		if h == top {
			break
		}
		path = append(path, h)
	}
	slices.Reverse(path)
	return path
}

// setTransfer puts a transfer's record in memory.
func (l *Ledger) setTransfer(t *Transfer) {
	at, found := slices.BinarySearchFunc(l.transfers, t.ID, func(t *Transfer, id uint64) int { return compareIDs(t.ID, id) })
	if found {
		l.unclaim(l.transfers[at])
		l.transfers[at] = t
	} else {
		l.transfers = slices.Insert(l.transfers, at, t)
		l.refs[t.Ref] = t.ID
		if t.Within != 0 {
			l.within[t.Within] = append(l.within[t.Within], t.ID)
		}
	}
	l.claim(t)
	delete(l.unrest, t.ID)
	giving, taking := l.Involved(t)
	for _, h := range slices.Concat(giving, taking) {
		if delete(l.moving[h], t.ID); len(l.moving[h]) == 0 {
			delete(l.moving, h)
		}
	}
	if t.Done() {
		return
	}
	l.unrest[t.ID] = true
	if t.State == Initiated {
		return
	}
	for _, h := range slices.Concat(giving, taking) {
		if l.moving[h] == nil {
			l.moving[h] = map[uint64]bool{}
		}
		l.moving[h][t.ID] = true
	}
}

// claim notes what is in a transfer that is not over, where it is found by its resources. Those of handoffs are apart: what
// is in them is in their holders' transfers too.
func (l *Ledger) claim(t *Transfer) {
	switch {
	case t.State.Over() || t.Asserted():
	case t.Handoff != nil:
		l.handoffs[t.ID] = true
	default:
		l.claimed.insert(&Delegation{Resources: t.Resources, Transfer: t.ID})
	}
}

func (l *Ledger) unclaim(t *Transfer) {
	switch {
	case t.State.Over() || t.Asserted():
	case t.Handoff != nil:
		delete(l.handoffs, t.ID)
	default:
		l.claimed.remove(&Delegation{Resources: t.Resources})
	}
}
