package object_test

import (
	"crypto/sha256"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/secondopinion"
	"cadastre/internal/validate"
)

// Two readers must read what was meant. They share no code with the builders, nor with each other, but the sets of internal/inr.

func drawPrefix(t *rapid.T) netip.Prefix {
	var address netip.Addr
	if rapid.Bool().Draw(t, "v4") {
		address = netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address")))
	} else {
		address = netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address")))
	}
	return netip.PrefixFrom(address, rapid.IntRange(0, address.BitLen()).Draw(t, "length")).Masked()
}

// drawSet draws prefixes, ranges between them, and AS numbers; never nothing.
func drawSet(t *rapid.T) inr.Set {
	var ips []inr.IPRange
	var as []inr.ASRange
	for range rapid.IntRange(0, 10).Draw(t, "ranges") {
		a, b := inr.RangeOf(drawPrefix(t)), inr.RangeOf(drawPrefix(t))
		if a.First.BitLen() == b.First.BitLen() && a.First.Compare(b.Last) <= 0 && rapid.Bool().Draw(t, "wide") {
			a.Last = b.Last
		}
		ips = append(ips, a)
	}
	for range rapid.IntRange(0, 5).Draw(t, "AS ranges") {
		first := rapid.Uint32Min(1).Draw(t, "first")
		as = append(as, inr.ASRange{First: first, Last: rapid.Uint32Min(first).Draw(t, "last")})
	}
	if s := inr.Of(ips, as); !s.Empty() {
		return s
	}
	return inr.OfAS(64500, 64500)
}

func none(t *rapid.T, findings []validate.Finding) {
	t.Helper()
	for _, f := range findings {
		t.Error(f)
	}
}

