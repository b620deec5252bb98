package ca

import (
	"context"
	"sync"
	"time"

	"cadastre/ca/issue"
	"cadastre/ca/plan"
	"cadastre/internal/fault"
)

const (
	closeEvery = 10 * time.Second // in the middle of a plan a serial is closed about this often
	retryAfter = 30 * time.Second // after a failure
)

// loop is the state of the goroutine that runs the engine: that of Run, or the caller of Settle or Step. There is one at a time. It needs
// no lock, since nothing else uses it.
type loop struct {
	gate       *issue.Gate               // asked before each commit; set by Unseal
	believes   func(now time.Time) error // checks the clock; set by Unseal, or by run
	acquainted bool                      // the gate has read what was published before
	step       plan.Step                 // the step of the wave that was executed last; kept in the store with each commit
	unfinished bool                      // what is staged may be half of a plan: it is published in publicationOrder
	lastClose  time.Time                 // when a serial was last closed
}

// Run does what is due until ctx ends. A failure is logged and tried again; what is published stays.
func (e *Engine) Run(ctx context.Context) error {
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { e.Federation.Run(ctx) })
	beside.Go(func() { e.followRetired(ctx) })
	return e.run(ctx, e.loop.believes)
}

func (e *Engine) run(ctx context.Context, believe func(now time.Time) error) error {
	e.loop.believes = believe
	for ctx.Err() == nil {
		_ = e.believe() // Step returns at once while the engine is frozen
		wait, err := e.Step(ctx)
		if ctx.Err() == nil {
			e.failing.note(err)
		}
		if err != nil && ctx.Err() == nil {
			e.log.Error("the work that is due failed and will be tried again; what was published stays", "error", err, "kind", fault.KindOf(err))
			e.Observer.Refused(fault.KindOf(err))
			e.watchers.tell(err)
			wait = retryAfter
		}
		e.sleep(ctx, wait)
	}
	return nil
}

// Settle does all that can be done now, and returns when it is published. It does not wait for a soak.
func (e *Engine) Settle(ctx context.Context) error {
	for {
		wait, err := e.Step(ctx)
		if err != nil {
			return err
		}
		if err := e.frozen.err(); err != nil {
			return err
		}
		if e.idle() {
			_ = e.destroyRetired() // it was logged, and the next time is as good
			return e.asideError()
		}
		e.sleep(ctx, min(wait, time.Second))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func (e *Engine) sleep(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(max(wait, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-e.wake:
	case <-ctx.Done():
	}
}

// Step does once what is due: ends by date, key rolls, one plan, and serials. It returns after how long it is to be called again.
func (e *Engine) Step(ctx context.Context) (time.Duration, error) {
	defer e.stepped.Beat()
	if err := e.frozen.err(); err != nil {
		e.watchers.tell(err)
		return lookAtClock, nil // it was logged when it froze, and status shows it
	}
	if !e.loop.acquainted {
		if err := e.acquaint(ctx); err != nil {
			return 0, err
		}
		e.loop.acquainted = true
	}
	now := time.Now()
	e.expire(now)
	e.endIntents(now)
	if err := e.turn(now); err != nil {
		return 0, err
	}
	if set := e.take(now); len(set) > 0 {
		done, err := e.work(ctx, set)
		e.agenda.Finish(set, done)
		e.Observer.Remaining(e.agenda.Count())
		if err != nil {
			return 0, err
		}
	}
	if err := e.publishStaged(false); err != nil {
		return 0, err
	}
	if e.idle() {
		e.watchers.tell(e.asideError())
	}
	return e.untilNext(time.Now())
}

// take takes the organisations to plan for next.
func (e *Engine) take(now time.Time) []string {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.agenda.Take(now, agendaView{e})
}
