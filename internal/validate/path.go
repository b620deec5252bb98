package validate

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"cadastre/internal/inr"
)

// rules is what one walk or check of a change goes by.
type rules struct {
	now      time.Time
	suite    Suite
	asker    Asker
	memo     *Memo
	workers  int
	maxDepth int
}

func (r *rules) check(uri string) *check { return &check{uri: uri, suite: r.suite, asker: r.asker} }

// authority is a CA certificate that is valid up to the trust anchor.
type authority struct {
	uri       string // where its certificate is published
	cert      *Certificate
	keySum    [sha256.Size]byte // of its SubjectPublicKeyInfo
	resources inr.Set           // what it stands for, inherited ones included
	aliases   []string          // of the trust anchor: other URIs of its certificate, which those below may name
	branch    string            // see Place
	parent    *authority        // nil for the trust anchor
	depth     int               // 0 for the trust anchor
}

func newAuthority(uri string, cert *Certificate, resources inr.Set, parent *authority) *authority {
	a := &authority{uri: uri, cert: cert, keySum: sha256.Sum256(cert.Key.SPKI), resources: resources, parent: parent}
	if parent != nil {
		a.depth = parent.depth + 1
		if a.branch = parent.branch; a.branch == "" && a.leaves(parent.cert) {
			a.branch = uri
		}
	}
	return a
}

// leaves tells whether a CA publishes on another host than the CA above it.
func (a *authority) leaves(above *Certificate) bool {
	for _, uri := range [...]string{a.cert.Repository, a.cert.Notify} {
		if host := hostOf(uri); host != "" && host != hostOf(above.Repository) && host != hostOf(above.Notify) {
			return true
		}
	}
	return false
}

// hostOf is the host and port of a URI.
func hostOf(uri string) string {
	_, rest, _ := strings.Cut(uri, "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// anchor checks the trust anchor's certificate against its locator (RFC 8630, section 3). It gives nil if it found an
// error.
func (r *rules) anchor(c *check, tal *TAL, der []byte) *authority {
	cert := parseCertificate(c, der)
	switch {
	case cert == nil:
		return nil
	case cert.Kind != TrustAnchor:
		c.fail("8630-2.3", "the certificate is not self-signed, so it is no trust anchor")
	case !bytes.Equal(cert.Key.SPKI, tal.SPKI):
		c.fail("8630-3", "the certificate's key is not the one of the TAL")
	case r.current(c, cert):
		cert.by(c, &cert.Key, "8630-2.3")
	}
	if c.failed {
		return nil
	}
	top := newAuthority(c.uri, cert, cert.Resources.Set, nil)
	top.aliases = tal.URIs
	return top
}

// current checks that now is within a certificate's validity, both ends included (RFC 5280, section 4.1.2.5).
func (r *rules) current(c *check, cert *Certificate) bool {
	if r.now.Before(cert.NotBefore) {
		return c.fail("6487-7.2", "the %s is not valid before %s", cert.Kind, cert.NotBefore.Format(time.RFC3339))
	}
	if r.now.After(cert.NotAfter) {
		return c.fail("6487-7.2", "the %s expired at %s", cert.Kind, cert.NotAfter.Format(time.RFC3339))
	}
	return true
}

// issued checks a certificate against the CA that is said to have issued it, all but the signature (RFC 6487, section
// 7.2). It gives the resources that the certificate stands for. Whether the certificate is revoked is looked up in crl; only
// tests give none (nil).
func (r *rules) issued(c *check, cert *Certificate, ca *authority, crlURI string, crl *CRL) inr.Set {
	if !bytes.Equal(cert.Issuer, ca.cert.Subject) {
		c.fail("6487-7.2", "the issuer of the %s is not the subject of the certificate above it", cert.Kind)
	}
	if cert.AKI != ca.cert.SKI {
		c.fail("6487-4.8.3", "the authority key identifier of the %s is %x, but the key above it is %x", cert.Kind, cert.AKI, ca.cert.SKI)
	}
	if ca.uri != "" && cert.IssuerURI != ca.uri && !slices.Contains(ca.aliases, cert.IssuerURI) {
		const rule, text = "6487-4.8.7", "the %s says its issuer's certificate is at %s, but it is at %s"
		if ca.parent == nil { // it is where the TAL says, which may be older than the address that it has now
			c.deviate(rule, text, cert.Kind, cert.IssuerURI, ca.uri)
		} else {
			c.fail(rule, text, cert.Kind, cert.IssuerURI, ca.uri)
		}
	}
	if cert.CRL != crlURI {
		c.fail("6487-4.8.6", "the %s says its CRL is at %s, but the manifest has it at %s", cert.Kind, cert.CRL, crlURI)
	}
	if cert.NotAfter.After(ca.cert.NotAfter) {
		c.warn("profile-validity", "the %s ends at %s, after the certificate above it", cert.Kind, cert.NotAfter.Format(time.RFC3339))
	}
	r.current(c, cert)
	if crl != nil && crl.Revokes(cert.Serial) {
		c.fail("6487-7.2", "the %s with the serial number %s is revoked", cert.Kind, cert.Serial)
	}
	resources, contained := cert.Resources.under(ca.resources)
	if !contained {
		c.fail("6487-7.2", "the %s has resources that the certificate above it has not: %s", cert.Kind, shortened(cert.Resources.Set.Minus(ca.resources).String()))
	}
	return resources
}

// shortened keeps a sentence readable that lists resources.
func shortened(text string) string {
	const limit = 200
	if len(text) <= limit {
		return text
	}
	return text[:limit] + "…"
}

// signedBy checks the two signatures of a signed object: the issuer's on the EE certificate, and the EE's on the object.
// An object whose signatures are known to be good is not checked again.
func (r *rules) signedBy(c *check, o *SignedObject, ca *authority, sum [sha256.Size]byte, known bool) bool {
	if o.SigningTime.After(o.EE.NotAfter) {
		c.deviate("9589-4", "the object was signed at %s, after its EE certificate has ended", o.SigningTime.Format(time.RFC3339))
	}
	return known || r.memo.once(sum, ca.keySum, func() bool {
		return o.EE.by(c, &ca.cert.Key, "6487-7.2") && o.bySigner(c)
	})
}
