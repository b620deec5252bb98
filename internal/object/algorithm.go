// Package object builds the signed objects of the RPKI: certificates, CRLs, manifests, ROAs and ASPAs, and certification requests and TALs
// too, one file for each. It decides every byte of them. What it builds has what the profile of the object asks for (RFC 6487, 6488, 7935,
// 8630, 9286, 9582, 9589, 9829 and draft-ietf-sidrops-aspa-profile), and nothing more. It reads no object.
//
// A mistake here would be published. So internal/validate, which checks each object before that, shares no code with this package but the
// sets of internal/inr.
package object

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // RFC 6487, section 4.8.2 defines key identifiers so
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Algorithm makes key pairs of one kind. It is named in one place so that the program can be tried with another.
type Algorithm interface {
	Generate() (crypto.Signer, error)
	Name() string
}

// RSA is what RFC 7935 prescribes: RSA with 2,048 bits and e = 65537, PKCS #1 v1.5 with SHA-256.
var RSA Algorithm = rsa2048{}

// P256 is ECDSA on P-256 with SHA-256. No standard allows it for CAs and signed objects; rpki-client accepts it when asked to
// (-x), and tests run the same program with it because its keys cost nothing.
var P256 Algorithm = p256{}

type rsa2048 struct{}

func (rsa2048) Generate() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) }
func (rsa2048) Name() string                     { return "rsa-2048" }

type p256 struct{}

func (p256) Generate() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }
func (p256) Name() string                     { return "p-256" }

// AlgorithmNamed is the algorithm with this name, nil where there is none.
func AlgorithmNamed(name string) Algorithm {
	for _, a := range []Algorithm{RSA, P256} {
		if a.Name() == name {
			return a
		}
	}
	return nil
}

var (
	oidSHA256          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidRSAEncryption   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidSHA256WithRSA   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	oidECDSAWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
)

// addSignatureAlgorithm writes the AlgorithmIdentifier of signatures in certificates, CRLs and requests (RFC 7935, section 2).
func addSignatureAlgorithm(b *cryptobyte.Builder, key crypto.PublicKey) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if _, ok := key.(*ecdsa.PublicKey); ok {
			b.AddASN1ObjectIdentifier(oidECDSAWithSHA256)
			return
		}
		b.AddASN1ObjectIdentifier(oidSHA256WithRSA)
		b.AddASN1NULL()
	})
}

// addSignerAlgorithm writes the signatureAlgorithm of a SignerInfo: RFC 7935 wants rsaEncryption there.
func addSignerAlgorithm(b *cryptobyte.Builder, key crypto.PublicKey) {
	if _, ok := key.(*ecdsa.PublicKey); ok {
		addSignatureAlgorithm(b, key)
		return
	}
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidRSAEncryption)
		b.AddASN1NULL()
	})
}

// sign is the signature of message with SHA-256, as its key's kind wants it.
func sign(key crypto.Signer, message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	return key.Sign(rand.Reader, digest[:], crypto.SHA256)
}

// signed is tbs, its algorithm and its signature in one SEQUENCE: a certificate, a CRL or a request.
func signed(tbs []byte, key crypto.Signer) ([]byte, error) {
	signature, err := sign(key, tbs)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		addSignatureAlgorithm(b, key.Public())
		b.AddASN1BitString(signature)
	})
	return b.Bytes()
}

// KeyIdentifier is the SHA-1 of the subjectPublicKey bits (RFC 6487, section 4.8.2).
type KeyIdentifier [20]byte

// String is the identifier in lower case hex: what issuer and subject names are made of.
func (k KeyIdentifier) String() string { return hex.EncodeToString(k[:]) }

// FileName is the identifier in base64url, as RFC 6481, section 2.2 suggests for names of files: 27 characters.
func (k KeyIdentifier) FileName() string { return base64.RawURLEncoding.EncodeToString(k[:]) }

// PublicKey is a public key as certificates carry it.
type PublicKey struct {
	Info []byte // SubjectPublicKeyInfo, DER
	ID   KeyIdentifier
}

// PublicKeyOf encodes the public half of a key and computes its identifier.
func PublicKeyOf(key crypto.Signer) (PublicKey, error) {
	info, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return PublicKey{}, err
	}
	var spki cryptobyte.String
	var bits []byte
	outer := cryptobyte.String(info)
	if !outer.ReadASN1(&spki, cbasn1.SEQUENCE) || !spki.SkipASN1(cbasn1.SEQUENCE) || !spki.ReadASN1BitStringAsBytes(&bits) {
		return PublicKey{}, errors.New("couldn't take the public key apart")
	}
	return PublicKey{info, sha1.Sum(bits)}, nil //nolint:gosec // see above
}

// NewSerial draws a serial number of at most 127 bits (RFC 6487, section 4.2). The last bit is 1, so that it is never zero; the
// others are random.
func NewSerial() *big.Int {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails since Go 1.24
	raw[0] &= 0x7f
	raw[15] |= 1
	return new(big.Int).SetBytes(raw[:])
}

// addTime writes a time as RFC 5280, section 4.1.2.5 wants it: UTCTime through 2049, GeneralizedTime after.
func addTime(b *cryptobyte.Builder, t time.Time) {
	t = t.UTC()
	if t.Year() < 2050 {
		b.AddASN1UTCTime(t)
		return
	}
	b.AddASN1GeneralizedTime(t)
}
