package object

import (
	"crypto"
	"encoding/asn1"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"cadastre/internal/inr"
)

var (
	oidCommonName         = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidSubjectKeyID       = asn1.ObjectIdentifier{2, 5, 29, 14}
	oidKeyUsage           = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidBasicConstraints   = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidCRLNumber          = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidCRLDistribution    = asn1.ObjectIdentifier{2, 5, 29, 31}
	oidPolicies           = asn1.ObjectIdentifier{2, 5, 29, 32}
	oidAuthorityKeyID     = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidAuthorityInfo      = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 1}
	oidSubjectInfo        = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 11}
	oidPolicyRPKI         = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 14, 2}  // RFC 6484, section 1.2
	oidAccessCAIssuers    = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 2}  // RFC 5280, section 4.2.2.1
	oidAccessRepository   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 5}  // RFC 5280, section 4.2.2.2
	oidAccessManifest     = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 10} // RFC 6487, section 4.8.8.1
	oidAccessSignedObject = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 11} // RFC 6487, section 4.8.8.2
	oidAccessNotify       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 13} // RFC 8182, section 3.2
)

// Certificate is what a resource certificate (RFC 6487) says. With SignedObject it is the one-time EE certificate of a
// signed object, else a CA certificate.
type Certificate struct {
	Serial              *big.Int
	Issuer              KeyIdentifier // of the issuing key
	IssuerName          []byte        // DER of the issuer's name, where another chose it; nil: the hex of Issuer
	Key                 PublicKey     // the subject's name is the hex of its identifier
	NotBefore, NotAfter time.Time     // whole seconds
	Resources           inr.Set
	Inherit             bool // all resources of the issuer, instead of Resources

	CRL    string // where the issuer's CRL is; "" in a trust anchor's
	Issued string // where the issuer's certificate is (AIA); "" in a trust anchor's

	Repository, Manifest, Notify string // a CA's SIA; Notify may be ""
	SignedObject                 string // an EE's SIA
}

// Sign makes the certificate:
//
//	TBSCertificate ::= SEQUENCE {
//	  version [0] EXPLICIT Version DEFAULT v1, serialNumber, signature, issuer, validity, subject,
//	  subjectPublicKeyInfo, issuerUniqueID [1], subjectUniqueID [2], extensions [3] EXPLICIT Extensions OPTIONAL }
func (c *Certificate) Sign(issuer crypto.Signer) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddASN1Int64(2) })
		b.AddASN1BigInt(c.Serial)
		addSignatureAlgorithm(b, issuer.Public())
		addIssuer(b, c.Issuer, c.IssuerName)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addTime(b, c.NotBefore)
			addTime(b, c.NotAfter)
		})
		addName(b, c.Key.ID)
		b.AddBytes(c.Key.Info)
		b.AddASN1(cbasn1.Tag(3).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, c.addExtensions)
		})
	})
	tbs, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	return signed(tbs, issuer)
}

// addName writes a distinguished name of one common name, a PrintableString (RFC 6487, sections 4.4 and 4.5).
func addName(b *cryptobyte.Builder, id KeyIdentifier) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidCommonName)
				b.AddASN1(cbasn1.PrintableString, func(b *cryptobyte.Builder) { b.AddBytes([]byte(id.String())) })
			})
		})
	})
}

// addIssuer writes the name of an issuer: what its certificate has for a subject, which a parent chooses (RFC 6487, section
// 4.5); by default the hex of its key identifier.
func addIssuer(b *cryptobyte.Builder, id KeyIdentifier, name []byte) {
	if name != nil {
		b.AddBytes(name)
		return
	}
	addName(b, id)
}

// addExtension writes one: SEQUENCE { extnID, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING }.
func addExtension(b *cryptobyte.Builder, id asn1.ObjectIdentifier, critical bool, value func(*cryptobyte.Builder)) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		if critical {
			b.AddASN1Boolean(true)
		}
		b.AddASN1(cbasn1.OCTET_STRING, value)
	})
}

// addExtensions writes those of RFC 6487, section 4.8, in its order.
func (c *Certificate) addExtensions(b *cryptobyte.Builder) {
	isCA := c.SignedObject == ""
	if isCA {
		addExtension(b, oidBasicConstraints, true, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1Boolean(true) })
		})
	}
	addExtension(b, oidSubjectKeyID, false, func(b *cryptobyte.Builder) { b.AddASN1OctetString(c.Key.ID[:]) })
	addExtension(b, oidAuthorityKeyID, false, func(b *cryptobyte.Builder) { addAuthorityKeyID(b, c.Issuer) })
	addExtension(b, oidKeyUsage, true, func(b *cryptobyte.Builder) {
		if isCA {
			b.AddBytes([]byte{3, 2, 1, 0x06}) // keyCertSign, cRLSign
		} else {
			b.AddBytes([]byte{3, 2, 7, 0x80}) // digitalSignature
		}
	})
	if c.CRL != "" {
		addExtension(b, oidCRLDistribution, false, func(b *cryptobyte.Builder) { addDistributionPoint(b, c.CRL) })
	}
	if c.Issued != "" {
		addExtension(b, oidAuthorityInfo, false, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { addAccess(b, oidAccessCAIssuers, c.Issued) })
		})
	}
	addExtension(b, oidSubjectInfo, false, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if !isCA {
				addAccess(b, oidAccessSignedObject, c.SignedObject)
				return
			}
			addAccess(b, oidAccessRepository, c.Repository)
			addAccess(b, oidAccessManifest, c.Manifest)
			if c.Notify != "" {
				addAccess(b, oidAccessNotify, c.Notify)
			}
		})
	})
	addExtension(b, oidPolicies, true, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidPolicyRPKI) })
		})
	})
	if c.Inherit || c.Resources.HasIP() {
		addExtension(b, oidIPAddrBlocks, true, func(b *cryptobyte.Builder) { addIPAddrBlocks(b, c.Resources, c.Inherit) })
	}
	if c.Inherit || len(c.Resources.AS) > 0 {
		addExtension(b, oidASIdentifier, true, func(b *cryptobyte.Builder) { addASIdentifiers(b, c.Resources.AS, c.Inherit) })
	}
}

// addAuthorityKeyID writes the key identifier alone (RFC 6487, section 4.8.3).
func addAuthorityKeyID(b *cryptobyte.Builder, id KeyIdentifier) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(id[:]) })
	})
}

// addDistributionPoint writes one point with one full name and nothing else (RFC 6487, section 4.8.6).
func addDistributionPoint(b *cryptobyte.Builder, uri string) {
	context := cbasn1.Tag(0).ContextSpecific().Constructed()
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(context, func(b *cryptobyte.Builder) { // distributionPoint
				b.AddASN1(context, func(b *cryptobyte.Builder) { addURI(b, uri) }) // fullName
			})
		})
	})
}

func addAccess(b *cryptobyte.Builder, method asn1.ObjectIdentifier, uri string) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(method)
		addURI(b, uri)
	})
}

// addURI writes the GeneralName uniformResourceIdentifier [6] IA5String.
func addURI(b *cryptobyte.Builder, uri string) {
	b.AddASN1(cbasn1.Tag(6).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes([]byte(uri)) })
}
