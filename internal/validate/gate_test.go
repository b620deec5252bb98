package validate

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"cadastre/internal/inr"
)

// uris is what a Check is told of these CAs.
func uris(cas ...*labCA) []string {
	var out []string
	for _, ca := range cas {
		out = append(out, ca.uri)
	}
	return out
}

func checked(t testing.TB, g *Gate, r Point, touched ...string) *Verdict {
	t.Helper()
	v, err := g.Check(t.Context(), labNow, r, touched)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// opened is a gate that has accepted a whole world.
func opened(t testing.TB, w *world) *Gate {
	t.Helper()
	g := NewGate(w.ta.tal(), w.repo[w.ta.uri], Options{P256: true, Workers: 2})
	v := checked(t, g, w.repo, w.ta.uri)
	clean(t, v.Findings)
	v.Accept()
	return g
}

func TestGateRemembersAll(t *testing.T) {
	w := cheapWorld()
	g := opened(t, w)
	if len(g.known) != 4 {
		t.Errorf("%d CAs are remembered, want 4", len(g.known))
	}
	if got := vrpsText(g.known[w.one.uri].payloads()); got != "10.0.0.0/16,24,AS64496\n10.3.0.0/16,16,AS64496\n2001:db8:1::/48,64,AS64496\n" {
		t.Errorf("of one is remembered\n%s", got)
	}
}

// counted is a repository that counts what is read of it, and knows hashes.
type counted struct {
	repo
	sums map[string][sha256.Size]byte
	gets map[string]int
}

func (c counted) Get(uri string) ([]byte, bool) {
	c.gets[uri]++
	return c.repo.Get(uri)
}

func (c counted) Hash(uri string) ([sha256.Size]byte, bool) {
	sum, ok := c.sums[uri]
	return sum, ok
}

func count(r repo) counted {
	c := counted{r, map[string][sha256.Size]byte{}, map[string]int{}}
	for uri, b := range r {
		c.sums[uri] = sha256.Sum256(b)
	}
	return c
}

// TestGateReadsWhatChanged: to add a ROA, nothing is read but the ROA, its CA's CRL and manifest, and the certificates
// above.
func TestGateReadsWhatChanged(t *testing.T) {
	w := cheapWorld()
	g := opened(t, w)
	w.one.files["d.roa"] = w.one.roa("d.roa", 64496, []ROAPrefix{prefix("10.0.7.0/24", 0)}, nil)
	w.repo.publish(w.one)
	c := count(w.repo)
	v := checked(t, g, c, w.one.uri)
	clean(t, v.Findings)
	want := []string{w.ta.uri, w.registry.uri, w.one.uri, w.one.dir + "manifest.mft", w.one.dir + "list.crl", w.one.dir + "d.roa"}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(c.gets)); !slices.Equal(got, want) {
		t.Errorf("read %v\nwant %v", got, want)
	}
	if len(v.VRPs[w.one.uri]) != 4 {
		t.Errorf("the VRPs of one are %v", v.VRPs[w.one.uri])
	}
}

