package secondopinion

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	librpki "github.com/cloudflare/cfrpki/validator/lib"
	"pgregory.net/rapid"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/object"
)

var (
	start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	end   = start.Add(24 * time.Hour)
	// one RSA key serves as CA and as every EE: who signs what is not what is tested here
	key = sync.OnceValue(func() crypto.Signer {
		signer, err := object.RSA.Generate()
		if err != nil {
			panic(err)
		}
		return signer
	})
)

const repository = "rsync://localhost/repo/ca/"

func place(name string) object.Place {
	return object.Place{CRL: repository + "ca.crl", Issued: "rsync://localhost/repo/ta/ca.cer", Object: repository + name}
}

func prefix(text string, maxLength int) object.ROAPrefix {
	return object.ROAPrefix{Prefix: netip.MustParsePrefix(text), MaxLength: maxLength}
}

func makeROA(t testing.TB) []byte {
	t.Helper()
	roa := object.ROA{Place: place("a.roa"), ASN: 64500, NotBefore: start, NotAfter: end,
		Prefixes: []object.ROAPrefix{prefix("192.0.2.0/24", 24), prefix("198.51.100.0/22", 24), prefix("2001:db8::/32", 48)}}
	der, _, err := roa.Sign(key(), key(), start)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func meantROA() ROA {
	return ROA{64500, []Prefix{
		{netip.MustParsePrefix("2001:db8::/32"), 48}, {netip.MustParsePrefix("192.0.2.0/24"), 24},
		{netip.MustParsePrefix("198.51.100.0/22"), 24},
	}}
}

func TestROA(t *testing.T) {
	der := makeROA(t)
	if err := Check("rsync://h/m/a.roa", der, meantROA()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*ROA)
		says   string
	}{
		"AS":        {func(r *ROA) { r.ASN++ }, "AS64500 instead of AS64501"},
		"maxLength": {func(r *ROA) { r.Prefixes[0].MaxLength++ }, "authorises"},
		"one less":  {func(r *ROA) { r.Prefixes = r.Prefixes[1:] }, "authorises"},
		"other":     {func(r *ROA) { r.Prefixes[1].Prefix = netip.MustParsePrefix("192.0.3.0/24") }, "authorises"},
	} {
		want := meantROA()
		c.change(&want)
		vetoed(t, name, Check("rsync://h/m/a.roa", der, want), c.says)
	}
}

func TestASPA(t *testing.T) {
	a := object.ASPA{Place: place("a.asa"), Customer: 64500, Providers: []uint32{64510, 4294967295, 3}, NotBefore: start, NotAfter: end}
	der, _, err := a.Sign(key(), key(), start)
	if err != nil {
		t.Fatal(err)
	}
	meant := ASPA{64500, []uint32{3, 64510, 4294967295}}
	if err := Check("rsync://h/m/a.asa", der, meant); err != nil {
		t.Fatal(err)
	}
	broken := bytes.Clone(der)
	broken[len(broken)-1] ^= 1
	for name, c := range map[string]struct {
		der  []byte
		want Meaning
		says string
	}{
		"customer":   {der, ASPA{64501, meant.Providers}, "AS64500 instead of AS64501"},
		"providers":  {der, ASPA{64500, meant.Providers[1:]}, "providers"},
		"none":       {der, ASPA{64500, []uint32{0}}, "providers"},
		"signature":  {broken, meant, "signature"},
		"a ROA":      {makeROA(t), meant, "content type"},
		"as a ROA":   {der, meantROA(), "content type"},
		"bytes more": {append(bytes.Clone(der), 0), meant, "no single DER element"},
	} {
		vetoed(t, name, Check("rsync://h/m/a.asa", c.der, c.want), c.says)
	}
}

func TestManifest(t *testing.T) {
	files := []object.File{{Name: "a.roa", Hash: sha256.Sum256([]byte("a"))}, {Name: "ca.crl", Hash: sha256.Sum256([]byte("b"))}}
	m := object.Manifest{Place: place("ca.mft"), Number: 7, ThisUpdate: start, NextUpdate: end, Files: files}
	der, _, err := m.Sign(key(), key(), start)
	if err != nil {
		t.Fatal(err)
	}
	meant := func() Manifest {
		return Manifest{big.NewInt(7), start, end, map[string][sha256.Size]byte{"a.roa": files[0].Hash, "ca.crl": files[1].Hash}}
	}
	if err := Check("rsync://h/m/ca.mft", der, meant()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Manifest)
		says   string
	}{
		"number":     {func(m *Manifest) { m.Number = big.NewInt(8) }, "number 7 instead of 8"},
		"thisUpdate": {func(m *Manifest) { m.ThisUpdate = start.Add(time.Second) }, "thisUpdate"},
		"nextUpdate": {func(m *Manifest) { m.NextUpdate = end.Add(time.Second) }, "nextUpdate"},
		"hash":       {func(m *Manifest) { m.Files["a.roa"] = sha256.Sum256([]byte("c")) }, `"a.roa" with the hash`},
		"name":       {func(m *Manifest) { delete(m.Files, "a.roa"); m.Files["b.roa"] = files[0].Hash }, `"a.roa", which was not meant`},
		"one more":   {func(m *Manifest) { m.Files["c.roa"] = files[0].Hash }, "2 files instead of 3"},
	} {
		want := meant()
		c.change(&want)
		vetoed(t, name, Check("rsync://h/m/ca.mft", der, want), c.says)
	}
	vetoed(t, "as a ROA", Check("rsync://h/m/ca.mft", der, meantROA()), "content type")
}

