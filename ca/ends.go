package ca

import (
	"maps"
	"slices"
	"sync"
	"time"

	"cadastre/ca/issued"
	"cadastre/ca/loop"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/principal"
	"cadastre/roa"
)

// endAgain is how often an end by date that the brake holds is tried again.
const endAgain = time.Hour

// clock is who takes, in the log, decisions that follow from a date.
var clock = principal.Part("clock")

// ends keeps the ends by date that are due and could not be decided: those that the brake holds, by holder, and when others are tried
// again after a failure.
type ends struct {
	mu      sync.Mutex
	held    map[string]heldEnd
	resume  time.Time
	intents time.Time
}

type heldEnd struct {
	why, code    string
	since, again time.Time
}

// Expire ends delegations that have come to their date, of all holders or of some. The engine does that by itself. As a command it is for
// ends that the brake holds.
func (e *Engine) Expire(by holdings.By, consent Consent, holders ...string) (*Effect, error) {
	return e.Decide(consent, OfLedger(func(l *holdings.Ledger) (*holdings.Outcome, error) {
		folded := make([]string, len(holders))
		for i, h := range holders {
			if _, exists := l.Organisation(h); !exists {
				return nil, fault.New(fault.NotFound, "there is no organisation %q", h)
			}
			folded[i] = holdings.Fold(h)
		}
		return l.Expire(by, folded...)
	}))
}

// expire ends delegations that have come to their date, in one decision. If the brake holds that, it decides for each holder alone, those
// lower in the tree first. Ends that are held wait for the operator and do not delay others; they are tried again each hour.
func (e *Engine) expire(now time.Time) {
	e.mu.RLock()
	due, _ := e.ledger.Due(now)
	e.mu.RUnlock()
	if due = e.ends.ready(due, now); len(due) == 0 {
		return
	}
	by := holdings.By{Who: clock, Reason: "the time until which it was delegated has come", Time: now}
	if len(due) > 1 {
		_, err := e.Expire(by, Consent{}, due...)
		if err == nil {
			return
		}
		if fault.KindOf(err) != fault.Refused {
			e.endFailed(&e.ends.resume, now, "delegations", err)
			return
		}
	}
	for _, holder := range due {
		effect, err := e.Expire(by, Consent{}, holder)
		switch {
		case err == nil:
		case fault.KindOf(err) == fault.Refused:
			e.ends.hold(holder, effect, now)
			e.log.Error("delegations to an organisation have ended, and the brake holds what follows: look with 'cadastre holdings expire --holder' and its handle, and --dry-run",
				"organisation", holder, "why", effect.Held, "code", effect.Code)
		default:
			e.endFailed(&e.ends.resume, now, "delegations", err)
			return
		}
	}
}

// endIntents ends intents that have come to their date. A failure delays nothing else.
func (e *Engine) endIntents(now time.Time) {
	e.mu.RLock()
	next := e.book.NextEnd()
	e.mu.RUnlock()
	if next.IsZero() || now.Before(next) || now.Before(e.ends.after(&e.ends.intents)) {
		return
	}
	_, err := e.Decide(Consent{Unbraked: true}, func(_ *holdings.Ledger, b *roa.Book) (*holdings.Outcome, *roa.Outcome, error) {
		o, err := b.End(now)
		if err != nil {
			return nil, nil, err
		}
		o.By = holdings.By{Who: clock, Reason: "the time until which it was to be authorised has come", Time: now}
		return nil, o, nil
	})
	if err != nil {
		e.endFailed(&e.ends.intents, now, "intents", err)
	}
}

func (e *Engine) endFailed(resume *time.Time, now time.Time, what string, err error) {
	e.ends.mu.Lock()
	*resume = now.Add(loop.RetryAfter)
	e.ends.mu.Unlock()
	e.Observer.Refused(fault.KindOf(err))
	e.log.Error("what follows from an end by date could not be decided; it will be tried again", "of", what, "error", err)
}

// nextEnd is when the next end by date is to be decided; zero where there is none. The caller holds the engine's mu.
func (e *Engine) nextEnd(now time.Time) time.Time {
	due, next := e.ledger.Due(now)
	at := e.ends.next(due, now)
	if at.IsZero() || !next.IsZero() && next.Before(at) {
		at = next
	}
	if end := e.book.NextEnd(); !end.IsZero() {
		if end = issued.Later(end, e.ends.after(&e.ends.intents)); at.IsZero() || end.Before(at) {
			at = end
		}
	}
	return at
}

// ready lists the holders, of those for which something is due, that may be tried now. It forgets holders for which nothing is due.
func (x *ends) ready(due []string, now time.Time) []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	maps.DeleteFunc(x.held, func(holder string, _ heldEnd) bool { return !slices.Contains(due, holder) })
	if now.Before(x.resume) {
		return nil
	}
	return slices.DeleteFunc(due, func(holder string) bool { return now.Before(x.held[holder].again) })
}

// next is when the first of the holders for which something is due may be tried; zero where there is none.
func (x *ends) next(due []string, now time.Time) (at time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, holder := range due {
		when := issued.Later(issued.Later(now, x.held[holder].again), x.resume)
		if at.IsZero() || when.Before(at) {
			at = when
		}
	}
	return at
}

func (x *ends) after(resume *time.Time) time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	return *resume
}

func (x *ends) hold(holder string, f *Effect, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.held == nil {
		x.held = map[string]heldEnd{}
	}
	h := x.held[holder]
	if h.since.IsZero() {
		h.since = now
	}
	h.why, h.code, h.again = f.Held, f.Code, now.Add(endAgain)
	x.held[holder] = h
}

// waits lists the ends that the brake holds.
func (x *ends) waits() (list []Wait) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, holder := range slices.Sorted(maps.Keys(x.held)) {
		h := x.held[holder]
		list = append(list, Wait{Kind: Braked, Of: holder, Error: h.why, Code: h.code, Fault: fault.Refused, Since: h.since.UTC(), Until: h.again.UTC()})
	}
	return list
}
