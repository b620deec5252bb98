package validate

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"math/big"
	"strings"
	"testing"
	"time"
)

// rsaLab is a trust anchor and a CA below it with RSA keys.
func rsaLab() (ta, ca *labCA) {
	k := rsaKeys()
	ta = newAnchor(k[0], k[2], "0.0.0.0/0, ::/0, AS1-AS4294967295")
	ca = ta.child("ca", k[1], "10.0.0.0/8, 192.0.2.0-192.0.2.9, 2001:db8::/32, AS64496-AS64511")
	return ta, ca
}

// wantFinding fails the test unless the findings are as wanted: "" for nothing at all, "~rule" for a warning, "rule" for an
// error that leaves no object.
func wantFinding(t *testing.T, taken bool, found []Finding, want string) {
	t.Helper()
	rule, warning := strings.CutPrefix(want, "~")
	switch {
	case want == "" && (!taken || len(found) > 0):
		t.Errorf("taken is %v with %v, want nothing found", taken, found)
	case want == "":
	case !has(found, rule):
		t.Errorf("found %v, want rule %s", found, rule)
	case taken != warning:
		t.Errorf("taken is %v with %v", taken, found)
	}
}

func serialTLV(octets int, first byte) []byte {
	return tlv(2, append([]byte{first}, bytes.Repeat([]byte{0xFF}, octets-1)...))
}

func rsaSPKI(bits int, e int64, algorithm string) []byte {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits))
	n.Sub(n, big.NewInt(159))
	return seq([]byte(algorithm), bitTLV(seq(bigTLV(n), intTLV(e))))
}

func (s *certSpec) key(spki []byte) {
	s.spki = spki
	_, bits, _ := bytes.Cut(spki, []byte{0x00, 0x03, 0x82})
	sum := sha1.Sum(bits[min(3, len(bits)):])
	s.ext(oidSKI).value = octetTLV(sum[:])
}

