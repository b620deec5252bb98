package main

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/relying"
)

// TestVerifyOddManifest: a relying party must not treat it as an error that the validity of a manifest's EE certificate is not from thisUpdate to
// nextUpdate (RFC 9286, section 5.1). 'verify' warns, and takes what the manifest lists.
func TestVerifyOddManifest(t *testing.T) {
	const module = "rsync://localhost/repo/"
	now := time.Now().UTC().Truncate(time.Second)
	key := func() crypto.Signer {
		k, err := object.P256.Generate()
		must(t, err)
		return k
	}
	anchor, oneTime := key(), key()
	public, err := object.PublicKeyOf(anchor)
	must(t, err)
	certificate, err := (&object.Certificate{
		Serial: object.NewSerial(), Issuer: public.ID, Key: public, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(30 * 24 * time.Hour),
		Resources: inr.OfPrefix(netip.MustParsePrefix("10.0.0.0/8")), Repository: module, Manifest: module + "ta.mft",
	}).Sign(anchor)
	must(t, err)
	place := object.Place{Issuer: public.ID, CRL: module + "ta.crl", Issued: module + "ta.cer"}

	files := map[string][]byte{}
	files["ta.crl"], err = (&object.CRL{Issuer: public.ID, Number: 1, ThisUpdate: now, NextUpdate: now.Add(time.Hour)}).Sign(anchor)
	must(t, err)
	place.Object = module + "a.roa"
	roa := object.ROA{Place: place, ASN: 64500, NotBefore: now, NotAfter: now.Add(time.Hour), Prefixes: []object.ROAPrefix{{Prefix: netip.MustParsePrefix("10.1.0.0/16"), MaxLength: 16}}}
	files["a.roa"], _, err = roa.Sign(anchor, key(), now)
	must(t, err)
	place.Object = module + "ta.mft"
	manifest := object.Manifest{Place: place, Number: 1, ThisUpdate: now, NextUpdate: now.Add(time.Hour)}
	for name, der := range files {
		manifest.Files = append(manifest.Files, object.File{Name: name, Hash: sha256.Sum256(der)})
	}
	slices.SortFunc(manifest.Files, func(a, b object.File) int { return strings.Compare(a.Name, b.Name) })
	der, serial, err := manifest.Sign(anchor, oneTime, now)
	must(t, err)
	files["ta.mft"] = withOtherEE(t, der, object.Certificate{
		Serial: serial, Issuer: public.ID, NotBefore: now.Add(-5 * time.Minute), NotAfter: now.Add(7 * 24 * time.Hour), Inherit: true,
		CRL: place.CRL, Issued: place.Issued, SignedObject: place.Object,
	}, anchor, oneTime)

	dir := t.TempDir()
	write := func(data []byte, path ...string) {
		name := filepath.Join(append([]string{dir}, path...)...)
		must(t, os.MkdirAll(filepath.Dir(name), 0o755))
		must(t, os.WriteFile(name, data, 0o644))
	}
	tal := object.TAL{URIs: []string{module + "ta.cer"}, Key: public}
	write([]byte(tal.Text()), "ta.tal")
	write(certificate, "cache", "ta", relying.Folder(module+"ta.cer")+".cer")
	write(nil, "cache", "rsync", relying.Folder(module)+".copied")
	for name, der := range files {
		write(der, "cache", "rsync", relying.Folder(module), name)
	}

	verify := func(more ...string) string {
		var out bytes.Buffer
		cmd := newRoot(&global{})
		cmd.SetOut(&out)
		cmd.SetArgs(append([]string{"verify", filepath.Join(dir, "ta.tal"), "--cache", filepath.Join(dir, "cache"), "--offline", "--rsync", "--p256"}, more...))
		if err := cmd.Execute(); err != nil {
			t.Fatalf("%v\n%s", err, &out)
		}
		return out.String()
	}
	if out := verify("--vrps"); !strings.Contains(out, "10.1.0.0/16,16,AS64500") {
		t.Errorf("--vrps printed %q", out)
	}
	if out := verify(); !strings.Contains(out, "0 errors, 1 warnings") || !strings.Contains(out, "9286-5.1") {
		t.Errorf("there is one warning, of RFC 9286, section 5.1; it printed\n%s", out)
	}
}

// withOtherEE puts the certificate that c describes in the place of a signed object's EE certificate. No signature covers that place. The new
// one has to be as long as the old one, so it is signed until it is.
func withOtherEE(t *testing.T, signed []byte, c object.Certificate, issuer, oneTime crypto.Signer) []byte {
	t.Helper()
	var err error
	c.Key, err = object.PublicKeyOf(oneTime)
	must(t, err)
	for {
		der, err := c.Sign(issuer)
		must(t, err)
		for at := range signed[:len(signed)-len(der)] {
			if was, err := x509.ParseCertificate(signed[at : at+len(der)]); err == nil && was.SerialNumber.Cmp(c.Serial) == 0 {
				return bytes.Replace(signed, was.Raw, der, 1)
			}
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
