package ca

import (
	"context"
	"slices"
	"sync"
	"time"
)

// apart is between two calls on a peer elsewhere that does not answer well, however much news there is for it.
const apart = 10 * time.Second

// rounds has peers elsewhere called on, each by itself, so that one that hangs delays nothing. There is one call under way to
// each.
type rounds struct {
	names func() []string // who there is
	// due is when one is to be called on, whose last call began at a time; news tells that something was decided since.
	due           func(called string, begun time.Time, news bool) time.Time
	call          func(ctx context.Context, called string) error
	again, latest time.Duration   // after a failure, each time twice as late
	news          <-chan struct{} // something was decided that a peer may have to know
}

// turnOf is how the calls on one peer stand.
type turnOf struct {
	busy         bool
	begun, ended time.Time
	failed       time.Duration // how long to wait after the last failure; zero where the last call went well
	told         int           // how much news there had been when the last call began
}

// run goes on until ctx ends, and returns when no call is under way.
func (r *rounds) run(ctx context.Context) {
	type outcome struct {
		called string
		err    error
	}
	ended := make(chan outcome)
	turns := map[string]*turnOf{}
	var calls sync.WaitGroup
	defer calls.Wait()
	for told := 0; ; {
		wait := time.Minute
		names := r.names()
		for called, t := range turns {
			if !t.busy && !slices.Contains(names, called) {
				delete(turns, called)
			}
		}
		for _, called := range names {
			t := turns[called]
			if t == nil {
				t = &turnOf{}
				turns[called] = t
			}
			now := time.Now()
			if t.busy {
				continue
			}
			if until := r.at(called, t, t.told < told).Sub(now); until > 0 {
				wait = min(wait, until)
				continue
			}
			t.busy, t.begun, t.told = true, now, told
			calls.Go(func() {
				answer := outcome{called, r.call(ctx, called)}
				select {
				case ended <- answer:
				case <-ctx.Done():
				}
			})
		}
		timer := time.NewTimer(wait)
		select {
		case answer := <-ended:
			t := turns[answer.called]
			t.busy, t.ended = false, time.Now()
			if answer.err == nil {
				t.failed = 0
			} else {
				t.failed = min(max(r.again, 2*t.failed), r.latest)
			}
		case <-r.news:
			told++
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// at is when a peer is to be called on: when it is due, and after a failure not before its time, which news brings nearer.
func (r *rounds) at(called string, t *turnOf, news bool) time.Time {
	if t.failed == 0 {
		return r.due(called, t.begun, news)
	}
	if news {
		return t.ended.Add(min(t.failed, apart))
	}
	return t.ended.Add(t.failed)
}
