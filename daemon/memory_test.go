package daemon

import (
	"math"
	"runtime"
	"runtime/debug"
	meters "runtime/metrics"
	"testing"
)

// TestMemoryLimit: below the limit the heap has the usual room, near it less, and what is in use lifts it rather than have the collector
// run without end.
func TestMemoryLimit(t *testing.T) {
	t.Cleanup(func() { LimitMemory(-1) })
	LimitMemory(64)
	heap := func() uint64 {
		s := []meters.Sample{{Name: "/gc/heap/goal:bytes"}}
		meters.Read(s)
		return s[0].Value.Uint64()
	}
	settled := func() int64 { // the collector calls back on a goroutine of its own
		was := int64(-1)
		for range 50 {
			runtime.GC()
			runtime.Gosched()
			now := debug.SetMemoryLimit(-1)
			if now == was && now != 64<<20 {
				break
			}
			was = now
		}
		return debug.SetMemoryLimit(-1)
	}
	used := make([]byte, 40<<20)
	runtime.GC()
	if goal := heap(); goal > 64<<20 {
		t.Errorf("with 40 MiB in use the heap goes to %d MiB", goal>>20)
	}
	more := make([]byte, 60<<20)
	if limit := settled(); limit < 120<<20 || limit > 200<<20 {
		t.Errorf("with 100 MiB in use the limit is %d MiB", limit>>20)
	}
	runtime.KeepAlive(used)
	runtime.KeepAlive(more)
	LimitMemory(-1)
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		t.Errorf("without a limit there is one of %d", limit)
	}
}
