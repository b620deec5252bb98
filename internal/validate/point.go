package validate

import (
	"context"
	"crypto/sha256"
	"time"
)

// Point is the objects of one publication point, and maybe of others, by their rsync URI. The bytes are not changed. It is
// called by several goroutines.
type Point interface {
	Get(uri string) (object []byte, ok bool)
}

// Source gives a Point for each CA, once, before its manifest is read. An error fails the CA's publication point. It is
// called by several goroutines.
type Source interface {
	Point(ctx context.Context, at Place) (Point, error)
}

// Place is where a CA publishes, and on whose account that is read.
type Place struct {
	Notify     string // its RRDP notification, or ""
	Repository string // its rsync directory
	Branch     string // certificate URI of the first CA, from the top down to this one, on another host than the CA above it; "": there is none
}

// place is where a CA publishes.
func (a *authority) place() Place { return Place{a.cert.Notify, a.cert.Repository, a.branch} }

// point is a publication point whose manifest and CRL are valid.
type point struct {
	ca           *authority
	manifest     *Manifest
	manifestSum  [sha256.Size]byte
	manifestSize int // octets
	crl          *CRL
	crlURI       string
	crlSum       [sha256.Size]byte
	until        time.Time // when the first of manifest, CRL and the manifest's EE certificate ends
}

// trusted tells which objects carry signatures that are known to be good.
type trusted func(sum [sha256.Size]byte) bool

func noneTrusted([sha256.Size]byte) bool { return false }

// open reads a CA's manifest, which c is about, and its CRL (RFC 9286, sections 6.2 to 6.5). It gives nil if they do not
// validate.
func (r *rules) open(c *check, ca *authority, objects Point, good trusted) *point {
	der, ok := objects.Get(ca.cert.Manifest)
	if !ok {
		c.fail("9286-6.2", "the manifest is missing")
		return nil
	}
	p := &point{ca: ca, manifestSum: sha256.Sum256(der), manifestSize: len(der)}
	if p.manifest = parseManifest(c, der); p.manifest == nil {
		return nil
	}
	m := p.manifest
	if m.EE.SignedObject != ca.cert.Manifest {
		c.fail("9981-4", "the manifest says that it is published at %s", m.EE.SignedObject)
	}
	if r.now.Before(m.ThisUpdate) || !r.now.Before(m.NextUpdate) {
		c.fail("9286-6.3", "the manifest is for the time from %s to %s, which is not now", m.ThisUpdate.Format(time.RFC3339), m.NextUpdate.Format(time.RFC3339))
	}
	if !r.openCRL(c, p, objects, good) {
		return nil
	}
	r.issued(c, m.EE, ca, p.crlURI, p.crl)
	r.signedBy(c, &m.SignedObject, ca, p.manifestSum, good(p.manifestSum))
	if c.failed {
		return nil
	}
	p.until = earlier(earlier(m.NextUpdate, m.EE.NotAfter), p.crl.NextUpdate)
	return p
}

// openCRL reads the one CRL that the manifest lists.
func (r *rules) openCRL(c *check, p *point, objects Point, good trusted) bool {
	var listed *File
	for i := range p.manifest.Files {
		f := &p.manifest.Files[i]
		switch {
		case extensionOf(f.Name) != "crl":
		case listed != nil:
			return c.fail("9286-6.3", "the manifest lists two CRLs, %s and %s", listed.Name, f.Name)
		default:
			listed = f
		}
	}
	if listed == nil {
		return c.fail("9286-6.3", "the manifest lists no CRL")
	}
	p.crlURI, p.crlSum = p.ca.cert.Repository+listed.Name, listed.Hash
	der, ok := fetch(c, objects, p.crlURI, listed.Hash)
	if !ok {
		return false
	}
	of := c.at(p.crlURI)
	defer func() { c.take(of) }()
	l := parseCRL(of, der)
	if l == nil {
		return false
	}
	p.crl = l
	if string(l.Issuer) != string(p.ca.cert.Subject) {
		of.fail("6487-5", "the issuer of the CRL is not the subject of the CA certificate")
	}
	if l.AKI != p.ca.cert.SKI {
		of.fail("6487-5", "the authority key identifier of the CRL is %x, but the CA's key is %x", l.AKI, p.ca.cert.SKI)
	}
	if r.now.Before(l.ThisUpdate) || !r.now.Before(l.NextUpdate) {
		of.fail("6487-5", "the CRL is for the time from %s to %s, which is not now", l.ThisUpdate.Format(time.RFC3339), l.NextUpdate.Format(time.RFC3339))
	}
	if !good(p.crlSum) {
		r.memo.once(p.crlSum, p.ca.keySum, func() bool { return l.by(of, &p.ca.cert.Key, "6487-5") })
	}
	return !of.failed
}

