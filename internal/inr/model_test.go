package inr_test

import (
	"encoding/json"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"cadastre/internal/inr"
)

// half is how many numbers of each kind the model knows at the bottom of its line, and how many at the top.
const half = 64

// model is a set as three lines of bits, one for each kind of number: a naive way to compute what inr does cleverly.
// Bit i stands for the number i, and from half on for those that end the line.
type model [3][2 * half]bool

const (
	kindV4 = iota
	kindV6
	kindAS
)

func v4At(i int) netip.Addr {
	if i >= half {
		return netip.AddrFrom4([4]byte{255, 255, 255, byte(256 - 2*half + i)})
	}
	return netip.AddrFrom4([4]byte{3: byte(i)})
}

func v6At(i int) netip.Addr {
	if i < half {
		return netip.AddrFrom16([16]byte{15: byte(i)})
	}
	var a [16]byte
	for j := range a {
		a[j] = 255
	}
	a[15] = byte(256 - 2*half + i)
	return netip.AddrFrom16(a)
}

func asAt(i int) uint32 {
	if i >= half {
		return uint32(1<<32 - 2*half + i)
	}
	return uint32(i)
}

// ranges draws ranges of the model's numbers, in any order, overlapping or not.
func ranges(t *rapid.T, label string) (ips []inr.IPRange, as []inr.ASRange, m model) {
	for range rapid.IntRange(0, 12).Draw(t, label) {
		kind, side := rapid.IntRange(0, 2).Draw(t, "kind"), half*rapid.IntRange(0, 1).Draw(t, "side")
		first := rapid.IntRange(0, half-1).Draw(t, "first")
		last := rapid.IntRange(first, half-1).Draw(t, "last")
		first, last = first+side, last+side
		for i := first; i <= last; i++ {
			m[kind][i] = true
		}
		switch kind {
		case kindV4:
			ips = append(ips, inr.IPRange{First: v4At(first), Last: v4At(last)})
		case kindV6:
			ips = append(ips, inr.IPRange{First: v6At(first), Last: v6At(last)})
		default:
			as = append(as, inr.ASRange{First: asAt(first), Last: asAt(last)})
		}
	}
	return ips, as, m
}

func drawSet(t *rapid.T, label string) (inr.Set, model) {
	ips, as, m := ranges(t, label)
	return inr.Of(ips, as), m
}

// seen reads a set back into a model, number by number.
func seen(s inr.Set) (m model) {
	for i := range 2 * half {
		for _, r := range s.V4 {
			m[kindV4][i] = m[kindV4][i] || r.First.Compare(v4At(i)) <= 0 && v4At(i).Compare(r.Last) <= 0
		}
		for _, r := range s.V6 {
			m[kindV6][i] = m[kindV6][i] || r.First.Compare(v6At(i)) <= 0 && v6At(i).Compare(r.Last) <= 0
		}
		for _, r := range s.AS {
			m[kindAS][i] = m[kindAS][i] || r.First <= asAt(i) && asAt(i) <= r.Last
		}
	}
	return m
}

func (m model) with(b model, fn func(bool, bool) bool) (out model) {
	for kind := range m {
		for i := range m[kind] {
			out[kind][i] = fn(m[kind][i], b[kind][i])
		}
	}
	return out
}

func (m model) all(b model, fn func(bool, bool) bool) bool {
	return m.with(b, fn) == m.with(b, func(bool, bool) bool { return true })
}

// canonical tells whether ranges are sorted, disjoint and never adjacent (RFC 3779, sections 2.2.3.6 and 3.2.3.4).
func canonical(s inr.Set) bool {
	for _, family := range [][]inr.IPRange{s.V4, s.V6} {
		for i, r := range family {
			if r.First.Compare(r.Last) > 0 || r.First.Is4In6() {
				return false
			}
			if i > 0 && !(family[i-1].Last.IsValid() && family[i-1].Last.Next().IsValid() && family[i-1].Last.Next().Compare(r.First) < 0) {
				return false
			}
		}
	}
	for i, r := range s.AS {
		if r.First > r.Last || i > 0 && uint64(s.AS[i-1].Last)+1 >= uint64(r.First) {
			return false
		}
	}
	return true
}

