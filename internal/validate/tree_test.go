package validate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cadastre/internal/inr"
)

// world is a small valid tree: a trust anchor, a registry, two holders.
type world struct {
	repo                   repo
	ta, registry, one, two *labCA
	more                   []*labCA
	accept                 func(touched ...string) // by the gate of TestGateFinds, halfway through a change
}

func newWorld(newKey func(int) *labKey) *world {
	w := &world{repo: repo{}}
	ee := newKey(0)
	w.ta = newAnchor(newKey(1), ee, "0.0.0.0/0, ::/0, AS1-AS4294967295")
	w.registry = w.ta.child("registry", newKey(2), "10.0.0.0/8, 2001:db8::/32, AS64496-AS64511")
	w.one = w.registry.child("one", newKey(3), "10.0.0.0/16, 10.2.0.0-10.4.255.255, 2001:db8:1::/48, AS64496")
	w.two = w.registry.child("two", newKey(4), "10.9.0.0/16, AS64500-AS64502")
	w.one.files["a.roa"] = w.one.roa("a.roa", 64496, []ROAPrefix{prefix("10.0.0.0/16", 24)}, nil)
	w.one.files["b.roa"] = w.one.roa("b.roa", 64496, []ROAPrefix{prefix("10.3.0.0/16", 0), prefix("2001:db8:1::/48", 64)}, nil)
	w.two.files["c.roa"] = w.two.roa("c.roa", 0, []ROAPrefix{prefix("10.9.128.0/17", 0)}, nil)
	w.repo[w.ta.uri] = w.ta.spec().sign(w.ta.key)
	w.repo.publish(w.ta, w.registry, w.one, w.two)
	return w
}

func p256World() *world { return newWorld(func(int) *labKey { return newP256() }) }

func (w *world) tree(t testing.TB, opt Options) *Result {
	t.Helper()
	opt.Now, opt.P256 = labNow, true
	return Tree(t.Context(), w.ta.tal(), w.repo[w.ta.uri], w.repo, opt)
}

func vrpsText(vrps []VRP) string {
	out := ""
	for _, v := range vrps {
		out += v.String() + "\n"
	}
	return out
}

const worldVRPs = `10.0.0.0/16,24,AS64496
10.3.0.0/16,16,AS64496
10.9.128.0/17,17,AS0
2001:db8:1::/48,64,AS64496
`

func TestTree(t *testing.T) {
	w := p256World()
	for _, workers := range []int{1, 2, 8} {
		res := w.tree(t, Options{Workers: workers})
		clean(t, res.Findings)
		if got := vrpsText(res.VRPs); got != worldVRPs {
			t.Errorf("with %d workers the VRPs are\n%swant\n%s", workers, got, worldVRPs)
		}
		if res.Objects != 1+3+4*2+3 || len(res.Authorities) != 4 {
			t.Errorf("with %d workers there are %d objects and %d authorities", workers, res.Objects, len(res.Authorities))
		}
		if want := labNow.AddDate(0, 0, 1); !res.Earliest.Equal(want) {
			t.Errorf("the first expiry is %s, want %s", res.Earliest, want)
		}
	}
}

// sharedKeys is a fixed stock of P-256 keys, so that many worlds cost few keys.
var sharedKeys = sync.OnceValue(func() []*labKey {
	keys := make([]*labKey, 40)
	for i := range keys {
		keys[i] = newP256()
	}
	return keys
})

func cheapWorld() *world { return newWorld(func(i int) *labKey { return sharedKeys()[i] }) }

