package publisher

import (
	"sync"
	"time"

	"cadastre/internal/due"
)

// attention is when each publisher's manifests are to be looked at next; one that is not in it waits for a change.
type attention struct {
	mu    sync.Mutex
	queue due.Queue[*publisher]
	wake  due.Signal // someone asked
}

func newAttention() attention { return attention{wake: due.NewSignal()} }

// later wants a publisher looked at when a time comes, if not before.
func (a *attention) later(p *publisher, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue.Bring(p, at)
}

// ask wants a publisher looked at now.
func (a *attention) ask(p *publisher) {
	a.later(p, time.Now())
	a.wake.Send()
}

func (a *attention) drop(p *publisher) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue.Set(p, time.Time{})
}

// take takes out those whose time has come.
func (a *attention) take(now time.Time) []*publisher {
	a.mu.Lock()
	defer a.mu.Unlock()
	var come []*publisher
	for p := range a.queue.Until(now) {
		a.queue.Set(p, time.Time{})
		come = append(come, p)
	}
	return come
}

// next is when the next time comes; zero when there is none.
func (a *attention) next() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.queue.Next()
}
