// Package secondopinion has somebody else's decoder read what Cadastre is about to publish: validator/lib of
// Cloudflare's cfrpki v1.5.10, which has another ASN.1 engine and other authors than our builders and our validator.
//
// It can only veto. That an object passes here says that its bytes mean what was meant to one more reader, and nothing
// about whether they are valid: cfrpki misses much that internal/validate checks, and accepts trailing bytes, a signer
// that is not the EE certificate, a content type that is not the object's. It is not maintained any more either, and it
// panics on some malformed input, so that it gets to see bytes of our own making alone; a panic is a veto.
package secondopinion

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"sync"

	librpki "github.com/cloudflare/cfrpki/validator/lib"

	"cadastre/internal/fault"
)

// decoder is lenient about the one thing in which cfrpki's strictness is wrong: it wants the signature algorithm of the
// CMS to be that of the EE certificate, where RFC 7935, section 2 has rsaEncryption in the former.
var decoder = &librpki.DecoderConfig{ValidateStrict: false}

// manifests serialises DecodeManifest, which counts in a global variable without a lock.
var manifests sync.Mutex

// Meaning is what an object was meant to say: a ROA, ASPA, Manifest, Certificate or CRL.
type Meaning interface {
	// differs decodes the object and says how it is not what was meant.
	differs(der []byte) error
}

// Check has the object at uri decoded and compared with what was meant. The error, Invalid, names the uri and what is
// different, or what keeps the decoder from reading it. It may be called from many goroutines.
func Check(uri string, der []byte, want Meaning) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.New(fault.Invalid, "%s is not published: the second decoder panics on it: %v", uri, p)
		}
	}()
	if err := want.differs(der); err != nil {
		return fault.New(fault.Invalid, "%s is not published: to a second decoder %w", uri, err)
	}
	return nil
}

// signedObject looks at the CMS around a ROA, an ASPA or a manifest before its content is decoded: at what cfrpki does not
// check itself, and at what it would print or panic about.
func signedObject(der []byte, contentType asn1.ObjectIdentifier) error {
	if rest, err := asn1.Unmarshal(der, new(asn1.RawValue)); err != nil || len(rest) > 0 {
		return differ("it is no single DER element")
	}
	cms, err := librpki.DecodeCMS(der)
	if err != nil {
		return differ("it is no CMS: %w", err)
	}
	if len(cms.SignedData.SignerInfos) != 1 {
		return differ("it has %d signers instead of one", len(cms.SignedData.SignerInfos))
	}
	var content struct {
		Type    asn1.ObjectIdentifier
		Content []byte `asn1:"tag:0,explicit"` // cfrpki does not mind if it is no OCTET STRING
	}
	if _, err := asn1.Unmarshal(cms.SignedData.EncapContentInfo.FullBytes, &content); err != nil {
		return differ("it has no content: %w", err)
	}
	if !content.Type.Equal(contentType) {
		return differ("its content type is %s instead of %s", content.Type, contentType)
	}
	ee, err := x509.ParseCertificate(cms.SignedData.Certificates.Bytes)
	if err != nil {
		return differ("it has no readable EE certificate: %w", err)
	}
	sid := cms.SignedData.SignerInfos[0].Sid
	if sid.Class != asn1.ClassContextSpecific || sid.Tag != 0 || !bytes.Equal(sid.Bytes, ee.SubjectKeyId) {
		return differ("its signer is not the key of its EE certificate")
	}
	return nil
}

// inner turns what the decoder found of the signature over the content into an error. It knows RSA alone, so that it has
// no say where the program runs on P-256.
func inner(valid bool, why error, ee *librpki.RPKICertificate) error {
	if _, isRSA := ee.Certificate.PublicKey.(*rsa.PublicKey); isRSA && !valid {
		return differ("the signature over its content is wrong: %w", why)
	}
	return nil
}

// differ words a difference; Check adds whose it is.
func differ(format string, args ...any) error { return fault.New(fault.Invalid, format, args...) }
