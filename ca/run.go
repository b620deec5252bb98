package ca

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"cadastre/ca/issued"
	"cadastre/ca/plan"
	"cadastre/internal/fault"
	"cadastre/internal/validate"
)

const (
	closeEvery = 10 * time.Second // in the middle of a plan a serial is closed about this often
	retryAfter = 30 * time.Second // after a failure
)

// loop is the state of the goroutine that runs the engine: that of Run, or the caller of Settle or Step. There is one at a time. It needs
// no lock, since nothing else uses it.
type loop struct {
	gate       *validate.Gate            // asked before each commit; set by Unseal
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
		e.finish(set, done)
		e.Observer.Remaining(e.toGo())
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

// take takes the organisations to plan for next: those that a decision or a deadline touched; if there are none, those of the backlog.
func (e *Engine) take(now time.Time) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	holders, _ := e.due(now)
	for _, holder := range holders {
		e.dirty[holder] = true
		delete(e.later, holder)
	}
	if len(e.dirty) == 0 {
		set := slices.Sorted(maps.Keys(e.backlog))
		clear(e.backlog)
		e.agenda.Take(set)
		return set
	}
	for holder := range e.dirty {
		e.close(holder)
	}
	set := slices.Sorted(maps.Keys(e.dirty))
	clear(e.dirty)
	e.agenda.Take(set)
	return set
}

// close moves the ancestors and, if the organisation's certificate has to shrink, the descendants of an organisation from the backlog to
// dirty: they have to be planned for together. The caller holds the engine's mu.
func (e *Engine) close(holder string) {
	if len(e.backlog) == 0 || holder == issued.AnchorHolder {
		return
	}
	delete(e.backlog, holder)
	for up := e.above(holder); up != issued.AnchorHolder; up = e.above(up) {
		if e.backlog[up] {
			delete(e.backlog, up)
			e.dirty[up] = true
		}
	}
	if !e.shrinks(holder) {
		return // what is below can wait
	}
	for _, child := range e.ledger.Children(holder) {
		if e.backlog[child] {
			e.dirty[child] = true
			e.close(child)
		}
	}
}

// shrinks tells whether a certificate of an organisation names more than it holds. The caller holds the engine's mu.
func (e *Engine) shrinks(holder string) bool {
	for _, name := range e.issued.Of(holder) {
		if a := e.issued.Authority(name); a != nil && !e.ledger.Via(holder, name.Source).Contains(a.Certified) {
			return true
		}
	}
	return false
}

// finish ends the work on a set of organisations. If it is not done, the set goes to the backlog and is planned for again.
func (e *Engine) finish(set []string, done bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.agenda.End(done)
	if done {
		return
	}
	for _, holder := range set {
		e.backlog[holder] = true
	}
}

// interrupted tells whether a decision has touched an organisation since the present plan began.
func (e *Engine) interrupted() bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return len(e.dirty) > 0
}
