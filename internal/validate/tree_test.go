package validate

import (
	"testing"
)

// world is a small valid tree: a trust anchor, a registry, two holders.
type world struct {
	repo                   repo
	ta, registry, one, two *labCA
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
