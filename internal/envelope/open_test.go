package envelope

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"

	"cadastre/internal/fault"
)

// TestTolerated: what peers in use send, and what the RFC allows beside the usual, is read.
func TestTolerated(t *testing.T) {
	cases := map[string]func(*draft){
		"as the RFC has it":            func(*draft) {},
		"digests with NULL parameters": func(d *draft) { d.digests, d.signerDigest = set([]byte(algSHA256WithNull)), []byte(algSHA256WithNull) },
		"sha256WithRSAEncryption":      func(d *draft) { d.signerAlgorithm = []byte(algSHA256WithRSA) },
		"another attribute, skipped": func(d *draft) {
			d.attributes = sorted(d.typeAttribute(), d.timeAttribute(), d.digestAttribute(), attribute(asn1.ObjectIdentifier{1, 2, 3}, number(1), number(2)))
		},
		"binary signing-time alone": func(d *draft) {
			d.attributes = sorted(d.typeAttribute(), d.digestAttribute(), attribute(oidBinarySigningTime, number(labNow.Unix())))
		},
		"both signing times": func(d *draft) {
			d.attributes = sorted(d.typeAttribute(), d.timeAttribute(), d.digestAttribute(), attribute(oidBinarySigningTime, number(labNow.Unix())))
		},
		"a CA certificate and its CRL beside": func(d *draft) {
			d.certify()
			certificate, crl := otherCA()
			d.certificates, d.crls = append([][]byte{certificate}, d.certificates...), append([][]byte{crl}, d.crls...)
		},
		"a CRL without extensions": func(d *draft) { d.crls = [][]byte{d.bareCRL()} },
		"a CRL with a number alone": func(d *draft) {
			d.crls = [][]byte{d.bareCRL(tlv(0xa0, seq(seq(oidTLV(oidCRLNumber), tlv(4, number(5))))))}
		},
		"a CRL with another extension": func(d *draft) {
			d.list.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 46}, Value: seq()}}
		},
		"a CRL with others revoked, and why": func(d *draft) {
			d.list.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: big.NewInt(78), RevocationTime: labNow, ReasonCode: 1}}
		},
		"key usage digitalSignature": func(d *draft) { d.ee.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment },
		"a signer's clock five minutes late": func(d *draft) {
			d.ee.NotBefore, d.ee.NotAfter = labNow.Add(-15*time.Minute), labNow.Add(-ClockTolerance)
			d.list.ThisUpdate, d.list.NextUpdate = d.ee.NotBefore, d.ee.NotAfter
		},
		"a signer's clock five minutes early": func(d *draft) {
			d.ee.NotBefore, d.list.ThisUpdate = labNow.Add(ClockTolerance), labNow.Add(ClockTolerance)
			d.ee.NotAfter, d.list.NextUpdate = labNow.Add(time.Hour), labNow.Add(time.Hour)
		},
		"an identity past its end": func(d *draft) {
			template := identityTemplate(d.issuerKey)
			template.NotAfter = labNow.AddDate(0, 0, -1)
			d.issuer = must(x509.ParseCertificate(selfSigned(template, d.issuerKey)))
		},
		"no content": func(d *draft) { d.content, d.attrContent = []byte{}, []byte{} },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			d := newDraft()
			change(d)
			if m := opens(t, d, d.write()); !m.SigningTime.Equal(labNow) {
				t.Errorf("it was signed at %s, not %s", m.SigningTime, labNow)
			}
		})
	}
}