// fetch gets a file that a manifest lists. Without it the whole publication point fails (RFC 9286, sections 6.4 and 6.5).
func fetch(c *check, objects Point, uri string, hash [sha256.Size]byte) ([]byte, bool) {
	der, ok := objects.Get(uri)
	if !ok {
		return nil, c.fail("9286-6.4", "the manifest lists %s, which is missing", uri)
	}
	if sha256.Sum256(der) != hash {
		return nil, c.fail("9286-6.5", "the manifest lists %s with another hash", uri)
	}
	return der, true
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// listed is what one file of a manifest came to.
type listed struct {
	ok          bool
	serial      Serial
	from, until time.Time   // validity of the certificate in it
	child       *authority  // of a CA certificate
	roa         *ROAPayload // of a ROA
	aspa        *VAP        // of an ASPA
	findings    []Finding
}

// entry checks one file of a manifest. known tells that its signatures are known to be good under the CA's key.
func (r *rules) entry(p *point, f File, der []byte, known bool) listed {
	c := r.check(p.ca.cert.Repository + f.Name)
	var out listed
	switch ext := extensionOf(f.Name); ext {
	case "crl":
		return listed{ok: true} // open has read it
	case "cer":
		out = r.certificate(c, p, f, der, known)
	case "roa":
		if roa := parseROA(c, der); roa != nil && r.object(c, p, &roa.SignedObject, f, known) {
			out = of(roa.EE)
			out.roa = &roa.ROAPayload
		}
	case "asa":
		if aspa := parseASPA(c, der); aspa != nil && r.object(c, p, &aspa.SignedObject, f, known) {
			out = of(aspa.EE)
			out.aspa = &aspa.VAP
		}
	case "gbr", "spl", "tak":
		// Nothing that Cadastre does depends on what these say, so only their wrapping is checked.
		o, ok := parseSignedObject(c, der)
		if ok && string(o.contentType) != contentTypeOf[ext] {
			ok = c.fail("6488-3", "the content of the .%s file has another type: %x", ext, o.contentType)
		}
		if ok && r.object(c, p, &o, f, known) {
			out = of(o.EE)
		}
	case "mft":
		c.fail("9286-4.2.1", "the manifest lists another manifest")
	case "sig":
		c.warn("9323-1", "a signed checklist is in the repository; it is meant to be passed on by other ways")
		out.ok = true
	default:
		out.ok = true // a file of a type that is not registered is not looked at; parsing the manifest has warned
	}
	out.ok = out.ok && !c.failed
	out.findings = c.findings
	if !out.ok {
		out.child, out.roa, out.aspa = nil, nil, nil
	}
	return out
}

var contentTypeOf = map[extension]string{"gbr": oidGhostbusters, "spl": oidSignedPrefixList, "tak": oidTAK}

func of(cert *Certificate) listed {
	return listed{ok: true, serial: cert.Serial, from: cert.NotBefore, until: cert.NotAfter}
}

// object checks a signed object against its CA (RFC 6488, section 3).
func (r *rules) object(c *check, p *point, o *SignedObject, f File, known bool) bool {
	if o.EE.SignedObject != c.uri {
		c.fail("6487-4.8.8.2", "the EE certificate says that the object is published at %s", o.EE.SignedObject)
	}
	r.issued(c, o.EE, p.ca, p.crlURI, p.crl)
	return r.signedBy(c, o, p.ca, f.Hash, known) && !c.failed
}

// certificate checks a CA's or a router's certificate against the CA above it.
func (r *rules) certificate(c *check, p *point, f File, der []byte, known bool) listed {
	cert := parseCertificate(c, der)
	if cert == nil {
		return listed{}
	}
	if cert.Kind == EE || cert.Kind == TrustAnchor {
		c.fail("6481-2.2", "the .cer file is an %s, not one of a CA or a router", cert.Kind)
		return listed{}
	}
	resources := r.issued(c, cert, p.ca, p.crlURI, p.crl)
	if !known {
		r.memo.once(f.Hash, p.ca.keySum, func() bool { return cert.by(c, &p.ca.cert.Key, "6487-7.2") })
	}
	out := of(cert)
	if cert.Kind == Router {
		return out
	}
	out.child = newAuthority(c.uri, cert, resources, p.ca)
	if out.child.depth > r.maxDepth {
		c.fail("limit-depth", "the certificate is %d below the trust anchor; at most %d are followed", out.child.depth, r.maxDepth)
	}
	for above := p.ca; above != nil; above = above.parent {
		if above.cert.SKI == cert.SKI {
			c.fail("limit-loop", "the certificate's key is that of %s above it", above.uri)
			break
		}
	}
	return out
}
