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
	"encoding/binary"
	"math/big"
	"math/bits"
	"slices"
	"sync"
	"testing"
	"time"
)

// The lab builds messages from their parts, so that a test can break any one of them. It writes tags and lengths by hand,
// and shares no more with the Signer than constants and keyIdentifier.

var labNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func tlv(tag byte, parts ...[]byte) []byte {
	in := bytes.Join(parts, nil)
	out := []byte{tag}
	if n := len(in); n < 0x80 {
		out = append(out, byte(n))
	} else {
		length := binary.BigEndian.AppendUint32(nil, uint32(n))[bits.LeadingZeros32(uint32(n))/8:]
		out = append(append(out, 0x80|byte(len(length))), length...)
	}
	return append(out, in...)
}

func seq(parts ...[]byte) []byte { return tlv(0x30, parts...) }
func set(parts ...[]byte) []byte { return tlv(0x31, parts...) }
func number(n int64) []byte      { return must(asn1.Marshal(n)) }

func oidTLV(id asn1.ObjectIdentifier) []byte { return must(asn1.Marshal(id)) }
func utc(t time.Time) []byte                 { return tlv(0x17, []byte(t.UTC().Format("060102150405Z"))) }
func generalized(t time.Time) []byte         { return tlv(0x18, []byte(t.UTC().Format("20060102150405Z"))) }

func attribute(kind asn1.ObjectIdentifier, values ...[]byte) []byte {
	return seq(oidTLV(kind), set(values...))
}

// keys are made once: identity, signer, another identity, another signer.
var keys = sync.OnceValue(func() []*rsa.PrivateKey {
	made := make([]*rsa.PrivateKey, 4)
	for i := range made {
		made[i] = must(rsa.GenerateKey(rand.Reader, 2048))
	}
	return made
})

// identityTemplate is like what Krill makes; tests change it.
func identityTemplate(key *rsa.PrivateKey) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "identity"}, NotBefore: labNow.AddDate(-1, 0, 0), NotAfter: labNow.AddDate(1, 0, 0),
		SubjectKeyId: keyIdentifier(&key.PublicKey), BasicConstraintsValid: true, IsCA: true,
	}
}

func selfSigned(template *x509.Certificate, key *rsa.PrivateKey) []byte {
	return must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
}

// draft is a message in parts, one field for each that a test changes; those that are TLVs are written as they stand.
type draft struct {
	outerType, version, digests, contentType, content []byte
	certificates, crls                                [][]byte
	noCRLs                                            bool
	signerVersion, sid, signerDigest                  []byte
	attributes                                        [][]byte
	signerAlgorithm, signature, unsigned              []byte
	moreSigners, trailing                             []byte
	key                                               *rsa.PrivateKey // that signs

	issuer      *x509.Certificate
	issuerKey   *rsa.PrivateKey
	ee          *x509.Certificate // template
	list        *x509.RevocationList
	attrContent []byte // what the digest is over
}

func newDraft() *draft {
	k := keys()
	issuer := must(x509.ParseCertificate(selfSigned(identityTemplate(k[0]), k[0])))
	d := &draft{
		outerType: oidTLV(oidSignedData), version: number(3), digests: set([]byte(algSHA256)), contentType: oidTLV(oidXML), content: []byte("<message/>"),
		signerVersion: number(3), sid: tlv(0x80, keyIdentifier(&k[1].PublicKey)), signerDigest: []byte(algSHA256), signerAlgorithm: []byte(algRSA),
		key: k[1], issuer: issuer, issuerKey: k[0],
		ee: &x509.Certificate{
			SerialNumber: big.NewInt(77), Subject: pkix.Name{CommonName: "signer"}, NotBefore: labNow.Add(-time.Minute), NotAfter: labNow.Add(time.Minute),
			SubjectKeyId: keyIdentifier(&k[1].PublicKey),
		},
		list: &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: labNow.Add(-time.Minute), NextUpdate: labNow.Add(time.Minute)},
	}
	d.attrContent = d.content
	return d
}

