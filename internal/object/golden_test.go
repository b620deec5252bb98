package object_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/cryptotest"

	"cadastre/internal/object"
	"cadastre/internal/validate"
)

// goldenObjects is where validate and secondopinion read them, too.
const goldenObjects = "../../testdata/objects"

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden keeps every byte of six objects of the tree, and has the validator accept the whole tree. What has changed
// can be read with 'openssl asn1parse -inform DER -in ../../testdata/objects/…'; -update takes it.
func TestGolden(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 6487)
	tr := newTree(object.RSA)
	result := tr.accepted(t, false)
	var vrps []string
	for _, v := range result.VRPs {
		vrps = append(vrps, v.String())
	}
	if want := []string{"102.16.0.0/20,20,AS37100", "102.16.0.0/20,24,AS37100", "102.32.4.0/23,23,AS37100", "2c0f:ea00::/32,48,AS37100"}; !slices.Equal(vrps, want) {
		t.Errorf("its VRPs are %v, not %v", vrps, want)
	}
	if result.Objects != 7 {
		t.Errorf("%d objects are valid, not 7", result.Objects)
	}
	for name, der := range map[string][]byte{
		"anchor.cer": tr.anchorCertificate, "holder.cer": tr.holderSigned, "holder.crl": tr.holder.files[tr.holder.crl()],
		"holder.mft": tr.holder.files[tr.holder.manifest()], "holder.roa": tr.roa, "anchor.tal": []byte(tr.tal.Text()),
	} {
		file := filepath.Join(goldenObjects, name)
		if *update {
			if err := os.WriteFile(file, der, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(der, want) {
			at := 0
			for at < min(len(der), len(want)) && der[at] == want[at] {
				at++
			}
			t.Errorf("%s is other than it was, from byte %d on: % x instead of % x", name, at, der[at:min(at+16, len(der))], want[at:min(at+16, len(want))])
		}
	}
}

func TestP256Tree(t *testing.T) {
	result := newTree(object.P256).accepted(t, true)
	if len(result.VRPs) != 4 {
		t.Errorf("it has %d VRPs", len(result.VRPs))
	}
}

// TestNames keeps the names that follow from a key: RFC 6487, section 4.8.2 and RFC 6481, section 2.2.
func TestNames(t *testing.T) {
	key := must(object.PublicKeyOf(must(object.P256.Generate())))
	if text := key.ID.String(); len(text) != 40 {
		t.Errorf("the identifier reads %q", text)
	}
	if name := key.ID.FileName(); len(name) != 27 {
		t.Errorf("the file name is %q", name)
	}
	for _, a := range []object.Algorithm{object.RSA, object.P256} {
		if object.AlgorithmNamed(a.Name()) != a {
			t.Errorf("%q names another algorithm", a.Name())
		}
	}
	if object.AlgorithmNamed("rot13") != nil {
		t.Error("rot13 is an algorithm")
	}
	seen := map[string]bool{}
	for range 1000 {
		n := object.NewSerial()
		if n.Sign() <= 0 || n.BitLen() > 127 || seen[n.String()] {
			t.Fatalf("the serial number %s", n)
		}
		seen[n.String()] = true
	}
}

// TestLateTimes checks that times from 2050 on are written as RFC 5280, section 4.1.2.5 wants them.
func TestLateTimes(t *testing.T) {
	m := newMaker(object.P256, "late", anchorURI, "192.0.2.0/24")
	c := m.certificate(m)
	c.NotAfter = start.AddDate(30, 0, 0)
	der := must(c.Sign(m.key))
	if !bytes.Contains(der, []byte("20561123120000Z")) || !bytes.Contains(der, []byte("\x17\x0d261123120000Z")) {
		t.Error("its times are not UTCTime through 2049 and GeneralizedTime after")
	}
	if parsed, findings := validate.ParseCertificate(der, validate.P256); parsed == nil || !parsed.NotAfter.Equal(c.NotAfter) {
		t.Errorf("it reads back as %v", findings)
	}
}
