package validate

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"
)

// cmsMutations break the wrapping of a ROA in one way each.
var cmsMutations = []struct {
	name   string
	mutate func(*cmsSpec)
	want   string
}{
	{"nothing", func(*cmsSpec) {}, ""},
	{"version 4", func(s *cmsSpec) { s.version = intTLV(4) }, "6488-2.1.1"},
	{"digest NULL", func(s *cmsSpec) { s.digests = set([]byte(algSHA256WithNull)) }, "~5754-2"},
	{"no digest", func(s *cmsSpec) { s.digests = set() }, "6488-2.1.2"},
	{"two digests", func(s *cmsSpec) { s.digests = set([]byte(algSHA256), []byte(algSHA256)) }, "6488-2.1.2"},
	{"other digest", func(s *cmsSpec) { s.digests = set(seq(oidTLV("\x60\x86\x48\x01\x65\x03\x04\x02\x03"))) }, "6488-2.1.2"},
	{"no content", func(s *cmsSpec) { s.encap = seq(oidTLV(oidROA)) }, "6488-2.1.3"},
	{"no certificate", func(s *cmsSpec) { s.certificates = nil }, "6488-2.1.4"},
	{"two certificates", func(s *cmsSpec) { in := s.certificates[4:]; s.certificates = tlv(0xA0, in, in) }, "6488-2.1.4"},
	{"CRLs", func(s *cmsSpec) { s.crls = tlv(0xA1) }, "6488-2.1.5"},
	{"no signer", func(s *cmsSpec) { s.signers = 0 }, "6488-2.1.6"},
	{"two signers", func(s *cmsSpec) { s.signers = 2 }, "6488-2.1.6"},
	{"signer version 1", func(s *cmsSpec) { s.signerVersion = intTLV(1) }, "6488-2.1.6.1"},
	{"signer by name", func(s *cmsSpec) { s.sid = seq(name("x"), intTLV(1)) }, "6488-2.1.6.2"},
	{"signer of other SKI", func(s *cmsSpec) { s.sid = tlv(0x80, make([]byte, 20)) }, "6488-2.1.6.2"},
	{"signer digest", func(s *cmsSpec) { s.digest = seq(oidTLV("\x60\x86\x48\x01\x65\x03\x04\x02\x03")) }, "6488-2.1.6.3"},
	{"no attributes", func(s *cmsSpec) { s.attributes = nil }, "6488-2.1.6.4"},
	{"no content type", func(s *cmsSpec) { s.attributes = s.attributes[1:] }, "6488-2.1.6.4.1"},
	{"no signing time", func(s *cmsSpec) { s.attributes = [][]byte{s.attributes[0], s.attributes[2]} }, "9589-4"},
	{"no digest attribute", func(s *cmsSpec) { s.attributes = s.attributes[:2] }, "6488-2.1.6.4.2"},
	{"attributes out of order", func(s *cmsSpec) { s.attributes[0], s.attributes[1] = s.attributes[1], s.attributes[0] }, "6488-2.1.6.4"},
	{"attribute twice", func(s *cmsSpec) { s.attributes = append(s.attributes, s.attributes[2]) }, "6488-2.1.6.4"},
	{"binary signing time", func(s *cmsSpec) {
		s.attributes = append(s.attributes, seq(oidTLV("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x2e"), set(intTLV(1), bytes.Repeat([]byte{5, 0}, 20))))
	}, "6488-2.1.6.4"},
	{"other content type", func(s *cmsSpec) { s.attributes[0] = seq(oidTLV(oidContentType), set(oidTLV(oidManifest))) }, "6488-2.1.6.4.1"},
	{"two content types", func(s *cmsSpec) {
		s.attributes[0] = seq(oidTLV(oidContentType), set(oidTLV(oidROA), oidTLV(oidROA)))
		s.attributes[0], s.attributes[1] = s.attributes[1], s.attributes[0]
	}, "6488-2.1.6.4.1"},
	{"other digest value", func(s *cmsSpec) { s.attributes[2] = seq(oidTLV(oidMessageDigest), set(octetTLV(make([]byte, 32)))) }, "6488-2.1.6.4.2"},
	{"signing time type", func(s *cmsSpec) { s.attributes[1] = seq(oidTLV(oidSigningTime), set(genTLV(labNow))) }, "9589-4"},
	{"signature algorithm longer", func(s *cmsSpec) { s.algorithm = []byte(algSHA256WithRSA) }, "~7935-2"},
	{"signature algorithm other", func(s *cmsSpec) { s.algorithm = []byte(algECDSAWithSHA256) }, "6488-2.1.6.5"},
	{"no signature", func(s *cmsSpec) { s.signature = []byte{} }, "6488-2.1.6.6"},
	{"wrong signature", func(s *cmsSpec) { s.signature = octetTLV(make([]byte, 256)) }, "6488-3"},
	{"unsigned attributes", func(s *cmsSpec) { s.unsigned = tlv(0xA1, seq(oidTLV(oidSigningTime), set(utcTLV(labNow)))) }, "6488-2.1.6.7"},
	{"trailing bytes", func(s *cmsSpec) { s.trailing = []byte{0} }, "6488-2"},
}

