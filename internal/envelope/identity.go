package envelope

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // RFC 5280, section 4.2.1.2 derives key identifiers so
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"sync/atomic"
	"time"

	"cadastre/internal/fault"
)

const (
	identityYears = 15
	backdated     = time.Hour // how long before now what is made here begins, for peers whose clocks are late
	keyBits       = 2048      // RFC 7935, section 3
	maxKeyBits    = 4096      // RFC 8183, section 4; AFRINIC's has as many
)

// CertifyIdentity makes the self-signed CA certificate that a peer gets to know an identity by: of an RSA key with 2048 bits, named by the
// key's identifier, valid for 15 years.
func CertifyIdentity(key crypto.Signer, now time.Time) (certificate []byte, err error) {
	public, isRSA := key.Public().(*rsa.PublicKey)
	if !isRSA || public.N.BitLen() != keyBits {
		return nil, fault.New(fault.Internal, "the key of an identity has to be RSA with %d bits", keyBits)
	}
	id := keyIdentifier(public)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: hex.EncodeToString(id)},
		NotBefore:             now.Add(-backdated),
		NotAfter:              now.AddDate(identityYears, 0, 0),
		SubjectKeyId:          id,
		AuthorityKeyId:        id,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		SignatureAlgorithm:    x509.SHA256WithRSA,
	}
	return x509.CreateCertificate(rand.Reader, template, template, public, key)
}

// keyIdentifier is the SHA-1 of the subjectPublicKey's bits, which for RSA are the PKCS #1 form (RFC 5280, 4.2.1.2).
func keyIdentifier(key *rsa.PublicKey) []byte {
	sum := sha1.Sum(x509.MarshalPKCS1PublicKey(key)) //nolint:gosec // see above
	return sum[:]
}

// Trust is a peer's identity as RFC 8183 registered it. It is safe for concurrent use.
type Trust struct {
	certificate *x509.Certificate
	key         *rsa.PublicKey

	// hashes of the signer's certificate and of the CRL that were last seen to be signed by the identity: a peer's next message has the same
	signer, crl atomic.Pointer[[sha256.Size]byte]
}

// signed says whether the identity signed something, of which der is the whole. What it was last asked and affirmed it remembers.
func (t *Trust) signed(last *atomic.Pointer[[sha256.Size]byte], der []byte, a x509.SignatureAlgorithm, content, signature []byte) bool {
	sum := sha256.Sum256(der)
	if before := last.Load(); before != nil && *before == sum {
		return true
	}
	if t.certificate.CheckSignature(a, content, signature) != nil {
		return false
	}
	last.Store(&sum)
	return true
}

// ParseTrust reads the certificate of a peer's identity: what stands in a *_bpki_ta element, decoded. The error is of
// kind fault.BadInput. Whether the certificate is still valid is not asked; see Expires.
//
// Tolerated: a certificate that another one issued, which is APNIC's and AFRINIC's; one without key usage and authority
// key identifier, which is Krill's. A path length and extensions that are not critical do no harm.
func ParseTrust(certificate []byte) (*Trust, error) {
	c, key, err := parseCertificate(certificate)
	if err != nil {
		return nil, fault.New(fault.BadInput, "the identity certificate cannot be used: %w; ask the peer for another", err)
	}
	refuse := func(why string) (*Trust, error) {
		return nil, fault.New(fault.BadInput, "the identity certificate of %s %s; ask the peer for another", hex.EncodeToString(c.SubjectKeyId), why)
	}
	switch {
	case !c.BasicConstraintsValid || !c.IsCA:
		return refuse("is not one of a certification authority")
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
		return refuse("may not be used to sign certificates")
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCRLSign == 0:
		return refuse("may not be used to sign CRLs")
	case bytes.Equal(c.RawIssuer, c.RawSubject) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) != nil:
		return refuse("names itself as its issuer, but did not sign itself")
	}
	return &Trust{certificate: c, key: key}, nil
}

// Certificate is the identity's certificate, DER.
func (t *Trust) Certificate() []byte { return t.certificate.Raw }

// KeyID is the identifier of the identity's key, which is the SHA-1 of it.
func (t *Trust) KeyID() []byte { return t.certificate.SubjectKeyId }

// Expires is when the certificate ends.
//
// Tolerated: messages under an identity that is past its end, as Krill does. A trust anchor is a key that was handed
// over; its dates take no part in the validation of paths (RFC 5280, section 6.1.1). They are there to be warned of.
func (t *Trust) Expires() time.Time { return t.certificate.NotAfter }

// parseCertificate reads a certificate of the business PKI and checks what those of identities and of signers have in
// common: RSA and SHA-256, and a subject key identifier that is the SHA-1 of the key, which makes it one of version 3.
func parseCertificate(der []byte) (*x509.Certificate, *rsa.PublicKey, error) {
	if len(der) > maxCertificate {
		return nil, nil, fault.New(fault.BadInput, "it has %d octets, more than %d", len(der), maxCertificate)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fault.New(fault.BadInput, "it is no certificate in DER (%w)", err)
	}
	key, isRSA := c.PublicKey.(*rsa.PublicKey)
	switch {
	case !isRSA || key.N.BitLen() < keyBits || key.N.BitLen() > maxKeyBits || key.E != 65537:
		return nil, nil, fault.New(fault.BadInput, "its key is not RSA with %d to %d bits and exponent 65537", keyBits, maxKeyBits)
	case c.SignatureAlgorithm != x509.SHA256WithRSA:
		return nil, nil, fault.New(fault.BadInput, "it is not signed with RSA and SHA-256")
	case !bytes.Equal(c.SubjectKeyId, keyIdentifier(key)):
		return nil, nil, fault.New(fault.BadInput, "its subject key identifier is not the SHA-1 of its key")
	case len(c.UnhandledCriticalExtensions) > 0:
		// Those of resource certificates are among them, which must not sign messages (RFC 6492, section 3.1.1.4).
		return nil, nil, fault.New(fault.BadInput, "it has a critical extension %s that has no meaning here", c.UnhandledCriticalExtensions[0])
	}
	return c, key, nil
}