func TestGateFinds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(w *world) (touched []*labCA)
		rule   string
	}{
		{"nothing", func(w *world) []*labCA { w.repo.publish(w.one); return []*labCA{w.one} }, ""},
		{"an unchanged manifest", func(w *world) []*labCA { return []*labCA{w.one} }, ""},
		{"manifest number", func(w *world) []*labCA { w.one.number--; w.repo.publish(w.one); return []*labCA{w.one} }, "9286-4.2.1"},
		{"manifest thisUpdate", func(w *world) []*labCA {
			w.one.now = w.one.now.Add(-time.Hour)
			w.repo.publish(w.one)
			return []*labCA{w.one}
		}, "9286-4.2.1"},
		{"revoked and still listed", func(w *world) []*labCA {
			roa, _ := ParseROA(w.one.files["a.roa"], P256)
			w.one.revoked = []int64{roa.EE.Serial.Int().Int64()}
			w.repo.publish(w.one)
			return []*labCA{w.one}
		}, "6487-7.2"},
		{"a file lost", func(w *world) []*labCA {
			w.repo.publish(w.one)
			delete(w.repo, w.one.dir+"a.roa")
			return []*labCA{w.one}
		}, "9286-6.4"},
		{"a file changed", func(w *world) []*labCA {
			w.repo.publish(w.one)
			w.repo[w.one.dir+"a.roa"] = w.repo[w.one.dir+"b.roa"]
			return []*labCA{w.one}
		}, "9286-6.5"},
		{"certificate shrunk, its ROA not gone", func(w *world) []*labCA { return w.shrink(w.one, "10.2.0.0/16, AS64496") }, "6487-7.2"},
		{"certificate shrunk, its child not told", func(w *world) []*labCA { return w.shrink(w.registry, "10.0.0.0/16, AS64496") }, "6487-7.2"},
		{"certificate shrunk, no one hurt", func(w *world) []*labCA { return w.shrink(w.two, "10.9.0.0/16") }, ""},
		{"a child inherits from what shrank", func(w *world) []*labCA {
			heir := w.registry.child("heir", sharedKeys()[9], "10.20.0.0/16")
			heir.files["h.roa"] = heir.roa("h.roa", 1, []ROAPrefix{prefix("10.20.0.0/16", 0)}, nil)
			spec := heir.spec()
			spec.ext(oidIPAddrBlocks).value = ipInherit
			w.registry.files["heir.cer"] = spec.sign(w.registry.key)
			w.repo.publish(w.registry, heir)
			w.accept(uris(w.registry, heir)...)
			return w.shrink(w.registry, "10.0.0.0-10.9.255.255, 2001:db8::/32, AS64496-AS64511")
		}, "6487-7.2"},
		{"a child's certificate changed and it was not named", func(w *world) []*labCA {
			return w.shrink(w.one, "10.2.0.0/16, AS64496")[1:]
		}, "6487-7.2"},
		{"an ancestor changed and was not named", func(w *world) []*labCA {
			w.shrink(w.registry, "10.9.0.0/16, AS64500-AS64502")
			w.repo.publish(w.two)
			return []*labCA{w.two}
		}, "6487-7.2"},
		{"a new CA without a publication point", func(w *world) []*labCA {
			w.registry.child("three", sharedKeys()[9], "10.20.0.0/16")
			w.repo.publish(w.registry)
			return []*labCA{w.registry}
		}, "9286-6.2"},
		{"a new CA", func(w *world) []*labCA {
			three := w.registry.child("three", sharedKeys()[9], "10.20.0.0/16")
			w.repo.publish(w.registry, three)
			return []*labCA{w.registry, three}
		}, ""},
		{"a CA gone", func(w *world) []*labCA {
			delete(w.registry.files, "one.cer")
			w.repo.publish(w.registry)
			return []*labCA{w.registry, w.one}
		}, ""},
		{"a key certified twice", func(w *world) []*labCA {
			again := w.registry.child("again", w.two.key, "10.9.0.0/16")
			w.repo.publish(w.registry, again)
			return []*labCA{w.registry, again}
		}, "profile-unique-key"},
		{"a publication point twice", func(w *world) []*labCA {
			again := w.registry.child("again", sharedKeys()[9], "10.9.0.0/16")
			again.dir, again.files = w.two.dir, maps.Clone(w.two.files)
			w.registry.files["again.cer"] = again.spec().sign(w.registry.key)
			w.repo.publish(w.registry, again)
			return []*labCA{w.registry, again}
		}, "6487-4.8.3"},
		{"a serial number twice", func(w *world) []*labCA {
			a, _ := ParseROA(w.one.files["a.roa"], P256)
			w.one.files["d.roa"] = w.one.roa("d.roa", 64496, []ROAPrefix{prefix("10.0.7.0/24", 0)}, func(p *roaParts) { p.ee.serial = bigTLV(a.EE.Serial.Int()) })
			w.repo.publish(w.one)
			return []*labCA{w.one}
		}, "6487-4.2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := cheapWorld()
			g := opened(t, w)
			w.accept = func(touched ...string) {
				v := checked(t, g, w.repo, touched...)
				clean(t, v.Findings)
				v.Accept()
			}
			touched := uris(tt.change(w)...)
			was := maps.Clone(g.known)
			v := checked(t, g, w.repo, touched...)
			if tt.rule == "" {
				clean(t, v.Findings)
				return
			}
			if !has(v.Findings, tt.rule) {
				t.Errorf("found %v, want rule %s", v.Findings, tt.rule)
			}
			v.Accept()
			if !maps.Equal(g.known, was) {
				t.Error("a verdict with findings changed the gate")
			}
		})
	}
}

