package delegated

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// TestPrefixes has prefixes cover exactly the range, in order, and none that two neighbours could be one of.
func TestPrefixes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		low := rapid.Uint64Range(0, 1<<12-1).Draw(t, "first")
		high := rapid.Uint64Range(low, 1<<12-1).Draw(t, "last")
		zero := netip.AddrFrom4([4]byte{10})
		next := low
		var before netip.Prefix
		for _, p := range Prefixes(after(zero, low), after(zero, high)) {
			if p.Addr() != after(zero, next) || p.Masked() != p {
				t.Fatalf("%s comes where %s begins", p, after(zero, next))
			}
			if before.IsValid() && before.Bits() == p.Bits() && netip.PrefixFrom(before.Addr(), p.Bits()-1).Masked() == netip.PrefixFrom(p.Addr(), p.Bits()-1).Masked() {
				t.Fatalf("%s and %s could be one", before, p)
			}
			next += 1 << (32 - p.Bits())
			before = p
		}
		if next != high+1 {
			t.Fatalf("it ends before %s", after(zero, next))
		}
	})
}
