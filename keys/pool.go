package keys

import (
	"context"
	"crypto"
	"runtime"
	"sync"

	"cadastre/internal/object"
)

// Pool holds new key pairs, each for one use. To make an RSA key takes forty times as long as to sign with it; the pool makes keys when
// there is nothing else to do. The keys are only in memory. A key that no authority has certified can sign nothing that counts. A vault
// takes the pairs of long-lived keys from it, too.
type Pool struct {
	algorithm object.Algorithm
	size      int

	mu      sync.Mutex
	ready   []crypto.Signer // guarded by mu
	wanted  int             // takers that wait; guarded by mu
	held    int             // unfinished Holds; guarded by mu
	changed *sync.Cond      // ready, wanted or held changed, or the pool ended
	ended   bool            // guarded by mu
	failure error           // the last failure to make a key; guarded by mu
	makers  sync.WaitGroup
}

// NewPool starts to fill a pool of size keys, on all cores, until ctx ends.
func NewPool(ctx context.Context, algorithm object.Algorithm, size int) *Pool {
	p := &Pool{algorithm: algorithm, size: max(size, 1)}
	p.changed = sync.NewCond(&p.mu)
	for range runtime.GOMAXPROCS(0) {
		p.makers.Go(p.fill)
	}
	context.AfterFunc(ctx, func() {
		p.mu.Lock()
		p.ended = true
		p.mu.Unlock()
		p.changed.Broadcast()
	})
	return p
}

// fill makes keys while the pool is not full. During a Hold it makes keys that Take waits for, and others only while none is ready, so that
// signing has the cores.
func (p *Pool) fill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for !p.ended && p.wanted <= len(p.ready) && (len(p.ready) >= p.size || p.held > 0 && len(p.ready) > 0) {
			p.changed.Wait()
		}
		if p.ended {
			return
		}
		p.mu.Unlock()
		key, err := generate(p.algorithm)
		p.mu.Lock()
		if p.failure = err; err == nil {
			p.ready = append(p.ready, key)
		}
		p.changed.Broadcast()
	}
}

// Take hands out n keys that nobody else gets, and waits for them to be made where the pool is short.
func (p *Pool) Take(ctx context.Context, n int) ([]crypto.Signer, error) {
	stop := context.AfterFunc(ctx, p.wake)
	defer stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted += n
	defer func() { p.wanted -= n }()
	p.changed.Broadcast()
	for len(p.ready) < n && ctx.Err() == nil && !p.ended && p.failure == nil {
		p.changed.Wait()
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case p.failure != nil:
		return nil, p.failure
	case p.ended:
		return nil, context.Canceled
	}
	rest := len(p.ready) - n
	taken := append([]crypto.Signer(nil), p.ready[rest:]...)
	clear(p.ready[rest:])
	p.ready = p.ready[:rest]
	return taken, nil
}

// Hold pauses the filling of the pool until the returned function is called. Keys that Take waits for are made all the same.
func (p *Pool) Hold() func() {
	p.mu.Lock()
	p.held++
	p.mu.Unlock()
	return sync.OnceFunc(func() {
		p.mu.Lock()
		p.held--
		p.mu.Unlock()
		p.changed.Broadcast()
	})
}

// wake makes everyone who waits look again. It takes the lock so that nobody is between looking and waiting.
func (p *Pool) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed.Broadcast()
}

// Depth is how many keys are ready, and how many the pool holds when it is full.
func (p *Pool) Depth() (ready, size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ready), p.size
}

// Wait returns when every maker has stopped; the pool's context must have ended.
func (p *Pool) Wait() { p.makers.Wait() }
