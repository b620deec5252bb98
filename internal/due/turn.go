package due

import (
	"sync"
	"time"
)

// Backoff is how long to wait after failures: First after one, each time twice as long, and at most Most.
type Backoff struct{ First, Most time.Duration }

// Turn is the state of the calls of one thing: one call at a time, and a pause after a failure. The zero Turn is that of a thing that was
// never called. Its owner locks it.
type Turn struct {
	Begun, Ended time.Time // the last call

	busy  bool
	pause time.Duration // after the last call; zero where it went well
}

// Begin notes that a call begins. It is false while one is under way.
func (t *Turn) Begin(now time.Time) bool {
	if t.busy {
		return false
	}
	t.busy, t.Begun = true, now
	return true
}

// End notes how a call ended.
func (t *Turn) End(now time.Time, err error, b Backoff) {
	t.busy, t.Ended = false, now
	if err == nil {
		t.pause = 0
	} else {
		t.pause = min(max(b.First, 2*t.pause), b.Most)
	}
}

// Busy tells whether a call is under way.
func (t *Turn) Busy() bool { return t.busy }

// Failed tells whether the last call failed.
func (t *Turn) Failed() bool { return t.pause > 0 }

// Pardon forgets failures, so that the next call may be made at once.
func (t *Turn) Pardon() { t.pause = 0 }

// Resume is the time before which there is to be no call, because the last one failed; zero where it did not.
func (t *Turn) Resume() time.Time {
	if t.pause == 0 {
		return time.Time{}
	}
	return t.Ended.Add(t.pause)
}

// Signal tells one that waits that there is something new. A signal that is sent while none waits is kept, once.
type Signal chan struct{}

// NewSignal makes a signal.
func NewSignal() Signal { return make(Signal, 1) }

// Send signals. It never blocks.
func (s Signal) Send() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// Pulse tells all who wait that something happened. The zero Pulse is ready.
type Pulse struct {
	mu sync.Mutex
	ch chan struct{}
}

// Next is closed at the next beat.
func (p *Pulse) Next() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ch == nil {
		p.ch = make(chan struct{})
	}
	return p.ch
}

// Beat tells all who wait now.
func (p *Pulse) Beat() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ch != nil {
		close(p.ch)
		p.ch = nil
	}
}
