package publisher

import (
	"context"
	"sync"

	"cadastre/internal/fault"
)

// queue gathers what wants to be committed. What comes while nothing is under way is committed at once; what comes
// meanwhile waits for the end of that, and is the next group. So nobody waits for a clock, and the busier it is, the
// more share one commit.
type queue struct {
	commit func([]*waiting) // sends each its outcome

	mu      sync.Mutex
	waiting []*waiting
	running sync.WaitGroup // the goroutine that commits, while there is one
	busy    bool
	closed  bool
}

// waiting is one change in the queue.
type waiting struct {
	stage func(*group) error // takes its part in a group, or says why it cannot; changes nothing else
	size  int                // bytes of the objects that it brings
	err   error
	done  chan error // takes one
}

// groupBytes is the size of the objects that go into one commit; what is left waits for the next. One query may be larger.
const groupBytes = 64 << 20

// errClosed says that the daemon ends.
var errClosed = fault.New(fault.Busy, "the daemon is about to end: repeat this when it is back")

// submit has a change staged and committed, and returns when it is durable, or with the error that kept it from being
// so. When ctx ends before that it is not known which, as with a connection that breaks.
func (q *queue) submit(ctx context.Context, stage func(*group) error, size int) error {
	w := &waiting{stage: stage, size: size, done: make(chan error, 1)}
	if !q.enter(w) {
		return errClosed
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return fault.New(fault.Busy, "the commit took too long (%w); it may still happen", ctx.Err())
	}
}

func (q *queue) enter(w *waiting) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.waiting = append(q.waiting, w)
	if !q.busy {
		q.busy = true
		q.running.Go(func() {
			for group := q.next(); len(group) > 0; group = q.next() {
				q.commit(group)
			}
		})
	}
	return true
}

// next takes the next group out; when there is none the goroutine that commits is done.
func (q *queue) next() []*waiting {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, 0
	for n < len(q.waiting) && (n == 0 || size+q.waiting[n].size <= groupBytes) {
		size += q.waiting[n].size
		n++
	}
	group := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	q.busy = n > 0
	return group
}

// close lets nothing in any more and waits for what is in.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.running.Wait()
}
