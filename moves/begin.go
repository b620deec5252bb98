package moves

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"cadastre/ca"
	"cadastre/ca/kinds"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/roa"
)

// Request is a transfer that somebody asks for.
type Request struct {
	Kind      holdings.TransferKind
	From, To  string  // handles
	Under     string  // if To is new: the organisation that it is to be below
	Name      string  // if To is new: its name; empty: the donor's
	Peer      string  // the installation that To is at; empty: here
	Resources inr.Set // empty: all that From holds
	Routes    []roa.Row
	Bridge    time.Duration // of a transfer to a new holder: for how long the donor's routes stay authorised, by consent
	Soak      time.Duration // less than zero: as the registries' policies have it
	Hold      bool          // finalisation waits until Hold is called with false; a policy may demand that, too
}

// Begun is a transfer that was begun, or with DryRun would be, and its effect.
type Begun struct {
	Transfer holdings.Transfer `json:"transfer"`
	Carried  []roa.VRP         `json:"carried"` // what the donor had authorised that goes along
	Lost     []roa.VRP         `json:"lost"`    // what the donor had authorised that ends

	// Payloads of other kinds, the donor's: those that go along, and those that end. In JSON each kind has members of its own, as
	// "carried_aspas" and "lost_aspas".
	CarriedObjects kinds.List `json:"-"`
	LostObjects    kinds.List `json:"-"`

	Staged   []holdings.Route `json:"staged"`   // the recipient's own routes
	Warnings []string         `json:"warnings"` // what an engineer should know before
	// Announcements is what becomes of announcements when the transfer is finalised; nil where no VRP changes.
	Announcements *ca.Announcements `json:"announcements,omitempty"`

	Held   string `json:"held,omitempty"` // why the brake holds it; empty where it does not
	Code   string `json:"code,omitempty"` // with this code it may begin nevertheless
	DryRun bool   `json:"dry_run"`
}

type bareBegun Begun

// MarshalJSON writes the payloads of each kind beside the rest.
func (f Begun) MarshalJSON() ([]byte, error) {
	object, err := json.Marshal(bareBegun(f))
	if err == nil {
		object, err = f.CarriedObjects.Join(object, "carried_%s")
	}
	if err == nil {
		object, err = f.LostObjects.Join(object, "lost_%s")
	}
	return object, err
}

// UnmarshalJSON reads what MarshalJSON writes.
func (f *Begun) UnmarshalJSON(object []byte) error {
	return cmp.Or(json.Unmarshal(object, (*bareBegun)(f)), f.CarriedObjects.Cut(object, "carried_%s"), f.LostObjects.Cut(object, "lost_%s"))
}

// Initiate begins a transfer, or with consent.DryRun only says what it would do. It fails as holdings.Ledger.InitiateAll does, with
// BadInput where a route is not within what moves, and with Refused where the brake holds it and consent does not have its code.
func (m *Mover) Initiate(by holdings.By, q Request, consent ca.Consent) (*Begun, error) {
	want, recipient, err := m.wants(q)
	if err != nil {
		return nil, err
	}
	begun := &Begun{DryRun: consent.DryRun}
	_, err = m.engine.DecideWeighed(ca.Consent{DryRun: consent.DryRun, Unbraked: true}, func(l *holdings.Ledger, b *roa.Book, weigh ca.Weigh) (*holdings.Outcome, error) {
		o, err := l.InitiateAll(by, []holdings.Beginning{{Transfer: want, Recipient: recipient}}, by.Reason)
		if err != nil {
			return nil, err
		}
		begun.Transfer = o.Transfers[0]
		t := &begun.Transfer
		gained := begun.foresee(l, b)
		if err := begun.foreseeObjects(l, b); err != nil {
			return nil, err
		}
		if t.Outgoing() {
			report, err := sourceReport(l, b, t)
			if err != nil {
				return nil, err
			}
			if err := report.Fits(); err != nil {
				return nil, fault.Wrap(err, "this is more than can be told to %s at once; move it in parts", t.Peer)
			}
		}
		if begun.Announcements, err = m.engine.Foresee(begun.Lost, gained); err != nil {
			return nil, err
		}
		begun.Held, begun.Code = weigh(t.From, begun.Lost, begun.LostObjects)
		begun.Held, begun.Code = begun.Announcements.Held(m.engine, begun.Held, begun.Code)
		return o, begun.passes(consent)
	})
	if err != nil {
		return nil, err
	}
	if !consent.DryRun {
		m.poke()
	}
	return begun, nil
}

// passes fails with Refused where the brake holds the transfer and its code was not given.
func (f *Begun) passes(consent ca.Consent) error {
	switch {
	case f.DryRun || f.Held == "" || consent.Code == f.Code:
		return nil
	case consent.Code != "":
		return fault.New(fault.Refused, "the code %s belongs to another plan: %s; look at it again with --dry-run, then repeat with --code %s", consent.Code, f.Held, f.Code)
	}
	return fault.New(fault.Refused, "the brake holds this: when the transfer is finalised %s; look at it with --dry-run, then repeat with --code %s", f.Held, f.Code)
}

