package validate

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The repositories of the world deviate from the RFCs in ways that every validator in use takes. These tests have such
// deviations: a relying party takes each with a warning, an issuer takes none.

func utf8Name(cn string) []byte {
	return seq(set(seq(oidTLV(oidCommonName), tlv(0x0C, []byte(cn)))))
}

// withoutNull is an algorithm identifier that leaves out its NULL.
func withoutNull(algorithm string) []byte { return seq([]byte(algorithm[2 : len(algorithm)-2])) }

// indefinite is an element of indefinite length.
func indefinite(tag byte, parts ...[]byte) []byte {
	return append(append([]byte{tag, 0x80}, bytes.Join(parts, nil)...), 0, 0)
}

// berROA is a ROA's wrapping as Bouncy Castle wrote it: indefinite lengths, and the content in pieces.
func berROA(s *cmsSpec, content []byte, by *labKey) []byte {
	half := len(content) / 2
	pieces := indefinite(0x24, octetTLV(content[:half]), octetTLV(content[half:]))
	encap := indefinite(0x30, oidTLV(oidROA), indefinite(0xA0, pieces))
	one := seq(s.signerVersion, s.sid, s.digest, tlv(0xA0, s.attributes...), s.algorithm, octetTLV(by.sign(set(s.attributes...))))
	signed := indefinite(0x30, s.version, s.digests, encap, indefinite(0xA0, s.certificates[4:]), set(one))
	return indefinite(0x30, oidTLV(oidSignedData), indefinite(0xA0, signed))
}

// deviations of CA certificates, CRLs, manifests and ROAs, each with its rule.
var deviations = []struct {
	name, rule string
	anchor     func(*certSpec) // of the trust anchor's certificate
	certify    func(*certSpec) // of the CA's certificate
	roa        func(*roaParts)
	crl        func(*crlSpec)
	manifest   func(*certSpec, *cmsSpec)
}{
	{name: "a manifest's EE of another time", rule: "9286-5.1", manifest: func(ee *certSpec, _ *cmsSpec) {
		ee.from, ee.to = utcTLV(labNow.Add(-time.Hour)), utcTLV(labNow.AddDate(0, 0, 7))
	}},
	{name: "a certificate's algorithm without NULL", rule: "7935-2", certify: func(s *certSpec) {
		s.inner, s.outer = withoutNull(algSHA256WithRSA), withoutNull(algSHA256WithRSA)
	}},
	{name: "a trust anchor's algorithm without NULL", rule: "7935-2", anchor: func(s *certSpec) {
		s.inner, s.outer = withoutNull(algSHA256WithRSA), withoutNull(algSHA256WithRSA)
	}},
	{name: "a CRL's algorithm without NULL", rule: "7935-2", crl: func(s *crlSpec) {
		s.inner, s.outer = withoutNull(algSHA256WithRSA), withoutNull(algSHA256WithRSA)
	}},
	{name: "a signer's algorithm without NULL", rule: "6488-2.1.6.5", roa: func(p *roaParts) {
		p.cms = func(s *cmsSpec) { s.algorithm = withoutNull(algRSAEncryption) }
	}},
	{name: "a repository without a slash", rule: "6487-4.8.8.1", certify: func(s *certSpec) {
		s.ext(oidSIA).value = access(oidCARepository, host+"ca", oidRPKIManifest, host+"ca/manifest.mft")
	}},
	{name: "rpkiNotify in an EE certificate", rule: "6487-4.8.8.2", roa: func(p *roaParts) {
		p.ee.ext(oidSIA).value = access(oidRPKINotify, "https://rpki.example/n.xml", oidSignedObject, host+"ca/a.roa")
	}},
	{name: "rpkiNotify in a manifest's EE certificate", rule: "6487-4.8.8.2", manifest: func(ee *certSpec, _ *cmsSpec) {
		ee.ext(oidSIA).value = access(oidRPKINotify, "https://rpki.example/n.xml", oidSignedObject, host+"ca/manifest.mft")
	}},
	{name: "an empty list of revoked certificates", rule: "5280-5.1.2.6", crl: func(s *crlSpec) { s.revoked = seq() }},
	{name: "a subject as UTF8String", rule: "6487-4.5", roa: func(p *roaParts) { p.ee.subject = utf8Name("a") }},
	{name: "a CA's subject, and the issuer of all that is below it, as UTF8String", rule: "6487-4.5", certify: func(s *certSpec) { s.subject = utf8Name("ca") },
		roa:      func(p *roaParts) { p.ee.issuer = utf8Name("ca") },
		crl:      func(s *crlSpec) { s.issuer = utf8Name("ca") },
		manifest: func(ee *certSpec, _ *cmsSpec) { ee.issuer = utf8Name("ca") }},
	{name: "a subject's attributes out of order", rule: "6487-4.5", roa: func(p *roaParts) {
		p.ee.subject = seq(set(attribute(oidSerialNumber, "a"), attribute(oidCommonName, "a")))
	}},
	{name: "signed attributes out of order", rule: "6488-2.1.6.4", roa: func(p *roaParts) {
		p.cms = func(s *cmsSpec) { s.attributes[0], s.attributes[1] = s.attributes[1], s.attributes[0] }
	}},
	{name: "signed after its EE ended", rule: "9589-4", roa: func(p *roaParts) {
		p.cms = func(s *cmsSpec) { s.attributes[1] = seq(oidTLV(oidSigningTime), set(utcTLV(labNow.AddDate(2, 0, 0)))) }
	}},
	{name: "an issuer's certificate at another place than the TAL says", rule: "6487-4.8.7", certify: func(s *certSpec) {
		s.ext(oidAIA).value = access(oidCAIssuers, host+"elsewhere/ta.cer")
	}},
	{name: "BER", rule: "6488-2"},
}