// caMutations break a CA certificate in one way each.
var caMutations = []struct {
	name   string
	mutate func(*certSpec)
	want   string
}{
	{"nothing", func(*certSpec) {}, ""},
	{"version 2", func(s *certSpec) { s.version = tlv(0xA0, intTLV(1)) }, "6487-4.1"},
	{"version absent", func(s *certSpec) { s.version = nil }, "6487-4.1"},
	{"serial 0", func(s *certSpec) { s.serial = intTLV(0) }, "6487-4.2"},
	{"serial negative", func(s *certSpec) { s.serial = intTLV(-5) }, "6487-4.2"},
	{"serial largest", func(s *certSpec) { s.serial = serialTLV(20, 0x7F) }, ""},
	{"serial too big", func(s *certSpec) { s.serial = tlv(2, append([]byte{0, 0x80}, make([]byte, 19)...)) }, "6487-4.2"},
	{"serial not minimal", func(s *certSpec) { s.serial = tlv(2, []byte{0, 1}) }, "6487-4.2"},
	{"inner algorithm", func(s *certSpec) { s.inner = []byte(algRSAEncryption) }, "5280-4.1.2.3"},
	{"outer algorithm", func(s *certSpec) { s.outer = []byte(algECDSAWithSHA256) }, "7935-2"},
	{"both algorithms", func(s *certSpec) { s.outer, s.inner = []byte(algRSAEncryption), []byte(algRSAEncryption) }, "7935-2"},
	{"algorithm without NULL", func(s *certSpec) {
		s.inner = seq([]byte(algSHA256WithRSA[2:13]))
		s.outer = s.inner
	}, "7935-2"},
	{"issuer empty", func(s *certSpec) { s.issuer = seq() }, "6487-4.4"},
	{"issuer UTF8", func(s *certSpec) { s.issuer = seq(set(seq(oidTLV(oidCommonName), tlv(0x0C, []byte("x"))))) }, "6487-4.4"},
	{"issuer not printable", func(s *certSpec) { s.issuer = name("a_b") }, "6487-4.4"},
	{"subject two names", func(s *certSpec) { s.subject = seq(set(attribute(oidCommonName, "a"), attribute(oidCommonName, "b"))) }, "6487-4.5"},
	{"subject another attribute", func(s *certSpec) { s.subject = seq(set(seq(oidTLV("\x55\x04\x0a"), tlv(0x13, []byte("x"))))) }, "6487-4.5"},
	{"subject set out of order", func(s *certSpec) {
		s.subject = seq(set(attribute(oidSerialNumber, "a"), attribute(oidCommonName, "a")))
	}, "6487-4.5"},
	{"subject with serial number", func(s *certSpec) {
		s.subject = seq(set(attribute(oidCommonName, "a"), attribute(oidSerialNumber, "a")))
	}, ""},
	{"subject in two sets", func(s *certSpec) {
		s.subject = seq(set(attribute(oidCommonName, "a")), set(attribute(oidSerialNumber, "a")))
	}, "~6487-4.5"},
	{"validity backwards", func(s *certSpec) { s.from, s.to = s.to, s.from }, "6487-4.6"},
	{"GeneralizedTime before 2050", func(s *certSpec) { s.from = genTLV(labNow) }, "5280-4.1.2.5"},
	{"UTCTime after 2049", func(s *certSpec) { s.to = genTLV(time.Date(2051, 1, 1, 0, 0, 0, 0, time.UTC)) }, ""},
	{"time with fraction", func(s *certSpec) { s.to = tlv(0x18, []byte("20510101000000.5Z")) }, "6487-4.6"},
	{"time without seconds", func(s *certSpec) { s.to = tlv(0x17, []byte("2701010000Z")) }, "6487-4.6"},
	{"31 February", func(s *certSpec) { s.to = tlv(0x17, []byte("270231000000Z")) }, "6487-4.6"},
	{"time with offset", func(s *certSpec) { s.to = tlv(0x17, []byte("2701010000+00")) }, "6487-4.6"},
	{"issuer unique id", func(s *certSpec) { s.uids = tlv(0x81, []byte{0, 1}) }, "6487-4"},
	{"subject unique id", func(s *certSpec) { s.uids = tlv(0x82, []byte{0, 1}) }, "6487-4"},
	{"no extensions", func(s *certSpec) { s.rawExts = []byte{} }, "6487-4.8"},
	{"trailing bytes", func(s *certSpec) { s.trailing = []byte{0} }, "5280-4.1"},
	{"key of 2047 bits", func(s *certSpec) { s.key(rsaSPKI(2047, 65537, algRSAEncryption)) }, "7935-3"},
	{"key of 2049 bits", func(s *certSpec) { s.key(rsaSPKI(2049, 65537, algRSAEncryption)) }, "7935-3"},
	{"key with e=3", func(s *certSpec) { s.key(rsaSPKI(2048, 3, algRSAEncryption)) }, "7935-3"},
	{"key algorithm", func(s *certSpec) { s.key(rsaSPKI(2048, 65537, algSHA256WithRSA)) }, "7935-3"},
	{"key on P-256", func(s *certSpec) { s.key(newP256().spki) }, "7935-3"},
	{"no basic constraints", func(s *certSpec) { s.drop(oidBasicConstraints) }, "6487-4.8.8.2"},
	{"basic constraints not critical", func(s *certSpec) { s.ext(oidBasicConstraints).critical = false }, "6487-4.8.1"},
	{"cA false", func(s *certSpec) { s.ext(oidBasicConstraints).value = seq() }, "6487-4.8.1"},
	{"cA of 0x01", func(s *certSpec) { s.ext(oidBasicConstraints).value = seq([]byte{1, 1, 1}) }, "6487-4.8.1"},
	{"path length", func(s *certSpec) { s.ext(oidBasicConstraints).value = seq([]byte{1, 1, 0xFF}, intTLV(1)) }, "6487-4.8.1"},
	{"no SKI", func(s *certSpec) { s.drop(oidSKI) }, "6487-4.8.2"},
	{"SKI critical", func(s *certSpec) { s.ext(oidSKI).critical = true }, "6487-4.8.2"},
	{"SKI of other key", func(s *certSpec) { s.ext(oidSKI).value = octetTLV(make([]byte, 20)) }, "6487-4.8.2"},
	{"SKI short", func(s *certSpec) { s.ext(oidSKI).value = octetTLV(make([]byte, 19)) }, "6487-4.8.2"},
	{"no AKI", func(s *certSpec) { s.drop(oidAKI) }, "6487-4.8.3"},
	{"AKI long", func(s *certSpec) { s.ext(oidAKI).value = seq(tlv(0x80, make([]byte, 21))) }, "6487-4.8.3"},
	{"AKI with serial", func(s *certSpec) { s.ext(oidAKI).value = seq(tlv(0x80, make([]byte, 20)), tlv(0x82, []byte{1})) }, "6487-4.8.3"},
	{"no key usage", func(s *certSpec) { s.drop(oidKeyUsage) }, "6487-4.8.4"},
	{"key usage of an EE", func(s *certSpec) { s.ext(oidKeyUsage).value = []byte(keyUsageEE) }, "6487-4.8.4"},
	{"key usage more", func(s *certSpec) { s.ext(oidKeyUsage).value = []byte("\x03\x02\x01\x86") }, "6487-4.8.4"},
	{"key usage not critical", func(s *certSpec) { s.ext(oidKeyUsage).critical = false }, "6487-4.8.4"},
	{"extended key usage", func(s *certSpec) { s.add(oidEKU, false, seq(oidTLV("\x2b\x06\x01\x05\x05\x07\x03\x01"))) }, "6487-4.8.5"},
	{"a router's key usage", func(s *certSpec) { s.add(oidEKU, false, seq(oidTLV(oidBGPsecRouter))) }, "6487-4.8.5"},
	{"no CRLDP", func(s *certSpec) { s.drop(oidCRLDP) }, "6487-4.8.6"},
	{"CRLDP critical", func(s *certSpec) { s.ext(oidCRLDP).critical = true }, "6487-4.8.6"},
	{"CRLDP twice", func(s *certSpec) { s.add(oidCRLDP, false, crldp(host+"x.crl")) }, "5280-4.2"},
	{"CRLDP two points", func(s *certSpec) {
		one := seq(tlv(0xA0, tlv(0xA0, uriTLV(host+"x.crl"))))
		s.ext(oidCRLDP).value = seq(one, one)
	}, "6487-4.8.6"},
	{"CRLDP two URIs", func(s *certSpec) {
		s.ext(oidCRLDP).value = seq(seq(tlv(0xA0, tlv(0xA0, uriTLV(host+"x.crl"), uriTLV("http://x.example/x.crl")))))
	}, "~6487-4.8.6"},
	{"CRLDP with reasons", func(s *certSpec) {
		s.ext(oidCRLDP).value = seq(seq(tlv(0xA0, tlv(0xA0, uriTLV(host+"x.crl"))), tlv(0x81, []byte{6, 0x40})))
	}, "6487-4.8.6"},
	{"CRLDP http only", func(s *certSpec) { s.ext(oidCRLDP).value = crldp("http://x.example/x.crl") }, "6487-4.8.6"},
	{"no AIA", func(s *certSpec) { s.drop(oidAIA) }, "6487-4.8.7"},
	{"AIA other method", func(s *certSpec) { s.ext(oidAIA).value = access(oidCARepository, host+"ta.cer") }, "6487-4.8.7"},
	{"AIA two", func(s *certSpec) {
		s.ext(oidAIA).value = access(oidCAIssuers, host+"ta.cer", oidCAIssuers, host+"tb.cer")
	}, "~6487-4.8.7"},
	{"AIA http", func(s *certSpec) { s.ext(oidAIA).value = access(oidCAIssuers, "http://x.example/ta.cer") }, "6487-4.8.7"},
	{"AIA empty", func(s *certSpec) { s.ext(oidAIA).value = seq() }, "6487-4.8.7"},
	{"no SIA", func(s *certSpec) { s.drop(oidSIA) }, "6487-4.8.8"},
	{"SIA with notify", func(s *certSpec) { s.sia(oidRPKINotify, "https://rrdp.example/n.xml") }, ""},
	{"SIA notify by http", func(s *certSpec) { s.sia(oidRPKINotify, "http://rrdp.example/n.xml") }, "8182-3.2"},
	{"SIA other method", func(s *certSpec) { s.sia(oidSignedObject, host+"ca/x.roa") }, "6487-4.8.8.1"},
	{"SIA two repositories", func(s *certSpec) { s.sia(oidCARepository, host+"cb/") }, "~6487-4.8.8.1"},
	{"SIA no manifest", func(s *certSpec) { s.ext(oidSIA).value = access(oidCARepository, host+"ca/") }, "6487-4.8.8.1"},
	{"SIA no repository", func(s *certSpec) { s.ext(oidSIA).value = access(oidRPKIManifest, host+"ca/manifest.mft") }, "6487-4.8.8.1"},
	{"SIA no slash", func(s *certSpec) {
		s.ext(oidSIA).value = access(oidCARepository, host+"ca", oidRPKIManifest, host+"ca/manifest.mft")
	}, "6487-4.8.8.1"},
	{"SIA manifest elsewhere", func(s *certSpec) {
		s.ext(oidSIA).value = access(oidCARepository, host+"ca/", oidRPKIManifest, host+"ca/deep/manifest.mft")
	}, "6481-2.2"},
	{"SIA dotted path", func(s *certSpec) {
		s.ext(oidSIA).value = access(oidCARepository, host+"../ca/", oidRPKIManifest, host+"../ca/manifest.mft")
	}, "6487-4.8.8.1"},
	{"no policies", func(s *certSpec) { s.drop(oidPolicies) }, "6487-4.8.9"},
	{"policies not critical", func(s *certSpec) { s.ext(oidPolicies).critical = false }, "6487-4.8.9"},
	{"policy other", func(s *certSpec) { s.ext(oidPolicies).value = seq(seq(oidTLV("\x2b\x06\x01\x05\x05\x07\x0e\x03"))) }, "6487-4.8.9"},
	{"policy with CPS", func(s *certSpec) {
		s.ext(oidPolicies).value = seq(seq(oidTLV(oidPolicyIPAddrASN), seq(seq(oidTLV(oidQualifierCPS), tlv(0x16, []byte("https://x.example/cps"))))))
	}, ""},
	{"policy with user notice", func(s *certSpec) {
		s.ext(oidPolicies).value = seq(seq(oidTLV(oidPolicyIPAddrASN), seq(seq(oidTLV("\x2b\x06\x01\x05\x05\x07\x02\x02"), seq()))))
	}, "7318-2"},
	{"no resources", func(s *certSpec) { s.drop(oidIPAddrBlocks); s.drop(oidAutonomousSysIDs) }, "6487-4.8.10"},
	{"addresses not critical", func(s *certSpec) { s.ext(oidIPAddrBlocks).critical = false }, "6487-4.8.10"},
	{"AS numbers not critical", func(s *certSpec) { s.ext(oidAutonomousSysIDs).critical = false }, "6487-4.8.11"},
	{"inherit", func(s *certSpec) {
		s.ext(oidIPAddrBlocks).value, s.ext(oidAutonomousSysIDs).value = ipInherit, asInherit
	}, ""},
	{"unknown extension", func(s *certSpec) { s.add("\x55\x1d\x21", false, seq()) }, "6487-4.8"},
	{"critical FALSE written out", func(s *certSpec) {
		s.rawExts = tlv(0xA3, seq(seq(oidTLV(oidSKI), []byte{1, 1, 0}, octetTLV(s.ext(oidSKI).value))))
	}, "5280-4.1"},
}

