package publisher

import (
	"sync"
	"time"
)

// attention is when each publisher's manifests are to be looked at next; one that is not in it waits for a change.
type attention struct {
	mu   sync.Mutex
	at   map[*publisher]time.Time
	wake chan struct{} // has one when someone asked since it was taken out
}

func newAttention() attention {
	return attention{at: map[*publisher]time.Time{}, wake: make(chan struct{}, 1)}
}

// later wants a publisher looked at when a time comes, if not before.
func (a *attention) later(p *publisher, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if before, asked := a.at[p]; !asked || at.Before(before) {
		a.at[p] = at
	}
}

// ask wants a publisher looked at now.
func (a *attention) ask(p *publisher) {
	a.later(p, time.Time{})
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *attention) drop(p *publisher) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.at, p)
}

// take takes out those whose time has come.
func (a *attention) take(now time.Time) []*publisher {
	a.mu.Lock()
	defer a.mu.Unlock()
	var due []*publisher
	for p, at := range a.at {
		if !at.After(now) {
			due = append(due, p)
			delete(a.at, p)
		}
	}
	return due
}

// next is when the next time comes, false when there is none.
func (a *attention) next() (at time.Time, any bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.at {
		if !any || t.Before(at) {
			at, any = t, true
		}
	}
	return at, any
}