// deviant is a trust anchor and one CA with one ROA, which deviate in one way.
func deviant(i int) (r repo, ta *labCA) {
	d := deviations[i]
	k := rsaKeys()
	ta = newAnchor(k[0], k[2], "0.0.0.0/0, ::/0, AS1-AS4294967295")
	ca := ta.child("ca", k[1], "10.0.0.0/8, 2001:db8::/32, AS64496")
	spec := ca.spec()
	if d.certify != nil {
		d.certify(spec)
	}
	ta.files["ca.cer"] = spec.sign(ta.key)
	prefixes := []ROAPrefix{prefix("10.0.0.0/8", 24)}
	ca.files["a.roa"] = ca.roa("a.roa", 64496, prefixes, func(p *roaParts) {
		if d.roa != nil {
			d.roa(p)
		}
	})
	if d.name == "BER" {
		var ber []byte
		ca.roa("a.roa", 64496, prefixes, func(p *roaParts) {
			content := p.content
			p.cms = func(s *cmsSpec) { ber = berROA(s, content, ca.eeKey) }
		})
		ca.files["a.roa"] = ber
	}
	ca.crl, ca.manifest = d.crl, d.manifest
	own := ta.spec()
	if d.anchor != nil {
		d.anchor(own)
	}
	r = repo{ta.uri: own.sign(ta.key)}
	r.publish(ta, ca)
	return r, ta
}

func TestDeviations(t *testing.T) {
	for i, d := range deviations {
		t.Run(d.name, func(t *testing.T) {
			r, ta := deviant(i)
			res := Tree(t.Context(), ta.tal(), r[ta.uri], r, Options{Now: labNow, Asker: RelyingParty})
			if res.Errors() > 0 || !has(res.Findings, d.rule) || vrpsText(res.VRPs) != "10.0.0.0/8,24,AS64496\n" {
				t.Errorf("a relying party finds %v and the VRPs %v, want a warning of %s and all", res.Findings, res.VRPs, d.rule)
			}
			res = Tree(t.Context(), ta.tal(), r[ta.uri], r, Options{Now: labNow})
			if res.Errors() == 0 || !has(res.Findings, d.rule) || len(res.VRPs) > 0 {
				t.Errorf("an issuer finds %v and the VRPs %v, want an error of %s and none", res.Findings, res.VRPs, d.rule)
			}
			gate := NewGate(ta.tal(), r[ta.uri], Options{Asker: RelyingParty})
			v, err := gate.Check(t.Context(), labNow, r, []string{ta.uri})
			if err != nil || !slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.Rule == d.rule && f.Severity == Error }) {
				t.Errorf("the gate finds %v, %v", v.Findings, err)
			}
		})
	}
}