func TestSignedObject(t *testing.T) {
	_, ca := rsaLab()
	for _, tt := range cmsMutations {
		t.Run(tt.name, func(t *testing.T) {
			roa, found := ParseROA(ca.roa("x.roa", 64496, []ROAPrefix{prefix("10.0.0.0/16", 0)}, func(p *roaParts) { p.cms = tt.mutate }))
			wantFinding(t, roa != nil, found, tt.want)
		})
	}
}

// eeMutations break the EE certificate of a ROA.
var eeMutations = []struct {
	name   string
	mutate func(*certSpec)
	want   string
}{
	{"basic constraints", func(s *certSpec) { s.add(oidBasicConstraints, true, seq()) }, "6487-4.8.1"},
	{"basic constraints of a CA", func(s *certSpec) { s.add(oidBasicConstraints, true, []byte(basicConstraintsCA)) }, "6487-4.8.8.1"},
	{"key usage of a CA", func(s *certSpec) { s.ext(oidKeyUsage).value = []byte(keyUsageCA) }, "6487-4.8.4"},
	{"extended key usage", func(s *certSpec) { s.add(oidEKU, false, seq(oidTLV("\x2b\x06\x01\x05\x05\x07\x03\x01"))) }, "6487-4.8.5"},
	{"SIA of a CA", func(s *certSpec) { s.sia(oidRPKIManifest, host+"ca/x.mft") }, "6487-4.8.8.2"},
	{"SIA twice", func(s *certSpec) { s.sia(oidSignedObject, host+"ca/y.roa") }, "~6487-4.8.8.2"},
	{"SIA http", func(s *certSpec) { s.ext(oidSIA).value = access(oidSignedObject, "http://x.example/x.roa") }, "6487-4.8.8.2"},
	{"AS numbers", func(s *certSpec) { s.add(oidAutonomousSysIDs, true, asInherit) }, "9582-5"},
	{"inherit", func(s *certSpec) { s.ext(oidIPAddrBlocks).value = ipInherit }, "9582-5"},
	{"other address", func(s *certSpec) {
		s.ext(oidIPAddrBlocks).value = seq(seq(octetTLV([]byte{0, 1}), seq(tlv(3, []byte{0, 11}))))
	}, "9582-5"},
}

func TestROACertificate(t *testing.T) {
	_, ca := rsaLab()
	for _, tt := range eeMutations {
		t.Run(tt.name, func(t *testing.T) {
			roa, found := ParseROA(ca.roa("x.roa", 64496, []ROAPrefix{prefix("10.0.0.0/16", 0)}, func(p *roaParts) { tt.mutate(p.ee) }))
			wantFinding(t, roa != nil, found, tt.want)
		})
	}
}

