// Package envelope makes and opens the CMS messages in which certification authorities, their parents and publication
// servers write to each other (RFC 6492, section 3.1, which RFC 8181, section 2 uses too), and so do installations. It makes
// the certificates of the identities of the business PKI that sign them (RFC 8183, section 4).
//
// What they sign is XML too where it is no message to a peer: the manifests of deposits (package escrow).
//
// A Signer is one of our identities. A Trust is a peer's: the one certificate that RFC 8183 handed over, which is all
// that is trusted here, beside the clock. A message is whoever's until Trust.Open returned it; what Open returns was
// signed by the holder of that identity. Whether it came before is not asked here: replay is the business of
// package peer, which knows when each peer was last heard.
//
// Messages are read as strictly as the RFC wants them, but for what software in use is known to send. Each such
// exception stands where it is made, in a comment that begins with "Tolerated". They are:
//
//   - BER instead of DER (ber.go);
//   - further signed attributes, which are skipped, and the binary signing-time, which is read but never sent;
//   - identities that are not self-signed, have no key usage or key identifier of their issuer, or are past their end;
//   - CRLs without key identifier or number, with further extensions, or with extensions in their entries.
//
// Certificates of CAs and their CRLs may accompany a message, but no path leads through them: the signer's certificate
// has to be issued by the registered identity itself, as it is by all that is known to be in use.
package envelope

import (
	"encoding/asn1"
	"time"

	"cadastre/internal/fault"
)

// ClockTolerance is how far a peer's clock may be from ours: CRLs and certificates count as current for so long before
// they begin and after they end. Krill's begin five minutes before they are signed and end five minutes after.
const ClockTolerance = 5 * time.Minute

// Message is what an opened message says.
type Message struct {
	Content     []byte    // XML, not read yet; may point into the message
	SigningTime time.Time // whole seconds, by the clock of the signer
	Octets      []byte    // the CMS that it came in
	Signature   []byte    // over the signed attributes, among them the digest of Content and SigningTime
}

// Limits of what a message may carry beside its content. Each is checked before what it bounds is parsed.
const (
	maxCertificates = 4        // and CRLs; RFC 6492, section 3.1.1.4 allows CA certificates beside the signer's
	maxCertificate  = 16 << 10 // octets
	maxCRL          = 1 << 20  // octets
	maxAttributes   = 16       // signed attributes
)

var (
	oidSignedData        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidXML               = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 28} // id-ct-xml
	oidContentType       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningTime       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
	oidBinarySigningTime = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 46} // RFC 6019
)

// AlgorithmIdentifiers are compared and written as the DER that they are.
const (
	algSHA256         = "\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01"         // RFC 5754, section 2
	algSHA256WithNull = "\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00" // to be read, not written
	algRSA            = "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00" // rsaEncryption
	algSHA256WithRSA  = "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00" // as good, RFC 7935, section 2
)

// malformed is the error of bytes that are no message at all.
func malformed(format string, args ...any) error {
	return fault.New(fault.BadInput, "the message is no CMS message of RFC 6492, section 3.1: "+format, args...)
}

// unproven is the error of a message that cannot be shown to be the peer's.
func unproven(format string, args ...any) error {
	return fault.New(fault.Secret, "the message is not proven to be of the registered identity: "+format, args...)
}
