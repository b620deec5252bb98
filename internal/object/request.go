package object

import (
	"crypto"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var oidExtensionRequest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 14} // RFC 2985, section 5.4.2

// CertificateRequest is what a CA asks its parent for: a certificate of its key with these places (RFC 6487, section 6).
// Resources are no part of it.
type CertificateRequest struct {
	Key        PublicKey
	Repository string // rsync URI of the publication point, ends in a slash
	Manifest   string // rsync URI of the manifest in it
	Notify     string // https URI of the RRDP notification, or ""
}

// Sign makes the request. The subject is the key's identifier, as in certificates: RFC 6487, section 6.1.1 would have it
// empty, but it has to be taken as no more than a hint, and Krill's and rpkid's are not empty either.
//
//	CertificationRequest ::= SEQUENCE {                                         -- RFC 2986, section 4
//	  certificationRequestInfo CertificationRequestInfo, signatureAlgorithm, signature BIT STRING }
//	CertificationRequestInfo ::= SEQUENCE {
//	  version INTEGER (0), subject Name, subjectPKInfo SubjectPublicKeyInfo, attributes [0] IMPLICIT SET OF Attribute }
//	Attribute ::= SEQUENCE { type OBJECT IDENTIFIER, values SET OF ANY }  -- extensionRequest: one Extensions
func (r *CertificateRequest) Sign(key crypto.Signer) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		addName(b, r.Key.ID)
		b.AddBytes(r.Key.Info)
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidExtensionRequest)
				b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddASN1(cbasn1.SEQUENCE, r.addExtensions) })
			})
		})
	})
	info, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	return signed(info, key)
}

// addExtensions writes those that RFC 6487, section 6.3 knows of a CA's request.
func (r *CertificateRequest) addExtensions(b *cryptobyte.Builder) {
	addExtension(b, oidBasicConstraints, true, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1Boolean(true) })
	})
	addExtension(b, oidKeyUsage, true, func(b *cryptobyte.Builder) {
		b.AddBytes([]byte{3, 2, 1, 0x06}) // keyCertSign, cRLSign
	})
	addExtension(b, oidSubjectInfo, false, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addAccess(b, oidAccessRepository, r.Repository)
			addAccess(b, oidAccessManifest, r.Manifest)
			if r.Notify != "" {
				addAccess(b, oidAccessNotify, r.Notify)
			}
		})
	})
}
