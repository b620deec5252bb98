package validate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// Published is what a CA says, by a valid manifest and CRL, that it publishes.
type Published struct {
	Since time.Time // thisUpdate of the manifest

	Repository string            // the CA's folder
	Files      map[string]string // SHA-256, in hexadecimal, of what the manifest lists, by name
	Revoked    []Serial          // sorted
}

// Publication reads the manifest and CRL of one CA, whose certificate is believed (RFC 9286, section 6). What the manifest
// lists is not looked at. The result is nil where they are not valid now; the findings say why.
func Publication(ctx context.Context, certificate []byte, src Source, opt Options) (*Published, []Finding) {
	r := opt.rules()
	c := r.check("")
	cert := parseCertificate(c, certificate)
	if cert == nil {
		return nil, c.findings
	}
	c.uri = cert.Manifest
	objects, err := src.Point(ctx, Place{Notify: cert.Notify, Repository: cert.Repository})
	if err != nil {
		c.fail("9286-6.6", "the publication point cannot be fetched: %v", err)
		return nil, c.findings
	}
	p := r.open(c, newAuthority("", cert, cert.Resources.Set, nil), objects, noneTrusted)
	if p == nil {
		return nil, c.findings
	}
	out := &Published{Since: p.manifest.ThisUpdate, Repository: cert.Repository, Files: map[string]string{}, Revoked: p.crl.Revoked}
	for _, f := range p.manifest.Files {
		out.Files[f.Name] = hex.EncodeToString(f.Hash[:])
	}
	return out, c.findings
}

// Has tells whether a certificate is published at its URI and is not revoked. It is true too where another certificate is published there: then
// this one was made anew.
func (p *Published) Has(uri string, cert *Certificate, der []byte) bool {
	name, here := strings.CutPrefix(uri, p.Repository)
	hash, listed := p.Files[name]
	sum := sha256.Sum256(der)
	return here && listed && (hash != hex.EncodeToString(sum[:]) || !contains(p.Revoked, cert.Serial))
}

// Covers tells whether a URI is directly in the CA's folder, so that its manifest has to list what is there.
func (p *Published) Covers(uri string) bool {
	name, here := strings.CutPrefix(uri, p.Repository)
	return here && name != "" && !strings.Contains(name, "/")
}
