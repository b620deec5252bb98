package object

import (
	"crypto"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Revoked is one entry of a CRL.
type Revoked struct {
	Serial *big.Int
	At     time.Time
}

// CRL is what a certificate revocation list says (RFC 6487, section 5; RFC 9829).
type CRL struct {
	Issuer                 KeyIdentifier
	IssuerName             []byte // as in Certificate
	Number                 uint64 // RFC 9829 allows up to 2^159-1
	ThisUpdate, NextUpdate time.Time
	Revoked                []Revoked
}

// Sign makes the CRL, with the two extensions that the profile allows and none in its entries:
//
//	TBSCertList ::= SEQUENCE {
//	  version Version, signature, issuer, thisUpdate Time, nextUpdate Time,
//	  revokedCertificates SEQUENCE OF SEQUENCE { userCertificate, revocationDate } OPTIONAL,
//	  crlExtensions [0] EXPLICIT Extensions }
func (c *CRL) Sign(issuer crypto.Signer) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		addSignatureAlgorithm(b, issuer.Public())
		addIssuer(b, c.Issuer, c.IssuerName)
		addTime(b, c.ThisUpdate)
		addTime(b, c.NextUpdate)
		if len(c.Revoked) > 0 {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, r := range c.Revoked {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1BigInt(r.Serial)
						addTime(b, r.At)
					})
				}
			})
		}
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addExtension(b, oidAuthorityKeyID, false, func(b *cryptobyte.Builder) { addAuthorityKeyID(b, c.Issuer) })
				addExtension(b, oidCRLNumber, false, func(b *cryptobyte.Builder) { b.AddASN1Uint64(c.Number) })
			})
		})
	})
	tbs, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	return signed(tbs, issuer)
}
