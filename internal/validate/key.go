package validate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // RFC 6487, section 4.8.2 defines key identifiers so
	"crypto/sha256"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// PublicKey is a subject's key: RSA-2048 with exponent 65537 (RFC 7935, section 3), or P-256 for a router or where the suite takes it.
type PublicKey struct {
	SPKI  []byte // DER of the SubjectPublicKeyInfo
	id    [20]byte
	rsa   *rsa.PublicKey
	ecdsa *ecdsa.PublicKey
}

// ID is the SHA-1 of the subjectPublicKey's bits, which is what SKI and AKI name (RFC 6487, section 4.8.2).
func (k *PublicKey) ID() [20]byte { return k.id }

//	SubjectPublicKeyInfo ::= SEQUENCE { algorithm AlgorithmIdentifier, subjectPublicKey BIT STRING }  -- RFC 5280, 4.1
//	RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }                             -- RFC 8017, A.1.1

// parseKey reads a SubjectPublicKeyInfo. A router's key is on P-256 in every suite (RFC 8608, section 3.1).
func parseKey(c *check, spki []byte, router bool) (k PublicKey, ok bool) {
	const rule = "7935-3"
	k.SPKI = spki
	in, ok := inside(spki, asn1.SEQUENCE)
	algorithm, ok2 := element(&in)
	var bits []byte
	if !ok || !ok2 || !in.ReadASN1BitStringAsBytes(&bits) || !in.Empty() {
		return k, c.fail("5280-4.1.2.7", "the subjectPublicKeyInfo is no DER of an algorithm and a bit string")
	}
	k.id = sha1.Sum(bits) //nolint:gosec // see above
	switch {
	case string(algorithm) == algRSAEncryption && !router:
		k.rsa, ok = parseRSA(c, bits)
		return k, ok
	case string(algorithm) == algECPublicKeyOnP256 && (router || c.suite == P256):
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), bits)
		if err != nil {
			return k, c.fail("8608-3.1", "the public key is no uncompressed point of P-256")
		}
		k.ecdsa = key
		return k, true
	case router:
		return k, c.fail("8608-3.1", "the router's public key is not on P-256")
	}
	return k, c.fail(rule, "the public key's algorithm is not rsaEncryption with NULL parameters")
}

func parseRSA(c *check, bits []byte) (*rsa.PublicKey, bool) {
	const rule = "7935-3"
	var modulus cryptobyte.String
	in, ok := inside(bits, asn1.SEQUENCE)
	if !ok || !in.ReadASN1(&modulus, asn1.INTEGER) {
		return nil, c.fail(rule, "the RSA public key is no DER of a modulus and an exponent")
	}
	exponent, ok := small(&in, 1<<31-1)
	if !ok || !in.Empty() {
		return nil, c.fail(rule, "the RSA public key's exponent is not 65537")
	}
	// 2048 bits in DER: a zero octet, then 256 of which the first has its top bit set.
	if len(modulus) != 257 || modulus[0] != 0 || modulus[1] < 0x80 {
		return nil, c.fail(rule, "the RSA public key has not 2048 bits")
	}
	if exponent != 65537 {
		return nil, c.fail(rule, "the RSA public key's exponent is %d, not 65537", exponent)
	}
	if modulus[256]&1 == 0 {
		return nil, c.fail(rule, "the RSA public key's modulus is even")
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 65537}, true
}

// verify tells whether signature is this key's over a SHA-256 digest.
func (k *PublicKey) verify(digest [sha256.Size]byte, signature []byte) bool {
	if k.rsa != nil {
		return rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, digest[:], signature) == nil
	}
	return k.ecdsa != nil && ecdsa.VerifyASN1(k.ecdsa, digest[:], signature)
}

// signs tells whether the algorithm of a certificate's or CRL's signature is the one that this key makes.
func (k *PublicKey) signs(algorithm []byte) bool {
	if k.rsa != nil {
		return string(algorithm) == algSHA256WithRSA || string(algorithm) == algSHA256WithRSABare
	}
	return string(algorithm) == algECDSAWithSHA256
}

// signed is the frame of certificates, CRLs and requests: what is signed, with what, and the signature.
type signed struct {
	tbs       []byte // DER of the inner SEQUENCE
	algorithm []byte // DER of the outer AlgorithmIdentifier
	signature []byte
}

// parseSigned reads SEQUENCE { tbs SEQUENCE, AlgorithmIdentifier, BIT STRING } (RFC 5280, sections 4.1 and 5.1; RFC 2986, section 4.2).
func parseSigned(c *check, der []byte, section string) (s signed, ok bool) {
	if len(der) > maxObject {
		return s, c.fail("limit-object-size", "the object has %d octets; relying parties read at most %d", len(der), maxObject)
	}
	in, ok := inside(der, asn1.SEQUENCE)
	var tbs cryptobyte.String
	if !ok || !in.ReadASN1Element(&tbs, asn1.SEQUENCE) {
		return s, c.fail(section, "the object is no DER SEQUENCE, or bytes follow it")
	}
	s.tbs = tbs
	if s.algorithm, ok = element(&in); !ok || !in.ReadASN1BitStringAsBytes(&s.signature) || !in.Empty() {
		return s, c.fail(section, "the signature algorithm and the signature cannot be read")
	}
	switch string(s.algorithm) {
	case algSHA256WithRSA:
	case algSHA256WithRSABare: // RFC 4055, section 5: it MUST be taken too
		c.deviate("7935-2", "the signature algorithm is sha256WithRSAEncryption without its NULL parameters")
	case algECDSAWithSHA256:
		if c.suite != P256 {
			return s, c.fail("7935-2", "the signature algorithm is ecdsa-with-SHA256, not sha256WithRSAEncryption")
		}
	default:
		return s, c.fail("7935-2", "the signature algorithm is not sha256WithRSAEncryption")
	}
	return s, true
}

// by checks that the key made the signature.
func (s *signed) by(c *check, key *PublicKey, rule string) bool {
	if !key.signs(s.algorithm) {
		return c.fail(rule, "the signature algorithm is not that of the issuer's key")
	}
	if !key.verify(sha256.Sum256(s.tbs), s.signature) {
		return c.fail(rule, "the signature is not one of the issuer's key")
	}
	return true
}

// SignedBy tells whether a signature over a message is one by the key with this identifier (RFC 6487, section 4.8.2), which comes along
// as a SubjectPublicKeyInfo in DER.
func SignedBy(id [20]byte, spki, signature, message []byte) bool {
	key, ok := parseKey(&check{suite: P256}, spki, false)
	return ok && key.id == id && key.verify(sha256.Sum256(message), signature)
}