func (d *draft) trust() *Trust { return must(ParseTrust(d.issuer.Raw)) }

// certify makes the certificate and the CRL from their templates, unless a test brought its own.
func (d *draft) certify() {
	if d.certificates == nil {
		d.certificates = [][]byte{must(x509.CreateCertificate(rand.Reader, d.ee, d.issuer, &d.key.PublicKey, d.issuerKey))}
	}
	if d.crls == nil {
		issuer := *d.issuer
		issuer.KeyUsage = x509.KeyUsageCRLSign
		d.crls = [][]byte{must(x509.CreateRevocationList(rand.Reader, d.list, &issuer, d.issuerKey))}
	}
}

func (d *draft) typeAttribute() []byte { return attribute(oidContentType, oidTLV(oidXML)) }
func (d *draft) timeAttribute() []byte { return attribute(oidSigningTime, utc(labNow)) }
func (d *draft) digestAttribute() []byte {
	sum := sha256.Sum256(d.attrContent)
	return attribute(oidMessageDigest, tlv(4, sum[:]))
}

func (d *draft) write() []byte {
	d.certify()
	if d.attributes == nil {
		d.attributes = [][]byte{d.typeAttribute(), d.timeAttribute(), d.digestAttribute()}
	}
	if d.signature == nil {
		sum := sha256.Sum256(set(d.attributes...))
		d.signature = must(d.key.Sign(rand.Reader, sum[:], crypto.SHA256))
	}
	crls := tlv(0xa1, d.crls...)
	if d.noCRLs {
		crls = nil
	}
	signer := seq(d.signerVersion, d.sid, d.signerDigest, tlv(0xa0, d.attributes...), d.signerAlgorithm, tlv(4, d.signature), d.unsigned)
	return append(seq(d.outerType, tlv(0xa0, seq(
		d.version, d.digests, seq(d.contentType, tlv(0xa0, tlv(4, d.content))), tlv(0xa0, d.certificates...), crls, set(signer, d.moreSigners),
	))), d.trailing...)
}

// sorted puts attributes in the order of DER.
func sorted(attributes ...[]byte) [][]byte {
	slices.SortFunc(attributes, bytes.Compare)
	return attributes
}

// bareCRL is a CRL of version 2 without any extensions, as x509 does not make it.
func (d *draft) bareCRL(extensions ...[]byte) []byte {
	tbs := seq(number(1), []byte(algSHA256WithRSA), d.issuer.RawSubject, utc(d.list.ThisUpdate), utc(d.list.NextUpdate), bytes.Join(extensions, nil))
	sum := sha256.Sum256(tbs)
	return seq(tbs, []byte(algSHA256WithRSA), tlv(3, []byte{0}, must(d.issuerKey.Sign(rand.Reader, sum[:], crypto.SHA256))))
}

// pretend has another key issue in the identity's name, with its key identifier.
func (d *draft) pretend() {
	issuer := *d.issuer
	issuer.PublicKey, d.issuerKey = &keys()[2].PublicKey, keys()[2]
	d.issuer = &issuer
}

// otherCA is the certificate and CRL of a CA that has nothing to do with the message.
func otherCA() (certificate, crl []byte) {
	template := identityTemplate(keys()[2])
	template.Subject.CommonName = "another"
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	certificate = selfSigned(template, keys()[2])
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: labNow, NextUpdate: labNow.Add(time.Hour)}
	crl = must(x509.CreateRevocationList(rand.Reader, list, must(x509.ParseCertificate(certificate)), keys()[2]))
	return certificate, crl
}

func opens(t testing.TB, d *draft, der []byte) *Message {
	t.Helper()
	m, err := d.trust().Open(der, labNow)
	if err != nil {
		t.Fatal(err)
	}
	if string(m.Content) != string(d.content) {
		t.Fatalf("the content is %q, not %q", m.Content, d.content)
	}
	return m
}

// signer is the signer's certificate as the message will have it.
func (d *draft) signer() (*x509.Certificate, error) {
	d.certify()
	return x509.ParseCertificate(d.certificates[0])
}
