package validate

import (
	"strings"
	"testing"
)

// requestSpec is a certification request in parts; those that are TLVs are written as they stand.
type requestSpec struct {
	version, subject, spki, attributes, outer, trailing []byte
	exts                                                []ext
	key                                                 *labKey
}

const (
	requestBase     = "rsync://rpki.example.net/repo/child/"
	requestManifest = requestBase + "228CF09308ED1A5B3ADD747C5B6968D7073B5285.mft"
	requestNotify   = "https://rpki.example.net/rrdp/notification.xml"
)

func place(method, uri string) []byte { return seq(oidTLV(method), uriTLV(uri)) }

// newRequest is like Krill's: three extensions, the key's identifier as subject.
func newRequest(key *labKey) *requestSpec {
	return &requestSpec{
		version: intTLV(0), subject: key.name(), spki: key.spki, outer: key.sigAlg, key: key,
		exts: []ext{
			{oidBasicConstraints, true, []byte(basicConstraintsCA)},
			{oidKeyUsage, true, []byte(keyUsageCA)},
			{oidSIA, false, seq(place(oidCARepository, requestBase), place(oidRPKIManifest, requestManifest), place(oidRPKINotify, requestNotify))},
		},
	}
}

func (s *requestSpec) sia(places ...[]byte) { s.exts[2].value = seq(places...) }

func (s *requestSpec) sign() []byte {
	if s.attributes == nil {
		var each [][]byte
		for _, e := range s.exts {
			each = append(each, e.der())
		}
		s.attributes = tlv(0xA0, seq(oidTLV(oidExtensionRequest), set(seq(each...))))
	}
	info := seq(s.version, s.subject, s.spki, s.attributes)
	return append(seq(info, s.outer, bitTLV(s.key.sign(info))), s.trailing...)
}