// TestTreeFinds breaks one thing of a valid repository at a time.
func TestTreeFinds(t *testing.T) {
	const all, withoutOne, withoutA = worldVRPs, "10.9.128.0/17,17,AS0\n", "10.3.0.0/16,16,AS64496\n10.9.128.0/17,17,AS0\n2001:db8:1::/48,64,AS64496\n"
	roaOf := func(mutate func(*roaParts)) func(*world) {
		return func(w *world) {
			w.one.files["a.roa"] = w.one.roa("a.roa", 64496, []ROAPrefix{prefix("10.0.0.0/16", 24)}, mutate)
		}
	}
	certOf := func(mutate func(*certSpec)) func(*world) {
		return func(w *world) {
			s := w.one.spec()
			mutate(s)
			w.registry.files["one.cer"] = s.sign(w.registry.key)
		}
	}
	manifestOf := func(mutate func(*certSpec, *cmsSpec)) func(*world) {
		return func(w *world) { w.one.manifest = mutate }
	}
	crlOf := func(mutate func(*crlSpec)) func(*world) {
		return func(w *world) { w.one.crl = mutate }
	}
	for _, tt := range []struct {
		name   string
		before func(*world) // before CRLs and manifests are made
		after  func(*world) // on the published bytes
		rule   string
		vrps   string
	}{
		{"nothing", nil, nil, "", all},
		{"manifest missing", nil, func(w *world) { delete(w.repo, w.one.dir+"manifest.mft") }, "9286-6.2", withoutOne},
		{"CRL missing", nil, func(w *world) { delete(w.repo, w.one.dir+"list.crl") }, "9286-6.4", withoutOne},
		{"ROA missing", nil, func(w *world) { delete(w.repo, w.one.dir+"a.roa") }, "9286-6.4", withoutOne},
		{"ROA of another hash", nil, func(w *world) { w.repo[w.one.dir+"a.roa"] = w.repo[w.one.dir+"b.roa"] }, "9286-6.5", withoutOne},
		{"no CRL listed", manifestOf(func(_ *certSpec, cms *cmsSpec) {
			*cms = *newCMS(oidManifest, manifestContent(1, labNow.Add(-5*time.Minute+2*time.Second), labNow.AddDate(0, 0, 1), map[string][]byte{"a.roa": nil}), nil, sharedKeys()[0], labNow)
		}), nil, "9286-6.3", withoutOne},
		{"two CRLs", func(w *world) { w.one.files["other.crl"] = []byte("x") }, nil, "9286-6.3", withoutOne},
		{"another manifest listed", func(w *world) { w.one.files["other.mft"] = []byte("x") }, nil, "9286-4.2.1", all},
		{"a checklist", func(w *world) { w.one.files["x.sig"] = []byte("x") }, nil, "~9323-1", all},
		{"an unknown type", func(w *world) { w.one.files["x.xyz"] = []byte("x") }, nil, "~9286-4.2.2", all},
		{"a broken Ghostbusters record", func(w *world) { w.one.files["x.gbr"] = []byte("x") }, nil, "limit-object-size", all},
		{"a ROA as ASPA", func(w *world) {
			w.one.files["x.asa"] = w.one.roa("x.asa", 1, []ROAPrefix{prefix("10.0.0.0/16", 0)}, nil)
		}, nil, "6488-3", all},
		{"ROA revoked", func(w *world) {
			roa, _ := ParseROA(w.one.files["a.roa"], P256)
			w.one.revoked = []int64{roa.EE.Serial.Int().Int64()}
		}, nil, "6487-7.2", withoutA},
		{"CA revoked", func(w *world) {
			cert, _ := ParseCertificate(w.registry.files["one.cer"], P256)
			w.registry.revoked = []int64{cert.Serial.Int().Int64()}
		}, nil, "6487-7.2", withoutOne},
		{"manifest revoked", func(w *world) { w.one.revoked = []int64{w.one.nextSerial + 1} }, nil, "6487-7.2", withoutOne},
		{"ROA claims more", roaOf(func(p *roaParts) {
			p.ee.ext(oidIPAddrBlocks).value = ipExt(inr.OfPrefix(netip.MustParsePrefix("10.0.0.0/15")))
		}), nil, "6487-7.2", withoutA},
		{"ROA expired", roaOf(func(p *roaParts) { p.ee.to = utcTLV(labNow.Add(-time.Second)) }), nil, "6487-7.2", withoutA},
		{"ROA not yet valid", roaOf(func(p *roaParts) { p.ee.from = utcTLV(labNow.Add(time.Second)) }), nil, "6487-7.2", withoutA},
		{"ROA of another place", roaOf(func(p *roaParts) { p.ee.ext(oidSIA).value = access(oidSignedObject, host+"one/z.roa") }), nil, "6487-4.8.8.2", withoutA},
		{"ROA of another issuer", roaOf(func(p *roaParts) { p.ee.issuer = name("other") }), nil, "6487-7.2", withoutA},
		{"ROA of another AKI", roaOf(func(p *roaParts) { p.ee.ext(oidAKI).value = seq(tlv(0x80, make([]byte, 20))) }), nil, "6487-4.8.3", withoutA},
		{"ROA of another AIA", roaOf(func(p *roaParts) { p.ee.ext(oidAIA).value = access(oidCAIssuers, host+"x.cer") }), nil, "6487-4.8.7", withoutA},
		{"ROA of another CRL", roaOf(func(p *roaParts) { p.ee.ext(oidCRLDP).value = crldp(host + "one/x.crl") }), nil, "6487-4.8.6", withoutA},
		{"ROA's EE of another key", func(w *world) {
			key := w.one.key
			w.one.key = w.two.key
			w.one.key = &labKey{signer: w.two.key.signer, id: key.id, spki: key.spki, sigAlg: key.sigAlg, cmsAlg: key.cmsAlg}
			w.one.files["a.roa"] = w.one.roa("a.roa", 64496, []ROAPrefix{prefix("10.0.0.0/16", 24)}, nil)
			w.one.key = key
		}, nil, "6487-7.2", withoutA},
		{"ROA outlives its CA", roaOf(func(p *roaParts) { p.ee.to = utcTLV(labNow.AddDate(2, 0, 0)) }), nil, "~profile-validity", all},
		{"serial twice", roaOf(func(p *roaParts) {
			other, _ := ParseROA(p.before, P256)
			p.ee.serial = bigTLV(other.EE.Serial.Int())
		}), nil, "6487-4.2", all},
		{"CA claims more", certOf(func(s *certSpec) { s.ext(oidAutonomousSysIDs).value = asExt(inr.OfAS(1, 2)) }), nil, "6487-7.2", withoutOne},
		{"CA expired", certOf(func(s *certSpec) { s.to = utcTLV(labNow.Add(-time.Second)) }), nil, "6487-7.2", withoutOne},
		{"CA inherits", certOf(func(s *certSpec) {
			s.ext(oidIPAddrBlocks).value, s.ext(oidAutonomousSysIDs).value = ipInherit, asInherit
		}), nil, "", all},
		{"CA of the key above", func(w *world) {
			w.one.child("loop", w.registry.key, "10.0.0.0/16")
		}, nil, "limit-loop", all},
		{"a trust anchor's certificate below", func(w *world) { w.registry.files["ta.cer"] = w.repo[w.ta.uri] }, nil, "6481-2.2", all},
		{"key twice", func(w *world) {
			again := w.registry.child("again", w.two.key, "10.9.0.0/16")
			again.eeKey = w.two.eeKey
			w.repo.publish(again)
		}, nil, "~profile-unique-key", all},
		{"manifest twice", func(w *world) {
			again := w.registry.child("again", w.two.key, "10.9.0.0/16, AS64500-AS64502")
			again.dir = w.two.dir
			w.registry.files["again.cer"] = again.spec().sign(w.registry.key)
		}, nil, "6487-4.8.7", all},
		{"CRL stale", crlOf(func(s *crlSpec) { s.this, s.next = utcTLV(labNow.Add(-time.Hour)), utcTLV(labNow) }), nil, "6487-5", withoutOne},
		{"CRL not yet", crlOf(func(s *crlSpec) { s.this = utcTLV(labNow.Add(time.Second)) }), nil, "6487-5", withoutOne},
		{"CRL of another issuer", crlOf(func(s *crlSpec) { s.issuer = name("other") }), nil, "6487-5", withoutOne},
		{"CRL of another AKI", crlOf(func(s *crlSpec) { s.exts[0].value = seq(tlv(0x80, make([]byte, 20))) }), nil, "6487-5", withoutOne},
		{"manifest of another place", manifestOf(func(ee *certSpec, _ *cmsSpec) { ee.ext(oidSIA).value = access(oidSignedObject, host+"one/z.mft") }), nil, "9981-4", withoutOne},
		{"manifest signed badly", manifestOf(func(_ *certSpec, cms *cmsSpec) { cms.signature = octetTLV(make([]byte, 70)) }), nil, "6488-3", withoutOne},
		{"manifest stale", func(w *world) { w.one.now = labNow.AddDate(0, 0, -2) }, nil, "9286-6.3", withoutOne},
		{"manifest not yet", func(w *world) { w.one.now = labNow.Add(time.Hour) }, nil, "9286-6.3", withoutOne},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := cheapWorld()
			if tt.before != nil {
				tt.before(w)
				w.repo.publish(w.ta, w.registry, w.one, w.two)
			}
			if tt.after != nil {
				tt.after(w)
			}
			res := w.tree(t, Options{})
			rule, warning := strings.CutPrefix(tt.rule, "~")
			switch {
			case tt.rule == "":
				clean(t, res.Findings)
			case !has(res.Findings, rule):
				t.Errorf("found %v, want rule %s", res.Findings, rule)
			case (res.Errors() == 0) != warning:
				t.Errorf("%d errors in %v", res.Errors(), res.Findings)
			}
			if got := vrpsText(res.VRPs); got != tt.vrps {
				t.Errorf("the VRPs are\n%swant\n%s", got, tt.vrps)
			}
		})
	}
}