func TestCertificate(t *testing.T) {
	resources, err := inr.Parse("10.0.0.0/8, 192.0.2.3-192.0.2.77, 2001:db8::/32, 2001:db9::1-2001:db9::ffff, AS64500, AS64510-AS64520")
	if err != nil {
		t.Fatal(err)
	}
	public, err := object.PublicKeyOf(key())
	if err != nil {
		t.Fatal(err)
	}
	cert := object.Certificate{Serial: big.NewInt(77), Issuer: public.ID, Key: public, NotBefore: start, NotAfter: end, Resources: resources,
		CRL: repository + "ca.crl", Issued: "rsync://localhost/repo/ta/ca.cer",
		Repository: "rsync://localhost/repo/b/", Manifest: "rsync://localhost/repo/b/b.mft", Notify: "https://localhost/n.xml"}
	der, err := cert.Sign(key())
	if err != nil {
		t.Fatal(err)
	}
	meant := Certificate{big.NewInt(77), start, end, resources, cert.Repository, cert.Manifest, cert.Notify}
	if err := Check("rsync://h/m/b.cer", der, meant); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Certificate)
		says   string
	}{
		"serial":   {func(c *Certificate) { c.Serial = big.NewInt(78) }, "serial is 77 instead of 78"},
		"notAfter": {func(c *Certificate) { c.NotAfter = end.Add(time.Second) }, "valid from"},
		"more AS":  {func(c *Certificate) { c.Resources = resources.Union(inr.OfAS(1, 1)) }, `lacks "AS1"`},
		"less space": {func(c *Certificate) {
			c.Resources = resources.Minus(inr.OfPrefix(netip.MustParsePrefix("192.0.2.76/32")))
		}, `"192.0.2.76/32" too much`},
		"manifest":   {func(c *Certificate) { c.Manifest += "x" }, "rpkiManifest"},
		"no notify":  {func(c *Certificate) { c.Notify = "" }, "rpkiNotify"},
		"repository": {func(c *Certificate) { c.Repository = "" }, "caRepository"},
	} {
		want := meant
		c.change(&want)
		vetoed(t, name, Check("rsync://h/m/b.cer", der, want), c.says)
	}
}

func TestCRL(t *testing.T) {
	list := object.CRL{Number: 3, ThisUpdate: start, NextUpdate: end,
		Revoked: []object.Revoked{{Serial: big.NewInt(5), At: start}, {Serial: big.NewInt(6), At: start}}}
	der, err := list.Sign(key())
	if err != nil {
		t.Fatal(err)
	}
	meant := CRL{big.NewInt(3), start, end, []*big.Int{big.NewInt(6), big.NewInt(5)}}
	if err := Check("rsync://h/m/ca.crl", der, meant); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*CRL)
		says   string
	}{
		"number":  {func(c *CRL) { c.Number = big.NewInt(4) }, "number is 3 instead of 4"},
		"times":   {func(c *CRL) { c.NextUpdate = start }, "nextUpdate"},
		"serials": {func(c *CRL) { c.Revoked = []*big.Int{big.NewInt(5), big.NewInt(7)} }, "does not revoke 7"},
		"fewer":   {func(c *CRL) { c.Revoked = nil }, "revokes 2 certificates instead of 0"},
	} {
		want := meant
		c.change(&want)
		vetoed(t, name, Check("rsync://h/m/ca.crl", der, want), c.says)
	}
}

// TestP256 makes sure that an installation on P-256 is not vetoed for its keys, of which cfrpki knows nothing.
func TestP256(t *testing.T) {
	signer, err := object.P256.Generate()
	if err != nil {
		t.Fatal(err)
	}
	roa := object.ROA{Place: place("a.roa"), ASN: 1, NotBefore: start, NotAfter: end, Prefixes: []object.ROAPrefix{prefix("192.0.2.0/24", 24)}}
	der, _, err := roa.Sign(signer, signer, start)
	if err != nil {
		t.Fatal(err)
	}
	if err := Check("rsync://h/m/a.roa", der, ROA{1, []Prefix{{netip.MustParsePrefix("192.0.2.0/24"), 24}}}); err != nil {
		t.Fatal(err)
	}
}

