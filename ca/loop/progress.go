package loop

import (
	"context"
	"sync"
	"time"

	"cadastre/internal/due"
)

// Progress is what others see of a loop, and how they wake it. It is safe for concurrent use.
type Progress struct {
	wake    due.Signal
	stepped due.Pulse // beats after each Once

	mu      sync.Mutex   // guards the following; no other lock is taken under it
	waiting []chan error // callers of WaitIdle
	err     error        // why the work as a whole failed when it was last tried
	since   time.Time    // since when it fails
}

// NewProgress makes the progress of a loop that has not begun.
func NewProgress() *Progress { return &Progress{wake: due.NewSignal()} }

// Wake wakes the loop if it sleeps.
func (p *Progress) Wake() { p.wake.Send() }

// NextStep is closed when the loop has once more done what was due.
func (p *Progress) NextStep() <-chan struct{} { return p.stepped.Next() }

// Tell ends the waiting of all who wait: with nil, or with the error for which their decisions are not published.
func (p *Progress) Tell(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.waiting {
		c <- err
	}
	p.waiting = nil
}

// WaitIdle waits until the loop has published all that it can do now for the decisions so far. It returns the error that prevents that. The
// loop has to be running.
func (p *Progress) WaitIdle(ctx context.Context) error {
	c := make(chan error, 1)
	p.mu.Lock()
	p.waiting = append(p.waiting, c)
	p.mu.Unlock()
	p.Wake()
	select {
	case err := <-c:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// note keeps the error of the last Once, or forgets it where that succeeded.
func (p *Progress) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil || p.err == nil {
		p.since = time.Now().UTC()
	}
	p.err = err
}

// Failing is why the work as a whole fails, and since when; nil where it does not.
func (p *Progress) Failing() (since time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.since, p.err
}