func TestTrustAnchorOfTree(t *testing.T) {
	w := cheapWorld()
	w.repo[w.ta.uri] = newAnchor(w.one.key, w.one.eeKey, "10.0.0.0/8").spec().sign(w.one.key)
	if res := w.tree(t, Options{}); !has(res.Findings, "8630-3") || len(res.VRPs) > 0 {
		t.Errorf("a trust anchor of another key: %v", res.Findings)
	}
	w = cheapWorld()
	res := Tree(t.Context(), w.ta.tal(), w.repo[w.ta.uri], w.repo, Options{Now: labNow})
	if !has(res.Findings, "7935-2") || len(res.VRPs) > 0 {
		t.Errorf("without the option, P-256 is taken: %v", res.Findings)
	}
	res = Tree(t.Context(), w.ta.tal(), w.repo[w.ta.uri], w.repo, Options{Now: labNow.AddDate(2, 0, 0), P256: true})
	if !has(res.Findings, "6487-7.2") || len(res.VRPs) > 0 {
		t.Errorf("an expired trust anchor is taken: %v", res.Findings)
	}
}

// TestClaims: what only one CA may have is found when two have it, whichever it is.
func TestClaims(t *testing.T) {
	a := claim{[20]byte{1}, "a.mft", "a.crl", "a/"}
	for _, tt := range []struct {
		b    claim
		want []Severity
	}{
		{claim{[20]byte{2}, "b.mft", "b.crl", "b/"}, nil},
		{claim{[20]byte{1}, "b.mft", "b.crl", "b/"}, []Severity{Warning}},
		{claim{[20]byte{2}, "a.mft", "a.crl", "a/"}, []Severity{Error}},
		{claim{[20]byte{2}, "b.mft", "a.crl", "a/"}, []Severity{Error}},
		{claim{[20]byte{2}, "b.mft", "b.crl", "a/"}, nil}, // RFC 6489: both are issued by one CA
	} {
		live := newClaims()
		clean(t, live.claim("a.cer", a))
		var got []Severity
		for _, f := range live.claim("b.cer", tt.b) {
			got = append(got, f.Severity)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%v: %v, want %v", tt.b, got, tt.want)
		}
		if tt.want == nil && len(live.claim("elsewhere/c.cer", claim{[20]byte{3}, "c.mft", "c.crl", "a/"})) != 1 {
			t.Errorf("%v: a publication point that CAs of two issuers share is not found", tt.b)
		}
		live.release("a.cer", a)
		clean(t, live.others("c.cer", a, func(holder string) bool { return holder == "b.cer" }))
	}
}

