package envelope

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cadastre/internal/fault"

	"pgregory.net/rapid"
)

func newLabSigner() (*Signer, *Trust) {
	template := identityTemplate(keys()[0])
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	certificate := selfSigned(template, keys()[0])
	return must(NewSigner(keys()[0], certificate)), must(ParseTrust(certificate))
}

// TestSign: what is signed is opened, whatever it says and whenever in the two days of a signer's certificate.
func TestSign(t *testing.T) {
	signer, trust := newLabSigner()
	rapid.Check(t, func(t *rapid.T) {
		content := rapid.SliceOfN(rapid.Byte(), 0, 70_000).Draw(t, "content")
		at := labNow.Add(time.Duration(rapid.Int64Range(0, int64(signerUse-1)).Draw(t, "after")))
		der, err := signer.Sign(content, at)
		if err != nil {
			t.Fatal(err)
		}
		m, err := trust.Open(der, at.Add(time.Duration(rapid.Int64Range(-int64(ClockTolerance), int64(signerLife-signerUse)).Draw(t, "later"))))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.Content, content) || !m.SigningTime.Equal(at.Truncate(time.Second)) {
			t.Fatalf("%q of %s became %q of %s", content, at, m.Content, m.SigningTime)
		}
	})
}

// TestShape holds the message to what Krill can read: one certificate, one CRL, and short attributes.
func TestShape(t *testing.T) {
	signer, _ := newLabSigner()
	der := must(signer.Sign([]byte("<message/>"), labNow))
	p := must(parse(der))
	if len(p.certificates) != 1 || len(p.crls) != 1 {
		t.Errorf("there are %d certificates and %d CRLs", len(p.certificates), len(p.crls))
	}
	if length := len(p.attributes) - 2; length >= 128 || p.attributes[1] >= 0x80 {
		t.Errorf("the signed attributes have %d octets; Krill gets lengths from 128 on wrong", length)
	}
	if bytes.Contains(der, must(asn1OID(oidBinarySigningTime))) {
		t.Error("there is a binary signing-time, which rpki-rs does not read")
	}
	list := must(x509.ParseRevocationList(p.crls[0]))
	if list.Number == nil || len(list.AuthorityKeyId) != 20 || len(list.RevokedCertificateEntries) != 0 {
		t.Error("the CRL is not empty, or lacks its number or key identifier")
	}
	ee := must(x509.ParseCertificate(p.certificates[0]))
	if ee.IsCA || len(ee.AuthorityKeyId) != 20 || ee.SerialNumber.Sign() <= 0 || ee.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("the signer's certificate is not one of a signer: %+v", ee)
	}
	if again := must(toDER(der)); &again[0] != &der[0] {
		t.Error("the message is not DER")
	}
}

func asn1OID(id []int) ([]byte, error) { return oidTLV(id), nil }

// TestCredentials: a key is used for a day, and its CRLs' numbers rise.
func TestCredentials(t *testing.T) {
	signer, _ := newLabSigner()
	use := func(at time.Time) *credentials { return must(signer.credentials(at)) }
	first := use(labNow)
	if use(labNow.Add(signerUse-1)) != first || use(labNow.Add(-backdated)) != first {
		t.Error("a new key was made within a day")
	}
	second := use(labNow.Add(signerUse))
	if second == first {
		t.Error("a key was used for more than a day")
	}
	numbers := func(c *credentials) int64 { return must(x509.ParseRevocationList(c.crl)).Number.Int64() }
	if numbers(second) <= numbers(first) {
		t.Error("the CRL's number did not rise")
	}
	if third := use(labNow); third == second || third.key.Equal(second.key) {
		t.Error("a clock that was put back uses a certificate that has not begun")
	}
}

// outOfReach is a key whose module does not answer.
type outOfReach struct{ *rsa.PrivateKey }

func (outOfReach) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the module does not answer")
}

func TestSignFails(t *testing.T) {
	signer, _ := newLabSigner()
	signer.key = outOfReach{keys()[0]}
	if der, err := signer.Sign(nil, labNow); err == nil || der != nil {
		t.Error("a message was signed without a key")
	}
	signer.key = keys()[0]
	if _, err := signer.Sign(nil, labNow); err != nil {
		t.Errorf("the key is back, and nothing is signed: %v", err)
	}
}

