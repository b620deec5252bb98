package envelope

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"cadastre/internal/fault"
)

// parts is a message taken apart. Nothing in it is proven.
type parts struct {
	content      []byte
	certificates [][]byte
	crls         [][]byte
	signer       []byte // the signer's subject key identifier
	attributes   []byte // what the signature is over: the signed attributes as a SET OF
	digest       []byte // message-digest
	signed       time.Time
	signature    []byte
}

//	ContentInfo ::= SEQUENCE {                                                  -- RFC 5652, section 3
//	  contentType ContentType, content [0] EXPLICIT ANY DEFINED BY contentType }
//	SignedData ::= SEQUENCE {                                                   -- RFC 6492, section 3.1.1
//	  version CMSVersion,
//	  digestAlgorithms DigestAlgorithmIdentifiers,
//	  encapContentInfo EncapsulatedContentInfo,
//	  certificates [0] IMPLICIT CertificateSet OPTIONAL,
//	  crls [1] IMPLICIT RevocationInfoChoices OPTIONAL,
//	  signerInfos SignerInfos }
//	EncapsulatedContentInfo ::= SEQUENCE {
//	  eContentType ContentType, eContent [0] EXPLICIT OCTET STRING OPTIONAL }

// parse takes a message apart. Its error is of kind fault.BadInput.
func parse(message []byte) (*parts, error) {
	der, err := toDER(message)
	if err != nil {
		return nil, err
	}
	p := new(parts)
	outer, ok := only(der, cbasn1.SEQUENCE)
	kind, ok2 := oid(&outer)
	explicit, ok3 := only(outer, tag0Around)
	in, ok4 := only(explicit, cbasn1.SEQUENCE)
	if !ok || !ok2 || !ok3 || !ok4 || !kind.Equal(oidSignedData) {
		return nil, malformed("it is not one SEQUENCE of signed-data")
	}
	if !isVersion3(&in) {
		return nil, malformed("the version of its signed-data is not 3")
	}
	var digests, encapsulated, certificates, crls, signers cryptobyte.String
	if !in.ReadASN1(&digests, cbasn1.SET) || !isSHA256(digests) {
		return nil, malformed("its digest algorithms are not exactly SHA-256")
	}
	ok = in.ReadASN1(&encapsulated, cbasn1.SEQUENCE)
	kind, ok2 = oid(&encapsulated)
	explicit, ok3 = only(encapsulated, tag0Around)
	content, ok4 := only(explicit, cbasn1.OCTET_STRING)
	if !ok || !ok2 || !ok3 || !ok4 || !kind.Equal(oidXML) {
		return nil, malformed("its content is not one octet string of the type id-ct-xml")
	}
	p.content = content
	if !in.ReadASN1(&certificates, tag0Around) {
		return nil, malformed("it has no certificates")
	}
	if !in.ReadASN1(&crls, tag1Around) {
		return nil, malformed("it has no CRLs")
	}
	if p.certificates, ok = elements(certificates, maxCertificates); !ok {
		return nil, malformed("its certificates are not 1 to %d", maxCertificates)
	}
	if p.crls, ok = elements(crls, maxCertificates); !ok {
		return nil, malformed("its CRLs are not 1 to %d", maxCertificates)
	}
	if !in.ReadASN1(&signers, cbasn1.SET) || !in.Empty() {
		return nil, malformed("its signer infos cannot be read, or bytes follow them")
	}
	return p, p.parseSigner(signers)
}

//	SignerInfo ::= SEQUENCE {                                                   -- RFC 6492, section 3.1.1.6
//	  version CMSVersion,
//	  sid SignerIdentifier,            -- [0] SubjectKeyIdentifier
//	  digestAlgorithm DigestAlgorithmIdentifier,
//	  signedAttrs [0] IMPLICIT SignedAttributes OPTIONAL,
//	  signatureAlgorithm SignatureAlgorithmIdentifier,
//	  signature SignatureValue,
//	  unsignedAttrs [1] IMPLICIT UnsignedAttributes OPTIONAL }

func (p *parts) parseSigner(signers cryptobyte.String) error {
	in, ok := only(signers, cbasn1.SEQUENCE)
	if !ok {
		return malformed("it has not exactly one signer info")
	}
	if !isVersion3(&in) {
		return malformed("the version of its signer info is not 3")
	}
	var id, attributes, signature cryptobyte.String
	if !in.ReadASN1(&id, tag0) {
		return malformed("its signer is not named by a subject key identifier")
	}
	digest, ok := element(&in)
	if !ok || !isSHA256(digest) {
		return malformed("the digest algorithm of its signer is not SHA-256")
	}
	if !in.ReadASN1Element(&attributes, tag0Around) {
		return malformed("it has no signed attributes")
	}
	algorithm, ok := element(&in)
	if !ok || string(algorithm) != algRSA && string(algorithm) != algSHA256WithRSA {
		return malformed("its signature algorithm is not RSA with SHA-256")
	}
	if !in.ReadASN1(&signature, cbasn1.OCTET_STRING) || !in.Empty() {
		return malformed("it has no signature, or unsigned attributes after it")
	}
	p.signer, p.signature = id, signature

	// The signature is over a SET OF, not over the [0] that stands in the message (RFC 5652, section 5.4).
	p.attributes = append([]byte{byte(cbasn1.SET)}, attributes[1:]...)
	set, _ := only(p.attributes, cbasn1.SET)
	return p.parseAttributes(set)
}