// TestAnyChangedByte changes any byte of a ROA: no panic may come out, and a change of what the ROA says
// or of the signature must be noticed. The bytes of the EE certificate are internal/validate's to judge.
func TestAnyChangedByte(t *testing.T) {
	der := makeROA(t)
	cms, err := librpki.DecodeCMS(der)
	if err != nil {
		t.Fatal(err)
	}
	content := bytes.Index(der, cms.SignedData.EncapContentInfo.FullBytes)
	ee := bytes.Index(der, cms.SignedData.Certificates.FullBytes)
	rapid.Check(t, func(rt *rapid.T) {
		at := rapid.IntRange(0, len(der)-1).Draw(rt, "at")
		bad := bytes.Clone(der)
		bad[at] ^= rapid.ByteRange(1, 255).Draw(rt, "xor")
		err := Check("rsync://h/m/a.roa", bad, meantROA())
		if signature := at >= len(der)-256; err == nil && (at >= content && at < ee || signature) {
			rt.Fatalf("byte %d of %d was changed and nobody noticed", at, len(der))
		}
	})
}

// TestVectors reads objects of other makers: those in DER must get as far as the comparison.
func TestVectors(t *testing.T) {
	folder := "../../../shared/vectors/rpki-rs/repository"
	if _, err := os.Stat(folder); err != nil {
		t.Skip("../shared/vectors is not here")
	}
	for name, c := range map[string]struct {
		want Meaning
		says string
	}{
		"example-ripe.roa": {ROA{}, "no single DER element"},
		"ta.mft":           {Manifest{Number: big.NewInt(-1)}, "no single DER element"},
		"ca1.mft":          {Manifest{Number: big.NewInt(-1)}, "no single DER element"},
		"ca1.cer":          {Certificate{Serial: big.NewInt(-1)}, "instead of -1"},
		"ta.crl":           {CRL{Number: big.NewInt(-1)}, "instead of -1"},
		"aspa-bm.asa":      {ROA{}, "content type"},
	} {
		der, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		vetoed(t, name, Check("rsync://h/m/"+name, der, c.want), c.says)
	}
}

// TestGoldenObjects reads one object of each kind, as they lie in the repository: each gets as far as the comparison.
func TestGoldenObjects(t *testing.T) {
	for name, c := range map[string]struct {
		want Meaning
		says string
	}{
		"holder.roa": {ROA{ASN: 1}, "instead of"},
		"holder.asa": {ASPA{Customer: 1}, "instead of"},
		"holder.mft": {Manifest{Number: big.NewInt(-1)}, "instead of -1"},
		"holder.cer": {Certificate{Serial: big.NewInt(-1)}, "instead of -1"},
		"holder.crl": {CRL{Number: big.NewInt(-1)}, "instead of -1"},
	} {
		der, err := os.ReadFile(filepath.Join("../../testdata/objects", name))
		if err != nil {
			t.Fatal(err)
		}
		vetoed(t, name, Check("rsync://h/m/"+name, der, c.want), c.says)
	}
}

func TestGarbage(t *testing.T) {
	for _, der := range [][]byte{nil, {0x30}, {0x30, 0x80}, []byte("garbage"), append(makeROA(t), 0)} {
		for _, want := range []Meaning{ROA{}, ASPA{}, Manifest{}, Certificate{}, CRL{}} {
			vetoed(t, "garbage", Check("rsync://h/m/x", der, want), "")
		}
	}
}

type panics struct{}

func (panics) differs([]byte) error { panic("index out of range") }

func TestPanicIsAVeto(t *testing.T) {
	vetoed(t, "panic", Check("rsync://h/m/x", nil, panics{}), "panics on it: index out of range")
}

// TestTogether is for the race detector: manifests share a counter inside cfrpki.
func TestTogether(t *testing.T) {
	m := object.Manifest{Place: place("ca.mft"), Number: 7, ThisUpdate: start, NextUpdate: end}
	der, _, err := m.Sign(key(), key(), start)
	if err != nil {
		t.Fatal(err)
	}
	roa := makeROA(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				if err := Check("m", der, Manifest{big.NewInt(7), start, end, nil}); err != nil {
					t.Error(err)
				}
				if err := Check("r", roa, meantROA()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func vetoed(t *testing.T, name string, err error, says string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: not vetoed", name)
		return
	}
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "is not published") {
		t.Errorf("%s: vetoed with %v (%v), which does not say %q", name, err, fault.KindOf(err), says)
	}
}

func BenchmarkROA(b *testing.B) {
	der, want := makeROA(b), meantROA()
	b.ReportAllocs()
	for b.Loop() {
		if err := Check("r", der, want); err != nil {
			b.Fatal(err)
		}
	}
}
