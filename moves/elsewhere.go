package moves

import (
	"context"
	"strings"
	"time"

	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/payload"
	"cadastre/internal/relying"
	"cadastre/internal/validate"
	"cadastre/roa"
)

// missingElsewhere is what the recipient's installation does not publish yet. Its report only says where to look: what counts is what a
// relying party of ours finds there, below the trust anchor of the installation's introduction.
func (m *Mover) missingElsewhere(ctx context.Context, t *holdings.Transfer) (lack, error) {
	p, err := m.peer(t.Peer)
	if err != nil {
		return nobodySaw(t.Peer, err), nil
	}
	w, err := m.peerReportOf(t.Peer, t.Ref)
	if err != nil {
		return lack{}, err
	}
	said := w.recipient()
	if said == nil {
		return lacks(holdings.Waiting{For: needPlace, Of: t.Peer, On: onInstallation(t.Peer)}), nil
	}
	since := t.When(holdings.StepAccepted)
	if soaked := t.Soaked(); !t.Seen.IsZero() && !time.Now().Before(soaked) {
		since = soaked
	}
	report, err := m.see(ctx, "peer-"+p.Name, p.TAL, p.TLSRoots, since)
	if err != nil {
		return nobodySaw(p.Name, err), nil
	}
	if report == nil {
		return nobodySaw(p.Name, nil), nil
	}
	var paths []string
	want := make([][]payload.Payload, len(t.Legs))
	err = m.engine.Read(func(l *holdings.Ledger, b *roa.Book) error {
		paths = pathsOf(l, t.Legs)
		lowest := lowestLegs(t)
		for _, r := range append(routesIn(l, t, b), t.Routes...) {
			if i := lowest.of(r.Prefix); i >= 0 {
				want[i] = append(want[i], roa.OfRoute(r))
			}
		}
		objects, err := objectsAlong(t, b)
		for _, x := range objects {
			want[x.leg] = append(want[x.leg], x.in.Says)
		}
		return err
	})
	if err != nil {
		return lack{}, err
	}
	m.noteBasis(t, report)
	ours := m.belowOurs(report)
	for i, leg := range t.Legs {
		uris := []string{}
		arrival := arrivalAt(said, paths[i])
		if arrival == nil || len(arrival.Certificates) == 0 {
			return lacks(holdings.Waiting{For: needCertificate, Of: t.Peer, Resources: leg.Resources, On: onInstallation(t.Peer)}), nil
		}
		for _, uri := range arrival.Certificates {
			if !ours[uri] && !m.engine.Owns(uri) {
				uris = append(uris, uri)
			}
		}
		donors, l, err := m.donorsShown(ctx, t, leg)
		if err != nil || l.For != "" {
			return l, err
		}
		if l := notShown(report, uris, arrival.Holder, leg, append(want[i], donors...)); l.For != "" {
			l.On = onInstallation(t.Peer)
			return l, nil
		}
	}
	return lack{}, nil
}

// donorsShown lists what is valid below the CA of a leg's donor, if that CA is elsewhere and its holder stays the same. Only a relying
// party can tell what such a CA authorises.
func (m *Mover) donorsShown(ctx context.Context, t *holdings.Transfer, leg holdings.Leg) ([]payload.Payload, lack, error) {
	if _, elsewhere := m.engine.Delegated(leg.From); !elsewhere || !t.Kind.SameHolder() {
		return nil, lack{}, nil
	}
	tal, err := m.engine.TAL()
	if err != nil {
		return nil, lack{}, err
	}
	report, err := m.see(ctx, ownAnchor, tal, "", t.When(holdings.StepAccepted))
	switch {
	case err != nil:
		return nil, nobodySaw("", err), nil // the error becomes part of what the transfer waits for, and the next look follows
	case report == nil:
		return nil, nobodySaw("", nil), nil
	}
	return seenBelow(report, m.engine.CertificatesOf(leg.From), leg.Resources), lack{}, nil
}

// seenBelow lists what signed objects say, within some resources, of the CAs whose certificates are at some URIs.
func seenBelow(r *relying.Report, uris []string, within inr.Set) []payload.Payload {
	var says []payload.Payload
	for _, uri := range uris {
		if a := authorityAt(r, uri); a != nil {
			for _, p := range shownBy(a) {
				if within.Contains(p.Resources()) {
					says = append(says, p)
				}
			}
		}
	}
	return says
}