//	Attribute ::= SEQUENCE { attrType OBJECT IDENTIFIER, attrValues SET OF AttributeValue }
//	BinaryTime ::= INTEGER (0..MAX)  -- seconds since 1970, RFC 6019, section 2

// parseAttributes wants content-type, message-digest and at least one of the signing times, in the order of DER, each
// once and with one value (RFC 6492, section 3.1.1.6.4).
func (p *parts) parseAttributes(set cryptobyte.String) error {
	var typed bool
	var binary time.Time
	before := ""
	for n := 0; !set.Empty(); n++ {
		raw, ok := element(&set)
		in, ok2 := only(raw, cbasn1.SEQUENCE)
		kind, ok3 := oid(&in)
		value, ok4 := only(in, cbasn1.SET)
		if !ok || !ok2 || !ok3 || !ok4 || n == maxAttributes {
			return malformed("its signed attributes are no list of types and values, or more than %d", maxAttributes)
		}
		if string(raw) <= before {
			return malformed("its signed attributes are not in the order of DER, or one is there twice")
		}
		before = string(raw)
		switch {
		case kind.Equal(oidContentType):
			named, ok := oid(&value)
			if !ok || !value.Empty() || typed || !named.Equal(oidXML) {
				return malformed("its content-type attribute is not the one type id-ct-xml")
			}
			typed = true
		case kind.Equal(oidMessageDigest):
			digest, ok := only(value, cbasn1.OCTET_STRING)
			if !ok || p.digest != nil || len(digest) != sha256.Size {
				return malformed("its message-digest attribute is not one SHA-256")
			}
			p.digest = digest
		case kind.Equal(oidSigningTime):
			at, ok := readTime(&value)
			if !ok || !p.signed.IsZero() {
				return malformed("its signing-time attribute is not one time to the second in Zulu")
			}
			p.signed = at
		case kind.Equal(oidBinarySigningTime):
			// Tolerated: RFC 6492 allows it alone, and old peers send it; rpki-rs does not read it, so it is never sent.
			var seconds int64
			if !value.ReadASN1Integer(&seconds) || !value.Empty() || !binary.IsZero() || seconds < 0 || seconds >= 1<<36 {
				return malformed("its binary-signing-time attribute is not one number of seconds")
			}
			binary = time.Unix(seconds, 0).UTC()
		default:
			// Tolerated: other attributes, which RFC 6492 forbids, but Krill skips. They say nothing that is used.
		}
	}
	switch {
	case !typed || p.digest == nil:
		return malformed("its signed attributes lack the content-type or the message-digest")
	case p.signed.IsZero() && binary.IsZero():
		return malformed("its signed attributes lack a signing time")
	case p.signed.IsZero():
		p.signed = binary
	case !binary.IsZero() && !binary.Equal(p.signed):
		return malformed("its two signing times differ")
	}
	return nil
}

// signerCertificate is the one end-entity certificate, which the signer info has to name. The others are of CAs.
func (p *parts) signerCertificate() (*x509.Certificate, *rsa.PublicKey, error) {
	var found *x509.Certificate
	var key *rsa.PublicKey
	for _, der := range p.certificates {
		c, k, err := parseCertificate(der)
		switch {
		case err != nil:
			return nil, nil, fault.Wrap(err, "a certificate of the message cannot be used")
		case c.BasicConstraintsValid && c.IsCA:
			continue
		case found != nil:
			return nil, nil, malformed("it has two certificates of signers")
		}
		found, key = c, k
	}
	switch {
	case found == nil || !bytes.Equal(found.SubjectKeyId, p.signer):
		return nil, nil, malformed("it does not have the certificate that its signer info names")
	case found.KeyUsage != 0 && found.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return nil, nil, malformed("its signer's certificate may not be used for signatures")
	}
	return found, key, nil
}

// signedBy checks that the key made the signature, and that it was over this content.
func (p *parts) signedBy(key *rsa.PublicKey) error {
	if sum := sha256.Sum256(p.content); !bytes.Equal(sum[:], p.digest) {
		return unproven("its digest is not that of its content")
	}
	sum := sha256.Sum256(p.attributes)
	if rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], p.signature) != nil {
		return unproven("its signature is not one of the key that it names")
	}
	return nil
}
