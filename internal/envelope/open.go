package envelope

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"time"

	"cadastre/internal/fault"
)

// Open reads a message and proves it to be the identity's (RFC 6492, section 3.1.2, items 1 to 4): its signer's
// certificate is issued by the identity, valid now, and not on the CRL of the identity that the message carries, which
// is current; and that signer signed this content. The error is of kind fault.BadInput where there is no such message
// at all, and fault.Secret where it is not proven to be the identity's.
//
// What can be refused without a signature is refused first. A message of a stranger costs at most one check of a signature, one that was changed on its
// way at most two, and one that is taken three; each one less for a certificate and a CRL that the message before had, too.
func (t *Trust) Open(message []byte, now time.Time) (*Message, error) {
	p, err := parse(message)
	if err != nil {
		return nil, err
	}
	return t.open(message, p, now)
}

// OpenKept reads a message of any age that was kept; Open is for one that has just come. The certificate and the CRL have to have been valid
// and current at the time at which the message says that it was signed. Errors are those of Open.
//
// So whoever gets hold of a signing key can at any later time make messages that seem to be of the two days of its certificate. Ours are in no
// file, and a signer replaces its key with the first message after a day.
func (t *Trust) OpenKept(message []byte) (*Message, error) {
	p, err := parse(message)
	if err != nil {
		return nil, err
	}
	return t.open(message, p, p.signed)
}

func (t *Trust) open(message []byte, p *parts, now time.Time) (*Message, error) {
	signer, key, err := p.signerCertificate()
	if err != nil {
		return nil, err
	}
	if err := t.issued(signer, now); err != nil {
		return nil, err
	}
	if err := p.signedBy(key); err != nil { // before the CRL, which costs another check
		return nil, err
	}
	if err := t.notRevoked(signer, p.crls, now); err != nil {
		return nil, err
	}
	return &Message{Content: p.content, SigningTime: p.signed, Octets: message, Signature: p.signature}, nil
}

// issued checks the path, which is one step long. That the signing time is not within the certificate's validity is no
// reason to refuse (item 5); that now is not, is.
func (t *Trust) issued(signer *x509.Certificate, now time.Time) error {
	switch {
	case !bytes.Equal(signer.RawIssuer, t.certificate.RawSubject), !bytes.Equal(signer.AuthorityKeyId, t.certificate.SubjectKeyId),
		!t.signed(&t.signer, signer.Raw, signer.SignatureAlgorithm, signer.RawTBSCertificate, signer.Signature):
		return unproven("its signer's certificate is not issued by %s; register the identity that the peer has now", hex.EncodeToString(t.certificate.SubjectKeyId))
	case now.Before(signer.NotBefore.Add(-ClockTolerance)):
		return unproven("its signer's certificate begins at %s, and it is %s here; look at both clocks", stamp(signer.NotBefore), stamp(now))
	case now.After(signer.NotAfter.Add(ClockTolerance)):
		return unproven("its signer's certificate ended at %s, and it is %s here; look at both clocks", stamp(signer.NotAfter), stamp(now))
	}
	return nil
}

// notRevoked wants the identity's current CRL among those of the message, and not the signer on it.
func (t *Trust) notRevoked(signer *x509.Certificate, crls [][]byte, now time.Time) error {
	var mine *x509.RevocationList
	for _, der := range crls {
		if len(der) > maxCRL {
			return malformed("a CRL has %d octets, more than %d", len(der), maxCRL)
		}
		list, err := x509.ParseRevocationList(der)
		switch {
		case err != nil:
			return fault.New(fault.BadInput, "a CRL of the message is no CRL of version 2 in DER (%w)", err)
		case !bytes.Equal(list.RawIssuer, t.certificate.RawSubject):
			continue // of one of the CA certificates beside the signer's
		case mine != nil:
			return malformed("it has two CRLs of the same CA")
		}
		mine = list
	}
	if mine == nil {
		return malformed("it does not have the CRL of the CA that issued its signer's certificate")
	}
	if err := t.checkCRL(mine, now); err != nil {
		return err
	}
	for _, entry := range mine.RevokedCertificateEntries {
		if entry.SerialNumber.Cmp(signer.SerialNumber) == 0 {
			return unproven("its signer's certificate is revoked")
		}
	}
	return nil
}

var (
	oidAuthorityKeyID = []int{2, 5, 29, 35}
	oidCRLNumber      = []int{2, 5, 29, 20}
)

// checkCRL checks a CRL's signature, times and extensions.
//
// Tolerated: a CRL without authority key identifier or number (rpkid's, and Krill's of old), with other extensions as
// long as they are not critical, and with reasons in its entries (APNIC's).
func (t *Trust) checkCRL(list *x509.RevocationList, now time.Time) error {
	for _, extension := range list.Extensions {
		if extension.Critical && !extension.Id.Equal(oidAuthorityKeyID) && !extension.Id.Equal(oidCRLNumber) {
			return malformed("its CRL has a critical extension %s, and so may not be the whole list", extension.Id)
		}
	}
	switch {
	case list.SignatureAlgorithm != x509.SHA256WithRSA:
		return malformed("its CRL is not signed with RSA and SHA-256")
	case len(list.AuthorityKeyId) > 0 && !bytes.Equal(list.AuthorityKeyId, t.certificate.SubjectKeyId),
		!t.signed(&t.crl, list.Raw, list.SignatureAlgorithm, list.RawTBSRevocationList, list.Signature):
		return unproven("its CRL is not issued by %s", hex.EncodeToString(t.certificate.SubjectKeyId))
	case list.NextUpdate.IsZero():
		return malformed("its CRL has no nextUpdate")
	case now.Before(list.ThisUpdate.Add(-ClockTolerance)):
		return unproven("its CRL is of %s, and it is %s here; look at both clocks", stamp(list.ThisUpdate), stamp(now))
	case now.After(list.NextUpdate.Add(ClockTolerance)):
		return unproven("its CRL was to be replaced by %s, and it is %s here; the peer has to make a new one", stamp(list.NextUpdate), stamp(now))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