// TestRefused breaks one thing at a time.
func TestRefused(t *testing.T) {
	const bad, secret = fault.BadInput, fault.Secret
	cases := map[string]struct {
		change func(*draft)
		kind   fault.Kind
		says   string
	}{
		"another content type outside": {func(d *draft) { d.outerType = oidTLV(oidXML) }, bad, "signed-data"},
		"version 1":                    {func(d *draft) { d.version = number(1) }, bad, "version"},
		"SHA-1":                        {func(d *draft) { d.digests = set(seq(oidTLV(asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}))) }, bad, "digest algorithms"},
		"two digest algorithms":        {func(d *draft) { d.digests = set([]byte(algSHA256), []byte(algSHA256WithNull)) }, bad, "digest algorithms"},
		"another content type inside":  {func(d *draft) { d.contentType = oidTLV(oidSignedData) }, bad, "id-ct-xml"},
		"no CRLs":                      {func(d *draft) { d.noCRLs = true }, bad, "no CRLs"},
		"no certificate":               {func(d *draft) { d.certificates = [][]byte{} }, bad, "certificates"},
		"five certificates": {func(d *draft) {
			certificate, _ := otherCA()
			d.certificates = [][]byte{certificate, certificate, certificate, certificate, certificate}
		}, bad, "certificates"},
		"only a CA certificate": {func(d *draft) {
			certificate, _ := otherCA()
			d.certificates = [][]byte{certificate}
		}, bad, "names"},
		"two signer's certificates": {func(d *draft) {
			d.certify()
			d.certificates = append(d.certificates, d.certificates[0])
		}, bad, "two certificates"},
		"no certificate but bytes": {func(d *draft) { d.certificates = [][]byte{seq()} }, bad, "no certificate in DER"},
		"a huge certificate":       {func(d *draft) { d.certificates = [][]byte{seq(tlv(4, make([]byte, maxCertificate)))} }, bad, "octets"},
		"no CRL but bytes":         {func(d *draft) { d.crls = [][]byte{seq()} }, bad, "no CRL"},
		"a huge CRL":               {func(d *draft) { d.crls = [][]byte{seq(tlv(4, make([]byte, maxCRL)))} }, bad, "octets"},
		"two signers":              {func(d *draft) { d.moreSigners = seq() }, bad, "signer info"},
		"signer version 1":         {func(d *draft) { d.signerVersion = number(1) }, bad, "version"},
		"a signer named otherwise": {func(d *draft) { d.sid = seq() }, bad, "subject key identifier"},
		"another signer named":     {func(d *draft) { d.sid = tlv(0x80, keyIdentifier(&keys()[3].PublicKey)) }, bad, "names"},
		"signer's digest SHA-1":    {func(d *draft) { d.signerDigest = seq(oidTLV(asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26})) }, bad, "digest algorithm"},
		"another signature scheme": {func(d *draft) { d.signerAlgorithm = seq(oidTLV(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10})) }, bad, "signature algorithm"},
		"unsigned attributes":      {func(d *draft) { d.unsigned = tlv(0xa1, attribute(oidSigningTime, utc(labNow))) }, bad, "unsigned"},
		"bytes after it":           {func(d *draft) { d.trailing = []byte{0} }, bad, "add up"},
		"no attributes":            {func(d *draft) { d.attributes = [][]byte{} }, bad, "lack"},
		"no content-type":          {func(d *draft) { d.attributes = [][]byte{d.timeAttribute(), d.digestAttribute()} }, bad, "lack"},
		"no message-digest":        {func(d *draft) { d.attributes = [][]byte{d.typeAttribute(), d.timeAttribute()} }, bad, "lack"},
		"no signing time":          {func(d *draft) { d.attributes = [][]byte{d.typeAttribute(), d.digestAttribute()} }, bad, "lack a signing time"},
		"attributes out of order": {func(d *draft) {
			d.attributes = [][]byte{d.digestAttribute(), d.typeAttribute(), d.timeAttribute()}
		}, bad, "order"},
		"an attribute twice": {func(d *draft) {
			d.attributes = [][]byte{d.typeAttribute(), d.typeAttribute(), d.timeAttribute(), d.digestAttribute()}
		}, bad, "order"},
		"two message-digests": {func(d *draft) {
			d.attributes = sorted(d.typeAttribute(), d.timeAttribute(), d.digestAttribute(), attribute(oidMessageDigest, tlv(4, make([]byte, 32))))
		}, bad, "message-digest"},
		"a message-digest of two values": {func(d *draft) {
			d.attributes = sorted(d.typeAttribute(), d.timeAttribute(), attribute(oidMessageDigest, tlv(4, make([]byte, 32)), tlv(4, make([]byte, 32))))
		}, bad, "message-digest"},
		"a message-digest that is short": {func(d *draft) {
			d.attributes = sorted(d.typeAttribute(), d.timeAttribute(), attribute(oidMessageDigest, tlv(4, make([]byte, 20))))
		}, bad, "message-digest"},
		"two signing-times": {func(d *draft) {
			d.attributes = sorted(d.typeAttribute(), d.timeAttribute(), d.digestAttribute(), attribute(oidSigningTime, utc(labNow.Add(time.Hour))))
		}, bad, "signing-time"},
		"a signing-time of two values": {func(d *draft) {
			d.attributes = sorted(d.typeAttribute(), d.digestAttribute(), attribute(oidSigningTime, utc(labNow), utc(labNow.Add(1))))
		}, bad, "signing-time"},
		"a signing-time in another zone": {func(d *draft) {
			d.attributes = sorted(d.typeAttribute(), d.digestAttribute(), attribute(oidSigningTime, tlv(0x17, []byte("261123120000+0000"))))
		}, bad, "signing-time"},
		"a signing-time without seconds": {func(d *draft) {
			d.attributes = sorted(d.typeAttribute(), d.digestAttribute(), attribute(oidSigningTime, tlv(0x17, []byte("2611231200Z"))))
		}, bad, "signing-time"},
		"a signing-time of the wrong type": {func(d *draft) {
			d.attributes = sorted(d.typeAttribute(), d.digestAttribute(), attribute(oidSigningTime, generalized(labNow)))
		}, bad, "signing-time"},
		"signing times that differ": {func(d *draft) {
			d.attributes = sorted(d.typeAttribute(), d.timeAttribute(), d.digestAttribute(), attribute(oidBinarySigningTime, number(labNow.Unix()+1)))
		}, bad, "differ"},
		"a negative binary signing-time": {func(d *draft) {
			d.attributes = sorted(d.typeAttribute(), d.digestAttribute(), attribute(oidBinarySigningTime, number(-1)))
		}, bad, "binary"},
		"another type signed": {func(d *draft) {
			d.attributes = sorted(attribute(oidContentType, oidTLV(oidSignedData)), d.timeAttribute(), d.digestAttribute())
		}, bad, "content-type"},
		"seventeen attributes": {func(d *draft) {
			d.attributes = [][]byte{d.typeAttribute(), d.timeAttribute(), d.digestAttribute()}
			for i := range 14 {
				d.attributes = append(d.attributes, attribute(asn1.ObjectIdentifier{1, 2, i + 3}))
			}
			d.attributes = sorted(d.attributes...)
		}, bad, "more than"},
		"a critical extension of the signer": {func(d *draft) {
			d.ee.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 7}, Critical: true, Value: seq()}}
		}, bad, "critical"},
		"a signer who may not sign": {func(d *draft) { d.ee.KeyUsage = x509.KeyUsageKeyEncipherment }, bad, "may not be used"},
		"a signer's identifier made otherwise": {func(d *draft) {
			d.ee.SubjectKeyId = []byte{1, 2, 3}
			d.sid = tlv(0x80, d.ee.SubjectKeyId)
		}, bad, "SHA-1"},
		"a CRL that is not the whole": {func(d *draft) {
			d.list.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: seq()}}
		}, bad, "whole list"},
		"two CRLs of the issuer": {func(d *draft) {
			d.certify()
			d.crls = append(d.crls, d.crls[0])
		}, bad, "two CRLs"},
		"five CRLs": {func(d *draft) {
			_, crl := otherCA()
			d.crls = [][]byte{crl, crl, crl, crl, crl}
		}, bad, "CRLs"},
		"an empty list of CRLs":     {func(d *draft) { d.crls = [][]byte{} }, bad, "CRLs"},
		"a CRL signed with SHA-512": {func(d *draft) { d.list.SignatureAlgorithm = x509.SHA512WithRSA }, bad, "SHA-256"},
		"only another CA's CRL": {func(d *draft) {
			_, crl := otherCA()
			d.crls = [][]byte{crl}
		}, bad, "CRL of the CA"},

		"another content":      {func(d *draft) { d.attrContent = []byte("<other/>") }, secret, "digest"},
		"a false signature":    {func(d *draft) { d.signature = make([]byte, 256) }, secret, "signature"},
		"another's signature":  {func(d *draft) { d.certify(); d.key = keys()[3] }, secret, "signature"},
		"signed by a stranger": {func(d *draft) { d.pretend() }, secret, "not issued by"},
		"issuer of another name": {func(d *draft) {
			issuer := *d.issuer
			issuer.RawSubject, issuer.Subject = nil, pkix.Name{CommonName: "renamed"}
			d.certificates = [][]byte{must(x509.CreateCertificate(nil, d.ee, &issuer, &d.key.PublicKey, d.issuerKey))}
		}, secret, "not issued by"},
		"another issuer's key identifier": {func(d *draft) {
			issuer := *d.issuer
			issuer.SubjectKeyId = bytes.Repeat([]byte{7}, 20)
			d.certificates = [][]byte{must(x509.CreateCertificate(nil, d.ee, &issuer, &d.key.PublicKey, d.issuerKey))}
		}, secret, "not issued by"},
		"a certificate that ended": {func(d *draft) {
			d.ee.NotBefore, d.ee.NotAfter = labNow.Add(-time.Hour), labNow.Add(-ClockTolerance-time.Second)
		}, secret, "ended"},
		"one that has not begun": {func(d *draft) {
			d.ee.NotBefore, d.ee.NotAfter = labNow.Add(ClockTolerance+time.Second), labNow.Add(time.Hour)
		}, secret, "begins"},
		"a CRL that is late": {func(d *draft) {
			d.list.ThisUpdate, d.list.NextUpdate = labNow.Add(-time.Hour), labNow.Add(-ClockTolerance-time.Second)
		}, secret, "replaced"},
		"a CRL that is early": {func(d *draft) {
			d.list.ThisUpdate, d.list.NextUpdate = labNow.Add(ClockTolerance+time.Second), labNow.Add(time.Hour)
		}, secret, "CRL is of"},
		"a revoked signer": {func(d *draft) {
			d.list.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: big.NewInt(77), RevocationTime: labNow}}
		}, secret, "revoked"},
		"a CRL of another key, by its identifier": {func(d *draft) {
			id := seq(tlv(0x80, bytes.Repeat([]byte{7}, 20)))
			d.crls = [][]byte{d.bareCRL(tlv(0xa0, seq(seq(oidTLV(oidAuthorityKeyID), tlv(4, id)))))}
		}, secret, "CRL is not issued"},
		"a CRL of a stranger": {func(d *draft) {
			d.certify()
			d.pretend()
			d.crls = [][]byte{d.bareCRL()}
		}, secret, "CRL is not issued"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d := newDraft()
			trust := d.trust()
			c.change(d)
			m, err := trust.Open(d.write(), labNow)
			if err == nil || m != nil {
				t.Fatal("it was opened")
			}
			if fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error is of kind %s and says %q; it should be of %s and say %q", fault.KindOf(err), err, c.kind, c.says)
			}
		})
	}
}

// TestEveryOctetCounts flips bits all over a message: none of them may change what is accepted.
func TestEveryOctetCounts(t *testing.T) {
	d := newDraft()
	trust, der := d.trust(), d.write()
	for i := range der {
		changed := bytes.Clone(der)
		changed[i] ^= 1 << (i % 8)
		m, err := trust.Open(changed, labNow)
		if err == nil && (string(m.Content) != string(d.content) || !m.SigningTime.Equal(labNow)) {
			t.Fatalf("octet %d was changed, and the message was opened as %q of %s", i, m.Content, m.SigningTime)
		}
		if err != nil && fault.KindOf(err) != fault.BadInput && fault.KindOf(err) != fault.Secret {
			t.Fatalf("octet %d was changed, and the error is of kind %s: %v", i, fault.KindOf(err), err)
		}
		if _, err := trust.Open(der[:i], labNow); err == nil {
			t.Fatalf("the first %d octets were opened", i)
		}
	}
}
