package validate

import (
	"fmt"
	"path"
	"slices"
)

// assemble adds up a walked tree, in the order of the manifests, so that the same repository gives the same result
// however the work was spread.
func (r *rules) assemble(top *node) *Result {
	res := new(Result)
	live := newClaims()
	res.Objects = 1
	res.Earliest = top.ca.cert.NotAfter
	res.add(top, live)
	res.Findings = append(res.Findings, r.folders(top)...)
	res.VRPs = SortVRPs(res.VRPs)
	var tooMany []uint32
	res.VAPs, tooMany = MergeVAPs(res.VAPs)
	for _, customer := range tooMany {
		res.Findings = append(res.Findings, Finding{top.ca.uri, Error, "aspa-6.3", fmt.Sprintf("the ASPAs of AS%d name more than %d providers together; none of them is used", customer, MaxProviders)})
	}
	return res
}

func (res *Result) add(n *node, live *claims) {
	res.Findings = append(res.Findings, n.findings...)
	if n.point == nil {
		return
	}
	p, cert := n.point, n.ca.cert
	res.Objects += 2 // manifest and CRL
	res.Findings = append(res.Findings, live.claim(n.ca.uri, p.claim())...)
	out := AuthorityResult{
		CertificateURI: n.ca.uri, Repository: cert.Repository, Notify: cert.Notify, ManifestURI: cert.Manifest, CRLURI: p.crlURI,
		Depth: n.ca.depth, SKI: cert.SKI, AKI: p.manifest.EE.AKI, Resources: n.ca.resources,
		ManifestHash: p.manifestSum, ManifestSize: p.manifestSize, ManifestNumber: p.manifest.Number.Int(),
		ThisUpdate: p.manifest.ThisUpdate, NextUpdate: p.manifest.NextUpdate, Until: earlier(p.until, cert.NotAfter), Previous: n.previous,
	}
	res.Earliest = earlier(res.Earliest, p.until)
	serials := make([]Serial, 1, 1+len(n.listed))
	serials[0] = p.manifest.EE.Serial
	for i, e := range n.listed {
		res.Findings = append(res.Findings, e.findings...)
		if !e.ok {
			continue
		}
		if !e.until.IsZero() {
			res.Objects++
			res.Earliest = earlier(res.Earliest, e.until)
			serials = append(serials, e.serial)
		}
		if e.roa != nil {
			out.ROAs = append(out.ROAs, *e.roa)
			out.VRPs = append(out.VRPs, e.roa.VRPs()...)
		}
		if e.aspa != nil {
			out.VAPs = append(out.VAPs, *e.aspa)
		}
		if n.below[i] != nil {
			out.Subordinates = append(out.Subordinates, e.child.cert.SKI)
		}
	}
	res.Findings = append(res.Findings, duplicateSerials(cert.Manifest, serials)...)
	res.VRPs = append(res.VRPs, out.VRPs...)
	res.VAPs = append(res.VAPs, out.VAPs...)
	res.Authorities = append(res.Authorities, out)
	for _, below := range n.below {
		if below != nil {
			res.add(below, live)
		}
	}
}

// duplicateSerials finds serial numbers that one CA gave to two certificates (RFC 6487, section 4.2). It sorts serials.
// Both certificates are used, because neither can be told to be the wrong one.
func duplicateSerials(uri string, serials []Serial) []Finding {
	slices.SortFunc(serials, compareSerials)
	var found []Finding
	for i := 1; i < len(serials); i++ {
		if serials[i] == serials[i-1] {
			found = append(found, Finding{uri, Error, "6487-4.2", "two certificates of this CA have the serial number " + serials[i].String()})
		}
	}
	return found
}

// claims is what only one live CA certificate may have: its key, its manifest, its CRL and its publication point.
type claims struct {
	keys map[[20]byte]string // by SKI: URI of the certificate
	uris map[string]string   // by URI: URI of the certificate
}

func newClaims() *claims { return &claims{map[[20]byte]string{}, map[string]string{}} }

// claim enters a CA and finds with whom it shares something. What is shared stays in use: a relying party cannot tell
// whose it is. In a key roll (RFC 6489) two certificates that one CA issued share a publication point, and that is as it
// should be.
func (l *claims) claim(uri string, of claim) []Finding {
	var found []Finding
	if other, taken := l.keys[of.ski]; taken {
		found = append(found, Finding{uri, Warning, "profile-unique-key", "the key is certified by " + other + " too"})
	} else {
		l.keys[of.ski] = uri
	}
	for _, u := range [...]struct {
		uri, what string
		severity  Severity
	}{{of.manifest, "manifest", Error}, {of.crl, "CRL", Error}, {of.repository, "publication point", Warning}} {
		if other, taken := l.uris[u.uri]; taken {
			if u.uri == of.repository && path.Dir(other) == path.Dir(uri) {
				continue
			}
			found = append(found, Finding{uri, u.severity, "6481-2.2", "the " + u.what + " " + u.uri + " is that of " + other + " too"})
			break // who shares a manifest shares the rest, and one sentence says it
		}
		l.uris[u.uri] = uri
	}
	return found
}

// claim is what one CA certificate claims.
type claim struct {
	ski                       [20]byte
	manifest, crl, repository string
}

func (p *point) claim() claim {
	return claim{p.ca.cert.SKI, p.ca.cert.Manifest, p.crlURI, p.ca.cert.Repository}
}