func TestRequest(t *testing.T) {
	for _, key := range []*labKey{rsaKeys()[0], newP256()} {
		r, found := ParseRequest(newRequest(key).sign(), P256)
		if r == nil || len(found) > 0 {
			t.Fatal(found)
		}
		if r.Repository != requestBase || r.Manifest != requestManifest || r.Notify != requestNotify || string(r.KeyInfo) != string(key.spki) || r.Key.ID() != key.id {
			t.Errorf("the request is read as %+v", r)
		}
	}
	for name, change := range map[string]func(*requestSpec){
		"no subject":            func(s *requestSpec) { s.subject = seq() },
		"a subject of any form": func(s *requestSpec) { s.subject = seq(set(seq(oidTLV("\x55\x04\x0a"), tlv(0x0c, []byte("Übermut"))))) },
		"no RRDP": func(s *requestSpec) {
			s.sia(place(oidRPKIManifest, requestManifest), place(oidCARepository, requestBase))
		},
		"other criticality":      func(s *requestSpec) { s.exts[0].critical, s.exts[1].critical, s.exts[2].critical = false, false, true },
		"extensions turned over": func(s *requestSpec) { s.exts[0], s.exts[2] = s.exts[2], s.exts[0] },
		"a port": func(s *requestSpec) {
			s.sia(place(oidCARepository, "rsync://localhost:4404/a/b/"), place(oidRPKIManifest, "rsync://localhost:4404/a/b/c.mft"))
		},
	} {
		s := newRequest(rsaKeys()[0])
		change(s)
		if r, found := ParseRequest(s.sign()); r == nil || len(found) > 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
}

// TestRequestWithoutSlash: a child of Krill's asks for a repository without a slash at its end, and gets the directory.
func TestRequestWithoutSlash(t *testing.T) {
	s := newRequest(rsaKeys()[0])
	s.sia(place(oidCARepository, strings.TrimSuffix(requestBase, "/")), place(oidRPKIManifest, requestManifest))
	r, found := ParseRequest(s.sign(), RelyingParty)
	if r == nil || r.Repository != requestBase || !has(found, "6487-4.8.8.1") {
		t.Errorf("%+v, %v", r, found)
	}
}

func TestRequestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*requestSpec)
		rule   string
	}{
		"version 1":            {func(s *requestSpec) { s.version = intTLV(1) }, "6487-6.1.1"},
		"no subject at all":    {func(s *requestSpec) { s.subject = nil }, "2986-4"},
		"bytes after it":       {func(s *requestSpec) { s.trailing = []byte{0} }, "2986-4"},
		"another's key":        {func(s *requestSpec) { s.spki = rsaKeys()[1].spki }, "2986-4.2"},
		"SHA-1":                {func(s *requestSpec) { s.outer = []byte("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\x00") }, "7935-2"},
		"no attributes":        {func(s *requestSpec) { s.attributes = tlv(0xA0) }, "6487-6.1.1"},
		"attributes left out":  {func(s *requestSpec) { s.attributes = []byte{} }, "2986-4"},
		"another attribute":    {func(s *requestSpec) { s.attributes = tlv(0xA0, seq(oidTLV(oidSigningTime), set(seq()))) }, "6487-6.1.1"},
		"no basic constraints": {func(s *requestSpec) { s.exts = s.exts[1:] }, "6487-6.3"},
		"no key usage":         {func(s *requestSpec) { s.exts = append(s.exts[:1], s.exts[2]) }, "6487-6.3"},
		"no places":            {func(s *requestSpec) { s.exts = s.exts[:2] }, "6487-6.3"},
		"an EE's":              {func(s *requestSpec) { s.exts[0].value = seq() }, "6487-6.3"},
		"a path length":        {func(s *requestSpec) { s.exts[0].value = seq([]byte{1, 1, 0xff}, intTLV(0)) }, "6487-6.3"},
		"an EE's key usage":    {func(s *requestSpec) { s.exts[1].value = []byte(keyUsageEE) }, "6487-6.3"},
		"a key identifier":     {func(s *requestSpec) { s.exts = append(s.exts, ext{oidSKI, false, octetTLV(make([]byte, 20))}) }, "6487-6.3"},
		"a router's purpose":   {func(s *requestSpec) { s.exts = append(s.exts, ext{oidEKU, false, seq(oidTLV(oidBGPsecRouter))}) }, "6487-6.3"},
		"an extension in pieces": {func(s *requestSpec) {
			s.attributes = tlv(0xA0, seq(oidTLV(oidExtensionRequest), set(seq(seq(oidTLV(oidKeyUsage))))))
		}, "5280-4.1"},
		"an extension twice": {func(s *requestSpec) { s.exts = append(s.exts, s.exts[1]) }, "5280-4.2"},
		"no repository":      {func(s *requestSpec) { s.sia(place(oidRPKIManifest, requestManifest)) }, "6487-4.8.8.1"},
		"no manifest":        {func(s *requestSpec) { s.sia(place(oidCARepository, requestBase)) }, "6487-4.8.8.1"},
		"no slash": {func(s *requestSpec) {
			s.sia(place(oidCARepository, strings.TrimSuffix(requestBase, "/")), place(oidRPKIManifest, requestManifest))
		}, "6487-4.8.8.1"},
		"two repositories": {func(s *requestSpec) {
			s.sia(place(oidCARepository, requestBase), place(oidCARepository, requestBase), place(oidRPKIManifest, requestManifest))
		}, "6487-4.8.8.1"},
		"http": {func(s *requestSpec) {
			s.sia(place(oidCARepository, requestBase), place(oidRPKIManifest, requestManifest), place(oidRPKINotify, "http://rpki.example.net/n.xml"))
		}, "6487-4.8.8.1"},
		"a repository by https": {func(s *requestSpec) {
			s.sia(place(oidCARepository, "https://rpki.example.net/repo/"), place(oidRPKIManifest, requestManifest))
		}, "6487-4.8.8.1"},
		"a way out": {func(s *requestSpec) {
			s.sia(place(oidCARepository, "rsync://rpki.example.net/repo/../"), place(oidRPKIManifest, "rsync://rpki.example.net/repo/../a.mft"))
		}, "6487-4.8.8.1"},
		"beyond ASCII": {func(s *requestSpec) {
			s.sia(place(oidCARepository, "rsync://rpki.example.net/répo/"), place(oidRPKIManifest, "rsync://rpki.example.net/répo/a.mft"))
		}, "6487-4.8.8.1"},
		"a manifest elsewhere": {func(s *requestSpec) {
			s.sia(place(oidCARepository, requestBase), place(oidRPKIManifest, requestBase+"below/a.mft"))
		}, "6481-2.2"},
		"a manifest by another name": {func(s *requestSpec) {
			s.sia(place(oidCARepository, requestBase), place(oidRPKIManifest, requestBase+"a.roa"))
		}, "6481-2.2"},
		"a signed object": {func(s *requestSpec) {
			s.sia(place(oidCARepository, requestBase), place(oidRPKIManifest, requestManifest), place(oidSignedObject, requestBase+"a.roa"))
		}, "6487-4.8.8.1"},
		"a place that is no URI":  {func(s *requestSpec) { s.sia(seq(oidTLV(oidCARepository), tlv(0x82, []byte("host")))) }, "6487-4.8.8.1"},
		"places that are no list": {func(s *requestSpec) { s.exts[2].value = seq() }, "6487-4.8.8.1"},
	} {
		s := newRequest(rsaKeys()[0])
		c.change(s)
		r, found := ParseRequest(s.sign())
		if r != nil || len(found) != 1 || found[0].Rule != c.rule {
			t.Errorf("%s: %v, not one of %s", name, found, c.rule)
		}
	}
	if r, found := ParseRequest(newRequest(newP256()).sign()); r != nil || len(found) == 0 {
		t.Error("P-256 is taken unasked")
	}
	der := newRequest(rsaKeys()[0]).sign()
	for i := range der {
		if r, _ := ParseRequest(der[:i]); r != nil {
			t.Fatalf("the first %d octets are taken", i)
		}
	}
}

// TestRecordedRequests reads those of rpki-rs. Both are good requests, and neither is one that we certify: the one of
// 2011 names its manifest .mnf, which RFC 6481, section 2.2 has as .mft; the other is a router's.
func TestRecordedRequests(t *testing.T) {
	const folder = "../../../shared/vectors/rpki-rs/ca/"
	if r, found := ParseRequest(read(t, folder+"drl-csr.der")); r != nil || len(found) != 1 || found[0].Rule != "6481-2.2" {
		t.Errorf("drl-csr.der: %v", found)
	}
	if r, found := ParseRequest(read(t, folder+"router-csr.der"), P256); r != nil || len(found) != 1 || found[0].Rule != "6487-6.3" {
		t.Errorf("router-csr.der: %v", found)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add(newRequest(rsaKeys()[0]).sign())
	f.Add(newRequest(newP256()).sign())
	// what only a valid signature lets through
	f.Add(tlv(0xA0, seq(oidTLV(oidExtensionRequest), set(seq(ext{oidSIA, false, seq(place(oidCARepository, requestBase))}.der())))))
	f.Fuzz(func(t *testing.T, der []byte) {
		bounded(t, der, func() {
			r, found := ParseRequest(der, P256)
			sound(t, r != nil, found)
			c := new(check)
			if in, ok := inside(der, tag0Explicit); ok && new(Request).parseAttributes(c, in) && c.failed {
				t.Error("a failed check was passed")
			}
		})
	})
}
