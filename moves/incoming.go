package moves

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/transferwire"
	"cadastre/roa"
)

// moving is what moves by a source's report: what its first leg brings.
func moving(s *transferwire.Source) inr.Set { return legResources(s.Legs[0]) }

func legResources(leg transferwire.Leg) inr.Set {
	var all []inr.Set
	for _, p := range leg.Parts {
		all = append(all, p.Resources)
	}
	return inr.Sum(all...)
}

// checkSource checks a source's report by itself and, if its transfer is known here, against that. The error says what is wrong.
func (m *Mover) checkSource(p *Peer, s *transferwire.Source) error {
	all := moving(s)
	of := map[string]inr.Set{}
	for _, leg := range s.Legs {
		of[leg.Path] = legResources(leg)
		above, _ := path.Split(leg.Path)
		if missing := of[leg.Path].Minus(of[strings.TrimSuffix(above, "/")]); leg.Path != "" && !missing.Empty() {
			return fault.New(fault.BadInput, "%s is delegated on to %s by one who does not have it", missing, leg.Path)
		}
	}
	if _, out := within(ledgerRoutes(slices.Concat(s.Carried, s.Staged)), all); len(out) > 0 {
		return fault.New(fault.BadInput, "the route %s,AS%d is not within what moves, %s", out[0].Prefix, out[0].Origin, all)
	}
	if _, err := readObjects(s.Objects, all); err != nil {
		return err
	}
	if err := stageable(holdings.TransferKind(s.Kind), all, ledgerRoutes(s.Staged)); err != nil {
		return err
	}
	if s.Bridge != 0 && holdings.TransferKind(s.Kind).SameHolder() {
		return fault.New(fault.BadInput, "a %s takes all routes along: a bridge is for a transfer to a new holder", s.Kind)
	}
	id, err := m.find(p.Name, s.Ref, true)
	if err != nil || id == 0 {
		return err
	}
	return m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		if t := l.Transfer(id); !t.Resources.Equal(all) {
			return fault.New(fault.BadInput, "transfer %s is of %s, not of %s", s.Ref, t.Resources, all)
		}
		return nil
	})
}

// maxAsserted is the most transfers from one installation that may wait for somebody here to agree to them.
const maxAsserted = 1000

// beginIncoming begins our side of a transfer that another installation reports. If it cannot begin, none is the report to answer with.
// It says that the transfer is refused for good, cannot be taken yet, or is cancelled already.
func (m *Mover) beginIncoming(p *Peer, s *transferwire.Source) (id uint64, none *transferwire.Recipient, err error) {
	if s.State == transferwire.Cancelled {
		return 0, &transferwire.Recipient{Ref: s.Ref, State: transferwire.Cancelled, Reason: "it had not begun here"}, nil
	}
	by := elsewhere(p.Name, "a transfer from "+p.Name)
	if err := m.allowances.spend(p.Name, len(s.XML()), by.Time); err != nil {
		return 0, nil, err
	}
	_, err = m.engine.Decide(ca.Consent{Unbraked: true}, ca.OfLedger(func(l *holdings.Ledger) (*holdings.Outcome, error) {
		want, recipient, err := incomingOf(l, p, s)
		if err == nil && openIncoming(l, p.Name) >= maxAsserted {
			err = fault.New(fault.Conflict, "%d transfers from %s wait here to be agreed to, and no more are taken until some are", maxAsserted, p.Name)
		}
		if err != nil {
			return nil, err
		}
		o, err := l.Initiate(by, want, recipient)
		if err == nil {
			id = o.Transfers[0].ID
		}
		return o, err
	}))
	switch fault.KindOf(err) {
	case fault.BadInput, fault.NotFound, fault.Refused, fault.Forbidden:
		if err != nil {
			m.log.Warn("a transfer from another installation is refused", "name", p.Name, "ref", s.Ref, "why", err)
			return 0, &transferwire.Recipient{Ref: s.Ref, State: transferwire.Refused, Reason: err.Error()}, nil
		}
	case fault.Conflict, fault.NotHeld:
		return 0, &transferwire.Recipient{Ref: s.Ref, State: transferwire.Unknown, Waits: err.Error()}, nil
	}
	if err == nil {
		m.log.Info("a transfer from another installation begins", "name", p.Name, "transfer", id, "from", s.From, "to", s.To, "resources", moving(s).String())
		m.poke()
	}
	return id, nil, err
}

