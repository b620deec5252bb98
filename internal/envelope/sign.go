package envelope

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"cadastre/internal/fault"
)

const (
	signerUse  = 24 * time.Hour // how long messages are signed with one key
	signerLife = 48 * time.Hour // how long its certificate and the CRL beside it are valid
)

// Signer signs messages as one identity. It keeps a signing key with its certificate and a CRL ready and makes new ones
// once a day: making a key costs forty times what a signature does. It is safe for concurrent use.
type Signer struct {
	key      crypto.Signer
	identity *x509.Certificate

	mu    sync.Mutex
	ready *credentials // nil before the first message
}

// credentials is what messages are signed with for a day.
type credentials struct {
	key         *rsa.PrivateKey
	id          []byte
	certificate []byte
	crl         []byte
	from, until time.Time // of use, not of validity
}

// NewSigner makes the signer of an identity from its key and certificate, as CertifyIdentity made it. The error is of kind
// fault.BadInput.
func NewSigner(key crypto.Signer, certificate []byte) (*Signer, error) {
	trust, err := ParseTrust(certificate)
	if err != nil {
		return nil, err
	}
	if public, ok := key.Public().(*rsa.PublicKey); !ok || !public.Equal(trust.key) {
		return nil, fault.New(fault.BadInput, "the key is not that of the identity certificate of %s", hex.EncodeToString(trust.certificate.SubjectKeyId))
	}
	if trust.certificate.KeyUsage == 0 {
		return nil, fault.New(fault.BadInput, "the identity certificate of %s lacks the key usage that ours have", hex.EncodeToString(trust.certificate.SubjectKeyId))
	}
	return &Signer{key: key, identity: trust.certificate}, nil
}

// Certificate is that of the identity, DER.
func (s *Signer) Certificate() []byte { return s.identity.Raw }

// KeyID is the identifier of the identity's key, as Trust has it.
func (s *Signer) KeyID() []byte { return s.identity.SubjectKeyId }

// Sign wraps content, XML, in a message that says it was signed at this time.
//
// It carries exactly one certificate and one CRL, and three signed attributes of less than 128 octets together: Krill
// reads no more of either, and gets the length of longer attributes wrong.
func (s *Signer) Sign(content []byte, at time.Time) ([]byte, error) {
	before, after, err := s.SignAround(content, at)
	if err != nil {
		return nil, err
	}
	return slices.Concat(before, content, after), nil
}

// SignAround is what Sign puts before the content and after it: a list reply has megabytes, which need not be copied to be sent.
func (s *Signer) SignAround(content []byte, at time.Time) (before, after []byte, err error) {
	c, err := s.credentials(at)
	if err != nil {
		return nil, nil, err
	}
	attributes, err := signedAttributes(content, at)
	if err != nil {
		return nil, nil, err
	}
	// the signature is over the attributes as a SET OF, whatever tag they have in the message (RFC 5652, section 5.4)
	var set cryptobyte.Builder
	set.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(attributes) })
	message, err := set.Bytes()
	if err != nil {
		return nil, nil, err
	}
	digest := sha256.Sum256(message)
	signature, err := c.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, nil, err
	}
	return c.wrap(len(content), attributes, signature)
}

// wrap writes the structures that stand above parse and parseSigner around content of so many octets. Headers are made from the
// inside out.
func (c *credentials) wrap(length int, attributes, signature []byte) (head, tail []byte, err error) {
	var before, after cryptobyte.Builder
	before.AddASN1Int64(3)
	before.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes([]byte(algSHA256)) })
	after.AddASN1(tag0Around, func(b *cryptobyte.Builder) { b.AddBytes(c.certificate) })
	after.AddASN1(tag1Around, func(b *cryptobyte.Builder) { b.AddBytes(c.crl) })
	after.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(3)
			b.AddASN1(tag0, func(b *cryptobyte.Builder) { b.AddBytes(c.id) })
			b.AddBytes([]byte(algSHA256))
			b.AddASN1(tag0Around, func(b *cryptobyte.Builder) { b.AddBytes(attributes) })
			b.AddBytes([]byte(algRSA))
			b.AddASN1OctetString(signature)
		})
	})
	first, err := before.Bytes()
	if err != nil {
		return nil, nil, err
	}
	last, err := after.Bytes()
	if err != nil {
		return nil, nil, err
	}
	m := sandwich{length: length}
	m.within(cbasn1.OCTET_STRING)
	m.within(tag0Around)
	m.after(objectIdentifier(oidXML))
	m.within(cbasn1.SEQUENCE)
	m.after(first)
	m.length += len(last)
	m.within(cbasn1.SEQUENCE)
	m.within(tag0Around)
	m.after(objectIdentifier(oidSignedData))
	m.within(cbasn1.SEQUENCE)
	slices.Reverse(m.before)
	return bytes.Join(m.before, nil), last, nil
}