// seldomAsked is the default of the shortest soak for a holder whose CA is elsewhere. Such a CA gets its new certificate before it has
// published anything below it. rpki-client 9.9 fetches from a CA that it found empty less and less often, in the end once a day.
const seldomAsked = holdings.Term(25 * time.Hour)

// wants makes the transfer that the ledger is asked for, and its recipient where that is new.
func (m *Mover) wants(q Request) (want holdings.Transfer, recipient holdings.Organisation, err error) {
	want = holdings.Transfer{
		Ref: newRef(), Kind: q.Kind, From: holdings.Fold(q.From), To: holdings.Fold(q.To), Peer: q.Peer, Resources: q.Resources,
		Bridge: holdings.Term(q.Bridge), Soak: holdings.Term(q.Soak), Held: q.Hold,
	}
	recipient = holdings.Organisation{Parent: q.Under, Name: q.Name}
	if q.Peer != "" {
		want.To, want.Elsewhere = "", holdings.Fold(q.To)
		if want.ToRegistry, err = m.registryAt(q.Peer, holdings.Fold(q.Under)); err != nil {
			return want, recipient, err
		}
	}
	for _, r := range q.Routes {
		want.Routes = append(want.Routes, holdings.Route{Prefix: r.Prefix, MaxLength: r.MaxLength, Origin: r.Origin})
	}
	_, delegated := m.engine.Delegated(want.From)
	err = m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		if want.Resources.Empty() {
			want.Resources = l.Given(want.From)
		}
		want.FromRegistry = l.Registry(want.From)
		if want.Local() {
			if want.ToRegistry = l.Registry(want.To); want.ToRegistry == "" {
				want.ToRegistry = l.Registry(q.Under)
			}
		}
		terms := l.TermsOf(&want)
		if want.Soak < 0 {
			if want.Soak = terms.Soak; delegated {
				want.Soak = max(want.Soak, seldomAsked)
			}
		}
		want.Held = want.Held || !terms.Automatic
		return nil
	})
	switch {
	case err != nil:
		return want, recipient, err
	case !want.Local() && want.Elsewhere == "":
		return want, recipient, fault.New(fault.BadInput, "name the recipient, by its handle at %s", want.Peer)
	case want.From == want.To:
		return want, recipient, fault.New(fault.BadInput, "%s is both who gives and who gets", want.From)
	case want.Bridge != 0 && want.Kind.SameHolder():
		return want, recipient, fault.New(fault.BadInput, "a %s takes all routes along: a bridge is for a transfer to a new holder", want.Kind)
	}
	return want, recipient, stageable(want.Kind, want.Resources, want.Routes)
}

// registryAt is the registry, at another installation, that a recipient is in: the one that under names, or the only one there.
func (m *Mover) registryAt(name, under string) (string, error) {
	p, err := m.peer(name)
	if err == nil {
		err = p.heard()
	}
	switch {
	case err != nil:
		return "", err
	case slices.Contains(p.Registries, under):
		return under, nil
	case len(p.Registries) == 1:
		return p.Registries[0], nil
	}
	return "", fault.New(fault.BadInput, "%s keeps the registries %s; name with --under which of them the recipient is in", name, strings.Join(p.Registries, ", "))
}

// foresee lists which VRPs of the donor go along and which end, and warns of what an engineer may not expect. It returns the VRPs that come:
// the recipient's own, and the parts of what the donor has authorised as a whole.
func (f *Begun) foresee(l *holdings.Ledger, b *roa.Book) (gained []roa.VRP) {
	t := &f.Transfer
	f.Staged = t.Routes
	kept := map[roa.VRP]bool{}
	for _, routes := range carried(l, t, b) {
		for _, r := range routes {
			if v := roa.OfRoute(r); !kept[v] {
				kept[v] = true
				f.Carried = append(f.Carried, v)
			}
		}
	}
	for _, r := range t.Routes {
		kept[roa.OfRoute(r)] = true
		gained = append(gained, roa.OfRoute(r))
	}
	giving, _ := l.Involved(t)
	for _, holder := range giving {
		holding := l.Holding(holder)
		rest := holding.Minus(t.Resources)
		stays := map[roa.VRP]bool{}
		has := map[roa.VRP]bool{}
		for _, v := range b.VRPs(holder, holding) {
			has[v] = true
		}
		for _, v := range b.VRPs(holder, rest) {
			if stays[v] = true; !has[v] {
				gained = append(gained, v)
			}
		}
		for _, in := range b.Of(holder) {
			before, _ := roa.Authorised(in, holding)
			for _, v := range before {
				if stays[v] || kept[v] {
					continue
				}
				f.Lost = append(f.Lost, v)
				if len(roa.Ahead(in, holding, t.Resources)) > 0 {
					f.Warnings = append(f.Warnings, "AS"+asText(in.Origin)+" is authorised for "+in.Prefix.String()+" as a whole; when a part has moved, an announcement of the whole is not covered any more, only those of its parts are")
				}
			}
		}
	}
	f.Lost = roa.Unique(f.Lost)
	if !t.Kind.SameHolder() && t.Bridge == 0 && len(f.Lost) > 0 {
		f.Warnings = append(f.Warnings, "what the donor had authorised of what moves ends with the finalisation: agree on a bridge if its routes are to stay for a while")
	}
	return gained
}