// incomingOf makes from a source's report the transfer that begins here, and its recipient where that is new.
func incomingOf(l *holdings.Ledger, p *Peer, s *transferwire.Source) (want holdings.Transfer, recipient holdings.Organisation, err error) {
	want = holdings.Transfer{
		Ref: s.Ref, Kind: holdings.TransferKind(s.Kind), To: s.To, Peer: p.Name, Elsewhere: s.From, FromRegistry: s.FromRegistry, ToRegistry: s.ToRegistry,
		Resources: moving(s), Original: s.Original, Since: s.Since, Routes: ledgerRoutes(s.Staged), Carried: ledgerRoutes(s.Carried),
		Bridge: holdings.Term(s.Bridge), Soak: holdings.Term(s.Soak), Held: s.Held, DisputedThere: s.Disputed,
	}
	if want.CarriedObjects, err = readObjects(s.Objects, want.Resources); err != nil {
		return want, recipient, err
	}
	first := s.Legs[0]
	under := cmp.Or(holdings.Fold(s.Under), s.ToRegistry)
	if _, known := l.Organisation(s.To); known {
		under = s.To
	} else {
		recipient = holdings.Organisation{Parent: under, Kind: holdings.Kind(first.Kind), Name: first.Name, Country: first.Country}
	}
	switch {
	case !slices.Contains(p.Registries, s.FromRegistry):
		return want, recipient, fault.New(fault.BadInput, "%s has introduced itself as the keeper of %s and not of %s", p.Name, strings.Join(p.Registries, ", "), s.FromRegistry)
	case !slices.Contains(registriesHere(l), s.ToRegistry):
		return want, recipient, fault.New(fault.NotFound, "there is no registry %s here", s.ToRegistry)
	case !slices.Contains(l.Above(under), s.ToRegistry):
		return want, recipient, fault.New(fault.NotFound, "there is no %s below the registry %s here", under, s.ToRegistry)
	}
	to := map[string]string{"": s.To}
	for _, leg := range s.Legs {
		x := holdings.Leg{To: to[leg.Path], Resources: legResources(leg), CA: leg.CA, Path: leg.Path}
		for _, part := range leg.Parts {
			x.Parts = append(x.Parts, holdings.Part{Resources: part.Resources, Status: holdings.Status(part.Status), Until: part.Until, Country: part.Country})
		}
		if leg.Path != "" {
			above, base := path.Split(leg.Path)
			parent := to[strings.TrimSuffix(above, "/")]
			x.To = freeBelow(l, parent, base)
			to[leg.Path] = x.To
			if _, known := l.Organisation(x.To); !known {
				x.New = holdings.Organisation{Handle: x.To, Parent: parent, Kind: holdings.Kind(leg.Kind), Name: leg.Name, Country: leg.Country}
			}
		}
		want.Legs = append(want.Legs, x)
	}
	return want, recipient, nil
}

// freeBelow is a handle for an organisation below parent. No organisation elsewhere in the tree has it.
func freeBelow(l *holdings.Ledger, parent, base string) string {
	handle := parent + "/" + base
	for n := 2; ; n++ {
		if o, known := l.Organisation(handle); !known || o.Parent == parent {
			return handle
		}
		handle = fmt.Sprintf("%s/%s-%d", parent, base, n)
	}
}

// missingParent is the certificate of a parent elsewhere that an incoming transfer still needs. If an organisation above the recipient
// is certified by a parent elsewhere, that parent has to certify what moves first. It is the zero value where nothing is missing.
func (m *Mover) missingParent(t *holdings.Transfer) (holdings.Waiting, error) {
	var above []string
	if err := m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		above = l.Above(cmp.Or(t.Legs[0].New.Parent, t.To))
		return nil
	}); err != nil {
		return holdings.Waiting{}, err
	}
	for _, handle := range above {
		parents := m.engine.Federation.ParentsOf(handle)
		if len(parents) == 0 || handle == t.To {
			continue
		}
		var missing inr.Set
		err := m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
			missing = t.Resources
			for _, source := range l.Sources(handle) {
				if source != "" {
					missing = missing.Minus(l.Via(handle, source))
				}
			}
			return nil
		})
		if err != nil || missing.Empty() {
			return holdings.Waiting{}, err
		}
		return holdings.Waiting{For: needParent, Says: strings.Join(parents, " or "), Resources: missing, Of: handle}, nil
	}
	return holdings.Waiting{}, nil
}

// withdrawOffers removes the delegated CAs that offer registered for a transfer that was cancelled.
func (m *Mover) withdrawOffers(t *holdings.Transfer) error {
	for _, leg := range t.Legs {
		if leg.New.Handle == "" || leg.To == "" {
			continue
		}
		child, ok := m.engine.Delegated(leg.To)
		if !ok {
			continue
		}
		identity := leg.CA
		if donor, ok := m.engine.Delegated(leg.From); ok && leg.From != "" {
			identity = donor.TrustAnchor
		}
		var holds inr.Set
		if err := m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
			holds = l.Holding(leg.To)
			return nil
		}); err != nil {
			return err
		}
		if !holds.Empty() || string(child.TrustAnchor) != string(identity) {
			continue
		}
		if err := m.engine.Federation.RemoveChild(holdings.By{Who: Self, Reason: "the transfer was cancelled", Time: time.Now()}, leg.To); err != nil {
			return err
		}
	}
	return nil
}