func TestAgainstModel(t *testing.T) {
	or := func(a, b bool) bool { return a || b }
	and := func(a, b bool) bool { return a && b }
	var none model
	less := func(a, b bool) bool { return a && !b }
	rapid.Check(t, func(t *rapid.T) {
		a, ma := drawSet(t, "a")
		b, mb := drawSet(t, "b")
		for _, c := range []struct {
			what string
			got  inr.Set
			want model
		}{
			{"a", a, ma},
			{"a and b summed", inr.Sum(a, b), ma.with(mb, or)},
			{"union", a.Union(b), ma.with(mb, or)},
			{"intersection", a.Intersect(b), ma.with(mb, and)},
			{"difference", a.Minus(b), ma.with(mb, less)},
			{"addresses", a.IPs(), model{ma[kindV4], ma[kindV6]}},
		} {
			if seen(c.got) != c.want {
				t.Fatalf("%s of %s and %s is %s", c.what, a, b, c.got)
			}
			if !canonical(c.got) {
				t.Fatalf("%s of %s and %s is not canonical: %s", c.what, a, b, c.got)
			}
		}
		if got, want := a.Contains(b), ma.all(mb, func(a, b bool) bool { return a || !b }); got != want {
			t.Fatalf("%s contains %s: %v", a, b, got)
		}
		if got, want := a.Overlaps(b), ma.with(mb, and) != none; got != want {
			t.Fatalf("%s overlaps %s: %v", a, b, got)
		}
		if got, want := a.Equal(b), ma == mb; got != want {
			t.Fatalf("%s equals %s: %v", a, b, got)
		}
		if got, want := a.Empty(), ma == none; got != want {
			t.Fatalf("%s is empty: %v", a, got)
		}
		if got, want := a.HasIP(), ma[kindV4] != none[kindV4] || ma[kindV6] != none[kindV6]; got != want {
			t.Fatalf("%s has addresses: %v", a, got)
		}
	})
}

// TestSetsAreValues checks that no operation changes what it is given.
func TestSetsAreValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ips, as, _ := ranges(t, "ranges")
		given, givenAS := slices.Clone(ips), slices.Clone(as)
		a := inr.Of(ips, as)
		if !slices.Equal(given, ips) || !slices.Equal(givenAS, as) {
			t.Fatal("Of changed what it was given")
		}
		b, _ := drawSet(t, "b")
		textA, textB := a.String(), b.String()
		a.Union(b)
		a.Minus(b)
		a.Intersect(b)
		inr.Sum(a, b, a)
		if a.String() != textA || b.String() != textB {
			t.Fatal("an operation changed a set in place")
		}
	})
}

func TestPrefixes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, _ := drawSet(t, "s")
		prefixes := s.Prefixes()
		var back []inr.IPRange
		for i, p := range prefixes {
			if p != p.Masked() {
				t.Fatalf("%s has host bits", p)
			}
			if !s.ContainsPrefix(p) {
				t.Fatalf("%s is not in %s", p, s)
			}
			if i > 0 && p.Addr().BitLen() == prefixes[i-1].Addr().BitLen() && p.Bits() == prefixes[i-1].Bits() && p.Bits() > 0 {
				if wide := netip.PrefixFrom(prefixes[i-1].Addr(), p.Bits()-1); wide == wide.Masked() && wide.Contains(p.Addr()) {
					t.Fatalf("%s and %s could be one prefix", prefixes[i-1], p)
				}
			}
			back = append(back, inr.RangeOf(p))
		}
		if got := inr.Of(back, s.AS); !got.Equal(s) {
			t.Fatalf("the prefixes of %s are %s", s, got)
		}
	})
}

func TestContainsPrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, m := drawSet(t, "s")
		bits := rapid.IntRange(26, 32).Draw(t, "bits")
		at := rapid.IntRange(0, 2*half-1).Draw(t, "at")
		p := netip.PrefixFrom(v4At(at), bits).Masked()
		want := true
		for i := range 2 * half {
			want = want && (!p.Contains(v4At(i)) || m[kindV4][i])
		}
		if got := s.ContainsPrefix(p); got != want {
			t.Fatalf("%s contains %s: %v", s, p, got)
		}
	})
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, _ := drawSet(t, "s")
		back, err := inr.Parse(s.String())
		if err != nil || !back.Equal(s) {
			t.Fatalf("%s reads as %s, %v", s, back, err)
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var again inr.Set
		if err := json.Unmarshal(text, &again); err != nil || !again.Equal(s) {
			t.Fatalf("%s reads as %s, %v", text, again, err)
		}
	})
}