func TestROA(t *testing.T) {
	_, ca := rsaLab()
	addr := func(first, bits byte, max ...int64) []byte {
		parts := [][]byte{tlv(3, []byte{(8 - bits%8) % 8, first}[:1+(bits+7)/8])}
		for _, m := range max {
			parts = append(parts, intTLV(m))
		}
		return seq(parts...)
	}
	v4 := func(addrs ...[]byte) []byte { return seq(octetTLV([]byte{0, 1}), seq(addrs...)) }
	v6 := seq(octetTLV([]byte{0, 2}), seq(seq(tlv(3, []byte{0, 0x20, 0x01, 0x0d, 0xb8}))))
	of := func(asn int64, families ...[]byte) []byte { return seq(intTLV(asn), seq(families...)) }
	for _, tt := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"nothing", of(64496, v4(addr(10, 8)), v6), ""},
		{"AS 0", of(0, v4(addr(10, 8))), ""},
		{"AS largest", of(1<<32-1, v4(addr(10, 8))), ""},
		{"AS too large", of(1<<32, v4(addr(10, 8))), "9582-4.2"},
		{"AS negative", of(-1, v4(addr(10, 8))), "9582-4.2"},
		{"version written out", seq(tlv(0xA0, intTLV(0)), intTLV(1), seq(v4(addr(10, 8)))), "9582-4.1"},
		{"version 1", seq(tlv(0xA0, intTLV(1)), intTLV(1), seq(v4(addr(10, 8)))), "9582-4.1"},
		{"no family", of(1), "9582-4.3"},
		{"no address", of(1, v4()), "9582-4.3.2"},
		{"family 3", of(1, seq(octetTLV([]byte{0, 3}), seq(addr(10, 8)))), "9582-4.3.1"},
		{"family with SAFI", of(1, seq(octetTLV([]byte{0, 1, 1}), seq(addr(10, 8)))), "9582-4.3.1"},
		{"family twice", of(1, v4(addr(10, 8)), v4(addr(10, 8))), "9582-4.3"},
		{"family three times", of(1, v6, v4(addr(10, 8)), v6), "9582-4.3"},
		{"IPv6 first", of(1, v6, v4(addr(10, 8))), "~9582-4.3.3"},
		{"prefix too long", of(1, v4(seq(tlv(3, []byte{0, 10, 0, 0, 0, 0})))), "9582-4.3.2.1"},
		{"host bits", of(1, v4(seq(tlv(3, []byte{4, 0x0F})))), "9582-4.3.2.1"},
		{"maxLength", of(1, v4(addr(10, 8, 24))), ""},
		{"maxLength redundant", of(1, v4(addr(10, 8, 8))), "~9582-4.3.3"},
		{"maxLength short", of(1, v4(addr(10, 8, 7))), "9582-4.3.2.2"},
		{"maxLength long", of(1, v4(addr(10, 8, 33))), "9582-4.3.2.2"},
		{"maxLength negative", of(1, v4(addr(10, 8, -1))), "9582-4.3.2.2"},
		{"more than maxLength", of(1, v4(addr(10, 8, 9, 10))), "9582-4.3.2.2"},
		{"unsorted", of(1, v4(seq(tlv(3, []byte{0, 10, 1})), seq(tlv(3, []byte{0, 10, 0})))), "~9582-4.3.3"},
		{"twice", of(1, v4(addr(10, 8), addr(10, 8))), "~9582-4.3.3"},
		{"trailing", append(of(1, v4(addr(10, 8))), 5, 0), "9582-4"},
		{"not held", of(1, v4(addr(11, 8))), "9582-5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			roa, found := ParseROA(ca.roa("x.roa", 1, []ROAPrefix{prefix("10.0.0.0/8", 0), prefix("2001:db8::/32", 0)}, func(p *roaParts) { p.content = tt.content }))
			wantFinding(t, roa != nil, found, tt.want)
		})
	}
}