// TestStrict: what is a warning is an error, and what it is found in is not used.
func TestStrict(t *testing.T) {
	w := cheapWorld()
	w.one.files["a.roa"] = w.one.roa("a.roa", 64496, []ROAPrefix{prefix("10.0.0.0/16", 24)}, func(p *roaParts) { p.ee.to = utcTLV(labNow.AddDate(2, 0, 0)) })
	w.repo.publish(w.one)
	if res := w.tree(t, Options{Asker: Strict}); res.Errors() != 1 || len(res.VRPs) != 3 {
		t.Errorf("found %v and %d VRPs", res.Findings, len(res.VRPs))
	}
}

// TestMaxDepth: a chain that is too long is cut, and said to be.
func TestMaxDepth(t *testing.T) {
	w := cheapWorld()
	res := w.tree(t, Options{MaxDepth: 1})
	if !has(res.Findings, "limit-depth") || len(res.Authorities) != 2 || len(res.VRPs) > 0 {
		t.Errorf("found %v, %d authorities", res.Findings, len(res.Authorities))
	}
}

// TestPrevious: the objects of before stand in for a publication point that fails, and the failure is still told.
func TestPrevious(t *testing.T) {
	w := cheapWorld()
	before := maps.Clone(w.repo)
	delete(w.repo, w.one.dir+"a.roa")
	res := w.tree(t, Options{Previous: func(uri string) Point {
		if uri == w.one.dir+"manifest.mft" {
			return before
		}
		return nil
	}})
	if got := vrpsText(res.VRPs); got != worldVRPs || !has(res.Findings, "9286-6.4") {
		t.Errorf("found %v and the VRPs\n%s", res.Findings, got)
	}
}