// TestDeviationsElsewhere: rpki-client takes what we take with a warning.
func TestDeviationsElsewhere(t *testing.T) {
	program, err := exec.LookPath("rpki-client")
	if err != nil {
		t.Skip("rpki-client is not on this machine")
	}
	for i, d := range deviations {
		t.Run(d.name, func(t *testing.T) {
			out := elsewhere(t, program, i)
			if strings.Contains(out, "invalid option -- 'P'") {
				t.Skip("this rpki-client is too old to be told which time it is")
			}
			if !strings.Contains(out, `"10.0.0.0/8"`) {
				t.Errorf("rpki-client refuses it: %s", out)
			}
		})
	}
}

// elsewhere has rpki-client validate a copy of the repository as of the lab's time, and gives what it prints.
func elsewhere(t *testing.T, program string, i int) string {
	t.Helper()
	r, ta := deviant(i)
	dir, out := filepath.Join(t.TempDir(), "cache"), t.TempDir()
	files := map[string][]byte{filepath.Join(dir, "ta/lab/ta.cer"): r[ta.uri], filepath.Join(out, "lab.tal"): []byte(ta.uri + "\n\n" + base64Lines(ta.key.spki) + "\n")}
	for uri, der := range r {
		files[filepath.Join(dir, strings.TrimPrefix(uri, "rsync://"))] = der
	}
	for name, data := range files {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	open := func(path string, d fs.DirEntry, err error) error { // started by root, rpki-client works as another user
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o777)
		}
		return err
	}
	if err := errors.Join(filepath.WalkDir(filepath.Dir(filepath.Dir(dir)), open), filepath.WalkDir(out, open)); err != nil {
		t.Fatal(err)
	}
	said, err := exec.CommandContext(t.Context(), program, "-n", "-j", "-vv", "-P", strconv.FormatInt(labNow.Unix(), 10), "-d", dir, "-t", filepath.Join(out, "lab.tal"), out).CombinedOutput()
	vrps, _ := os.ReadFile(filepath.Join(out, "json"))
	if err != nil {
		t.Logf("%v", err)
	}
	return string(said) + string(vrps)
}

// TestAnchorAlias: those below a trust anchor may name any of the rsync URIs that its TAL has (RFC 8630, section 2.2).
func TestAnchorAlias(t *testing.T) {
	w := cheapWorld()
	tal := w.ta.tal()
	tal.URIs = []string{"https://rpki.example/ta.cer", "rsync://mirror.example/repo/ta.cer", w.ta.uri}
	res := Tree(t.Context(), tal, w.repo[w.ta.uri], w.repo, Options{Now: labNow, P256: true, Asker: RelyingParty})
	if clean(t, res.Findings); vrpsText(res.VRPs) != worldVRPs {
		t.Errorf("the VRPs are %v", res.VRPs)
	}
	tal.URIs = tal.URIs[:2]
	if res = Tree(t.Context(), tal, w.repo[w.ta.uri], w.repo, Options{Now: labNow, P256: true}); len(res.VRPs) > 0 {
		t.Error("those below name a certificate that the TAL does not have, and an issuer takes them")
	}
}

// TestFolderIsFile: a file that has the name of another point's directory is found, by whichever of the two comes later.
func TestFolderIsFile(t *testing.T) {
	w := cheapWorld()
	deep := w.one.child("deep", sharedKeys()[5], "10.0.1.0/24")
	deep.dir = w.one.dir + "b.roa/"
	w.one.files["deep.cer"] = deep.spec().sign(w.one.key)
	w.repo.publish(w.one, deep)
	res := Tree(t.Context(), w.ta.tal(), w.repo[w.ta.uri], w.repo, Options{Now: labNow, P256: true, Asker: RelyingParty})
	if res.Errors() > 0 || !has(res.Findings, ruleFolder) || vrpsText(res.VRPs) != worldVRPs {
		t.Errorf("a relying party finds %v", res.Findings)
	}
	gate := NewGate(w.ta.tal(), w.repo[w.ta.uri], Options{P256: true})
	if v, err := gate.Check(t.Context(), labNow, w.repo, []string{w.ta.uri}); err != nil || !has(v.Findings, ruleFolder) {
		t.Errorf("the gate finds %v, %v", v.Findings, err)
	}
	// the file comes when the directory is there
	file := w.one.files["b.roa"]
	delete(w.one.files, "b.roa")
	delete(w.repo, w.one.dir+"b.roa")
	w.repo.publish(w.one)
	v, err := gate.Check(t.Context(), labNow, w.repo, []string{w.ta.uri})
	if err != nil {
		t.Fatal(err)
	}
	clean(t, v.Findings)
	v.Accept()
	w.one.files["b.roa"] = file
	w.repo.publish(w.one)
	if v, err := gate.Check(t.Context(), labNow, w.repo, []string{w.one.uri}); err != nil || !has(v.Findings, ruleFolder) {
		t.Errorf("the gate finds %v, %v", v.Findings, err)
	}
}