func TestManifest(t *testing.T) {
	_, ca := rsaLab()
	this, next := labNow.Add(-5*time.Minute+time.Second), labNow.AddDate(0, 0, 1)
	sum := sha256.Sum256([]byte("x"))
	entry := func(file string, hash []byte) []byte { return seq(tlv(0x16, []byte(file)), hash) }
	good := entry("list.crl", bitTLV(sum[:]))
	other := sha256.Sum256([]byte("y"))
	of := func(number, this, next []byte, files ...[]byte) []byte {
		return seq(number, this, next, oidTLV(oidSHA256), seq(files...))
	}
	usual := func(files ...[]byte) []byte { return of(intTLV(1), genTLV(this), genTLV(next), files...) }
	for _, tt := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"nothing", usual(good), ""},
		{"version written out", seq(tlv(0xA0, intTLV(0)), intTLV(1), genTLV(this), genTLV(next), oidTLV(oidSHA256), seq(good)), "9286-4.2.1"},
		{"number largest", of(serialTLV(20, 0x7F), genTLV(this), genTLV(next), good), ""},
		{"number too big", of(tlv(2, append([]byte{0, 0x80}, make([]byte, 19)...)), genTLV(this), genTLV(next), good), "9286-4.2.1"},
		{"number negative", of(intTLV(-1), genTLV(this), genTLV(next), good), "9286-4.2.1"},
		{"thisUpdate UTC", of(intTLV(1), utcTLV(this), genTLV(next), good), "9286-4.2.1"},
		{"nextUpdate UTC", of(intTLV(1), genTLV(this), utcTLV(next), good), "9286-4.2.1"},
		{"updates crossed", of(intTLV(1), genTLV(next), genTLV(this), good), "9286-4.2.1"},
		{"not the EE's thisUpdate", of(intTLV(1), genTLV(this.Add(time.Second)), genTLV(next), good), "9286-5.1"},
		{"not the EE's nextUpdate", of(intTLV(1), genTLV(this), genTLV(next.Add(time.Second)), good), "9286-5.1"},
		{"hash algorithm", seq(intTLV(1), genTLV(this), genTLV(next), oidTLV("\x60\x86\x48\x01\x65\x03\x04\x02\x03"), seq(good)), "9286-4.2.1"},
		{"no files", usual(), "9286-4.2.1"},
		{"hash short", usual(good, entry("a.roa", bitTLV(sum[:31]))), "9286-4.2"},
		{"hash long", usual(good, entry("a.roa", bitTLV(append(sum[:], 0)))), "9286-4.2"},
		{"hash octets", usual(good, entry("a.roa", octetTLV(sum[:]))), "9286-4.2"},
		{"file twice", usual(good, entry("list.crl", bitTLV(other[:]))), "9286-4.2.1"},
		{"hash twice", usual(good, entry("other.crl", bitTLV(sum[:]))), "~profile-unique-hash"},
		{"unknown extension", usual(good, entry("a.xyz", bitTLV(other[:]))), "~9286-4.2.2"},
		{"path in name", usual(good, entry("a/b.roa", bitTLV(other[:]))), "9286-4.2.2"},
		{"two dots", usual(good, entry("a.b.roa", bitTLV(other[:]))), "9286-4.2.2"},
		{"upper case extension", usual(good, entry("a.ROA", bitTLV(other[:]))), "9286-4.2.2"},
		{"no stem", usual(good, entry(".roa", bitTLV(other[:]))), "9286-4.2.2"},
		{"not IA5", usual(good, seq(tlv(0x0C, []byte("a.roa")), bitTLV(other[:]))), "9286-4.2"},
		{"trailing", append(usual(good), 5, 0), "9286-4.2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ca.number = 0
			ca.manifest = func(_ *certSpec, cms *cmsSpec) {
				*cms = *newCMS(oidManifest, tt.content, nil, ca.eeKey, labNow)
			}
			_, der := ca.sealed()
			m, found := ParseManifest(der)
			wantFinding(t, m != nil, found, tt.want)
		})
	}
	for _, tt := range []struct {
		name   string
		mutate func(*certSpec, *cmsSpec)
		want   string
	}{
		{"addresses listed", func(ee *certSpec, _ *cmsSpec) { ee.ext(oidIPAddrBlocks).value = ipExt(ca.holds) }, "9286-5.1"},
		{"AS numbers listed", func(ee *certSpec, _ *cmsSpec) { ee.ext(oidAutonomousSysIDs).value = asExt(ca.holds) }, "9286-5.1"},
		{"no AS numbers", func(ee *certSpec, _ *cmsSpec) { ee.drop(oidAutonomousSysIDs) }, "9286-5.1"},
		{"IPv4 alone", func(ee *certSpec, _ *cmsSpec) {
			ee.ext(oidIPAddrBlocks).value = seq(seq(octetTLV([]byte{0, 1}), null))
		}, "~profile-manifest-ee"},
		{"another file", func(ee *certSpec, _ *cmsSpec) { ee.ext(oidSIA).value = access(oidSignedObject, host+"ca/manifest.roa") }, "6481-2.2"},
		{"signed late", func(_ *certSpec, cms *cmsSpec) {
			cms.attributes[1] = seq(oidTLV(oidSigningTime), set(utcTLV(next.Add(time.Second))))
		}, "9286-4.2.1"},
		{"other content type", func(_ *certSpec, cms *cmsSpec) {
			*cms = *newCMS(oidROA, usual(good), nil, ca.eeKey, labNow)
		}, "9286-4.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ca.number = 0
			ca.manifest = tt.mutate
			_, der := ca.sealed()
			m, found := ParseManifest(der)
			wantFinding(t, m != nil, found, tt.want)
		})
	}
}

