package validate

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// seeds adds the lab's objects, the golden ones, and the vectors where they are, to a fuzz target.
func seeds(f *testing.F, extension string) {
	w := cheapWorld()
	w.one.revoked = []int64{3, 4}
	w.repo.publish(w.one)
	for uri, der := range w.repo {
		if filepath.Ext(uri) == extension {
			f.Add(der)
		}
	}
	for _, pattern := range []string{golden + "/*" + extension, rpkirs + "/*" + extension, bbn + "/*" + extension, bbn + "/root/*" + extension, bbn + "/root/*/*" + extension} {
		files, _ := filepath.Glob(filepath.FromSlash(pattern))
		for _, file := range files {
			if der, err := os.ReadFile(file); err == nil {
				f.Add(der)
			}
		}
	}
}

// bounded fails where parsing allocates more than its input explains. The constant covers keys, sentences and the tables
// of crypto/rsa.
func bounded(t *testing.T, der []byte, parse func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	parse()
	runtime.ReadMemStats(&after)
	if grown, most := after.TotalAlloc-before.TotalAlloc, uint64(1<<20+64*len(der)); grown > most {
		t.Errorf("parsing %d octets allocated %d", len(der), grown)
	}
}

// sound fails where an object came out beside an error, or none came out without one.
func sound(t *testing.T, taken bool, found []Finding) {
	t.Helper()
	failed := false
	for _, f := range found {
		failed = failed || f.Severity == Error
		if f.Rule == "" || f.Text == "" {
			t.Errorf("a finding without rule or text: %#v", f)
		}
	}
	if taken == failed {
		t.Errorf("taken is %v with %v", taken, found)
	}
}

func fuzzObject(f *testing.F, extension string) {
	seeds(f, extension)
	f.Fuzz(func(t *testing.T, der []byte) {
		for _, options := range [][]Option{For(Issuer), For(Issuer, P256), For(RelyingParty), For(RelyingParty, P256)} {
			bounded(t, der, func() {
				taken, found := parseAs("x"+extension, der, options...)
				sound(t, taken, found)
			})
		}
		if _, err := MTime("x"+extension, der); err != nil && extension != ".tal" {
			if taken, _ := parseAs("x"+extension, der, P256, RelyingParty); taken {
				t.Errorf("an object that is taken has no time: %v", err)
			}
		}
	})
}

func FuzzCertificate(f *testing.F) { fuzzObject(f, ".cer") }
func FuzzCRL(f *testing.F)         { fuzzObject(f, ".crl") }
func FuzzManifest(f *testing.F)    { fuzzObject(f, ".mft") }
func FuzzROA(f *testing.F)         { fuzzObject(f, ".roa") }
func FuzzASPA(f *testing.F)        { fuzzObject(f, ".asa") }
func FuzzTAL(f *testing.F)         { fuzzObject(f, ".tal") }

// FuzzContents reaches what signatures and digests keep fuzzed bytes from.
func FuzzContents(f *testing.F) {
	f.Add(roaContent(64496, prefix("10.0.0.0/8", 24), prefix("2001:db8::/32", 0)))
	f.Add(manifestContent(1, labNow, labNow.AddDate(0, 0, 1), map[string][]byte{"a.roa": nil, "b.crl": nil}))
	f.Add(aspaContent(64496, 1, 64500))
	f.Add(ipInherit)
	f.Add(asInherit)
	ta, ca := rsaLab()
	f.Add(ipExt(ca.holds))
	f.Add(asExt(ca.holds))
	f.Add(ta.key.name())
	f.Fuzz(func(t *testing.T, der []byte) {
		c := new(check)
		var r Resources
		if r.parseIPAddrBlocks(c, der) && string(r.written()) != string(der) {
			t.Errorf("the address blocks %x are read as %s", der, r.Set)
		}
		r = Resources{}
		r.parseASIdentifiers(c, der)
		new(ROAPayload).parse(c, der)
		new(VAP).parse(c, der)
		new(Manifest).parseFiles(c, der)
		parseName(c, der, "subject", "6487-4.5", false)
		rsyncURI(string(der))
	})
}

// written is address blocks as the lab writes them: there is only one way.
func (r *Resources) written() []byte {
	var each [][]byte
	switch {
	case r.InheritV4:
		each = append(each, seq(octetTLV([]byte{0, 1}), null))
	case len(r.Set.V4) > 0:
		each = append(each, ipFamily(1, r.Set.V4))
	}
	switch {
	case r.InheritV6:
		each = append(each, seq(octetTLV([]byte{0, 2}), null))
	case len(r.Set.V6) > 0:
		each = append(each, ipFamily(2, r.Set.V6))
	}
	return seq(each...)
}
