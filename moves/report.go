package moves

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"time"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/principal"
	"cadastre/internal/transferwire"
	"cadastre/roa"
)

// report makes our side's report about a transfer from or to another installation, as the transfer is now.
func (m *Mover) report(id uint64) (transferwire.Message, error) {
	var source *transferwire.Source
	var t *holdings.Transfer
	err := m.engine.Read(func(l *holdings.Ledger, b *roa.Book) (err error) {
		if t, err = find(l, id); err == nil && t.Outgoing() {
			source, err = sourceReport(l, b, t)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if source == nil {
		return m.recipientReport(t)
	}
	for i, leg := range t.Legs {
		if child, ok := m.engine.Delegated(leg.From); ok && t.Kind.SameHolder() {
			source.Legs[i].CA = child.TrustAnchor
		}
	}
	if t.State == holdings.Initiated { // afterwards the recipient's side has checked them
		source.Certificates, err = m.certificatesAbove(t.From, t.Peer)
	}
	return source, err
}

// certificatesAbove lists the certificates of an organisation and of those above it, without the root's. With each comes a signature by
// its key, for one peer: it proves that the certificate is ours. So the peer sees that the organisation holds what we say. If the
// organisation's CA is elsewhere, we have no key of it, and the certificates above are the proof.
func (m *Mover) certificatesAbove(holder, peer string) ([]transferwire.Shown, error) {
	var above []string
	err := m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		above = slices.DeleteFunc(l.Above(holder), func(h string) bool { return h == l.Root() })
		return nil
	})
	if err != nil {
		return nil, err
	}
	signer, err := m.engine.Federation.Signer(peer)
	if err != nil {
		return nil, err
	}
	var list []transferwire.Shown
	for _, h := range above {
		signed, err := m.engine.SignAs(h, transferwire.Statement(signer.KeyID()))
		if err != nil {
			return nil, err
		}
		for _, s := range signed {
			list = append(list, transferwire.Shown(s))
		}
	}
	return list[:min(len(list), transferwire.MaxCertificates)], nil
}

func sourceReport(l *holdings.Ledger, b *roa.Book, t *holdings.Transfer) (*transferwire.Source, error) {
	objects, err := saidIn(t, b)
	s := &transferwire.Source{
		Ref: t.Ref, State: string(t.State), Kind: string(t.Kind), From: t.From, FromRegistry: t.FromRegistry, To: t.Elsewhere, ToRegistry: t.ToRegistry,
		Under: t.Legs[0].New.Parent, Soak: t.Soak.Duration(), Bridge: t.Bridge.Duration(), Held: t.Held, Since: t.Since, Original: t.Original, Disputed: t.Disputed,
		Carried: wireRoutes(routesIn(l, t, b)), Objects: objects, Staged: wireRoutes(t.Routes),
	}
	if t.State == holdings.Cancelled {
		s.Reason = t.Text(holdings.StepCancelled)
	}
	for i, at := range pathsOf(l, t.Legs) {
		leg := t.Legs[i]
		o, _ := l.Organisation(leg.From)
		w := transferwire.Leg{Path: at, Kind: string(o.Kind), Name: o.Name, Country: o.Country}
		if i == 0 {
			w.Name = cmp.Or(leg.New.Name, o.Name)
		}
		for _, p := range leg.Parts {
			w.Parts = append(w.Parts, transferwire.Part{Resources: p.Resources, Status: string(p.Status), Until: p.Until, Country: p.Country})
		}
		s.Legs = append(s.Legs, w)
	}
	return s, err
}

// pathsOf names the legs of a transfer as messages do: by the path of delegations from the first leg.
func pathsOf(l *holdings.Ledger, legs []holdings.Leg) []string {
	paths := make([]string, len(legs))
	of, taken := map[string]string{}, map[string]bool{}
	for i, leg := range legs {
		if i > 0 {
			o, _ := l.Organisation(leg.From)
			base := path.Join(of[o.Parent], path.Base(leg.From))
			paths[i] = base
			for n := 2; taken[paths[i]]; n++ {
				paths[i] = fmt.Sprintf("%s-%d", base, n)
			}
			taken[paths[i]] = true
		}
		of[leg.From] = paths[i]
	}
	return paths
}

func (m *Mover) recipientReport(t *holdings.Transfer) (*transferwire.Recipient, error) {
	r := &transferwire.Recipient{Ref: t.Ref, State: string(t.State), Disputed: t.Disputed}
	switch t.State {
	case holdings.Cancelled:
		r.Reason = t.Text(holdings.StepCancelled)
	case holdings.Finalised:
	default:
		var waits []holdings.Waiting
		if err := m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
			waits = m.awaits(l, t, time.Now())
			return nil
		}); err != nil {
			return nil, err
		}
		if !knownThere(t, waits) {
			r.Waits, _, _ = put(waits)
		}
		if !t.When(holdings.StepWishedOff).IsZero() {
			r.Wish = cmp.Or(t.Text(holdings.StepWishedOff), "no reason given")
		}
	}
	if t.State != holdings.Accepted && t.State != holdings.Finalised {
		return r, nil
	}
	for _, leg := range t.Legs {
		a := transferwire.Arrival{Path: leg.Path, Holder: leg.To, Certificates: m.engine.CertificatesOf(leg.To)}
		if _, ok := m.engine.Delegated(leg.To); ok && leg.CA != nil {
			offer, err := m.engine.Federation.ChildResponse(leg.To)
			if err != nil {
				return nil, err
			}
			a.Offer = offer
		}
		r.Legs = append(r.Legs, a)
	}
	return r, nil
}