func TestTAL(t *testing.T) {
	spki := fmt.Sprintf("%s\n", base64Lines(rsaKeys()[0].spki))
	const https, rsync = "https://rpki.example/ta.cer\n", "rsync://rpki.example/repo/ta.cer\n"
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", https + rsync + "\n" + spki, ""},
		{"comment", "# a comment\n" + https + rsync + "\n" + spki, ""},
		{"CRLF", "https://rpki.example/ta.cer\r\nrsync://rpki.example/repo/ta.cer\r\n\r\n" + spki, ""},
		{"rsync first", rsync + https + "\n" + spki, "~8630-2.2"},
		{"rsync alone", rsync + "\n" + spki, "~8630-2.2"},
		{"https alone", https + "\n" + spki, "~profile-tal"},
		{"other name", https + "rsync://rpki.example/repo/tb.cer\n\n" + spki, "~profile-tal"},
		{"no URI", "\n" + spki, "8630-2.2"},
		{"no empty line", https + rsync + spki, "8630-2.2"},
		{"http", "http://rpki.example/ta.cer\n\n" + spki, "8630-2.2"},
		{"no key", https + rsync + "\n", "8630-2.2"},
		{"key no Base64", https + rsync + "\n!!!\n", "8630-2.2"},
		{"key no key", https + rsync + "\nAAAA\n", "5280-4.1.2.7"},
		{"empty", "", "8630-2.2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tal, found := ParseTAL([]byte(tt.text))
			wantFinding(t, tal != nil, found, tt.want)
		})
	}
}

func TestMTime(t *testing.T) {
	_, ca := rsaLab()
	crl, manifest := ca.sealed()
	for uri, tt := range map[string]struct {
		der  []byte
		want time.Time
	}{
		host + "ca.cer":       {ca.parent.files["ca.cer"], labNow.Add(-5 * time.Minute)},
		host + "list.crl":     {crl, labNow.Add(-5 * time.Minute)},
		host + "manifest.mft": {manifest, labNow},
	} {
		if got, err := MTime(uri, tt.der); err != nil || !got.Equal(tt.want) {
			t.Errorf("%s: %v, %v; want %v", uri, got, err, tt.want)
		}
		if got, err := MTime(uri, tt.der[:50]); err == nil {
			t.Errorf("%s: half an object has the time %v", uri, got)
		}
	}
}
