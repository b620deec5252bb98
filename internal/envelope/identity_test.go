package envelope

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"

	"cadastre/internal/fault"
)

func TestCertifyIdentity(t *testing.T) {
	key := keys()[0]
	der, err := CertifyIdentity(key, labNow)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CertifyIdentity(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), labNow); err == nil {
		t.Error("a key that peers do not take got a certificate")
	}
	c := must(x509.ParseCertificate(der))
	public := key.Public().(*rsa.PublicKey)
	switch {
	case public.N.BitLen() != 2048 || public.E != 65537:
		t.Error("the key is not RSA-2048")
	case !c.IsCA || c.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign:
		t.Error("the certificate is not one of a CA")
	case c.Subject.CommonName != strings.ToLower(c.Subject.CommonName) || len(c.Subject.CommonName) != 40:
		t.Errorf("the name is %s", c.Subject)
	case c.NotAfter != labNow.AddDate(15, 0, 0) || !c.NotBefore.Before(labNow):
		t.Errorf("it is valid from %s to %s", c.NotBefore, c.NotAfter)
	}
	trust, err := ParseTrust(der)
	if err != nil {
		t.Fatal(err)
	}
	if trust.Expires() != c.NotAfter || string(trust.Certificate()) != string(der) {
		t.Error("the identity read is not the one that was made")
	}
}

func TestParseTrust(t *testing.T) {
	k := keys()
	good := map[string]func(*x509.Certificate){
		"as Krill makes it": func(*x509.Certificate) {},
		"with key usage": func(c *x509.Certificate) {
			c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
		},
		"with a path length":  func(c *x509.Certificate) { c.MaxPathLenZero = true },
		"with its own issuer": func(c *x509.Certificate) { c.AuthorityKeyId = c.SubjectKeyId },
	}
	for name, change := range good {
		template := identityTemplate(k[0])
		change(template)
		if _, err := ParseTrust(selfSigned(template, k[0])); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := map[string]struct {
		change func(*x509.Certificate)
		says   string
	}{
		"no CA":                  {func(c *x509.Certificate) { c.IsCA = false }, "certification authority"},
		"no basic constraints":   {func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = false, false }, "certification authority"},
		"may not certify":        {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }, "sign certificates"},
		"may not sign CRLs":      {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }, "sign CRLs"},
		"another key identifier": {func(c *x509.Certificate) { c.SubjectKeyId = []byte{1} }, "SHA-1"},
		"SHA-512":                {func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA512WithRSA }, "SHA-256"},
		"a critical extension": {func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true}}
		}, "critical"},
		"as big as a book": {func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, maxCertificate)}}
		}, "octets"},
	}
	for name, c := range bad {
		template := identityTemplate(k[0])
		c.change(template)
		refused(t, name, selfSigned(template, k[0]), c.says)
	}
	refused(t, "not self-signed, though it says so", must(x509.CreateCertificate(rand.Reader, identityTemplate(k[0]), identityTemplate(k[0]), &k[0].PublicKey, k[2])), "did not sign itself")
	refused(t, "nothing", nil, "no certificate")
	refused(t, "half", selfSigned(identityTemplate(k[0]), k[0])[:300], "no certificate")

	short := must(rsa.GenerateKey(rand.Reader, 1024))
	refused(t, "1024 bits", selfSigned(identityTemplate(short), short), "2048")
	curve := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := identityTemplate(k[0])
	refused(t, "no RSA", must(x509.CreateCertificate(rand.Reader, template, template, &curve.PublicKey, curve)), "RSA")
}

func refused(t *testing.T, name string, der []byte, says string) {
	t.Helper()
	trust, err := ParseTrust(der)
	if err == nil || trust != nil {
		t.Errorf("%s: it was taken", name)
		return
	}
	if fault.KindOf(err) != fault.BadInput || !strings.Contains(err.Error(), says) {
		t.Errorf("%s: the error is of kind %s and says %q, not %q", name, fault.KindOf(err), err, says)
	}
}

// TestIssuedByAnother is APNIC's case: the identity is a CA below another, which nobody has to know.
func TestIssuedByAnother(t *testing.T) {
	k := keys()
	above := identityTemplate(k[2])
	above.Subject.CommonName = "above"
	template := identityTemplate(k[0])
	der := must(x509.CreateCertificate(rand.Reader, template, must(x509.ParseCertificate(selfSigned(above, k[2]))), &k[0].PublicKey, k[2]))
	d := newDraft()
	d.issuer = must(x509.ParseCertificate(der))
	opens(t, d, d.write())
}

func TestTimes(t *testing.T) {
	later := time.Date(2051, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, at := range []time.Time{labNow, later, time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC)} {
		signer, trust := newLabSigner()
		der, err := signer.Sign([]byte("<x/>"), at)
		if err != nil {
			t.Fatal(err)
		}
		m, err := trust.Open(der, at)
		if err != nil {
			t.Fatal(err)
		}
		if !m.SigningTime.Equal(at) {
			t.Errorf("signed at %s, read as %s", at, m.SigningTime)
		}
	}
}

func TestNewSignerRefuses(t *testing.T) {
	k := keys()
	certificate := selfSigned(identityTemplate(k[0]), k[0])
	signer, _ := newLabSigner()
	if _, err := NewSigner(k[2], signer.identity.Raw); fault.KindOf(err) != fault.BadInput {
		t.Errorf("another key: %v", err)
	}
	if _, err := NewSigner(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), certificate); fault.KindOf(err) != fault.BadInput {
		t.Errorf("a key of another kind: %v", err)
	}
	if _, err := NewSigner(k[0], certificate); fault.KindOf(err) != fault.BadInput {
		t.Errorf("an identity as Krill makes it: %v", err)
	}
	if _, err := NewSigner(k[0], []byte("no certificate")); fault.KindOf(err) != fault.BadInput {
		t.Errorf("no certificate: %v", err)
	}
}

// TestSerials: serial numbers are positive, below 2^127, and not the same twice.
func TestSerials(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		n := newSerial()
		if n.Sign() <= 0 || n.Cmp(new(big.Int).Lsh(big.NewInt(1), 127)) >= 0 || seen[n.String()] {
			t.Fatalf("the serial number %s", n)
		}
		seen[n.String()] = true
	}
}
