package object

import (
	"crypto"
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var oidContentManifest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 26}

// File is one entry of a manifest.
type File struct {
	Name string
	Hash [sha256.Size]byte
}

// Place is what a one-time EE certificate says of its issuer, and of where the objects around it are published.
type Place struct {
	Issuer     KeyIdentifier
	IssuerName []byte // as in Certificate
	CRL        string // the issuer's CRL
	Issued     string // the issuer's certificate
	Object     string // the signed object itself
}

// Manifest is what a manifest says (RFC 9286, RFC 9981).
type Manifest struct {
	Place
	Number                 uint64 // rises with each; far below the 2^159-1 at which RFC 9981 wants a new file name
	ThisUpdate, NextUpdate time.Time
	Files                  []File // sorted by name, without the manifest itself
}

// Sign makes the manifest: issuer certifies the one-time key, which signs this one object and is then forgotten. The EE
// certificate lives exactly from thisUpdate to nextUpdate and inherits all resources (RFC 9286, section 5.1). It
// returns the object and the serial number by which the EE certificate can be revoked.
//
//	Manifest ::= SEQUENCE {
//	  version [0] INTEGER DEFAULT 0, manifestNumber INTEGER (0..MAX), thisUpdate GeneralizedTime,
//	  nextUpdate GeneralizedTime, fileHashAlg OBJECT IDENTIFIER, fileList SEQUENCE SIZE (0..MAX) OF FileAndHash }
//	FileAndHash ::= SEQUENCE { file IA5String, hash BIT STRING }
func (m *Manifest) Sign(issuer, oneTime crypto.Signer, at time.Time) ([]byte, *big.Int, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, 128+80*len(m.Files)))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Uint64(m.Number)
		b.AddASN1GeneralizedTime(m.ThisUpdate.UTC())
		b.AddASN1GeneralizedTime(m.NextUpdate.UTC())
		b.AddASN1ObjectIdentifier(oidSHA256)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, f := range m.Files {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.IA5String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(f.Name)) })
					b.AddASN1BitString(f.Hash[:])
				})
			}
		})
	})
	content, err := b.Bytes()
	if err != nil {
		return nil, nil, err
	}
	ee := Certificate{NotBefore: m.ThisUpdate, NotAfter: m.NextUpdate, Inherit: true}
	return m.wrap(oidContentManifest, content, ee, issuer, oneTime, at)
}

// wrap certifies the one-time key with what ee says already and the place adds, and signs the content with it.
func (p *Place) wrap(contentType asn1.ObjectIdentifier, content []byte, ee Certificate, issuer, oneTime crypto.Signer, at time.Time) ([]byte, *big.Int, error) {
	key, err := PublicKeyOf(oneTime)
	if err != nil {
		return nil, nil, err
	}
	ee.Serial, ee.Key = NewSerial(), key
	ee.Issuer, ee.IssuerName, ee.CRL, ee.Issued, ee.SignedObject = p.Issuer, p.IssuerName, p.CRL, p.Issued, p.Object
	certificate, err := ee.Sign(issuer)
	if err != nil {
		return nil, nil, err
	}
	object, err := signedObject(contentType, content, certificate, key.ID, oneTime, at)
	return object, ee.Serial, err
}
