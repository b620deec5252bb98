package moves

import "sync"

// background counts the looks and calls that steps begin and do not wait for.
type background struct {
	mu   sync.Mutex
	busy int
	done *sync.Cond
}

func (b *background) start(do func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done == nil {
		b.done = sync.NewCond(&b.mu)
	}
	b.busy++
	go func() {
		defer func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.busy--
			b.done.Broadcast()
		}()
		do()
	}()
}

// wait returns when no look and no call is under way, and tells whether one was.
func (b *background) wait() (any bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for any = b.busy > 0; b.busy > 0; {
		b.done.Wait()
	}
	return any
}

// Rest waits until no look and no call is under way, and tells whether one was: then another Step may have more to do. It is for a
// caller that uses Step without Run.
func (m *Mover) Rest() bool { return m.background.wait() }
