package moves

import "sync"

// errands is looks and calls, which steps begin and do not wait for.
type errands struct {
	mu   sync.Mutex
	busy int
	done *sync.Cond
}

func (e *errands) begin(errand func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.done == nil {
		e.done = sync.NewCond(&e.mu)
	}
	e.busy++
	go func() {
		defer func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.busy--
			e.done.Broadcast()
		}()
		errand()
	}()
}

// wait returns when none is under way, and tells whether one was.
func (e *errands) wait() (any bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for any = e.busy > 0; e.busy > 0; {
		e.done.Wait()
	}
	return any
}

// Rest returns when no look and no call is under way that a step began, and tells whether one was: the next step may know more. It is
// for who takes steps without Run.
func (m *Mover) Rest() bool { return m.errands.wait() }