// belowOurs lists the certificates, by URI, of authorities below one of ours. They prove nothing of another installation: our own
// certificate above them may go with the finalisation.
func (m *Mover) belowOurs(r *relying.Report) map[string]bool {
	at := make(map[[20]byte][]*validate.AuthorityResult, len(r.Authorities))
	var queue []*validate.AuthorityResult
	for i := range r.Authorities {
		a := &r.Authorities[i]
		at[a.SKI] = append(at[a.SKI], a)
		if m.engine.Owns(a.CertificateURI) {
			queue = append(queue, a)
		}
	}
	below := map[string]bool{}
	for len(queue) > 0 {
		a := queue[0]
		queue = queue[1:]
		for _, key := range a.Subordinates {
			for _, child := range at[key] {
				if !below[child.CertificateURI] {
					below[child.CertificateURI] = true
					queue = append(queue, child)
				}
			}
		}
	}
	return below
}

// authorityAt is the CA whose certificate is at a URI, if the look found it valid; else nil.
func authorityAt(r *relying.Report, uri string) *validate.AuthorityResult {
	for i := range r.Authorities {
		if r.Authorities[i].CertificateURI == uri {
			return &r.Authorities[i]
		}
	}
	return nil
}

// notShown is what the CAs whose certificates are at some URIs do not show: resources of a leg, or payloads. If a repository could not be
// reached, what the cache has of it does not count, and the result is unsure.
func notShown(r *relying.Report, uris []string, holder string, leg holdings.Leg, want []payload.Payload) lack {
	rest := leg.Resources
	shown := map[payload.Key]bool{}
	stale := false
	for _, uri := range uris {
		a := authorityAt(r, uri)
		switch {
		case a == nil:
			stale = stale || r.Cut != "" // the look was cut short before it
		case !fetched(r, a):
			stale = true
		default:
			rest = rest.Minus(a.Resources)
			for _, p := range shownBy(a) {
				shown[payload.ID(p)] = true
			}
		}
	}
	if !rest.Empty() {
		return lack{holdings.Waiting{For: needValid, Of: holder, Resources: rest}, stale}
	}
	for _, p := range want {
		switch {
		case shown[payload.ID(p)]:
		case p.Kind() == roa.Kind:
			return lack{holdings.Waiting{For: needROA, Of: holder, Says: p.String()}, stale}
		default:
			return lack{holdings.Waiting{For: needObject, Of: holder, Says: titled(p)}, stale}
		}
	}
	return lack{}
}

// fetched tells whether what an authority publishes was fetched from its repository in this look, and not taken from a cache.
func fetched(r *relying.Report, a *validate.AuthorityResult) bool {
	for _, p := range r.Repositories {
		if (p.URI == a.Notify || strings.HasPrefix(a.Repository, p.URI)) && p.How != relying.HowCache && p.How != relying.HowNothing {
			return true
		}
	}
	return false
}

// heardSince is the time since which the source needs a report of the recipient's side before it finalises: the recipient's side may
// have disputed the transfer, or asked for its cancellation. It is zero while finalisation is not due.
func heardSince(t *holdings.Transfer, now time.Time) time.Time {
	if t.Local() || t.State != holdings.Accepted || t.Seen.IsZero() || now.Before(t.Soaked()) {
		return time.Time{}
	}
	since := now.Add(-reportHolds)
	for _, at := range []time.Time{t.Soaked(), t.Steps[len(t.Steps)-1].At} {
		if since.Before(at) {
			since = at
		}
	}
	return since
}

// waitsElsewhere is what an initiated transfer to another installation waits for there.
func (m *Mover) waitsElsewhere(t *holdings.Transfer) holdings.Waiting {
	if failure := m.senders.failure(t.Peer); failure != "" {
		return holdings.Waiting{For: needThere, Says: failure}
	}
	w, err := m.peerReportOf(t.Peer, t.Ref)
	switch {
	case err != nil || w.recipient() == nil:
		return holdings.Waiting{For: needReply, Of: t.Peer}
	case w.recipient().Waits != "":
		return holdings.Waiting{For: needThere, Says: w.recipient().Waits}
	}
	return holdings.Waiting{For: holdings.NeedAcceptance, Of: t.ToRegistry}
}