func agreed(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func TestCertificateReadsBack(t *testing.T) {
	issuer, subject := newMaker(object.P256, "issuer", anchorURI, "::/0"), newMaker(object.P256, "subject", "", "::/0")
	rapid.Check(t, func(t *rapid.T) {
		subject.resources = drawSet(t)
		c := issuer.certificate(subject)
		der := must(c.Sign(issuer.key))
		got, findings := validate.ParseCertificate(der, validate.P256)
		none(t, findings)
		if got == nil {
			t.Fatal("it is not accepted")
		}
		if !got.Resources.Set.Equal(c.Resources) || got.Resources.Inherits() || got.Serial.Int().Cmp(c.Serial) != 0 ||
			got.SKI != c.Key.ID || got.AKI != c.Issuer || !got.NotBefore.Equal(c.NotBefore) || !got.NotAfter.Equal(c.NotAfter) ||
			got.Repository != c.Repository || got.Manifest != c.Manifest || got.Notify != c.Notify || got.CRL != c.CRL || got.IssuerURI != c.Issued {
			t.Errorf("%s reads back as %s", c.Resources, got.Resources.Set)
		}
		agreed(t, secondopinion.Check(base+"c.cer", der, secondopinion.Certificate{
			Serial: c.Serial, NotBefore: c.NotBefore, NotAfter: c.NotAfter, Resources: c.Resources,
			Repository: c.Repository, Manifest: c.Manifest, Notify: c.Notify,
		}))
	})
}

func TestROAReadsBack(t *testing.T) {
	issuer := newMaker(object.P256, "issuer", anchorURI, "::/0")
	oneTime := must(object.P256.Generate())
	rapid.Check(t, func(t *rapid.T) {
		roa := object.ROA{Place: issuer.at("a.roa"), ASN: rapid.Uint32().Draw(t, "AS"), NotBefore: start, NotAfter: end}
		want := map[string]bool{}
		meant := secondopinion.ROA{ASN: roa.ASN}
		for range rapid.IntRange(1, 8).Draw(t, "prefixes") {
			p := drawPrefix(t)
			longest := rapid.IntRange(p.Bits(), p.Addr().BitLen()).Draw(t, "maxLength")
			roa.Prefixes = append(roa.Prefixes, object.ROAPrefix{Prefix: p, MaxLength: longest})
			if line := fmt.Sprintf("%s,%d,AS%d", p, longest, roa.ASN); !want[line] {
				want[line] = true
				meant.Prefixes = append(meant.Prefixes, secondopinion.Prefix{Prefix: p, MaxLength: longest})
			}
		}
		given := slices.Clone(roa.Prefixes)
		der, serial, err := roa.Sign(issuer.key, oneTime, start)
		got, findings := validate.ParseROA(must(der, err), validate.P256)
		none(t, findings)
		if got == nil {
			t.Fatal("it is not accepted")
		}
		if !slices.Equal(given, roa.Prefixes) {
			t.Error("signing changed what it was given")
		}
		vrps := got.VRPs()
		for _, v := range vrps {
			if !want[v.String()] {
				t.Errorf("it authorises %s", v)
			}
		}
		if len(vrps) != len(want) || got.EE.Serial.Int().Cmp(serial) != 0 || !got.SigningTime.Equal(start) || got.EE.SignedObject != roa.Object {
			t.Errorf("%v reads back as %v", roa.Prefixes, vrps)
		}
		agreed(t, secondopinion.Check(roa.Object, der, meant))
	})
}

func TestManifestReadsBack(t *testing.T) {
	issuer := newMaker(object.P256, "issuer", anchorURI, "::/0")
	oneTime := must(object.P256.Generate())
	rapid.Check(t, func(t *rapid.T) {
		m := object.Manifest{Place: issuer.at("a.mft"), Number: rapid.Uint64().Draw(t, "number"), ThisUpdate: start, NextUpdate: end}
		meant := secondopinion.Manifest{Number: new(big.Int).SetUint64(m.Number), ThisUpdate: start, NextUpdate: end, Files: map[string][sha256.Size]byte{}}
		m.Files = append(m.Files, object.File{Name: "a.crl", Hash: sha256.Sum256(nil)})
		for i := range rapid.IntRange(0, 20).Draw(t, "files") {
			name := fmt.Sprintf("%s%d.roa", rapid.StringMatching(`[a-zA-Z0-9_-]{1,20}`).Draw(t, "name"), i)
			m.Files = append(m.Files, object.File{Name: name, Hash: sha256.Sum256([]byte(name))})
		}
		slices.SortFunc(m.Files, func(a, b object.File) int { return strings.Compare(a.Name, b.Name) })
		for _, f := range m.Files {
			meant.Files[f.Name] = f.Hash
		}
		der, _, err := m.Sign(issuer.key, oneTime, start)
		got, findings := validate.ParseManifest(must(der, err), validate.P256)
		none(t, findings)
		if got == nil {
			t.Fatal("it is not accepted")
		}
		same := slices.EqualFunc(got.Files, m.Files, func(a validate.File, b object.File) bool { return a.Name == b.Name && a.Hash == b.Hash })
		if !same || got.Number.Int().Cmp(meant.Number) != 0 || !got.ThisUpdate.Equal(start) || !got.NextUpdate.Equal(end) || !got.EE.Resources.Inherits() {
			t.Errorf("%d files read back as %v", len(m.Files), got.Files)
		}
		agreed(t, secondopinion.Check(m.Object, der, meant))
	})
}

func TestCRLReadsBack(t *testing.T) {
	issuer := newMaker(object.P256, "issuer", anchorURI, "::/0")
	rapid.Check(t, func(t *rapid.T) {
		list := object.CRL{Issuer: issuer.public.ID, Number: rapid.Uint64().Draw(t, "number"), ThisUpdate: start, NextUpdate: end}
		meant := secondopinion.CRL{Number: new(big.Int).SetUint64(list.Number), ThisUpdate: start, NextUpdate: end}
		for range rapid.IntRange(0, 20).Draw(t, "revoked") {
			serial := object.NewSerial()
			list.Revoked = append(list.Revoked, object.Revoked{Serial: serial, At: start})
			meant.Revoked = append(meant.Revoked, serial)
		}
		der := must(list.Sign(issuer.key))
		got, findings := validate.ParseCRL(der, validate.P256)
		none(t, findings)
		if got == nil {
			t.Fatal("it is not accepted")
		}
		if len(got.Revoked) != len(list.Revoked) || got.Number.Int().Cmp(meant.Number) != 0 || got.AKI != list.Issuer {
			t.Errorf("%d entries read back as %d", len(list.Revoked), len(got.Revoked))
		}
		for _, r := range list.Revoked {
			var serial validate.Serial
			r.Serial.FillBytes(serial[:])
			if !got.Revokes(serial) {
				t.Errorf("%s is not revoked", r.Serial)
			}
		}
		agreed(t, secondopinion.Check(issuer.crl(), der, meant))
	})
}
