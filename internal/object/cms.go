package object

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/asn1"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningTime   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
)

// signedObject wraps content in the template of RFC 6488 as RFC 9589 changed it, signed with the one-time key:
//
//	SignedData ::= SEQUENCE {
//	  version CMSVersion (3), digestAlgorithms SET OF DigestAlgorithmIdentifier (one: SHA-256),
//	  encapContentInfo SEQUENCE { eContentType, eContent [0] EXPLICIT OCTET STRING },
//	  certificates [0] IMPLICIT CertificateSet (the EE certificate alone), signerInfos SET OF SignerInfo (one) }
//	SignerInfo ::= SEQUENCE {
//	  version CMSVersion (3), sid [0] SubjectKeyIdentifier, digestAlgorithm, signedAttrs [0] IMPLICIT SET OF Attribute,
//	  signatureAlgorithm, signature OCTET STRING }
func signedObject(contentType asn1.ObjectIdentifier, content, ee []byte, id KeyIdentifier, key crypto.Signer, at time.Time) ([]byte, error) {
	attributes, err := signedAttributes(contentType, content, at)
	if err != nil {
		return nil, err
	}
	// the signature is over the attributes as a SET OF, whatever tag they have in the message (RFC 5652, section 5.4)
	var set cryptobyte.Builder
	set.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(attributes) })
	message, err := set.Bytes()
	if err != nil {
		return nil, err
	}
	signature, err := sign(key, message)
	if err != nil {
		return nil, err
	}

	context := cbasn1.Tag(0).ContextSpecific().Constructed()
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidSignedData)
		b.AddASN1(context, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(3)
				b.AddASN1(cbasn1.SET, addDigestAlgorithm)
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(contentType)
					b.AddASN1(context, func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
				})
				b.AddASN1(context, func(b *cryptobyte.Builder) { b.AddBytes(ee) })
				b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1Int64(3)
						b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(id[:]) })
						addDigestAlgorithm(b)
						b.AddASN1(context, func(b *cryptobyte.Builder) { b.AddBytes(attributes) })
						addSignerAlgorithm(b, key.Public())
						b.AddASN1OctetString(signature)
					})
				})
			})
		})
	})
	return b.Bytes()
}

// addDigestAlgorithm writes SHA-256 without parameters (RFC 5754, section 2).
func addDigestAlgorithm(b *cryptobyte.Builder) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidSHA256) })
}

// signedAttributes is the three that RFC 9589, section 4 demands, in the order of DER for a SET OF.
func signedAttributes(contentType asn1.ObjectIdentifier, content []byte, at time.Time) ([]byte, error) {
	digest := sha256.Sum256(content)
	values := []struct {
		id  asn1.ObjectIdentifier
		add func(*cryptobyte.Builder)
	}{
		{oidContentType, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(contentType) }},
		{oidMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest[:]) }},
		{oidSigningTime, func(b *cryptobyte.Builder) { addTime(b, at) }},
	}
	var attributes [][]byte
	for _, value := range values {
		var b cryptobyte.Builder
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(value.id)
			b.AddASN1(cbasn1.SET, value.add)
		})
		attribute, err := b.Bytes()
		if err != nil {
			return nil, err
		}
		attributes = append(attributes, attribute)
	}
	slices.SortFunc(attributes, bytes.Compare)
	return bytes.Join(attributes, nil), nil
}
