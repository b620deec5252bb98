package ca

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"cadastre/ca/issue"
	"cadastre/ca/issued"
	"cadastre/ca/loop"
	"cadastre/ca/plan"
	"cadastre/internal/store"
)

// Observer is told what an operator wants to watch. Its functions must not block.
type Observer = loop.Observer

// Run does what is due until ctx ends. A failure is logged and tried again; what is published stays.
func (e *Engine) Run(ctx context.Context) error {
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { e.Federation.Run(ctx) })
	beside.Go(func() { e.followDeactivated(ctx) })
	e.loop.Run(ctx)
	return nil
}

// Settle does all that can be done now, and returns when it is published. It does not wait for a soak.
func (e *Engine) Settle(ctx context.Context) error { return e.loop.Settle(ctx) }

// Step does once what is due: ends by date, key rolls, one plan, and serials. It returns after how long it is to be called again.
func (e *Engine) Step(ctx context.Context) (time.Duration, error) { return e.loop.Once(ctx) }

// WaitIdle waits until the engine has published all that it can do now for the decisions so far. It returns the error that prevents that.
// It does not wait for a soak, or for others: see Waits. The engine has to be running.
func (e *Engine) WaitIdle(ctx context.Context) error { return e.progress.WaitIdle(ctx) }

// newLoop makes the loop, with a gate that has read nothing yet.
func (e *Engine) newLoop(gate *issue.Gate) (*loop.Loop, error) {
	step := new(plan.Step)
	err := e.store.View(func(r store.Reader) error {
		kept, err := store.Value[plan.Step](r, engineBucket, stepKey)
		if kept != nil {
			step = kept
		}
		return err
	})
	return loop.New(loop.Config{
		Engine: runner{issuing{e}}, Progress: e.progress, Agenda: e.agenda, Repositories: e.repositories, Issued: e.issued,
		Gate: gate, Policy: &e.policy, HoldPool: e.holdPool, Log: e.log, Step: *step,
	}, e.believer()), err
}

// runner is the engine as package loop sees it: it implements loop.Engine.
type runner struct{ issuing }

func (r runner) Watch() Observer                { return r.engine.Observer }
func (r runner) Frozen() error                  { return r.engine.Frozen() }
func (r runner) Freeze(cause error)             { r.engine.freeze(cause) }
func (r runner) Thaw()                          { r.engine.thaw() }
func (r runner) LastCommit() (time.Time, error) { return r.engine.lastCommit() }
func (r runner) RaiseHighWater() error          { return r.engine.raiseHighWater() }

// Settled destroys the keys that are not used any more. What fails was logged, and the next time is as good.
func (r runner) Settled() { _ = r.engine.destroyDeactivated() }

func (r runner) Turn(now time.Time) error {
	r.engine.expire(now)
	r.engine.endIntents(now)
	return r.engine.turn(now)
}

func (r runner) Take(now time.Time) []string {
	r.engine.mu.RLock()
	defer r.engine.mu.RUnlock()
	return r.engine.agenda.Take(now, agendaView{r.engine})
}

func (r runner) Plan(set []string, now time.Time) ([]plan.Wave, map[string]plan.Delay, error) {
	r.engine.mu.RLock()
	defer r.engine.mu.RUnlock()
	view := r.engine.snapshot(now)
	waves, later := plan.Make(view, &r.engine.policy, set, now)
	return waves, later, view.Err()
}

func (r runner) Next(now time.Time) (time.Time, error) {
	e := r.engine
	e.mu.RLock()
	defer e.mu.RUnlock()
	at := e.agenda.Next(now, agendaView{e})
	if !at.IsZero() && !now.Before(at) {
		return at, nil
	}
	rolls, err := e.rollsAt()
	return issued.Sooner(issued.Sooner(at, e.nextEnd(now)), rolls), err
}

// OnOneChain tells whether one of two registries is above the other.
func (r runner) OnOneChain(a, b string) bool {
	r.engine.mu.RLock()
	defer r.engine.mu.RUnlock()
	above := func(low, high string) bool {
		for low != issued.AnchorHolder && low != high {
			low = r.engine.above(low)
		}
		return low == high
	}
	return above(a, b) || above(b, a)
}

// Registries lists the registries, those deepest in the tree first.
func (r runner) Registries() []string {
	r.engine.mu.RLock()
	defer r.engine.mu.RUnlock()
	names := slices.Collect(maps.Keys(r.engine.repositories.Own()))
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(r.engine.ledger.Depth(b), r.engine.ledger.Depth(a)), cmp.Compare(a, b))
	})
	return names
}

func (r runner) Write(w store.Writer, b *issue.Batch, step plan.Step) error {
	for _, name := range slices.SortedFunc(maps.Keys(b.Changes), issued.Name.Compare) {
		if err := b.Changes[name].Write(w, b.Now); err != nil {
			return err
		}
	}
	if err := store.PutValue(w, engineBucket, stepKey, step); err != nil {
		return err
	}
	return store.PutValue(w, engineBucket, clockKey, b.Now)
}

// Committed brings the index up to date, and has what is published elsewhere sent there.
func (r runner) Committed(b *issue.Batch) {
	r.engine.Federation.SendSoon()
	r.engine.mu.RLock()
	defer r.engine.mu.RUnlock()
	for name, c := range b.Changes {
		if c.Gone {
			r.engine.issued.Drop(name)
		} else {
			r.engine.issued.Keep(c.Next)
		}
	}
}

// Planned has parents elsewhere told what they may have to know.
func (r runner) Planned(set []string, changed bool) {
	if changed && len(r.engine.issued.Roots()) > 0 || r.engine.Federation.GivesUp(set) {
		r.engine.Federation.AskSoon()
	}
}

// holdPool pauses the making of one-time keys while a plan is executed, if there are enough keys for it. The function that it returns
// resumes it.
func (e *Engine) holdPool(n int) func() {
	if ready, _ := e.pool.Depth(); ready < n {
		return func() {}
	}
	return e.pool.Hold()
}
