package validate

import (
	"fmt"
	"sync"
	"testing"
)

// large is a repository of 200 CAs with 8 ROAs each below one registry, as an issuer of RSA-2048 makes it.
var large = sync.OnceValue(func() *world {
	k := rsaKeys()
	w := &world{repo: repo{}}
	w.ta = newAnchor(k[0], k[2], "10.0.0.0/8, AS64496")
	w.registry = w.ta.child("registry", k[1], "10.0.0.0/8, AS64496")
	w.repo[w.ta.uri] = w.ta.spec().sign(w.ta.key)
	for i := range 200 {
		// The keys of holders are one key: the walk cannot know, but for a warning at the end.
		ca := w.registry.child(fmt.Sprintf("h%d", i), k[2], fmt.Sprintf("10.%d.0.0/16", i))
		for j := range 8 {
			file := fmt.Sprintf("r%d.roa", j)
			ca.files[file] = ca.roa(file, 64496, []ROAPrefix{prefix(fmt.Sprintf("10.%d.%d.0/24", i, j), 0)}, nil)
		}
		w.more = append(w.more, ca)
	}
	w.repo.publish(append(w.more, w.ta, w.registry)...)
	return w
})

func benchmarkTree(b *testing.B, opt Options) {
	w := large()
	opt.Now = labNow
	b.ReportAllocs()
	for b.Loop() {
		res := Tree(b.Context(), w.ta.tal(), w.repo[w.ta.uri], w.repo, opt)
		if len(res.VRPs) != 1600 || res.Errors() > 0 {
			b.Fatalf("%d VRPs, found %v", len(res.VRPs), res.Findings[:3])
		}
		b.ReportMetric(float64(res.Objects), "objects")
	}
}

func BenchmarkTree(b *testing.B)         { benchmarkTree(b, Options{}) }
func BenchmarkTreeOneCore(b *testing.B)  { benchmarkTree(b, Options{Workers: 1}) }
func BenchmarkTreeWithMemo(b *testing.B) { benchmarkTree(b, Options{Memo: NewMemo()}) }

func BenchmarkParseROA(b *testing.B) {
	w := large()
	der := w.repo[w.more[0].dir+"r0.roa"]
	b.ReportAllocs()
	for b.Loop() {
		if parseROA(new(check), der) == nil {
			b.Fatal("refused")
		}
	}
}

// BenchmarkGate adds a ROA to a CA of few files.
func BenchmarkGate(b *testing.B) {
	w := cheapWorld()
	g := opened(b, w)
	w.one.files["d.roa"] = w.one.roa("d.roa", 64496, []ROAPrefix{prefix("10.0.7.0/24", 0)}, nil)
	w.repo.publish(w.one)
	c := count(w.repo)
	b.ReportAllocs()
	for b.Loop() {
		if v := checked(b, g, c, w.one.uri); len(v.Findings) > 0 {
			b.Fatal(v.Findings)
		}
	}
}

// BenchmarkGateBusyCA touches a CA that has 3000 files, of which one is new.
func BenchmarkGateBusyCA(b *testing.B) {
	w := cheapWorld()
	for i := range 3000 {
		file := fmt.Sprintf("n%d.roa", i)
		w.one.files[file] = w.one.roa(file, int64(i), []ROAPrefix{prefix("10.0.0.0/16", 24)}, nil)
	}
	w.repo.publish(w.one)
	g := opened(b, w)
	w.one.files["d.roa"] = w.one.roa("d.roa", 64496, []ROAPrefix{prefix("10.0.7.0/24", 0)}, nil)
	w.repo.publish(w.one)
	c := count(w.repo)
	b.ReportAllocs()
	for b.Loop() {
		if v := checked(b, g, c, w.one.uri); len(v.Findings) > 0 {
			b.Fatal(v.Findings)
		}
	}
}
