package validate

import (
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// tagURI is uniformResourceIdentifier [6] IA5String of GeneralName (RFC 5280, section 4.2.1.6).
const tagURI = asn1.Tag(0x86)

//	CRLDistributionPoints ::= SEQUENCE SIZE (1..MAX) OF DistributionPoint       -- RFC 5280, section 4.2.1.13
//	DistributionPoint     ::= SEQUENCE {
//	     distributionPoint       [0]     DistributionPointName OPTIONAL,
//	     reasons                 [1]     ReasonFlags OPTIONAL,
//	     cRLIssuer               [2]     GeneralNames OPTIONAL }
//	DistributionPointName ::= CHOICE {
//	     fullName                [0]     GeneralNames,
//	     nameRelativeToCRLIssuer [1]     RelativeDistinguishedName }

func (cert *Certificate) parseCRLDP(c *check, der []byte, _ *extensions) bool {
	const rule = "6487-4.8.6"
	points, ok := inside(der, asn1.SEQUENCE)
	point, ok2 := inside(points, asn1.SEQUENCE)
	name, ok3 := inside(point, tag0|cons)
	uris, ok4 := inside(name, tag0|cons)
	if !ok || !ok2 || !ok3 || !ok4 {
		return c.fail(rule, "the CRL distribution points are not one point with nothing but a full name")
	}
	for n := 0; !uris.Empty(); n++ {
		var uri cryptobyte.String
		if !uris.ReadASN1(&uri, tagURI) {
			return c.fail(rule, "a name of the CRL distribution point is no URI")
		}
		if n == 1 {
			c.warn(rule, "the CRL distribution point has more than one URI")
		}
		if cert.CRL == "" && rsyncURI(string(uri)) {
			cert.CRL = string(uri)
		}
	}
	if cert.CRL == "" {
		return c.fail(rule, "the CRL distribution point has no plain rsync URI")
	}
	return true
}

//	AuthorityInfoAccessSyntax ::= SEQUENCE SIZE (1..MAX) OF AccessDescription   -- RFC 5280, section 4.2.2.1
//	AccessDescription         ::= SEQUENCE { accessMethod OBJECT IDENTIFIER, accessLocation GeneralName }

// accesses calls each with the method and URI of every description; the URI is "" where the location is no URI.
func accesses(der []byte, each func(method []byte, uri string) bool) bool {
	list, ok := inside(der, asn1.SEQUENCE)
	if !ok || list.Empty() {
		return false
	}
	for !list.Empty() {
		var in cryptobyte.String
		if !list.ReadASN1(&in, asn1.SEQUENCE) {
			return false
		}
		method, ok := oid(&in)
		raw, ok2 := element(&in)
		if !ok || !ok2 || !in.Empty() {
			return false
		}
		uri, _ := inside(raw, tagURI)
		if !each(method, string(uri)) {
			return false
		}
	}
	return true
}

func (cert *Certificate) parseAIA(c *check, der []byte, _ *extensions) bool {
	const rule = "6487-4.8.7"
	n := 0
	wellFormed := accesses(der, func(method []byte, uri string) bool {
		if string(method) != oidCAIssuers {
			return c.fail(rule, "the authority information access has a method that is not caIssuers")
		}
		if n++; n == 2 {
			c.warn(rule, "the authority information access has more than one URI")
		}
		if cert.IssuerURI == "" && rsyncURI(uri) {
			cert.IssuerURI = uri
		}
		return true
	})
	switch {
	case c.failed && !wellFormed:
		return false
	case !wellFormed:
		return c.fail(rule, "the authority information access is no DER list of descriptions")
	case cert.IssuerURI == "":
		return c.fail(rule, "the authority information access has no plain rsync URI")
	}
	return true
}

// parseSIA reads the subject information access by the rules of a CA (RFC 6487, section 4.8.8.1, and RFC 8182, section
// 3.2) or of an EE (section 4.8.8.2).
func (cert *Certificate) parseSIA(c *check, der []byte) bool {
	rule, allowed := "6487-4.8.8.1", "caRepository, rpkiManifest and rpkiNotify"
	if cert.Kind == EE {
		rule, allowed = "6487-4.8.8.2", "signedObject"
	}
	bad := false
	wellFormed := accesses(der, func(method []byte, uri string) bool {
		keep, name, plain := (*string)(nil), "", rsyncURI
		switch m := string(method); {
		case cert.Kind == EE && m == oidSignedObject:
			keep, name = &cert.SignedObject, "signedObject"
		case cert.Kind != EE && m == oidCARepository:
			keep, name = &cert.Repository, "caRepository"
		case cert.Kind != EE && m == oidRPKIManifest:
			keep, name = &cert.Manifest, "rpkiManifest"
		case cert.Kind != EE && m == oidRPKINotify:
			keep, name, plain = &cert.Notify, "rpkiNotify", httpsURI
		case m == oidRPKINotify: // in the EE certificates of AFRINIC and APNIC
			c.deviate(rule, "the subject information access of the EE certificate has an rpkiNotify, which means nothing there")
			return true
		default:
			bad = true
			return c.fail(rule, "the subject information access of the %s has a method other than %s", cert.Kind, allowed)
		}
		switch {
		case *keep != "" || !plain(uri) && name != "rpkiNotify":
			c.warn(rule, "the subject information access has more %s locations than one plain URI", name)
		case !plain(uri):
			bad = true
			return c.fail("8182-3.2", "the rpkiNotify location is no plain https URI")
		}
		if *keep == "" && plain(uri) {
			*keep = uri
		}
		return true
	})
	if !wellFormed {
		return !bad && c.fail(rule, "the subject information access is no DER list of descriptions")
	}
	if cert.Kind == EE {
		if cert.SignedObject == "" || strings.HasSuffix(cert.SignedObject, "/") {
			return c.fail(rule, "the subject information access has no plain rsync URI of the signed object")
		}
		return true
	}
	if cert.Repository == "" || cert.Manifest == "" {
		return c.fail(rule, "the subject information access has no plain rsync URIs of both the repository and the manifest")
	}
	cert.Repository = directory(c, rule, cert.Repository)
	if _, ok := directlyIn(cert.Manifest, cert.Repository); !ok || !strings.HasSuffix(cert.Manifest, ".mft") {
		return c.fail("6481-2.2", "the manifest %s is no .mft file of the repository %s", cert.Manifest, cert.Repository)
	}
	return true
}

// directory is the URI of a caRepository with a slash at its end. RFC 6487 asks for none, but rsync makes a difference, and
// what is published says it with one.
func directory(c *check, rule, uri string) string {
	if strings.HasSuffix(uri, "/") {
		return uri
	}
	c.deviate(rule, "the repository %s does not end in a slash", uri)
	return uri + "/"
}
