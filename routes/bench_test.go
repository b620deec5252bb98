package routes_test

import (
	"bytes"
	"net/netip"
	"runtime"
	"testing"

	"cadastre/routes"
)

const million = 1_000_000

// numbered is the n-th of a million prefixes of IPv4 that do not overlap.
func numbered(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(n >> 16), byte(n >> 8), byte(n)}), 24)
}

// BenchmarkMRT reads a million announcements, each of which ten peers see.
func BenchmarkMRT(b *testing.B) {
	peers := make([]uint32, 10)
	for i := range peers {
		peers[i] = uint32(64500 + i)
	}
	d := newDump(peers...)
	for n := range million {
		paths := make([]path, len(peers))
		for i := range paths {
			paths[i] = path{uint16(i), day(1), [][]byte{segment(sequence, peers[i], 3356, 174, uint32(n%70000+1))}}
		}
		d.prefix(numbered(n).String(), false, paths...)
	}
	b.SetBytes(int64(len(d.out)))
	b.ResetTimer()
	for b.Loop() {
		table, err := routes.Read("rib", bytes.NewReader(d.out), day(1))
		if err != nil || table.Len() != million {
			b.Fatal(table.Len(), err)
		}
	}
	b.StopTimer()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.Sys-uint64(len(d.out)))/1e6, "MB-sys")
}

// BenchmarkCovered looks up what a /16 covers among a million announcements.
func BenchmarkCovered(b *testing.B) {
	list := make([]routes.Announcement, million)
	for n := range list {
		list[n] = routes.Announcement{Prefix: numbered(n), Origin: uint32(n)}
	}
	table, n := routes.Of(day(1), list...), 0
	for b.Loop() {
		n += 257
		of := netip.PrefixFrom(numbered(n%million).Addr(), 16).Masked()
		found := 0
		for range table.Covered(of) {
			found++
		}
		for range table.Covering(of) {
			found++
		}
		if found == 0 {
			b.Fatal(of)
		}
	}
}

// BenchmarkOwn writes and reads a million announcements in the form of their own.
func BenchmarkOwn(b *testing.B) {
	list := make([]routes.Announcement, million)
	for n := range list {
		list[n] = routes.Announcement{Prefix: numbered(n), Origin: uint32(n)}
	}
	table := routes.Of(day(1), list...)
	var out bytes.Buffer
	for b.Loop() {
		out.Reset()
		if err := table.Write(&out); err != nil {
			b.Fatal(err)
		}
		if _, err := routes.Read("own", &out, day(1)); err != nil {
			b.Fatal(err)
		}
	}
}