// TestSignAtOnce: messages that are signed at once make one key.
func TestSignAtOnce(t *testing.T) {
	signer, trust := newLabSigner()
	var wait sync.WaitGroup
	used := make([]string, 16)
	for i := range used {
		wait.Go(func() {
			der := must(signer.Sign([]byte("<x/>"), labNow))
			if _, err := trust.Open(der, labNow); err != nil {
				t.Error(err)
			}
			used[i] = string(must(parse(der)).signer)
		})
	}
	wait.Wait()
	for _, id := range used {
		if id != used[0] {
			t.Fatal("two keys were made")
		}
	}
}

// TestOpenSSL has another implementation verify what we sign.
func TestOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not on this machine")
	}
	key := keys()[0]
	certificate := must(CertifyIdentity(key, time.Now()))
	signer := must(NewSigner(key, certificate))
	der := must(signer.Sign([]byte("<message/>"), time.Now()))
	dir := t.TempDir()
	write := func(name string, octets []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, octets, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	anchor := filepath.Join(dir, "ta.pem")
	if out, err := exec.Command("openssl", "x509", "-inform", "DER", "-in", write("ta.cer", certificate), "-out", anchor).CombinedOutput(); err != nil {
		t.Fatalf("openssl does not read the identity: %v: %s", err, out)
	}
	verify := exec.Command("openssl", "cms", "-verify", "-inform", "DER", "-in", write("message.der", der), "-CAfile", anchor, "-purpose", "any", "-crl_check", "-x509_strict")
	out, err := verify.Output()
	if err != nil || string(out) != "<message/>" {
		t.Errorf("openssl does not verify the message: %v, and gives %q", err, out)
	}
}

func BenchmarkSign(b *testing.B) {
	signer, _ := newLabSigner()
	content := bytes.Repeat([]byte("<x/>"), 1000)
	for b.Loop() {
		must(signer.Sign(content, labNow))
	}
}

// BenchmarkOpen is three checks of RSA signatures and little else for the first message of a signer's key, and one for the next.
func BenchmarkOpen(b *testing.B) {
	signer, trust := newLabSigner()
	der := must(signer.Sign(bytes.Repeat([]byte("<x/>"), 1000), labNow))
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			must((&Trust{certificate: trust.certificate, key: trust.key}).Open(der, labNow))
		}
	})
	b.Run("next", func(b *testing.B) {
		for b.Loop() {
			must(trust.Open(der, labNow))
		}
	})
	der[len(der)-1] ^= 1
	b.Run("bad signature", func(b *testing.B) {
		for b.Loop() {
			if _, err := trust.Open(der, labNow); err == nil {
				b.Fatal("opened")
			}
		}
	})
}

// TestRemembersOnlyWhatWasProven: what an identity was seen to have signed is taken again, and nothing else is, before it and after it.
func TestRemembersOnlyWhatWasProven(t *testing.T) {
	signer, trust := newLabSigner()
	good := must(signer.Sign([]byte("<message/>"), labNow))
	ours := must(parse(good))
	flipped := func(part []byte) []byte { // the last octet of a signed structure is of its signature
		at := bytes.Index(good, part)
		if at < 0 {
			t.Fatal("the part is not in the message")
		}
		bad := bytes.Clone(good)
		bad[at+len(part)-1] ^= 1
		return bad
	}
	leaf, _, err := ours.signerCertificate()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // before anything was proven, and after
		for name, part := range map[string][]byte{"certificate": leaf.Raw, "CRL": ours.crls[0]} {
			if _, err := trust.Open(flipped(part), labNow); fault.KindOf(err) != fault.Secret {
				t.Errorf("a message whose %s the identity did not sign gives %v", name, err)
			}
		}
		if _, err := trust.Open(good, labNow); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkStranger is what a message costs that someone else signed.
func BenchmarkStranger(b *testing.B) {
	signer, _ := newLabSigner()
	der := must(signer.Sign(bytes.Repeat([]byte("<x/>"), 1000), labNow))
	other := identityTemplate(keys()[2])
	trust := must(ParseTrust(selfSigned(other, keys()[2])))
	for b.Loop() {
		if _, err := trust.Open(der, labNow); err == nil {
			b.Fatal("opened")
		}
	}
}
