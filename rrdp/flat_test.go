package rrdp

import "testing"

// TestFlat: what one ROA makes this process write does not grow with the repository.
func TestFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes repositories of up to 100,000 objects")
	}
	written := map[int]int64{}
	for _, n := range []int{1000, 10_000, 100_000} {
		r, st, _ := newRepositoryIn(t, t.TempDir(), true)
		fill(t, r, st, n, 100)
		publish(t, r, st, true, one(0)...)
		const times = 5
		before := writtenBytes(t)
		for i := range times {
			publish(t, r, st, true, one(i+1)...)
		}
		written[n] = (writtenBytes(t) - before) / times
	}
	t.Logf("bytes written for one ROA: %v", written)
	if written[100_000]*10 > written[1000]*12 {
		t.Errorf("from 1,000 to 100,000 objects it grows from %d to %d bytes", written[1000], written[100_000])
	}
}
