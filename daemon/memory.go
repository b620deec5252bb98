package daemon

import (
	"math"
	"runtime"
	"runtime/debug"
	meters "runtime/metrics"
	"sync"
	"sync/atomic"
)

// defaultMemory is how much the process takes, in MiB, before the collector works harder.
const defaultMemory = 768

// Room for garbage, in percent of what is in use. What is made is mostly garbage at once, so that much room saves work. Where what is in
// use leaves less below the limit, there is less, but never so little that collecting is all that is done.
const (
	usualRoom = 200
	leastRoom = 60
)

var memory struct {
	limit atomic.Int64 // bytes; 0 for none
	watch sync.Once
}

// LimitMemory keeps what the process has below a number of MiB, as far as what is in use leaves room; 0 is the default, and below 0 there is
// no limit. Pages of the store and of segments are the system's and do not count.
func LimitMemory(mib int) {
	debug.SetGCPercent(usualRoom)
	if mib == 0 {
		mib = defaultMemory
	}
	limit := max(int64(mib)<<20, 0)
	memory.limit.Store(limit)
	if limit == 0 {
		debug.SetMemoryLimit(math.MaxInt64)
		return
	}
	debug.SetMemoryLimit(limit)
	memory.watch.Do(watchMemory)
}

// watchMemory lifts the limit after each collection after which more is in use than fits below it. It has itself called by what the
// collection finds unused.
func watchMemory() {
	runtime.SetFinalizer(&[1]*byte{}, func(*[1]*byte) {
		if limit := memory.limit.Load(); limit > 0 {
			inUse := []meters.Sample{{Name: "/gc/heap/live:bytes"}}
			meters.Read(inUse)
			debug.SetMemoryLimit(roomFor(limit, int64(min(inUse[0].Value.Uint64(), math.MaxInt64/2))))
		}
		watchMemory()
	})
}

// roomFor is the limit while so many bytes are in use.
func roomFor(limit, inUse int64) int64 { return max(limit, inUse+inUse/100*leastRoom) }
