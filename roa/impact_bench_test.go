package roa_test

import (
	"net/netip"
	"testing"

	"cadastre/roa"
	"cadastre/routes"
)

// BenchmarkImpacts previews a ROA for a /16, within which 257 announcements are, against a million announcements.
func BenchmarkImpacts(b *testing.B) {
	h := furnished(b)
	var list []routes.Announcement
	for n := range 1 << 20 {
		list = append(list, routes.Announcement{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{32 + byte(n>>16), byte(n >> 8), byte(n)}), 24), Origin: uint32(n)})
	}
	list = append(list, route("41.0.0.0/16", 7))
	table := routes.Of(fromFile.Time, list...)
	after := []roa.VRP{{Prefix: netip.MustParsePrefix("41.0.0.0/16"), MaxLength: 16, ASN: 7}}
	for b.Loop() {
		if found := h.book.Impacts(h.ledger, nil, after, table); len(found) != 257 || found[0].Breaks() != true {
			b.Fatal(len(found))
		}
	}
}
