package validate

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"cadastre/internal/inr"
)

func TestIPAddrBlocks(t *testing.T) {
	v4 := func(blocks ...[]byte) []byte { return seq(seq(octetTLV([]byte{0, 1}), seq(blocks...))) }
	bits := func(unused byte, b ...byte) []byte { return tlv(3, append([]byte{unused}, b...)) }
	for _, tt := range []struct {
		name string
		der  []byte
		want string
	}{
		{"one prefix", v4(bits(0, 10)), ""},
		{"everything", v4(bits(0)), ""},
		{"two prefixes", v4(bits(0, 10), bits(0, 12)), ""},
		{"range", v4(seq(bits(0, 10, 1), bits(0, 10, 2))), ""}, // 10.1.0.0-10.2.255.255
		{"adjacent", v4(bits(0, 10), bits(0, 11)), "3779-2.2.3.6"},
		{"overlapping", v4(bits(0, 10), bits(0, 10, 1)), "3779-2.2.3.6"},
		{"out of order", v4(bits(0, 12), bits(0, 10)), "3779-2.2.3.6"},
		{"after everything", v4(bits(0), bits(0, 10)), "3779-2.2.3.6"},
		{"range that is a prefix", v4(seq(bits(0, 10), bits(0, 10))), "3779-2.2.3.9"},
		{"range of one prefix", v4(seq(bits(1, 10), bits(0, 10))), "3779-2.2.3.7"},
		{"range backwards", v4(seq(bits(0, 10, 3), bits(0, 10, 2))), "3779-2.2.3.9"},
		{"range min not minimal", v4(seq(bits(0, 10, 0), bits(0, 10, 2))), "3779-2.2.3.9"},
		{"range max not minimal", v4(seq(bits(0, 10, 1), bits(0, 10, 2, 255))), "3779-2.2.3.9"},
		{"prefix too long", v4(bits(0, 10, 0, 0, 0, 0)), "3779-2.2.3.8"},
		{"padding not zero", v4(bits(4, 0xFF)), "3779-2.2.3.8"},
		{"eight unused bits", v4(bits(8, 10)), "3779-2.2.3.8"},
		{"unused bits of nothing", v4(bits(1)), "3779-2.2.3.8"},
		{"no family", seq(), "3779-2.2.3"},
		{"no address", v4(), "3779-2.2.3"},
		{"SAFI", seq(seq(octetTLV([]byte{0, 1, 1}), null)), "6487-4.8.10"},
		{"family 3", seq(seq(octetTLV([]byte{0, 3}), null)), "6487-4.8.10"},
		{"IPv6 first", seq(seq(octetTLV([]byte{0, 2}), null), seq(octetTLV([]byte{0, 1}), null)), "3779-2.2.3.3"},
		{"IPv4 twice", seq(seq(octetTLV([]byte{0, 1}), null), seq(octetTLV([]byte{0, 1}), null)), "3779-2.2.3.3"},
		{"NULL with contents", seq(seq(octetTLV([]byte{0, 1}), []byte{5, 1, 0})), "3779-2.2.3"},
		{"trailing", append(v4(bits(0, 10)), 0), "3779-2.2.3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := new(check)
			taken := new(Resources).parseIPAddrBlocks(c, tt.der)
			wantFinding(t, taken, c.findings, tt.want)
		})
	}
}

func TestASIdentifiers(t *testing.T) {
	list := func(ids ...[]byte) []byte { return seq(tlv(0xA0, seq(ids...))) }
	pair := func(a, b int64) []byte { return seq(intTLV(a), intTLV(b)) }
	for _, tt := range []struct {
		name string
		der  []byte
		want string
	}{
		{"one", list(intTLV(1)), ""},
		{"largest", list(intTLV(1<<32 - 1)), ""},
		{"range", list(pair(1, 5), intTLV(7)), ""},
		{"inherit", asInherit, ""},
		{"AS 0", list(intTLV(0)), "~7607-2"},
		{"adjacent", list(intTLV(1), intTLV(2)), "3779-3.2.3.4"},
		{"out of order", list(intTLV(5), intTLV(1)), "3779-3.2.3.4"},
		{"range of one", list(pair(5, 5)), "3779-3.2.3.7"},
		{"range backwards", list(pair(5, 1)), "3779-3.2.3.7"},
		{"too large", list(intTLV(1 << 32)), "3779-3.2.3.8"},
		{"negative", list(intTLV(-1)), "3779-3.2.3.8"},
		{"not minimal", list(tlv(2, []byte{0, 1})), "3779-3.2.3.8"},
		{"empty", list(), "3779-3.2.3"},
		{"routing domains", seq(tlv(0xA0, null), tlv(0xA1, null)), "6487-4.8.11"},
		{"only routing domains", seq(tlv(0xA1, null)), "3779-3.2.3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := new(check)
			taken := new(Resources).parseASIdentifiers(c, tt.der)
			wantFinding(t, taken, c.findings, tt.want)
		})
	}
}

// TestResourcesRoundTrip: every canonical set, written by the lab, is read back as itself.
func TestResourcesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ips []inr.IPRange
		for range rapid.IntRange(0, 6).Draw(t, "addresses") {
			width := rapid.SampledFrom([]int{4, 16}).Draw(t, "family")
			a, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), width, width).Draw(t, "first"))
			b, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), width, width).Draw(t, "last"))
			if rapid.Bool().Draw(t, "prefix") {
				ips = append(ips, inr.RangeOf(netip.PrefixFrom(a, rapid.IntRange(0, 8*width).Draw(t, "bits"))))
			} else if a.Less(b) {
				ips = append(ips, inr.IPRange{First: a, Last: b})
			}
		}
		var as []inr.ASRange
		for range rapid.IntRange(0, 4).Draw(t, "AS numbers") {
			first := rapid.Uint32Min(1).Draw(t, "first AS")
			as = append(as, inr.ASRange{First: first, Last: rapid.Uint32Min(first).Draw(t, "last AS")})
		}
		set := inr.Of(ips, as)
		var r Resources
		c := new(check)
		if set.HasIP() && !r.parseIPAddrBlocks(c, ipExt(set)) || len(set.AS) > 0 && !r.parseASIdentifiers(c, asExt(set)) {
			t.Fatalf("%s is refused: %v", set, c.findings)
		}
		if !r.Set.Equal(set) {
			t.Fatalf("%s is read as %s", set, r.Set)
		}
	})
}
