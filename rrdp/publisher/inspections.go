package publisher

import (
	"sync"
	"time"

	"cadastre/internal/due"
)

// inspections has when to look next at the manifests of each publisher. A publisher that is not in it is looked at when something of it changes.
type inspections struct {
	mu    sync.Mutex
	queue due.Queue[*publisher]
	wake  due.Signal // someone asked
}

func newInspections() inspections { return inspections{wake: due.NewSignal()} }

// schedule has a publisher looked at by the given time.
func (i *inspections) schedule(p *publisher, at time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.queue.Bring(p, at)
}

// ask has a publisher looked at now.
func (i *inspections) ask(p *publisher) {
	i.schedule(p, time.Now())
	i.wake.Send()
}

func (i *inspections) drop(p *publisher) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.queue.Set(p, time.Time{})
}

// take removes and returns the publishers whose time has come.
func (i *inspections) take(now time.Time) []*publisher {
	i.mu.Lock()
	defer i.mu.Unlock()
	var come []*publisher
	for p := range i.queue.Until(now) {
		i.queue.Set(p, time.Time{})
		come = append(come, p)
	}
	return come
}

// next is the earliest time in it; zero if there is none.
func (i *inspections) next() time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.queue.Next()
}
