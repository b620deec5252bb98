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

// missingProof is what of a transfer from another installation nothing proves but its report; the zero value where all is proven. The
// installation holds what moves where a certificate that it names is valid for that below the trust anchor of its introduction, is none of ours, and its key
// speaks for the installation: below a trust anchor of several there are certificates of others, which anybody can name.
// What its holder had authorised is what a ROA says there.
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
	return lack{}, nil
}

// seeSource is what our relying party saw below the trust anchor of a transfer's source after the transfer's last step; nil, and
// what is waited for, where there is nothing yet.
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

// notOurs tells of an authority whether it was fetched, and is neither one of ours nor below one.
func (m *Mover) notOurs(r *relying.Report) func(*validate.AuthorityResult) bool {
	below := m.belowOurs(r)
	return func(a *validate.AuthorityResult) bool {
		return !below[a.CertificateURI] && !m.engine.Owns(a.CertificateURI) && fetched(r, a)
	}
}

// unauthorised is the first of some routes that no ROA of some authorities authorises; nil where all are. A ROA for more
// authorises its parts.
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
