package peer

import (
	"hash/maphash"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Rate is how often someone may call: PerSecond in the long run, Burst at once.
type Rate struct {
	PerSecond float64
	Burst     float64
}

// orRate is a rate, or another where it is not set.
func orRate(r Rate, perSecond, burst float64) Rate {
	if r == (Rate{}) {
		return Rate{perSecond, burst}
	}
	return r
}

// bucket is what someone has left of a Rate.
type bucket struct {
	tokens float64
	at     time.Time // when it had those; zero where it is new, and full
}

// take takes one token if there is one.
func (b *bucket) take(r Rate, now time.Time) bool {
	b.fill(r, now)
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

func (b *bucket) fill(r Rate, now time.Time) {
	if b.at.IsZero() {
		b.tokens = r.Burst
	} else if passed := now.Sub(b.at); passed > 0 {
		b.tokens = min(r.Burst, b.tokens+passed.Seconds()*r.PerSecond)
	}
	b.at = now
}

// lanes is how many strangers' addresses are told apart for each handle. Whoever knows a handle can use up the rate of
// his lane, but he would need as many well-chosen addresses as there are lanes to keep the peer itself out.
const lanes = 16

// lane is one of the ways to a handle. There is no more than a fixed number of them for each registered handle.
type lane struct {
	handle string
	number uint8
}

// traffic is what goes on in a lane.
type traffic struct {
	bucket
	calls int // that are under way
}

// limits counts who calls how much. The zero value is ready.
type limits struct {
	held atomic.Int64 // octets of bodies in memory

	mu       sync.Mutex
	seed     maphash.Seed
	lanes    map[lane]*traffic
	sweepAt  int // number of lanes at which those that are idle are forgotten
	unknown  bucket
	answered map[string]bool // handles whose message is being answered
}

const fewestSwept = 1024

// enter admits a call to a registered handle, or says why not. What it admits has to leave.
func (l *limits) enter(handle string, r *http.Request, rate Rate, atOnce int, now time.Time) (where lane, refused string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lanes == nil {
		l.lanes, l.seed, l.sweepAt = map[lane]*traffic{}, maphash.MakeSeed(), fewestSwept
	}
	where = lane{handle, uint8(maphash.String(l.seed, host(r.RemoteAddr)) % lanes)}
	t := l.lanes[where]
	if t == nil {
		l.sweep(rate, now)
		t = new(traffic)
		l.lanes[where] = t
	}
	switch {
	case !t.take(rate, now):
		return where, "rate"
	case t.calls >= atOnce:
		return where, "busy"
	}
	t.calls++
	return where, ""
}

func (l *limits) leave(where lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lanes[where].calls--
}

// sweep forgets lanes that are as good as new, when there are twice as many as were left the last time.
func (l *limits) sweep(rate Rate, now time.Time) {
	if len(l.lanes) < l.sweepAt {
		return
	}
	for where, t := range l.lanes {
		if t.fill(rate, now); t.calls == 0 && t.tokens >= rate.Burst {
			delete(l.lanes, where)
		}
	}
	l.sweepAt = max(fewestSwept, 2*len(l.lanes))
}

// stranger counts a call to a handle that is not registered.
func (l *limits) stranger(rate Rate, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unknown.take(rate, now)
}

// begin takes the turn of a handle, or says that it is taken. Who has it has to end it.
func (l *limits) begin(handle string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.answered[handle] {
		return false
	}
	if l.answered == nil {
		l.answered = map[string]bool{}
	}
	l.answered[handle] = true
	return true
}

func (l *limits) end(handle string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.answered, handle)
}

// host is an address without its port.
func host(address string) string {
	if i := strings.LastIndexByte(address, ':'); i >= 0 {
		return address[:i]
	}
	return address
}