// TestPlainURI: no part of a path is longer than file systems take, or begins with a dot.
func TestPlainURI(t *testing.T) {
	long := strings.Repeat("a", 255)
	for uri, want := range map[string]bool{
		"rsync://h.example/m/" + long:           true,
		"rsync://h.example/m/" + long + "a":     false,
		"rsync://h.example/" + long + "a/x.cer": false,
		"rsync://h.example/m/.x.cer":            false,
		"rsync://h.example/m/.d/x.cer":          false,
		"rsync://h.example/m/x.cer":             true,
	} {
		if rsyncURI(uri) != want {
			t.Errorf("%.40s… of %d octets is taken: %v", uri, len(uri), !want)
		}
	}
}

// TestCriticalFalse: an extension whose criticality is written out as FALSE is no DER, and everybody reads it.
func TestCriticalFalse(t *testing.T) {
	ta, ca := rsaLab()
	spec := ca.spec()
	var each [][]byte
	for _, e := range spec.exts {
		critical := []byte{1, 1, 0}
		if e.critical {
			critical = []byte{1, 1, 0xFF}
		}
		each = append(each, seq(oidTLV(e.oid), critical, octetTLV(e.value)))
	}
	spec.rawExts = tlv(0xA3, seq(each...))
	der := spec.sign(ta.key)
	if cert, found := ParseCertificate(der, RelyingParty); cert == nil || !has(found, "5280-4.1") {
		t.Errorf("a relying party finds %v", found)
	}
	if cert, found := ParseCertificate(der); cert != nil || !has(found, "5280-4.1") {
		t.Errorf("an issuer finds %v", found)
	}
}

// TestRealBER: objects of before 2019 that RIPE and rpki-rs published are read.
func TestRealBER(t *testing.T) {
	for _, file := range []string{"ta.mft", "ca1.mft", "example-ripe.roa"} {
		taken, found := parseAs(file, read(t, rpkirs+"/"+file), RelyingParty)
		if !has(found, "6488-2") || !taken {
			t.Errorf("%s: taken is %v; found %v", file, taken, found)
		}
	}
}

func TestDEROf(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"\x30\x80\x05\x00\x00\x00", "\x30\x02\x05\x00"},
		{"\x24\x80\x04\x01a\x24\x80\x04\x01b\x00\x00\x04\x00\x00\x00", "\x04\x02ab"},
		{"\x30\x81\x02\x05\x00", "\x30\x02\x05\x00"},
		{"\x30\x82\x00\x02\x05\x00", "\x30\x02\x05\x00"},
		{"\x30\x02\x05\x00", ""},                 // DER
		{"\x30\x80\x05\x00", ""},                 // no end
		{"\x04\x80\x00\x00", ""},                 // a primitive without a length
		{"\x24\x80\x05\x00\x00\x00", ""},         // a piece that is none
		{"\x30\x80\x05\x00\x00\x00\x00", ""},     // bytes after it
		{"\x1f\x81\x01\x00", ""},                 // a long tag
		{strings.Repeat("\x30\x80", 30), ""},     // too deep
		{"\x30\x84\xff\xff\xff\xff\x05\x00", ""}, // longer than it is
	} {
		der, differs := derOf([]byte(tt.in))
		if differs != (tt.want != "") || differs && string(der) != tt.want || !differs && string(der) != tt.in {
			t.Errorf("%x is written as %x, %v", tt.in, der, differs)
		}
	}
}

// FuzzDEROf: what is written is DER, and no longer to be changed.
func FuzzDEROf(f *testing.F) {
	f.Add([]byte("\x30\x80\x24\x80\x04\x01a\x00\x00\x00\x00"))
	f.Add([]byte("\x30\x82\x00\x02\x05\x00"))
	seeds(f, ".mft")
	f.Fuzz(func(t *testing.T, in []byte) {
		der, differs := derOf(in)
		if again, still := derOf(der); still || !bytes.Equal(again, der) {
			t.Errorf("%x was %x and is %x", der, in, again)
		}
		if !differs && !bytes.Equal(der, in) {
			t.Error("what is not changed is not as it was")
		}
	})
}
