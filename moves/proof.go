package moves

import (
	"context"
	"fmt"
	"net/netip"

	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/relying"
	"cadastre/internal/transferwire"
	"cadastre/internal/validate"
)

// missingProof is the part of an incoming transfer that is not proven yet; the zero value if all is. The source's report is no proof.
// That the source holds what moves is proven by certificates that its report names. Each has to be valid below the trust anchor of the
// source's introduction, must not be one of ours, and its key has to have signed a statement about the source's identity: otherwise the
// source could name a certificate of somebody else. What the holder had authorised is proven by ROAs and other signed objects below these.
func (m *Mover) missingProof(ctx context.Context, t *holdings.Transfer) (lack, error) {
	w, err := m.peerReportOf(t.Peer, t.Ref)
	if err != nil {
		return lack{}, err
	}
	said := w.source()
	if said == nil {
		return lacks(holdings.Waiting{For: needOwnProof, Of: t.Peer, On: onInstallation(t.Peer)}), nil
	}
	p, err := m.peer(t.Peer)
	if err != nil {
		return lack{}, err
	}
	_, identity, err := handleOf(p.TrustAnchor)
	if err != nil {
		return lack{}, err
	}
	report, lacking := m.seeSource(ctx, t)
	if report == nil {
		return lacking, nil
	}
	m.noteBasis(t, report)
	theirs := m.notOurs(report)
	rest := t.Resources
	for _, shown := range said.Certificates {
		if a := authorityAt(report, shown.URI); a != nil && a.Depth > 0 && theirs(a) && validate.SignedBy(a.SKI, shown.Key, shown.Signature, transferwire.Statement(identity.KeyID())) {
			rest = rest.Minus(a.Resources)
		}
	}
	if !rest.Empty() {
		return lacks(holdings.Waiting{For: needProof, Of: t.Peer, Resources: rest, On: onInstallation(t.Peer)}), nil
	}
	if r := unauthorised(report, theirs, t.Carried); r != nil {
		return lacks(holdings.Waiting{For: needProvenROA, Of: t.Peer, Says: fmt.Sprintf("%s,AS%d up to /%d", r.Prefix, r.Origin, r.MaxLength), On: onInstallation(t.Peer)}), nil
	}
	if s := unshown(report, theirs, t.CarriedObjects); s != nil {
		return lacks(holdings.Waiting{For: needProvenObject, Of: t.Peer, Says: s.String(), On: onInstallation(t.Peer)}), nil
	}
	return lack{}, nil
}

// seeSource is what our relying party saw, after the transfer's last step, below the trust anchor of its source. If there is no such
// look yet it is nil, with the lack.
func (m *Mover) seeSource(ctx context.Context, t *holdings.Transfer) (*relying.Report, lack) {
	p, err := m.peer(t.Peer)
	if err != nil {
		return nil, nobodySaw(t.Peer, err)
	}
	report, err := m.see(ctx, "peer-"+p.Name, p.TAL, p.TLSRoots, t.Steps[len(t.Steps)-1].At)
	switch {
	case err != nil:
		return nil, nobodySaw(p.Name, err)
	case report == nil:
		return nil, nobodySaw(p.Name, nil)
	}
	return report, lack{}
}

// notOurs returns a function that tells whether an authority was fetched, and is neither one of ours nor below one of ours.
func (m *Mover) notOurs(r *relying.Report) func(*validate.AuthorityResult) bool {
	below := m.belowOurs(r)
	return func(a *validate.AuthorityResult) bool {
		return !below[a.CertificateURI] && !m.engine.Owns(a.CertificateURI) && fetched(r, a)
	}
}

// unauthorised is the first route that no ROA of some authorities authorises; nil if all are authorised. A ROA for a wider prefix
// authorises a route if its maximum length is long enough.
func unauthorised(r *relying.Report, of func(*validate.AuthorityResult) bool, routes []holdings.Route) *holdings.Route {
	if len(routes) == 0 {
		return nil
	}
	type key struct {
		prefix netip.Prefix
		origin uint32
	}
	prefixes := make([]inr.Set, len(routes))
	for i, route := range routes {
		prefixes[i] = inr.OfPrefix(route.Prefix)
	}
	all, longest := inr.Sum(prefixes...), map[key]int{}
	for i := range r.Authorities {
		a := &r.Authorities[i]
		if !a.Resources.Overlaps(all) || !of(a) {
			continue
		}
		for _, v := range a.VRPs {
			at := key{v.Prefix, v.ASN}
			longest[at] = max(longest[at], v.MaxLength)
		}
	}
	for i, route := range routes {
		found := false
		for bits := route.Prefix.Bits(); bits >= 0 && !found; bits-- {
			wider, err := route.Prefix.Addr().Prefix(bits)
			found = err == nil && longest[key{wider, route.Origin}] >= route.MaxLength
		}
		if !found {
			return &routes[i]
		}
	}
	return nil
}
