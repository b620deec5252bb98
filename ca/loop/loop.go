// Package loop runs an engine. One goroutine has what is due planned, signed, checked by the gate, committed and published, batch by batch,
// and starts again when something falls due or somebody decides.
//
// It takes no decisions about holdings or intents, and talks to no network. What it needs of the engine is the interface Engine.
package loop

import (
	"context"
	"log/slog"
	"time"

	"cadastre/ca/agenda"
	"cadastre/ca/issue"
	"cadastre/ca/issued"
	"cadastre/ca/plan"
	"cadastre/ca/repositories"
	"cadastre/internal/fault"
	"cadastre/internal/store"
	"cadastre/internal/validate"
)

const (
	closeEvery  = 10 * time.Second // in the middle of a plan a serial is closed about this often
	lookAtClock = time.Minute      // how often it is checked whether a wrong clock is right again
)

// RetryAfter is how long after a failure the work is tried again.
const RetryAfter = 30 * time.Second

// Engine is what a loop needs of the engine that it runs: what its decisions say, and its locks.
type Engine interface {
	issue.Host
	Watch() Observer

	Frozen() error                  // why nothing is signed; nil where it is
	Freeze(cause error)             // signs nothing from now on
	Thaw()                          // signs again
	LastCommit() (time.Time, error) // when the newest commit was made; zero before the first

	Turn(now time.Time) error                                                     // decides what follows from dates: ends, steps of key rolls
	Take(now time.Time) []string                                                  // has the agenda say for whom to plan
	Plan(set []string, now time.Time) ([]plan.Wave, map[string]plan.Delay, error) // makes a plan, see plan.Make
	Next(now time.Time) (time.Time, error)                                        // when there is something for Turn or Take; zero where that is not known
	Registries() []string                                                         // those deepest in the tree first
	OnOneChain(a, b string) bool                                                  // one of two registries is above the other
	Write(w store.Writer, b *issue.Batch, step plan.Step) error                   // puts a batch, of a wave of a step, into the store
	Committed(b *issue.Batch)                                                     // the transaction has committed
	Planned(set []string, changed bool)                                           // the plan for a set is executed
	Settled()                                                                     // all is done that can be done now; called by Settle
	RaiseHighWater() error                                                        // something was published
}

// Observer is told what an operator wants to watch. Its functions must not block.
type Observer interface {
	Signed(objects int, took time.Duration)
	Published(registry string, serial uint64, took time.Duration)
	Refused(kind fault.Kind)
	Findings(n int)
	Remaining(organisations int) // how many organisations are left; called when a plan begins, after each batch and at the end
}

// Config is what a loop works with. All of it is safe for concurrent use, but for Gate, which is the loop's alone.
type Config struct {
	Engine       Engine
	Progress     *Progress
	Agenda       *agenda.Agenda
	Repositories *repositories.Set
	Issued       *issued.Index
	Gate         *issue.Gate
	Policy       *issued.Policy
	HoldPool     func(n int) (resume func()) // pauses the making of keys if n are ready
	Log          *slog.Logger
	Step         plan.Step // of the newest commit
}

// Loop is the state of the goroutine that runs the engine: that of Run, or the caller of Settle or Once. There is one at a time. It needs
// no lock, since nothing else uses it.
type Loop struct {
	// Believes checks the clock. It is set by New, and by tests before Run.
	Believes func(now time.Time) error

	gate       *issue.Gate // asked before each commit
	acquainted bool        // the gate has read what was published before
	step       plan.Step   // the step of the wave that was executed last; kept in the store with each commit
	unfinished bool        // what is staged may be half of a plan: it is published in publicationOrder
	lastClose  time.Time   // when a serial was last closed

	// What others use too. Each is safe for that.
	engine       Engine
	progress     *Progress
	agenda       *agenda.Agenda
	repositories *repositories.Set
	issued       *issued.Index
	policy       *issued.Policy
	holdPool     func(n int) (resume func())
	log          *slog.Logger
}

// New makes a loop. Believes checks the clock.
func New(c Config, believes func(now time.Time) error) *Loop {
	return &Loop{
		Believes: believes, gate: c.Gate, step: c.Step, unfinished: true,
		engine: c.Engine, progress: c.Progress, agenda: c.Agenda, repositories: c.Repositories, issued: c.Issued,
		policy: c.Policy, holdPool: c.HoldPool, log: c.Log,
	}
}

