package validate

import (
	"bytes"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// extensions is the set of extensions that a certificate has, and which of the two key usages.
type extensions uint32

const (
	hasSKI extensions = 1 << iota
	hasAKI
	hasKeyUsage
	hasBasicConstraints
	hasCRLDP
	hasPolicies
	hasEKU
	hasAIA
	hasSIA
	hasIP
	hasAS
	usageCA
	usageEE
)

// usage names the key usage.
func (x extensions) usage() string { return keyUsageNames[x&(usageCA|usageEE)] }

func keyUsageFor(ca bool) string {
	if ca {
		return keyUsageNames[usageCA]
	}
	return keyUsageNames[usageEE]
}

var keyUsageNames = map[extensions]string{usageCA: "keyCertSign and cRLSign", usageEE: "digitalSignature"}

// profile is what RFC 6487, section 4.8 says of each extension: no other may be there.
var profile = map[string]struct {
	has      extensions
	critical bool
	section  string
	name     string
	parse    func(*Certificate, *check, []byte, *extensions) bool
}{
	oidBasicConstraints: {hasBasicConstraints, true, "6487-4.8.1", "basic constraints", (*Certificate).parseBasicConstraints},
	oidSKI:              {hasSKI, false, "6487-4.8.2", "subject key identifier", (*Certificate).parseSKI},
	oidAKI:              {hasAKI, false, "6487-4.8.3", "authority key identifier", (*Certificate).parseAKI},
	oidKeyUsage:         {hasKeyUsage, true, "6487-4.8.4", "key usage", (*Certificate).parseKeyUsage},
	oidEKU:              {hasEKU, false, "6487-4.8.5", "extended key usage", (*Certificate).parseEKU},
	oidCRLDP:            {hasCRLDP, false, "6487-4.8.6", "CRL distribution points", (*Certificate).parseCRLDP},
	oidAIA:              {hasAIA, false, "6487-4.8.7", "authority information access", (*Certificate).parseAIA},
	oidSIA:              {hasSIA, false, "6487-4.8.8", "subject information access", (*Certificate).keepSIA},
	oidPolicies:         {hasPolicies, true, "6487-4.8.9", "certificate policies", (*Certificate).parsePolicies},
	oidIPAddrBlocks:     {hasIP, true, "6487-4.8.10", "IP address blocks", (*Certificate).parseIP},
	oidAutonomousSysIDs: {hasAS, true, "6487-4.8.11", "AS identifiers", (*Certificate).parseAS},
}

//	Extension  ::=  SEQUENCE  {                                                 -- RFC 5280, section 4.1
//	     extnID      OBJECT IDENTIFIER,
//	     critical    BOOLEAN DEFAULT FALSE,
//	     extnValue   OCTET STRING }

// parseExtension reads one extension. A critical that is written out as FALSE is no DER.
func parseExtension(c *check, s *cryptobyte.String) (id, value []byte, critical, ok bool) {
	var in cryptobyte.String
	if !s.ReadASN1(&in, asn1.SEQUENCE) {
		return nil, nil, false, false
	}
	if id, ok = oid(&in); !ok {
		return nil, nil, false, false
	}
	if in.PeekASN1Tag(asn1.BOOLEAN) {
		if !in.ReadASN1Boolean(&critical) {
			return nil, nil, false, false
		}
		if !critical {
			c.deviate("5280-4.1", "an extension says that it is not critical; that is left out in DER")
		}
	}
	value, ok = octets(&in)
	return id, value, critical, ok && in.Empty()
}

// parseExtensions reads all extensions into cert, settles its kind, and tells which were there.
func parseExtensions(c *check, cert *Certificate, s cryptobyte.String) (x extensions, ok bool) {
	var sia []byte
	for !s.Empty() {
		id, value, critical, ok := parseExtension(c, &s)
		if !ok {
			return x, c.fail("5280-4.1", "an extension is no DER of an identifier, a criticality and a value")
		}
		p, known := profile[string(id)]
		switch {
		case !known:
			return x, c.fail("6487-4.8", "the certificate has an extension %x that the profile does not have", id)
		case x&p.has != 0:
			return x, c.fail("5280-4.2", "the certificate has two %s extensions", p.name)
		case critical && !p.critical:
			c.fail(p.section, "the %s extension is critical", p.name)
		case !critical && p.critical:
			c.fail(p.section, "the %s extension is not critical", p.name)
		}
		x |= p.has
		if p.has == hasSIA {
			sia = value // its rules depend on the kind, which other extensions settle
		}
		if !p.parse(cert, c, value, &x) {
			return x, false
		}
	}
	switch {
	case x&hasBasicConstraints != 0 && bytes.Equal(cert.Issuer, cert.Subject) && (!cert.HasAKI || cert.AKI == cert.SKI):
		cert.Kind = TrustAnchor
	case x&hasBasicConstraints != 0:
		cert.Kind = CA
	case cert.Kind != Router:
		cert.Kind = EE
	}
	if sia != nil && cert.Kind != Router {
		return x, cert.parseSIA(c, sia)
	}
	return x, true
}

func (cert *Certificate) keepSIA(*check, []byte, *extensions) bool { return true }

//	BasicConstraints ::= SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER (0..MAX) OPTIONAL }

func (cert *Certificate) parseBasicConstraints(c *check, der []byte, _ *extensions) bool {
	if string(der) != basicConstraintsCA {
		return c.fail("6487-4.8.1", "the basic constraints are not exactly cA=TRUE without a path length")
	}
	return true
}

func (cert *Certificate) parseSKI(c *check, der []byte, _ *extensions) bool {
	id, ok := inside(der, asn1.OCTET_STRING)
	if !ok || len(id) != len(cert.SKI) {
		return c.fail("6487-4.8.2", "the subject key identifier is no octet string of 20 octets")
	}
	cert.SKI = [20]byte(id)
	return true
}

func (cert *Certificate) parseAKI(c *check, der []byte, _ *extensions) (ok bool) {
	cert.AKI, ok = parseAKI(c, der, "6487-4.8.3")
	cert.HasAKI = ok
	return ok
}

//	AuthorityKeyIdentifier ::= SEQUENCE { keyIdentifier [0] KeyIdentifier OPTIONAL,
//	     authorityCertIssuer [1] GeneralNames OPTIONAL, authorityCertSerialNumber [2] CertificateSerialNumber OPTIONAL }

func parseAKI(c *check, der []byte, rule string) (id [20]byte, ok bool) {
	in, ok := inside(der, asn1.SEQUENCE)
	if ok {
		in, ok = inside(in, tag0)
	}
	if !ok || len(in) != len(id) {
		return id, c.fail(rule, "the authority key identifier is not exactly a key identifier of 20 octets")
	}
	return [20]byte(in), true
}

func (cert *Certificate) parseKeyUsage(c *check, der []byte, x *extensions) bool {
	switch string(der) {
	case keyUsageCA:
		*x |= usageCA
	case keyUsageEE:
		*x |= usageEE
	default:
		return c.fail("6487-4.8.4", "the key usage is neither exactly keyCertSign and cRLSign nor exactly digitalSignature")
	}
	return true
}

// parseEKU takes nothing but a router's purpose (RFC 8209, section 3.1.3.2).
func (cert *Certificate) parseEKU(c *check, der []byte, _ *extensions) bool {
	in, ok := inside(der, asn1.SEQUENCE)
	for ok && !in.Empty() {
		var id []byte
		if id, ok = oid(&in); ok && string(id) == oidBGPsecRouter {
			cert.Kind = Router
		}
	}
	if !ok || cert.Kind != Router {
		return c.fail("6487-4.8.5", "the certificate has an extended key usage, and is no router's")
	}
	return true
}

//	certificatePolicies ::= SEQUENCE SIZE (1..MAX) OF PolicyInformation         -- RFC 5280, section 4.2.1.4
//	PolicyInformation   ::= SEQUENCE { policyIdentifier OBJECT IDENTIFIER, policyQualifiers SEQUENCE OF PolicyQualifierInfo OPTIONAL }
//	PolicyQualifierInfo ::= SEQUENCE { policyQualifierId OBJECT IDENTIFIER, qualifier ANY }

// parsePolicies wants the one policy of RFC 6484 and allows the one qualifier of RFC 7318.
func (cert *Certificate) parsePolicies(c *check, der []byte, _ *extensions) bool {
	const rule = "6487-4.8.9"
	policies, ok := inside(der, asn1.SEQUENCE)
	info, ok2 := inside(policies, asn1.SEQUENCE)
	id, ok3 := oid(&info)
	if !ok || !ok2 || !ok3 || string(id) != oidPolicyIPAddrASN {
		return c.fail(rule, "the certificate policies are not exactly id-cp-ipAddr-asNumber")
	}
	if info.Empty() {
		return true
	}
	list, ok := inside(info, asn1.SEQUENCE)
	qualifier, ok2 := inside(list, asn1.SEQUENCE)
	id, ok3 = oid(&qualifier)
	uri, ok4 := inside(qualifier, asn1.IA5String)
	if !ok || !ok2 || !ok3 || !ok4 || string(id) != oidQualifierCPS || !printableURI(uri) {
		return c.fail("7318-2", "the policy's qualifier is not one URI of a certification practice statement")
	}
	return true
}

func printableURI(uri []byte) bool {
	for _, b := range uri {
		if b <= ' ' || b >= 0x7F {
			return false
		}
	}
	return len(uri) > 0
}

func (cert *Certificate) parseIP(c *check, der []byte, _ *extensions) bool {
	return cert.Resources.parseIPAddrBlocks(c, der)
}

func (cert *Certificate) parseAS(c *check, der []byte, _ *extensions) bool {
	return cert.Resources.parseASIdentifiers(c, der)
}
