package validate

import (
	"bytes"
	"crypto/sha256"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Kind is what a certificate is for. It follows from its extensions, and for a trust anchor from its names and key identifiers too.
type Kind int

// The kinds.
const (
	CA          Kind = iota // a certification authority below another
	TrustAnchor             // a self-signed certification authority (RFC 8630, section 2.3)
	EE                      // the one-time key of a signed object
	Router                  // a BGPsec router (RFC 8209)
)

func (k Kind) String() string {
	return [...]string{"CA certificate", "trust anchor certificate", "EE certificate", "router certificate"}[k]
}

// Certificate is a resource certificate of RFC 6487. Byte slices point into what was parsed.
type Certificate struct {
	Raw                 []byte
	Kind                Kind
	Serial              Serial
	Issuer, Subject     []byte // DER of the names
	NotBefore, NotAfter time.Time
	Key                 PublicKey
	SKI                 [20]byte
	AKI                 [20]byte // zero where the extension is absent, which only a trust anchor's may be
	HasAKI              bool
	Resources           Resources

	CRL          string // rsync URI of the issuer's CRL; "" in a trust anchor's
	IssuerURI    string // rsync URI of the issuer's certificate (AIA); "" in a trust anchor's
	Repository   string // of a CA: rsync URI of its publication point, ends in a slash
	Manifest     string // of a CA: rsync URI of its manifest, directly in Repository
	Notify       string // of a CA: https URI of its RRDP notification, or ""
	SignedObject string // of an EE: rsync URI of the object that it is in

	signed
}

// ParseCertificate reads a certificate and checks all that can be seen in it alone: RFC 6487, RFC 3779 and, of a trust
// anchor, its own signature. The certificate is nil if any finding is an error. Suites other than RSA must be named.
func ParseCertificate(der []byte, options ...Option) (*Certificate, []Finding) {
	c := alone(options)
	cert := parseCertificate(c, der)
	if cert != nil && cert.Kind == TrustAnchor {
		cert.by(c, &cert.Key, "8630-2.3")
	}
	if c.failed {
		return nil, c.findings
	}
	return cert, c.findings
}

//	TBSCertificate  ::= SEQUENCE  {                                             -- RFC 5280, section 4.1
//	     version         [0]  EXPLICIT Version DEFAULT v1,
//	     serialNumber         CertificateSerialNumber,
//	     signature            AlgorithmIdentifier,
//	     issuer               Name,
//	     validity             Validity,
//	     subject              Name,
//	     subjectPublicKeyInfo SubjectPublicKeyInfo,
//	     issuerUniqueID  [1]  IMPLICIT UniqueIdentifier OPTIONAL,
//	     subjectUniqueID [2]  IMPLICIT UniqueIdentifier OPTIONAL,
//	     extensions      [3]  EXPLICIT Extensions OPTIONAL }

// parseCertificate gives nil if it found an error. It checks no signature.
func parseCertificate(c *check, der []byte) *Certificate {
	cert := &Certificate{Raw: der}
	var ok bool
	if cert.signed, ok = parseSigned(c, der, "5280-4.1"); !ok {
		return nil
	}
	in, _ := inside(cert.tbs, asn1.SEQUENCE)
	var explicit, times cryptobyte.String
	var version uint64
	if !in.ReadASN1(&explicit, tag0|cons) || !explicit.ReadASN1Integer(&version) || !explicit.Empty() || version != 2 {
		c.fail("6487-4.1", "the certificate's version is not 3")
		return nil
	}
	if cert.Serial, ok = serialNumber(c, &in, "6487-4.2"); !ok {
		return nil
	}
	algorithm, ok := element(&in)
	if !ok || !bytes.Equal(algorithm, cert.algorithm) {
		c.fail("5280-4.1.2.3", "the signature algorithm inside the certificate is not the one outside")
		return nil
	}
	issuer, ok := element(&in)
	ok = ok && in.ReadASN1(&times, asn1.SEQUENCE)
	subject, ok2 := element(&in)
	spki, ok3 := element(&in)
	if !ok || !ok2 || !ok3 {
		c.fail("5280-4.1", "the certificate's issuer, validity, subject and key cannot be read")
		return nil
	}
	cert.Issuer, cert.Subject = issuer, subject
	parseName(c, issuer, "issuer", "6487-4.4", false)
	cert.parseValidity(c, times)

	if in.PeekASN1Tag(tag1) || in.PeekASN1Tag(tag2) {
		c.fail("6487-4", "the certificate has a unique identifier of its issuer or subject")
		return nil
	}
	extensions, ok := inside(in, asn1.Tag(3).ContextSpecific().Constructed())
	if ok {
		extensions, ok = inside(extensions, asn1.SEQUENCE)
	}
	if !ok {
		c.fail("6487-4.8", "the certificate has no extensions, or bytes follow them")
		return nil
	}
	x, ok := parseExtensions(c, cert, extensions)
	if !ok {
		return nil
	}
	parseName(c, subject, "subject", "6487-4.5", cert.Kind == Router)
	if cert.Key, ok = parseKey(c, spki, cert.Kind == Router); !ok {
		return nil
	}
	cert.checkProfile(c, x)
	if c.failed {
		return nil
	}
	return cert
}

// parseValidity reads notBefore and notAfter (RFC 6487, section 4.6). Whether the certificate is valid now is asked later.
func (cert *Certificate) parseValidity(c *check, times cryptobyte.String) {
	from, ok, right := validity(&times)
	to, ok2, right2 := validity(&times)
	switch {
	case !ok || !ok2 || !times.Empty():
		c.fail("6487-4.6", "the validity is not two times to the second in Zulu")
	case !right || !right2:
		c.fail("5280-4.1.2.5", "a time of the validity is not UTCTime through 2049 and GeneralizedTime from 2050")
	case from.After(to):
		c.fail("6487-4.6", "the validity ends at %s before it begins at %s", to.Format(time.RFC3339), from.Format(time.RFC3339))
	}
	cert.NotBefore, cert.NotAfter = from, to
}

// serialNumber reads a serial number, from 1 to 2^159-1: at most 20 octets in DER.
func serialNumber(c *check, s *cryptobyte.String, rule string) (Serial, bool) {
	n, wrong := number(s)
	switch {
	case wrong == numberNotDER:
		return n, c.fail(rule, "the serial number is no DER integer")
	case wrong == numberNegative:
		return n, c.fail(rule, "the serial number is negative")
	case wrong == numberTooBig:
		return n, c.fail(rule, "the serial number is more than 2^159-1")
	case n == Serial{}:
		return n, c.fail(rule, "the serial number is zero")
	}
	return n, true
}

// checkProfile checks what depends on the kind of certificate and on several extensions together.
func (cert *Certificate) checkProfile(c *check, x extensions) {
	const missing = "the %s has no %s extension"
	isCA := cert.Kind == CA || cert.Kind == TrustAnchor
	need := func(e extensions, rule, name string) {
		if x&e == 0 {
			c.fail(rule, missing, cert.Kind, name)
		}
	}
	refuse := func(e extensions, rule, name string) {
		if x&e != 0 {
			c.fail(rule, "the %s has the %s extension, which it must not have", cert.Kind, name)
		}
	}
	need(hasSKI, "6487-4.8.2", "subject key identifier")
	need(hasKeyUsage, "6487-4.8.4", "key usage")
	need(hasPolicies, "6487-4.8.9", "certificate policies")
	if cert.Kind == TrustAnchor {
		refuse(hasCRLDP, "6487-4.8.6", "CRL distribution points")
		refuse(hasAIA, "6487-4.8.7", "authority information access")
		if cert.Resources.Inherits() {
			c.fail("8630-2.3", "the trust anchor certificate inherits resources, although no one is above it")
		}
	} else {
		need(hasAKI, "6487-4.8.3", "authority key identifier")
		need(hasCRLDP, "6487-4.8.6", "CRL distribution points")
		need(hasAIA, "6487-4.8.7", "authority information access")
	}
	switch {
	case cert.Kind == Router:
		refuse(hasSIA, "8209-3.1.3.3", "subject information access")
		refuse(hasIP, "8209-3.1.3.4", "IP address blocks")
		need(hasAS, "8209-3.1.3.5", "AS identifiers")
		if cert.Resources.InheritAS {
			c.fail("8209-3.1.3.5", "the router certificate inherits AS numbers")
		}
	case isCA:
		need(hasSIA, "6487-4.8.8", "subject information access")
		refuse(hasEKU, "6487-4.8.5", "extended key usage")
	default:
		need(hasSIA, "6487-4.8.8", "subject information access")
		refuse(hasEKU, "6487-4.8.5", "extended key usage")
	}
	if x&(hasIP|hasAS) == 0 {
		c.fail("6487-4.8.10", "the %s has neither IP address blocks nor AS identifiers", cert.Kind)
	}
	if x&hasSKI != 0 && cert.SKI != cert.Key.ID() {
		c.fail("6487-4.8.2", "the subject key identifier is not the SHA-1 of the subject's public key")
	}
	if want := keyUsageFor(isCA); x&hasKeyUsage != 0 && x.usage() != want {
		c.fail("6487-4.8.4", "the key usage of the %s is not exactly %s", cert.Kind, want)
	}
}

// Sum is the SHA-256 of the certificate, as manifests list it.
func (cert *Certificate) Sum() [sha256.Size]byte { return sha256.Sum256(cert.Raw) }