// shrink certifies a CA anew for fewer resources.
func (w *world) shrink(ca *labCA, holds string) []*labCA {
	set, err := inr.Parse(holds)
	if err != nil {
		panic(err)
	}
	ca.holds = set
	_, file, _ := strings.Cut(ca.uri, ca.parent.dir)
	ca.parent.files[file] = ca.spec().sign(ca.parent.key)
	w.repo.publish(ca.parent)
	return []*labCA{ca, ca.parent}
}

// TestGateTime: what was accepted is not good for ever.
func TestGateTime(t *testing.T) {
	w := cheapWorld()
	g := opened(t, w)
	later := labNow.Add(25 * time.Hour)
	w.one.now = later
	w.repo.publish(w.one)
	v, err := g.Check(t.Context(), later, w.repo, uris(w.one))
	if err != nil || !slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.URI == w.registry.dir+"manifest.mft" && f.Rule == "9286-6.3" }) {
		t.Errorf("below a stale manifest: %v, %v", v, err)
	}
	for _, ca := range []*labCA{w.ta, w.registry} {
		ca.now = later
		w.repo.publish(ca)
	}
	v, err = g.Check(t.Context(), later, w.repo, uris(w.one, w.registry, w.ta))
	if err != nil {
		t.Fatal(err)
	}
	clean(t, v.Findings)
}

// TestGateForgotten: a gate without memory reads the CAs above a touched one, and none beside it.
func TestGateForgotten(t *testing.T) {
	w := cheapWorld()
	delete(w.repo, w.two.dir+"manifest.mft")
	g := NewGate(w.ta.tal(), w.repo[w.ta.uri], Options{P256: true})
	v := checked(t, g, w.repo, w.one.uri)
	clean(t, v.Findings)
	if len(v.VRPs[w.one.uri]) != 3 || len(v.VRPs) != 1 {
		t.Errorf("the VRPs are %v", v.VRPs)
	}
	delete(w.repo, w.registry.dir+"list.crl")
	if v := checked(t, g, w.repo, w.one.uri); !has(v.Findings, "9286-6.4") {
		t.Errorf("above is a CRL missing, found %v", v.Findings)
	}
}

func TestGateStops(t *testing.T) {
	w := cheapWorld()
	g := opened(t, w)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if v, err := g.Check(ctx, labNow, w.repo, uris(w.one)); err == nil {
		t.Errorf("a stopped check gives %v", v)
	}
}

func TestMemoryIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(remembered{}) + unsafe.Sizeof(packedVRP{}); size > 120 {
		t.Errorf("an object with one VRP takes %d octets of a gate's memory", size)
	}
}

// clone copies a world, so that a change of it can be abandoned. Keys are shared.
func (w *world) clone() *world {
	copies := map[*labCA]*labCA{}
	var copyOf func(*labCA) *labCA
	copyOf = func(ca *labCA) *labCA {
		if ca == nil || copies[ca] != nil {
			return copies[ca]
		}
		c := *ca
		copies[ca] = &c
		c.files, c.revoked, c.parent = maps.Clone(ca.files), slices.Clone(ca.revoked), copyOf(ca.parent)
		return &c
	}
	out := &world{repo: maps.Clone(w.repo), ta: copyOf(w.ta), registry: copyOf(w.registry), one: copyOf(w.one), two: copyOf(w.two)}
	for _, ca := range w.more {
		out.more = append(out.more, copyOf(ca))
	}
	return out
}

