package ca

import (
	"container/heap"
	"iter"
	"time"
)

// dues has each authority under a time before which nothing of it falls due, the soonest first, so that nobody has to look at
// all to find what does.
type dues struct {
	at    map[string]time.Time
	queue dueQueue // entries whose time is another than at's are stale
}

type dueEntry struct {
	at   time.Time
	name string
}

// set puts an authority under a time; zero: never.
func (d *dues) set(name string, at time.Time) {
	if was, known := d.at[name]; known && was.Equal(at) {
		return
	}
	if delete(d.at, name); at.IsZero() {
		return
	}
	if d.at == nil {
		d.at = map[string]time.Time{}
	}
	d.at[name] = at
	heap.Push(&d.queue, dueEntry{at, name})
}

// top drops stale entries, and tells whether one is left.
func (d *dues) top() bool {
	for len(d.queue) > 0 {
		if first := d.queue[0]; d.at[first.name].Equal(first.at) {
			return true
		}
		heap.Pop(&d.queue)
	}
	return false
}

// next is the soonest time; zero where there is none.
func (d *dues) next() time.Time {
	if !d.top() {
		return time.Time{}
	}
	return d.queue[0].at
}

// until goes through the authorities whose time has come. They may be set meanwhile; those that are not stay as they are.
func (d *dues) until(now time.Time) iter.Seq[string] {
	return func(yield func(string) bool) {
		var come []dueEntry
		for d.top() && !now.Before(d.queue[0].at) {
			come = append(come, heap.Pop(&d.queue).(dueEntry))
		}
		defer func() {
			for _, e := range come {
				if d.at[e.name].Equal(e.at) {
					heap.Push(&d.queue, e)
				}
			}
		}()
		for _, e := range come {
			if !yield(e.name) {
				return
			}
		}
	}
}

// dueQueue implements heap.Interface.
type dueQueue []dueEntry

func (q dueQueue) Len() int           { return len(q) }
func (q dueQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q dueQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *dueQueue) Push(e any)        { *q = append(*q, e.(dueEntry)) }
func (q *dueQueue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	*q = (*q)[:last]
	return e
}