func TestTreeStops(t *testing.T) {
	w := cheapWorld()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	res := Tree(ctx, w.ta.tal(), w.repo[w.ta.uri], w.repo, Options{Now: labNow, P256: true})
	if !has(res.Findings, "stopped") {
		t.Errorf("found %v", res.Findings)
	}
}

type failingSource struct{ repo }

func (s failingSource) Point(_ context.Context, at Place) (Point, error) {
	if strings.HasSuffix(at.Repository, "/one/") {
		return nil, errors.New("no route to host")
	}
	return s.repo, nil
}

func TestSourceFails(t *testing.T) {
	w := cheapWorld()
	res := Tree(t.Context(), w.ta.tal(), w.repo[w.ta.uri], failingSource{w.repo}, Options{Now: labNow, P256: true})
	if !has(res.Findings, "9286-6.6") || len(res.VRPs) != 1 {
		t.Errorf("found %v and %d VRPs", res.Findings, len(res.VRPs))
	}
}

// TestCrossedCertificates: the walk follows a key that the CA above certifies many times over only a few times.
func TestCrossedCertificates(t *testing.T) {
	keys := sharedKeys()
	top := newAnchor(keys[1], keys[0], "10.0.0.0/8")
	r := repo{top.uri: top.spec().sign(top.key)}
	layer := []*labCA{top}
	all := []*labCA{top}
	for depth := range 5 {
		key := keys[2+depth]
		var first *labCA
		for _, ca := range layer[:1] {
			for i := range 8 { // eight certificates of one key, which publishes in one place
				c := ca.child(fmt.Sprintf("d%d-%d", depth, i), key, "10.0.0.0/8")
				c.dir = fmt.Sprintf("%sd%d/", host, depth)
				ca.files[fmt.Sprintf("d%d-%d.cer", depth, i)] = c.spec().sign(ca.key)
				if first == nil {
					first = c
				}
			}
		}
		layer = []*labCA{first}
		all = append(all, first)
	}
	r.publish(all...)
	res := Tree(t.Context(), top.tal(), r[top.uri], r, Options{Now: labNow, P256: true, Workers: 2})
	if !has(res.Findings, "limit-visits") || len(res.Authorities) > 1+5*maxVisits {
		t.Errorf("%d authorities were walked", len(res.Authorities))
	}
}

// TestMemo: a second walk verifies nothing that did not change, and one of changed bytes does.
func TestMemo(t *testing.T) {
	w := cheapWorld()
	memo := NewMemo()
	first := w.tree(t, Options{Memo: memo})
	clean(t, first.Findings)
	if want := first.Objects - 1; len(memo.used) != want { // the trust anchor is always verified
		t.Errorf("%d objects are remembered, want %d", len(memo.used), want)
	}
	for range 2 {
		if res := w.tree(t, Options{Memo: memo}); vrpsText(res.VRPs) != worldVRPs || len(memo.used) != first.Objects-1 {
			t.Errorf("the second walk found %v", res.Findings)
		}
	}
	w.one.manifest = func(_ *certSpec, cms *cmsSpec) { cms.signature = octetTLV(make([]byte, 70)) }
	w.repo.publish(w.one)
	if res := w.tree(t, Options{Memo: memo}); !has(res.Findings, "6488-3") {
		t.Errorf("a bad signature is taken: %v", res.Findings)
	}
}

func TestDeterministic(t *testing.T) {
	w := cheapWorld()
	delete(w.repo, w.one.dir+"a.roa")
	delete(w.repo, w.two.dir+"list.crl")
	first := fmt.Sprint(w.tree(t, Options{Workers: 1}).Findings)
	for range 20 {
		if got := fmt.Sprint(w.tree(t, Options{Workers: 4}).Findings); got != first {
			t.Fatalf("found\n%s\nand before\n%s", got, first)
		}
	}
}