func attribute(oid, text string) []byte { return seq(oidTLV(oid), tlv(0x13, []byte(text))) }

// sia adds a description to the SIA.
func (s *certSpec) sia(method, uri string) {
	e := s.ext(oidSIA)
	in := e.value[2:]
	if e.value[1] >= 0x80 {
		in = e.value[2+e.value[1]&0x7F:]
	}
	e.value = seq(in, seq(oidTLV(method), uriTLV(uri)))
}

func TestCACertificate(t *testing.T) {
	ta, ca := rsaLab()
	for _, tt := range caMutations {
		t.Run(tt.name, func(t *testing.T) {
			spec := ca.spec()
			tt.mutate(spec)
			cert, found := ParseCertificate(spec.sign(ta.key))
			wantFinding(t, cert != nil, found, tt.want)
		})
	}
}

func TestTrustAnchor(t *testing.T) {
	ta, _ := rsaLab()
	for _, tt := range []struct {
		name   string
		mutate func(*certSpec)
		want   string
	}{
		{"nothing", func(*certSpec) {}, ""},
		{"AKI is SKI", func(s *certSpec) { s.add(oidAKI, false, seq(tlv(0x80, ta.key.id[:]))) }, ""},
		{"AKI is not SKI", func(s *certSpec) { s.add(oidAKI, false, seq(tlv(0x80, make([]byte, 20)))) }, "6487-4.8.7"},
		{"CRLDP", func(s *certSpec) { s.add(oidCRLDP, false, crldp(host+"x.crl")) }, "6487-4.8.6"},
		{"AIA", func(s *certSpec) { s.add(oidAIA, false, access(oidCAIssuers, host+"ta.cer")) }, "6487-4.8.7"},
		{"inherit", func(s *certSpec) { s.ext(oidIPAddrBlocks).value = ipInherit }, "8630-2.3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec := ta.spec()
			tt.mutate(spec)
			cert, found := ParseCertificate(spec.sign(ta.key))
			wantFinding(t, cert != nil, found, tt.want)
		})
	}
	cert, found := ParseCertificate(ta.spec().sign(rsaKeys()[1]))
	wantFinding(t, cert != nil, found, "8630-2.3") // another key's signature
}