func (w *world) cas() []*labCA { return append([]*labCA{w.ta, w.registry, w.one, w.two}, w.more...) }

// disturb makes one random change of a world, valid or not, and tells which CAs it touched.
func (w *world) disturb(t *rapid.T, step int) (touched []*labCA) {
	cas := w.cas()
	ca := cas[rapid.IntRange(1, len(cas)-1).Draw(t, "ca")]
	publish := func(cas ...*labCA) []*labCA {
		w.repo.publish(cas...)
		return cas
	}
	roas := slices.DeleteFunc(slices.Sorted(maps.Keys(ca.files)), func(n string) bool { return !strings.HasSuffix(n, ".roa") })
	file := fmt.Sprintf("r%d.roa", step)
	inside := func() ROAPrefix {
		if len(ca.holds.V4) == 0 {
			return prefix("192.0.2.0/24", 0)
		}
		return ROAPrefix{ca.holds.V4[0].Prefixes()[0], 24}
	}
	switch op := rapid.SampledFrom([]string{"add", "add two", "overclaim", "remove", "revoke", "revoke only", "lose", "child", "silent child", "orphan", "shrink", "inherit", "renew", "garble"}).Draw(t, "change"); op {
	case "add", "add two":
		ca.files[file] = ca.roa(file, 64496, []ROAPrefix{inside()}, nil)
		if op == "add two" {
			ca.files["x"+file] = ca.roa("x"+file, 64497, []ROAPrefix{inside()}, nil)
		}
	case "overclaim":
		ca.files[file] = ca.roa(file, 64496, []ROAPrefix{prefix("198.51.100.0/24", 0)}, nil)
	case "remove", "revoke", "revoke only", "lose", "garble":
		if len(roas) == 0 {
			return publish(ca)
		}
		victim := roas[rapid.IntRange(0, len(roas)-1).Draw(t, "victim")]
		if strings.HasPrefix(op, "revoke") {
			if roa, _ := ParseROA(ca.files[victim], P256); roa != nil {
				ca.revoked = append(ca.revoked, roa.EE.Serial.Int().Int64())
			}
		}
		switch op {
		case "remove", "revoke":
			delete(ca.files, victim)
			delete(w.repo, ca.dir+victim)
		case "garble":
			ca.files[victim] = append(slices.Clone(ca.files[victim]), 0)
		case "lose":
			publish(ca)
			delete(w.repo, ca.dir+victim)
			return []*labCA{ca}
		}
	case "child", "silent child":
		holds := ca.holds.Minus(inr.Set{V6: ca.holds.V6})
		child := ca.child(fmt.Sprintf("c%d", step), sharedKeys()[10+step%30], holds.String())
		w.more = append(w.more, child)
		if op == "silent child" {
			return publish(ca)
		}
		return publish(ca, child)
	case "orphan", "shrink", "inherit":
		_, name, _ := strings.Cut(ca.uri, ca.parent.dir)
		spec := ca.spec()
		switch {
		case op == "orphan":
			delete(ca.parent.files, name)
			delete(w.repo, ca.uri)
			w.more = slices.DeleteFunc(w.more, func(c *labCA) bool { return c == ca })
			return publish(ca.parent)
		case op == "shrink" && len(ca.holds.V4) > 0:
			half := ca.holds.V4[0].Prefixes()[0]
			ca.holds = ca.holds.Minus(inr.OfPrefix(lowerHalf(half)))
			if ca.holds.Empty() {
				return publish(ca)
			}
			spec = ca.spec()
		case op == "inherit" && ca.holds.HasIP():
			spec.ext(oidIPAddrBlocks).value = ipInherit
		}
		ca.parent.files[name] = spec.sign(ca.parent.key)
		publish(ca.parent)
		return []*labCA{ca, ca.parent}
	case "renew":
		return publish(cas...)
	}
	return publish(ca)
}

