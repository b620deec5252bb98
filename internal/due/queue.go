// Package due calls what is due. There is one call at a time for each thing, calls for different things run at the same time, and after
// failures the delay grows.
package due

import (
	"container/heap"
	"iter"
	"time"
)

// Queue has each of some things under the time at which it falls due, the soonest first, so that nobody has to look at all of
// them. The zero Queue is empty. Its owner locks it.
type Queue[K comparable] struct {
	at    map[K]time.Time
	queue entries[K] // entries whose time is another than at's are stale
}

// Set puts a thing under a time; the zero time: never.
func (q *Queue[K]) Set(what K, at time.Time) {
	if was, known := q.at[what]; known && was.Equal(at) {
		return
	}
	if delete(q.at, what); at.IsZero() {
		return
	}
	if q.at == nil {
		q.at = map[K]time.Time{}
	}
	q.at[what] = at
	heap.Push(&q.queue, entry[K]{at, what})
}

// Bring puts a thing under a time, unless it falls due before that anyway.
func (q *Queue[K]) Bring(what K, at time.Time) {
	if was, known := q.at[what]; !known || at.Before(was) {
		q.Set(what, at)
	}
}

// Next is the soonest time; zero where there is none.
func (q *Queue[K]) Next() time.Time {
	if !q.top() {
		return time.Time{}
	}
	return q.queue[0].at
}

// Until goes through the things whose time has come. They may be set meanwhile; those that are not stay as they are.
func (q *Queue[K]) Until(now time.Time) iter.Seq[K] {
	return func(yield func(K) bool) {
		var come []entry[K]
		for q.top() && !now.Before(q.queue[0].at) {
			come = append(come, heap.Pop(&q.queue).(entry[K]))
		}
		defer func() {
			for _, e := range come {
				if q.at[e.what].Equal(e.at) {
					heap.Push(&q.queue, e)
				}
			}
		}()
		for _, e := range come {
			if !yield(e.what) {
				return
			}
		}
	}
}

// top drops stale entries, and tells whether one is left.
func (q *Queue[K]) top() bool {
	for len(q.queue) > 0 {
		if first := q.queue[0]; q.at[first.what].Equal(first.at) {
			return true
		}
		heap.Pop(&q.queue)
	}
	return false
}

type entry[K comparable] struct {
	at   time.Time
	what K
}

// entries implements heap.Interface.
type entries[K comparable] []entry[K]

func (q entries[K]) Len() int           { return len(q) }
func (q entries[K]) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q entries[K]) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *entries[K]) Push(e any)        { *q = append(*q, e.(entry[K])) }
func (q *entries[K]) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	*q = (*q)[:last]
	return e
}