func TestRouterCertificate(t *testing.T) {
	_, ca := rsaLab()
	router := newP256()
	base := func() *certSpec {
		s := ca.ee(host+"x", labNow, labNow.AddDate(1, 0, 0))
		s.spki, s.subject = router.spki, seq(set(seq(oidTLV(oidCommonName), tlv(0x0C, []byte("ROUTER-0000FBF0")))))
		s.ext(oidSKI).value = octetTLV(router.id[:])
		s.drop(oidSIA)
		s.add(oidEKU, false, seq(oidTLV(oidBGPsecRouter)))
		s.add(oidAutonomousSysIDs, true, asExt(ca.holds))
		return s
	}
	for _, tt := range []struct {
		name   string
		mutate func(*certSpec)
		want   string
	}{
		{"nothing", func(*certSpec) {}, ""},
		{"SIA", func(s *certSpec) { s.add(oidSIA, false, access(oidSignedObject, host+"x")) }, "8209-3.1.3.3"},
		{"addresses", func(s *certSpec) { s.add(oidIPAddrBlocks, true, ipExt(ca.holds)) }, "8209-3.1.3.4"},
		{"no AS", func(s *certSpec) { s.drop(oidAutonomousSysIDs) }, "8209-3.1.3.5"},
		{"AS inherit", func(s *certSpec) { s.ext(oidAutonomousSysIDs).value = asInherit }, "8209-3.1.3.5"},
		{"RSA key", func(s *certSpec) { s.key(ca.key.spki) }, "8608-3.1"},
		{"point not on the curve", func(s *certSpec) { s.spki = append(bytes.Clone(s.spki[:len(s.spki)-1]), s.spki[len(s.spki)-1]^1) }, "8608-3.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec := base()
			tt.mutate(spec)
			cert, found := ParseCertificate(spec.sign(ca.key))
			wantFinding(t, cert != nil, found, tt.want)
		})
	}
}

// TestKeyIsRead: a key that the standard library made is the key that is read.
func TestKeyIsRead(t *testing.T) {
	key := rsaKeys()[0]
	k, ok := parseKey(new(check), key.spki, false)
	if !ok || !k.rsa.Equal(key.signer.Public()) {
		t.Fatalf("read %+v", k)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := parseKey(new(check), keyOf(small).spki, false); ok {
		t.Error("a key of 1024 bits is taken")
	}
}