// sandwich is what stands before some content, the nearest first, and the length of both with what follows.
type sandwich struct {
	before [][]byte
	length int
}

func (s *sandwich) after(der []byte) {
	s.before, s.length = append(s.before, der), s.length+len(der)
}

// within puts all that there is so far into a structure, in DER.
func (s *sandwich) within(tag cbasn1.Tag) {
	header := []byte{byte(tag)}
	if s.length < 0x80 {
		s.after(append(header, byte(s.length)))
		return
	}
	octets := big.NewInt(int64(s.length)).Bytes()
	s.after(append(append(header, 0x80|byte(len(octets))), octets...))
}

func objectIdentifier(oid asn1.ObjectIdentifier) []byte {
	var b cryptobyte.Builder
	b.AddASN1ObjectIdentifier(oid)
	return b.BytesOrPanic() // it is one of our constants
}

// signedAttributes is content-type, signing-time and message-digest, in the order of DER for a SET OF.
func signedAttributes(content []byte, at time.Time) ([]byte, error) {
	digest := sha256.Sum256(content)
	var attributes [][]byte
	for _, attribute := range []struct {
		kind  asn1.ObjectIdentifier
		value func(*cryptobyte.Builder)
	}{
		{oidContentType, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidXML) }},
		{oidSigningTime, func(b *cryptobyte.Builder) { addTime(b, at) }},
		{oidMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest[:]) }},
	} {
		var b cryptobyte.Builder
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(attribute.kind)
			b.AddASN1(cbasn1.SET, attribute.value)
		})
		der, err := b.Bytes()
		if err != nil {
			return nil, err
		}
		attributes = append(attributes, der)
	}
	slices.SortFunc(attributes, bytes.Compare)
	return bytes.Join(attributes, nil), nil
}

// credentials gives those of the day of a message, and makes them if there are none.
func (s *Signer) credentials(at time.Time) (*credentials, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.ready; c != nil && !at.Before(c.from) && at.Before(c.until) {
		return c, nil
	}
	c, err := s.newCredentials(at)
	if err != nil {
		return nil, err
	}
	s.ready = c
	return c, nil
}

// newCredentials makes a key, certifies it, and makes the CRL of the identity. The CRL is empty: a key is used for a day
// and never leaves memory. Its number is the time in milliseconds, which rises without being remembered.
func (s *Signer) newCredentials(at time.Time) (*credentials, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, err
	}
	id, begin, end := keyIdentifier(&key.PublicKey), at.Add(-backdated), at.Add(signerLife)
	certificate, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber:       newSerial(),
		Subject:            pkix.Name{CommonName: hex.EncodeToString(id)},
		NotBefore:          begin,
		NotAfter:           end,
		SubjectKeyId:       id,
		KeyUsage:           x509.KeyUsageDigitalSignature,
		SignatureAlgorithm: x509.SHA256WithRSA,
	}, s.identity, &key.PublicKey, s.key)
	if err != nil {
		return nil, err
	}
	crl, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number:             big.NewInt(at.UnixMilli()),
		ThisUpdate:         begin,
		NextUpdate:         end,
		SignatureAlgorithm: x509.SHA256WithRSA,
	}, s.identity, s.key)
	if err != nil {
		return nil, err
	}
	return &credentials{key, id, certificate, crl, begin, at.Add(signerUse)}, nil
}

// newSerial draws a serial number of 127 bits, random but for the last, which is 1: it is never zero.
func newSerial() *big.Int {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails since Go 1.24
	raw[0] &= 0x7f
	raw[15] |= 1
	return new(big.Int).SetBytes(raw[:])
}
