package validate

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

const (
	bbn    = "../../../shared/vectors/bbn-conformance"
	rpkirs = "../../../shared/vectors/rpki-rs/repository"
	golden = "../../testdata/objects"
)

// TestGoldenObjects: one object of each kind, as they lie in the repository, is taken as our own gate takes objects.
func TestGoldenObjects(t *testing.T) {
	files, err := filepath.Glob(filepath.FromSlash(golden + "/*.*"))
	if err != nil || len(files) < 7 {
		t.Fatalf("there are %d golden objects, %v", len(files), err)
	}
	for _, file := range files {
		if taken, found := parseAs(filepath.Base(file), read(t, file), For(Issuer)...); !taken || len(found) > 0 {
			t.Errorf("%s: taken is %v, with %v", file, taken, found)
		}
	}
}

// read gives a vector's bytes, or skips the test where the vectors are not on this machine.
func read(t testing.TB, path string) []byte {
	t.Helper()
	der, err := os.ReadFile(filepath.FromSlash(path))
	if os.IsNotExist(err) {
		t.Skipf("%s is absent: the vectors in ../shared are not on this machine", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// bbnExceptions are the cases that come out otherwise than their name says, with the reason.
var bbnExceptions = map[string]string{
	"root/goodCertCRLDP2DistPt.cer": "RFC 6487, section 4.8.6 allows one DistributionPoint only; rpki-client refuses it too",
}

// bbnParent is the CA that issued what is in the folder of a file of the suite.
func bbnParent(t *testing.T, path string) *authority {
	parent := "root.cer"
	if folder := filepath.Base(filepath.Dir(path)); folder != "root" {
		parent = "root/" + folder + ".cer"
	}
	cert, found := ParseCertificate(read(t, filepath.Join(bbn, parent)))
	if cert == nil {
		t.Fatalf("the parent %s does not parse: %v", parent, found)
	}
	return newAuthority("", cert, cert.Resources.Set, nil)
}

// TestBBN: each bad certificate and CRL is refused, each good one taken.
func TestBBN(t *testing.T) {
	read(t, bbn+"/root.cer")
	r := rules{now: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
	seen := 0
	err := filepath.WalkDir(filepath.FromSlash(bbn), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		base := filepath.Base(path)
		kind := filepath.Ext(base)
		bad := strings.HasPrefix(base, "bad")
		if !bad && !strings.HasPrefix(base, "good") || kind != ".cer" && kind != ".crl" {
			return nil
		}
		seen++
		rel, _ := filepath.Rel(filepath.FromSlash(bbn), path)
		c := r.check(rel)
		der := read(t, path)
		switch {
		case kind == ".crl":
			ca := bbnParent(t, path)
			if l := parseCRL(c, der); l != nil {
				l.by(c, &ca.cert.Key, "signature")
				if string(l.Issuer) != string(ca.cert.Subject) || l.AKI != ca.cert.SKI {
					c.fail("issuer", "the CRL is another CA's")
				}
				if !r.now.Before(l.NextUpdate) || r.now.Before(l.ThisUpdate) {
					c.fail("time", "the CRL is stale or not yet valid")
				}
			}
		case strings.Contains(base, "Root"):
			cert := parseCertificate(c, der)
			if cert != nil && r.anchor(c, &TAL{SPKI: cert.Key.SPKI}, der) == nil {
				c.fail("anchor", "it is no trust anchor")
			}
		default:
			ca := bbnParent(t, path)
			if cert := parseCertificate(c, der); cert != nil {
				r.issued(c, cert, ca, cert.CRL, nil)
				cert.by(c, &ca.cert.Key, "signature")
			}
		}
		_, except := bbnExceptions[filepath.ToSlash(rel)]
		if c.failed != (bad != except) {
			t.Errorf("%s: refused is %v; found %v", rel, c.failed, c.findings)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 150 {
		t.Errorf("only %d certificates and CRLs were seen in the suite", seen)
	}
	t.Logf("%d certificates and CRLs", seen)
}

// TestBBNManifests: the good manifests of the suite are taken, although they are of 2011: what is old in them is a warning.
func TestBBNManifests(t *testing.T) {
	read(t, bbn+"/root.cer")
	files, err := filepath.Glob(filepath.FromSlash(bbn + "/root/*/good*.mft"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the suite has no good manifest: %v", err)
	}
	for _, path := range files {
		if m, found := ParseManifest(read(t, path)); m == nil {
			t.Errorf("%s is refused: %v", path, found)
		}
	}
}

// encapsulated digs the eContent out of a signed object.
func encapsulated(t *testing.T, der []byte) []byte {
	t.Helper()
	outer, ok := inside(der, asn1.SEQUENCE)
	ok = ok && outer.SkipASN1(asn1.OBJECT_IDENTIFIER)
	explicit, ok2 := inside(outer, tag0Explicit)
	in, ok3 := inside(explicit, asn1.SEQUENCE)
	var encap cryptobyte.String
	ok4 := ok3 && in.SkipASN1(asn1.INTEGER) && in.SkipASN1(asn1.SET) && in.ReadASN1(&encap, asn1.SEQUENCE) && encap.SkipASN1(asn1.OBJECT_IDENTIFIER)
	wrapped, ok5 := inside(encap, tag0Explicit)
	content, ok6 := inside(wrapped, asn1.OCTET_STRING)
	if !ok || !ok2 || !ok4 || !ok5 || !ok6 {
		t.Fatal("the vector is no signed object")
	}
	return content
}

// TestRPKIRS: objects of real repositories, and broken ones, that rpki-rs tests with.
func TestRPKIRS(t *testing.T) {
	for _, tt := range []struct {
		file, rule string // rule "" where it is taken
	}{
		{"ta.cer", ""},
		{"ca1.cer", ""},
		{"router.cer", ""},
		{"ta.crl", ""},
		{"ca1.crl", ""},
		{"ripe.tal", ""},
		{"ta.mft", "6488-2"},           // indefinite lengths: BER, not DER
		{"ca1.mft", "6488-2"},          // the same
		{"example-ripe.roa", "6488-2"}, // the same
		{"signature-alg-mismatch.mft", "7935-2"},
		{"maxlen-overflow.roa", "9589-4"}, // made before RFC 9589; TestRPKIRSContents looks inside
		{"maxlen-underflow.roa", "9589-4"},
		{"prefix-len-overflow.roa", "3779-2.2.3.8"}, // in the EE certificate too
	} {
		der := read(t, rpkirs+"/"+tt.file)
		taken, found := parseAs(tt.file, der)
		if taken != (tt.rule == "") || !taken && !has(found, tt.rule) {
			t.Errorf("%s: taken is %v, want rule %q; found %v", tt.file, taken, tt.rule, found)
		}
	}
}

// parseAs parses by the extension of a file's name.
func parseAs(file string, der []byte, options ...Option) (taken bool, found []Finding) {
	switch filepath.Ext(file) {
	case ".cer":
		x, found := ParseCertificate(der, options...)
		return x != nil, found
	case ".crl":
		x, found := ParseCRL(der, options...)
		return x != nil, found
	case ".tal":
		x, found := ParseTAL(der, options...)
		return x != nil, found
	case ".roa":
		x, found := ParseROA(der, options...)
		return x != nil, found
	case ".asa":
		x, found := ParseASPA(der, options...)
		return x != nil, found
	default:
		x, found := ParseManifest(der, options...)
		return x != nil, found
	}
}

func TestRPKIRSContents(t *testing.T) {
	for file, rule := range map[string]string{
		"maxlen-overflow.roa": "9582-4.3.2.2", "maxlen-underflow.roa": "9582-4.3.2.2", "prefix-len-overflow.roa": "9582-4.3.2.1",
	} {
		c := new(check)
		if new(ROAPayload).parse(c, encapsulated(t, read(t, rpkirs+"/"+file))) || !has(c.findings, rule) {
			t.Errorf("%s: want rule %s, found %v", file, rule, c.findings)
		}
	}
}