// Approve records that the recipient's registry agrees to a transfer. The rows are routes of the new holder, besides those that the
// source has staged. It fails with BadInput where a route is not within what moves, or where the holder stays the same.
func (m *Mover) Approve(by holdings.By, id uint64, rows ...roa.Row) error {
	var routes []holdings.Route
	for _, r := range rows {
		routes = append(routes, holdings.Route{Prefix: r.Prefix, MaxLength: r.MaxLength, Origin: r.Origin})
	}
	return m.decide(func(l *holdings.Ledger) (*holdings.Outcome, error) {
		o, err := l.Approve(by, id, routes, by.Reason)
		if err == nil {
			err = stageable(o.Transfers[0].Kind, o.Transfers[0].Resources, routes)
		}
		return o, err
	})
}

// stageable checks whether a transfer of a kind can have these routes of its recipient's own; the error says why not.
func stageable(kind holdings.TransferKind, moves inr.Set, routes []holdings.Route) error {
	if len(routes) > 0 && kind.SameHolder() {
		return fault.New(fault.BadInput, "a %s takes the holder's routes along as they are: routes are staged for a transfer to a new holder", kind)
	}
	if _, out := within(routes, moves); len(out) > 0 {
		return fault.New(fault.BadInput, "the route %s,AS%d is not within what moves, %s", out[0].Prefix, out[0].Origin, moves)
	}
	return checkOrigins(routes)
}

// checkOrigins refuses routes of AS numbers that nobody can hold, and of AS0: such a ROA would make announcements invalid while the
// prefix moves.
func checkOrigins(routes []holdings.Route) error {
	for _, r := range routes {
		if r.Origin == 0 {
			return fault.New(fault.BadInput, "AS0 means that nobody may announce %s; it can be authorised when the transfer is over", r.Prefix)
		}
		if err := roa.CheckOrigin(roa.Row{Prefix: r.Prefix, Origin: r.Origin}, false); err != nil {
			return err
		}
	}
	return nil
}

// Cancel ends a transfer before its finalisation: what the recipient's side got is withdrawn, the donor's side was never changed. If
// both sides have accepted and the source is elsewhere, it asks the source to cancel, since the source may have finalised already.
func (m *Mover) Cancel(by holdings.By, id uint64) error {
	return m.decide(func(l *holdings.Ledger) (*holdings.Outcome, error) {
		if t := l.Transfer(id); t != nil && t.State == holdings.Accepted && t.Incoming() {
			return l.WishOff(by, id, by.Reason)
		}
		return l.Cancel(by, id, by.Reason)
	})
}

// Dispute parks a transfer with both sides valid. It fails with BadInput without a reason.
func (m *Mover) Dispute(by holdings.By, id uint64) error {
	if strings.TrimSpace(by.Reason) == "" {
		return fault.New(fault.BadInput, "say with --reason what the dispute about transfer %d is", id)
	}
	return m.decide(func(l *holdings.Ledger) (*holdings.Outcome, error) { return l.Dispute(by, id, by.Reason) })
}

// Resolve ends a dispute, or an objection: the transfer goes on.
func (m *Mover) Resolve(by holdings.By, id uint64) error {
	return m.decide(func(l *holdings.Ledger) (*holdings.Outcome, error) { return l.Resolve(by, id, by.Reason) })
}

// Hold has a transfer's finalisation wait, or, with hold false, lets it go on. Only the source's side can do that.
func (m *Mover) Hold(by holdings.By, id uint64, hold bool) error {
	is := "held already"
	if !hold {
		is = "not held"
	}
	return m.decide(func(l *holdings.Ledger) (*holdings.Outcome, error) {
		o, err := l.Hold(by, id, hold, by.Reason)
		switch t := l.Transfer(id); {
		case err != nil:
			return nil, err
		case t.Incoming():
			return nil, fault.New(fault.Conflict, "the source of transfer %d is at %s, which alone can hold it; dispute it to park it", id, t.Peer)
		case t.Held == hold:
			return nil, fault.New(fault.Conflict, "transfer %d is %s", id, is)
		}
		return o, nil
	})
}

func find(l *holdings.Ledger, id uint64) (*holdings.Transfer, error) {
	if t := l.Transfer(id); t != nil {
		return t, nil
	}
	return nil, fault.New(fault.NotFound, "there is no transfer %d; 'cadastre transfer list' shows those that there are", id)
}