// lowerHalf is the lower half of a prefix.
func lowerHalf(p netip.Prefix) netip.Prefix {
	return netip.PrefixFrom(p.Addr(), min(p.Bits()+1, p.Addr().BitLen()))
}

// TestGateAgreesWithTree: over random histories, a change passes the gate if and only if a walk of the whole state finds
// nothing, and both read the same VRPs.
func TestGateAgreesWithTree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := cheapWorld()
		gate := func() *Gate {
			return NewGate(w.ta.tal(), w.repo[w.ta.uri], Options{P256: true, Workers: 2})
		}
		g := gate()
		accept := func(w *world, touched []*labCA) bool {
			v, err := g.Check(context.Background(), labNow, w.repo, uris(touched...))
			if err != nil {
				t.Fatal(err)
			}
			res := Tree(context.Background(), w.ta.tal(), w.repo[w.ta.uri], w.repo, Options{Now: labNow, P256: true, Workers: 2})
			if (len(v.Findings) == 0) != (len(res.Findings) == 0) {
				t.Fatalf("the gate finds %v\nthe walk finds %v", v.Findings, res.Findings)
			}
			if len(v.Findings) > 0 {
				return false
			}
			v.Accept()
			byURI := map[string]AuthorityResult{}
			for _, a := range res.Authorities {
				byURI[a.CertificateURI] = a
				if m := g.known[a.CertificateURI]; m == nil {
					t.Fatalf("the gate does not remember %s", a.CertificateURI)
				} else if got, want := vrpsText(m.payloads()), vrpsText(SortVRPs(slices.Clone(a.VRPs))); got != want {
					t.Fatalf("of %s the gate remembers\n%sthe walk reads\n%s", a.CertificateURI, got, want)
				}
			}
			if len(g.known) != len(byURI) || len(g.live.keys) != len(byURI) {
				t.Fatalf("the gate remembers %d CAs and %d keys, the walk reads %d", len(g.known), len(g.live.keys), len(byURI))
			}
			for uri, vrps := range v.VRPs {
				if got, want := vrpsText(vrps), vrpsText(SortVRPs(slices.Clone(byURI[uri].VRPs))); got != want {
					t.Fatalf("of %s the verdict has\n%sthe walk reads\n%s", uri, got, want)
				}
			}
			return true
		}
		if !accept(w, w.cas()) {
			t.Fatal("the first state is refused")
		}
		for step := range rapid.IntRange(1, 8).Draw(t, "steps") {
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				g = gate()
				accept(w, w.cas()[:1])
			}
			next := w.clone()
			if accept(next, next.disturb(t, step)) {
				w = next
			}
		}
	})
}

// TestGateTellsASPAs: a verdict has the payloads of a CA's ASPAs, those that it checks now and those that it remembers.
func TestGateTellsASPAs(t *testing.T) {
	w := cheapWorld()
	w.one.files["c.asa"] = w.one.aspa("c.asa", 64496, aspaContent(64496, 64500, 64501), nil)
	w.repo.publish(w.one)
	g := opened(t, w)
	w.one.files["d.roa"] = w.one.roa("d.roa", 64496, []ROAPrefix{prefix("10.0.7.0/24", 0)}, nil)
	w.repo.publish(w.one)
	v := checked(t, g, w.repo, w.one.uri)
	clean(t, v.Findings)
	if got := fmt.Sprint(v.VAPs[w.one.uri]); got != "[AS64496 => AS64500, AS64501]" {
		t.Errorf("remembered are the ASPAs %s", got)
	}
	v.Accept()
	delete(w.one.files, "c.asa")
	w.repo.publish(w.one)
	if v = checked(t, g, w.repo, w.one.uri); len(v.VAPs[w.one.uri]) > 0 {
		t.Errorf("an ASPA that is gone is still told: %v", v.VAPs[w.one.uri])
	}
}