// knownThere tells whether the source of an incoming transfer need not be told what the transfer waits for here: it waits on the source
// itself, and not for a proof.
func knownThere(t *holdings.Transfer, waits []holdings.Waiting) bool {
	if len(waits) != 1 {
		return false
	}
	switch on := waits[0].On; on.Kind {
	case holdings.OfInstallation:
		return t.State != holdings.Initiated
	case holdings.OfRegistry:
		return on.Name == t.FromRegistry
	case holdings.OfRegistries:
		return true
	}
	return false
}

// Offer is the parent_response (RFC 8183, section 5.2.2) for a CA elsewhere whose resources move. With it the CA asks its new parent for
// certificates. Without a holder it is the offer of the first leg that has one. It fails with NotFound where there is none, or not yet.
func (m *Mover) Offer(id uint64, holder string) ([]byte, error) {
	var t *holdings.Transfer
	var paths []string
	err := m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) (err error) {
		if t, err = find(l, id); err == nil {
			paths = pathsOf(l, t.Legs)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	w, err := m.peerReportOf(t.Peer, t.Ref)
	if err != nil {
		return nil, err
	}
	holder = holdings.Fold(holder)
	for i, leg := range t.Legs {
		switch {
		case holder != "" && holder != leg.From && holder != leg.To:
		case leg.To != "":
			if _, ok := m.engine.Delegated(leg.To); ok {
				return m.engine.Federation.ChildResponse(leg.To)
			}
		case w.recipient() != nil:
			if a := arrivalAt(w.recipient(), paths[i]); a != nil && a.Offer != nil {
				return a.Offer, nil
			}
		}
	}
	return nil, fault.New(fault.NotFound, "there is no offer for a CA in transfer %d; there is one when both sides have accepted, for a holder whose CA is elsewhere", id)
}

func arrivalAt(r *transferwire.Recipient, at string) *transferwire.Arrival {
	for i := range r.Legs {
		if r.Legs[i].Path == at {
			return &r.Legs[i]
		}
	}
	return nil
}

func wireRoutes(routes []holdings.Route) []transferwire.Route {
	var list []transferwire.Route
	for _, r := range routes {
		list = append(list, transferwire.Route(r))
	}
	return list
}

func ledgerRoutes(routes []transferwire.Route) []holdings.Route {
	var list []holdings.Route
	for _, r := range routes {
		list = append(list, holdings.Route(r))
	}
	return list
}

// elsewhere is who made, and why, decisions that a peer's report led to.
func elsewhere(peer, reason string) holdings.By {
	return holdings.By{Who: principal.OfPeer(peer), Reason: reason, Time: time.Now()}
}