// Run does what is due until ctx ends. A failure is logged and tried again; what is published stays.
func (l *Loop) Run(ctx context.Context) {
	for ctx.Err() == nil {
		_ = l.believe() // Once returns at once while the engine is frozen
		wait, err := l.Once(ctx)
		if ctx.Err() == nil {
			l.progress.note(err)
		}
		if err != nil && ctx.Err() == nil {
			l.log.Error("the work that is due failed and will be tried again; what was published stays", "error", err, "kind", fault.KindOf(err))
			l.engine.Watch().Refused(fault.KindOf(err))
			l.progress.Tell(err)
			wait = RetryAfter
		}
		l.sleep(ctx, wait)
	}
}

// Settle does all that can be done now, and returns when it is published. It does not wait for a soak.
func (l *Loop) Settle(ctx context.Context) error {
	for {
		wait, err := l.Once(ctx)
		if err != nil {
			return err
		}
		if err := l.engine.Frozen(); err != nil {
			return err
		}
		if l.idle() {
			l.engine.Settled()
			return l.refused()
		}
		l.sleep(ctx, min(wait, time.Second))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func (l *Loop) sleep(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(max(wait, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.progress.wake:
	case <-ctx.Done():
	}
}

// believe checks the clock. It freezes the engine if the clock is wrong, and lets it go on when the clock is right again.
func (l *Loop) believe() error {
	err := l.Believes(time.Now())
	if err != nil {
		l.engine.Freeze(err)
	} else {
		l.engine.Thaw()
	}
	return err
}

// Once does once what is due: ends by date, key rolls, one plan, and serials. It returns after how long it is to be called again.
func (l *Loop) Once(ctx context.Context) (time.Duration, error) {
	defer l.progress.stepped.Beat()
	if err := l.engine.Frozen(); err != nil {
		l.progress.Tell(err)
		return lookAtClock, nil // it was logged when it froze, and status shows it
	}
	if !l.acquainted {
		if err := l.acquaint(ctx); err != nil {
			return 0, err
		}
		l.acquainted = true
	}
	now := time.Now()
	if err := l.engine.Turn(now); err != nil {
		return 0, err
	}
	if set := l.engine.Take(now); len(set) > 0 {
		done, err := l.plan(ctx, set)
		l.agenda.Finish(set, done)
		l.engine.Watch().Remaining(l.agenda.Count())
		if err != nil {
			return 0, err
		}
	}
	if err := l.publishStaged(false); err != nil {
		return 0, err
	}
	if l.idle() {
		l.progress.Tell(l.refused())
	}
	return l.untilNext(time.Now())
}

// acquaint has the gate read what is published, at the time of the last commit. From then on the gate looks at changes only. Findings are
// logged; they do not stop the engine, which may mend them.
func (l *Loop) acquaint(ctx context.Context) error {
	anchor, err := l.issued.Read(issued.Anchor)
	if err != nil || anchor.Number == 0 {
		return err
	}
	last, err := l.engine.LastCommit()
	if err != nil {
		return err
	}
	findings, err := l.gate.Acquaint(ctx, last, append(l.issued.Roots(), l.policy.AnchorURI()))
	if len(findings) > 0 {
		l.engine.Watch().Findings(len(findings))
		l.log.Error("what is published has findings", "count", len(findings), "first", validate.First(findings))
	}
	return err
}

// idle tells whether nothing can be done now: every decision is planned for, no plan is under way, and nothing is staged.
func (l *Loop) idle() bool { return l.agenda.Idle() && len(l.repositories.Staged()) == 0 }

// refused says which organisations are quarantined, and why; nil where there are none.
func (l *Loop) refused() error {
	list := l.agenda.Refused()
	if len(list) == 0 {
		return nil
	}
	return fault.Wrap(list[0].Err, "the work for %d organisations was refused, and all else is done; first of them %s", len(list), list[0].Holder)
}

// untilNext is how long there is nothing to do: until something falls due, ends, or may be published.
func (l *Loop) untilNext(now time.Time) (time.Duration, error) {
	next := now.Add(time.Hour)
	at, err := l.engine.Next(now)
	if err != nil {
		return 0, err
	}
	if !at.IsZero() {
		next = issued.Earlier(next, at)
	}
	if at, staged := l.repositories.NextSerial(); staged {
		next = issued.Earlier(next, at)
	}
	return next.Sub(now), nil
}
