package validate

import (
	"crypto/sha256"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// SignedObject is the CMS wrapping that all signed objects share (RFC 6488, section 2, and RFC 9589).
type SignedObject struct {
	EE          *Certificate
	SigningTime time.Time

	contentType []byte // contents of the OID
	content     []byte // eContent
	attributes  []byte // DER of signedAttrs, with the tag of the CMS
	signature   []byte
}

//	ContentInfo ::= SEQUENCE {                                                  -- RFC 5652, section 3
//	  contentType ContentType,
//	  content [0] EXPLICIT ANY DEFINED BY contentType }
//	SignedData ::= SEQUENCE {                                                   -- section 5.1
//	  version CMSVersion,
//	  digestAlgorithms DigestAlgorithmIdentifiers,
//	  encapContentInfo EncapsulatedContentInfo,
//	  certificates [0] IMPLICIT CertificateSet OPTIONAL,
//	  crls [1] IMPLICIT RevocationInfoChoices OPTIONAL,
//	  signerInfos SignerInfos }
//	EncapsulatedContentInfo ::= SEQUENCE {
//	  eContentType ContentType,
//	  eContent [0] EXPLICIT OCTET STRING OPTIONAL }

// parseSignedObject reads the wrapping and its EE certificate, and checks the digest of the content. It gives false if
// it found an error. It checks no signature: that is bySigner.
func parseSignedObject(c *check, der []byte) (o SignedObject, ok bool) {
	if len(der) > maxObject {
		return o, c.fail("limit-object-size", "the object has %d octets; relying parties read at most %d", len(der), maxObject)
	}
	if len(der) < minObject {
		return o, c.fail("limit-object-size", "the object has %d octets; relying parties read at least %d", len(der), minObject)
	}
	if plain, differs := derOf(der); differs {
		c.deviate("6488-2", "the object is BER; it should be DER")
		der = plain
	}
	outer, ok := inside(der, asn1.SEQUENCE)
	id, ok2 := oid(&outer)
	content, ok3 := inside(outer, tag0Explicit)
	in, ok4 := inside(content, asn1.SEQUENCE)
	if !ok || !ok2 || !ok3 || !ok4 || string(id) != oidSignedData {
		return o, c.fail("6488-2", "the object is no DER of CMS signed-data, or bytes follow it")
	}
	if version, ok := small(&in, 1<<31); !ok || version != 3 {
		return o, c.fail("6488-2.1.1", "the version of the signed-data is not 3")
	}
	var digests cryptobyte.String
	if !in.ReadASN1(&digests, asn1.SET) || !isSHA256(c, digests) {
		return o, c.fail("6488-2.1.2", "the digest algorithms are not exactly SHA-256")
	}
	var encap, explicit, certificates, signers cryptobyte.String
	if !in.ReadASN1(&encap, asn1.SEQUENCE) {
		return o, c.fail("6488-2.1.3", "the encapsulated content cannot be read")
	}
	o.contentType, ok = oid(&encap)
	explicit, ok2 = inside(encap, tag0Explicit)
	o.content, ok3 = inside(explicit, asn1.OCTET_STRING)
	if !ok || !ok2 || !ok3 {
		return o, c.fail("6488-2.1.3", "the encapsulated content is not a type and one octet string")
	}
	if !in.ReadASN1(&certificates, tag0Explicit) {
		return o, c.fail("6488-2.1.4", "the signed-data has no certificate")
	}
	if in.PeekASN1Tag(tag1 | cons) {
		return o, c.fail("6488-2.1.5", "the signed-data has CRLs")
	}
	if !in.ReadASN1(&signers, asn1.SET) || !in.Empty() {
		return o, c.fail("6488-2.1", "the signer infos cannot be read, or bytes follow them")
	}
	ee, ok := element(&certificates)
	if !ok || !certificates.Empty() {
		return o, c.fail("6488-2.1.4", "the signed-data has not exactly one certificate")
	}
	if o.EE = parseCertificate(c, ee); o.EE == nil {
		return o, false
	}
	if o.EE.Kind != EE {
		return o, c.fail("6488-2.1.4", "the certificate of the signed-data is a %s, not an EE certificate", o.EE.Kind)
	}
	if !o.parseSigner(c, signers) || !o.parseAttributes(c) {
		return o, false
	}
	return o, !c.failed
}

// isSHA256 tells whether s is one AlgorithmIdentifier of SHA-256 and nothing else. RFC 5754, section 2 leaves out the
// parameters, but wants NULL to be read too.
func isSHA256(c *check, s []byte) bool {
	if string(s) == algSHA256WithNull {
		c.warn("5754-2", "a digest algorithm has NULL parameters; they should be absent")
		return true
	}
	return string(s) == algSHA256
}

//	SignerInfo ::= SEQUENCE {                                                   -- RFC 5652, section 5.3
//	  version CMSVersion,
//	  sid SignerIdentifier,            -- [0] SubjectKeyIdentifier
//	  digestAlgorithm DigestAlgorithmIdentifier,
//	  signedAttrs [0] IMPLICIT SignedAttributes OPTIONAL,
//	  signatureAlgorithm SignatureAlgorithmIdentifier,
//	  signature SignatureValue,
//	  unsignedAttrs [1] IMPLICIT UnsignedAttributes OPTIONAL }

func (o *SignedObject) parseSigner(c *check, signers cryptobyte.String) bool {
	in, ok := inside(signers, asn1.SEQUENCE)
	if !ok {
		return c.fail("6488-2.1.6", "the signed-data has not exactly one signer info")
	}
	if version, ok := small(&in, 1<<31); !ok || version != 3 {
		return c.fail("6488-2.1.6.1", "the version of the signer info is not 3")
	}
	var sid, attributes cryptobyte.String
	if !in.ReadASN1(&sid, tag0) || string(sid) != string(o.EE.SKI[:]) {
		return c.fail("6488-2.1.6.2", "the signer identifier is not the subject key identifier of the EE certificate")
	}
	digest, ok := element(&in)
	if !ok || !isSHA256(c, digest) {
		return c.fail("6488-2.1.6.3", "the digest algorithm of the signer info is not SHA-256")
	}
	if !in.ReadASN1Element(&attributes, tag0Explicit) {
		return c.fail("6488-2.1.6.4", "the signer info has no signed attributes")
	}
	o.attributes = attributes
	algorithm, ok := element(&in)
	if o.EE.Key.rsa != nil {
		switch string(algorithm) {
		case algRSAEncryption:
		case algRSAEncryptionBare, algSHA256WithRSABare:
			c.deviate("6488-2.1.6.5", "the signature algorithm of the signer info is without its NULL parameters")
		case algSHA256WithRSA:
			c.warn("7935-2", "the signature algorithm of the signer info is sha256WithRSAEncryption; it should be rsaEncryption")
		default:
			ok = false
		}
	} else {
		ok = ok && string(algorithm) == algECDSAWithSHA256
	}
	if !ok {
		return c.fail("6488-2.1.6.5", "the signature algorithm of the signer info is not that of the EE certificate's key")
	}
	if o.signature, ok = octets(&in); !ok {
		return c.fail("6488-2.1.6.6", "the signer info has no signature")
	}
	if !in.Empty() {
		return c.fail("6488-2.1.6.7", "the signer info has unsigned attributes or other bytes after its signature")
	}
	return true
}

//	Attribute ::= SEQUENCE { attrType OBJECT IDENTIFIER, attrValues SET OF AttributeValue }

// parseAttributes wants content-type, message-digest and signing-time, each once with one value, in the order of DER, and
// no others (RFC 6488, section 2.1.6.4 as RFC 9589 changed it).
func (o *SignedObject) parseAttributes(c *check) bool {
	const rule = "6488-2.1.6.4"
	set, _ := inside(o.attributes, tag0Explicit)
	var contentType, digest, signed bool
	for before := ""; !set.Empty(); {
		raw, _ := element(&set)
		in, ok := inside(raw, asn1.SEQUENCE)
		id, ok2 := oid(&in)
		value, ok3 := inside(in, asn1.SET)
		if !ok || !ok2 || !ok3 {
			return c.fail(rule, "a signed attribute is no DER of a type and values")
		}
		// DER sorts a SET OF by the encodings (X.690, section 11.6). What is there twice is refused below.
		if string(raw) < before {
			c.deviate(rule, "the signed attributes are not in the order of DER")
		}
		before = string(raw)
		switch {
		case string(id) == oidContentType && !contentType:
			contentType = true
			named, ok := oid(&value)
			if !ok || !value.Empty() || string(named) != string(o.contentType) {
				return c.fail("6488-2.1.6.4.1", "the content-type attribute is not the one type of the content")
			}
		case string(id) == oidMessageDigest && !digest:
			digest = true
			named, ok := inside(value, asn1.OCTET_STRING)
			if sum := sha256.Sum256(o.content); !ok || string(named) != string(sum[:]) {
				return c.fail("6488-2.1.6.4.2", "the message-digest attribute is not the one SHA-256 of the content")
			}
		case string(id) == oidSigningTime && !signed:
			signed = true
			at, read, right := validity(&value)
			if !read || !right || !value.Empty() {
				return c.fail("9589-4", "the signing-time attribute is not one time, UTCTime through 2049")
			}
			o.SigningTime = at
		default:
			return c.fail(rule, "the signed attributes have one that is not content-type, message-digest or signing-time, or one twice")
		}
	}
	switch {
	case !contentType:
		return c.fail("6488-2.1.6.4.1", "the content-type attribute is missing")
	case !digest:
		return c.fail("6488-2.1.6.4.2", "the message-digest attribute is missing")
	case !signed:
		return c.fail("9589-4", "the signing-time attribute is missing")
	}
	return true
}

// bySigner checks that the EE certificate's key signed the attributes. They are signed with the tag of a SET OF, not
// with the [0] that they have in the signer info (RFC 5652, section 5.4).
func (o *SignedObject) bySigner(c *check) bool {
	signed := make([]byte, 0, 256)
	signed = append(append(signed, byte(asn1.SET)), o.attributes[1:]...)
	if !o.EE.Key.verify(sha256.Sum256(signed), o.signature) {
		return c.fail("6488-3", "the signature of the object is not one of its EE certificate's key")
	}
	return true
}
