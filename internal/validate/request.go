package validate

import (
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// oidExtensionRequest is id-ExtensionReq of PKCS #9, 1.2.840.113549.1.9.14 (RFC 2985, section 5.4.2).
const oidExtensionRequest = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"

// Request is a CA's request for a certificate (RFC 6487, section 6.1). Its subject is not kept: the issuer names whom it
// certifies.
type Request struct {
	Key        PublicKey
	KeyInfo    []byte // DER of the SubjectPublicKeyInfo
	Repository string // rsync URI of its publication point, ends in a slash
	Manifest   string // rsync URI of its manifest, directly in Repository
	Notify     string // https URI of its RRDP notification, or ""
}

// ParseRequest reads a certification request of PKCS #10 and checks all that can be seen in it, its signature included,
// which proves that the requester has the key. The request is nil if any finding is an error. Suites other than RSA must
// be named.
//
// It is strict where a certificate that honours it would not be valid: one plain URI for the repository and the manifest, and
// at most one for the notification, since the issuer has to certify them as they are or refuse (RFC 6487, section 6.3). A
// repository without a slash at its end is an error for an Issuer; a RelyingParty takes it with a warning, and gets it with
// the slash. Requested extensions may be critical or not, and the subject, which is only a hint, may be any.
func ParseRequest(der []byte, options ...Option) (*Request, []Finding) {
	c := alone(options)
	r := parseRequest(c, der)
	return r, c.findings
}

//	CertificationRequest ::= SEQUENCE {                                         -- RFC 2986, section 4.2
//	     certificationRequestInfo CertificationRequestInfo,
//	     signatureAlgorithm       AlgorithmIdentifier,
//	     signature                BIT STRING }
//	CertificationRequestInfo ::= SEQUENCE {                                     -- section 4.1
//	     version       INTEGER { v1(0) },
//	     subject       Name,
//	     subjectPKInfo SubjectPublicKeyInfo,
//	     attributes    [0] IMPLICIT SET OF Attribute }

// parseRequest gives nil if it found an error.
func parseRequest(c *check, der []byte) *Request {
	const rule = "2986-4"
	s, ok := parseSigned(c, der, rule)
	if !ok {
		return nil
	}
	in, _ := inside(s.tbs, asn1.SEQUENCE)
	if version, ok := small(&in, 1<<31); !ok || version != 0 {
		c.fail("6487-6.1.1", "the version of the request is not 0")
		return nil
	}
	var subject, attributes cryptobyte.String
	ok = in.ReadASN1(&subject, asn1.SEQUENCE)
	info, ok2 := element(&in)
	if !ok || !ok2 {
		c.fail(rule, "the subject and the key of the request cannot be read")
		return nil
	}
	if !in.ReadASN1(&attributes, tag0Explicit) || !in.Empty() {
		c.fail(rule, "the attributes of the request cannot be read, or bytes follow them")
		return nil
	}
	r := &Request{KeyInfo: info}
	if r.Key, ok = parseKey(c, info, false); !ok || !s.by(c, &r.Key, "2986-4.2") || !r.parseAttributes(c, attributes) || c.failed {
		return nil
	}
	return r
}

//	Attribute ::= SEQUENCE { type OBJECT IDENTIFIER, values SET SIZE (1..MAX) OF ANY }
//	ExtensionRequest ::= Extensions                                             -- RFC 2985, section 5.4.2

// parseRequestedExtension is parseExtension without its rule that a critical of FALSE may not be written out: Krill's
// requests have one.
func parseRequestedExtension(s *cryptobyte.String) (id, value []byte, ok bool) {
	var in cryptobyte.String
	if !s.ReadASN1(&in, asn1.SEQUENCE) {
		return nil, nil, false
	}
	if id, ok = oid(&in); !ok {
		return nil, nil, false
	}
	var critical bool
	if in.PeekASN1Tag(asn1.BOOLEAN) && !in.ReadASN1Boolean(&critical) {
		return nil, nil, false
	}
	value, ok = octets(&in)
	return id, value, ok && in.Empty()
}

// parseAttributes wants one extension request, and in it exactly the three extensions of a CA's request that RFC 6487,
// section 6.3 has.
func (r *Request) parseAttributes(c *check, s cryptobyte.String) bool {
	attribute, ok := inside(s, asn1.SEQUENCE)
	kind, ok2 := oid(&attribute)
	values, ok3 := inside(attribute, asn1.SET)
	list, ok4 := inside(values, asn1.SEQUENCE)
	if !ok || !ok2 || !ok3 || !ok4 || string(kind) != oidExtensionRequest {
		return c.fail("6487-6.1.1", "the attributes of the request are not exactly one request for extensions")
	}
	const rule = "6487-6.3"
	var x extensions
	for !list.Empty() {
		id, value, ok := parseRequestedExtension(&list)
		if !ok {
			return c.fail("5280-4.1", "a requested extension is no DER of an identifier, a criticality and a value")
		}
		var has extensions
		switch string(id) {
		case oidBasicConstraints:
			if has = hasBasicConstraints; string(value) != basicConstraintsCA {
				return c.fail(rule, "the requested basic constraints are not exactly cA=TRUE without a path length")
			}
		case oidKeyUsage:
			if has = hasKeyUsage; string(value) != keyUsageCA {
				return c.fail(rule, "the requested key usage is not exactly keyCertSign and cRLSign")
			}
		case oidSIA:
			if has = hasSIA; !r.parseSIA(c, value) {
				return false
			}
		default:
			return c.fail(rule, "the request has an extension %x that requests of CAs must not have", id)
		}
		if x&has != 0 {
			return c.fail("5280-4.2", "the request has an extension %x twice", id)
		}
		x |= has
	}
	if x != hasBasicConstraints|hasKeyUsage|hasSIA {
		return c.fail(rule, "the request does not have all of basic constraints, key usage and subject information access")
	}
	return true
}

// parseSIA reads the places, each at most once, as a plain URI (RFC 6487, section 4.8.8.1, and RFC 8182, section 3.2).
func (r *Request) parseSIA(c *check, der []byte) bool {
	const rule = "6487-4.8.8.1"
	wellFormed := accesses(der, func(method []byte, uri string) bool {
		keep, name, plain := (*string)(nil), "", rsyncURI
		switch string(method) {
		case oidCARepository:
			keep, name = &r.Repository, "caRepository"
		case oidRPKIManifest:
			keep, name = &r.Manifest, "rpkiManifest"
		case oidRPKINotify:
			keep, name, plain = &r.Notify, "rpkiNotify", httpsURI
		default:
			return c.fail(rule, "the requested subject information access has a method other than caRepository, rpkiManifest and rpkiNotify")
		}
		switch {
		case *keep != "":
			return c.fail(rule, "the requested subject information access has two %s locations", name)
		case !plain(uri):
			return c.fail(rule, "the requested %s location %.200q is no plain URI of its kind", name, uri)
		}
		*keep = uri
		return true
	})
	switch {
	case c.failed:
		return false
	case !wellFormed:
		return c.fail(rule, "the requested subject information access is no DER list of descriptions")
	case r.Repository == "" || r.Manifest == "":
		return c.fail(rule, "the requested subject information access has not both a repository and a manifest")
	}
	r.Repository = directory(c, rule, r.Repository)
	if _, ok := directlyIn(r.Manifest, r.Repository); !ok || !strings.HasSuffix(r.Manifest, ".mft") {
		return c.fail("6481-2.2", "the requested manifest %s is no .mft file of the repository %s", r.Manifest, r.Repository)
	}
	return true
}
