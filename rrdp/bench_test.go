package rrdp

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"

	"cadastre/internal/store"
)

// fill publishes n made-up objects of so many bytes in serial 1.
func fill(t testing.TB, r *Repository, st store.Store, n, size int) {
	t.Helper()
	for done := 0; done < n; {
		var changes []Change
		for ; len(changes) < 5000 && done < n; done++ {
			changes = append(changes, Change{URI: uri(fmt.Sprintf("0123456789abcdef%024x/x.roa", done)), Object: made(size)})
		}
		publish(t, r, st, done == n, changes...)
	}
}

// made is an object with as much to compress as a signed object has.
func made(n int) []byte {
	object := make([]byte, n)
	_, _ = rand.Read(object)
	copy(object, strings.Repeat("0.9.8.7.6.5.4.3.2.1.", n/100))
	return object
}

// one is what a new ROA changes: its own object, and the manifest and CRL of its CA.
func one(i int) []Change {
	return []Change{
		{URI: uri(fmt.Sprintf("ca/%06d.roa", i)), Object: made(1900)},
		{URI: uri("ca/ca.mft"), Object: made(1950)},
		{URI: uri("ca/ca.crl"), Object: made(600)},
	}
}

// BenchmarkPublishOne is one ROA from Prepare to Apply, with the store's and the segments' fsync.
func BenchmarkPublishOne(b *testing.B) {
	for _, n := range []int{1000, 10_000, 24_500, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r, st, _ := newRepositoryIn(b, b.TempDir(), false)
			fill(b, r, st, n, 1870)
			publish(b, r, st, true, one(0)...)
			written, i := writtenBytes(b), 0
			for b.Loop() {
				i++
				publish(b, r, st, true, one(i)...)
			}
			b.ReportMetric(float64(writtenBytes(b)-written)/float64(i), "B/written")
		})
	}
}

// BenchmarkOpen is a restart without a change.
func BenchmarkOpen(b *testing.B) {
	r, st, cfg := newRepositoryIn(b, b.TempDir(), false)
	fill(b, r, st, 24_500, 1870)
	for b.Loop() {
		reopen(b, st, cfg)
	}
	snapshot, disk := r.Bytes()
	b.ReportMetric(float64(snapshot), "B/snapshot")
	b.ReportMetric(float64(disk), "B/disk")
}

// writtenBytes is what this process has handed to write calls so far. bbolt writes its pages that way too.
func writtenBytes(t testing.TB) int64 {
	data, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skip("this system does not count what a process writes")
	}
	var n int64
	for line := range strings.Lines(string(data)) {
		if _, err := fmt.Sscanf(line, "wchar: %d", &n); err == nil {
			return n
		}
	}
	t.Fatal("no wchar in /proc/self/io")
	return 0
}
