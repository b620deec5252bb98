package ca

import (
	"context"
	"maps"
	"slices"
	"time"

	"cadastre/ca/issued"
	"cadastre/ca/plan"
	"cadastre/internal/fault"
)

// waiting is the record of a quarantined organisation: its work failed for a reason of its own, and must not delay the others. Its
// manifest is still renewed. The rest is tried again; the delay doubles with each failure.
type waiting struct {
	err      error
	since    time.Time // of the first failure
	until    time.Time // not tried again before
	delay    time.Duration
	manifest bool // even its manifest could not be renewed
}

// mostDelay is the longest that a failure waits to be tried again.
const mostDelay = time.Hour

// next is when there is something to do for a quarantined organisation: the next try, or its manifest before that.
func (w *waiting) next(manifestDue time.Time) time.Time {
	if w.manifest {
		return w.until
	}
	return issued.Sooner(w.until, manifestDue)
}

// ownFault tells whether a batch failed because of what is in it, so that another batch may succeed. A full disk, or the end of the
// program, is no such reason.
func ownFault(err error) bool {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.BadInput, fault.NotFound, fault.Corrupt, fault.Secret:
		return true
	default:
		return false
	}
}

// takeApart executes the parts of a batch that failed. It halves them until the parts that fail are known; their organisations are
// quarantined. Done is false if a decision has overtaken a part.
func (e *Engine) takeApart(ctx context.Context, parts [][]plan.Update, cause error) (done bool, err error) {
	if len(parts) == 1 {
		e.setAside(parts[0], cause)
		return true, nil
	}
	for _, half := range [][][]plan.Update{parts[:len(parts)/2], parts[len(parts)/2:]} {
		start := time.Now()
		signed := <-e.startSigning(ctx, slices.Concat(half...))
		done, err := false, signed.err
		if err == nil {
			done, err = e.finishBatch(ctx, signed.signed, false, start)
		}
		if err != nil && ownFault(err) && ctx.Err() == nil {
			done, err = e.takeApart(ctx, half, err)
		}
		if !done || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (e *Engine) setAside(part []plan.Update, cause error) {
	holder, now := plan.About(part), time.Now()
	e.mu.Lock()
	w := e.aside[holder]
	if w == nil {
		w = &waiting{since: now, delay: retryAfter}
		e.aside[holder] = w
	} else if !now.Before(w.until) {
		w.delay = min(2*w.delay, mostDelay)
	}
	w.err, w.manifest = cause, w.manifest || plan.Bare(part)
	w.until = now.Add(w.delay)
	e.mu.Unlock()
	e.log.Error("this was refused and is set aside; all else goes on, and it will be tried again", "organisation", holder, "error", cause, "again", w.until)
	e.Observer.Refused(fault.KindOf(cause))
}

// mended ends the quarantine of organisations whose work was tried again, by a plan made at the given time, and did not fail.
func (e *Engine) mended(set []string, planned time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, holder := range set {
		if w := e.aside[holder]; w != nil && !w.until.After(planned) {
			delete(e.aside, holder)
			e.log.Info("what was set aside is done", "organisation", holder)
		}
	}
}

// isAside tells whether an organisation is quarantined, and not to be tried again yet. The caller holds the engine's mu.
func (e *Engine) isAside(holder string, now time.Time) bool {
	w := e.aside[holder]
	return w != nil && now.Before(w.until)
}

// asideError says which organisations are quarantined, and why; nil where there are none.
func (e *Engine) asideError() error {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if len(e.aside) == 0 {
		return nil
	}
	holder := slices.Min(slices.Collect(maps.Keys(e.aside)))
	return fault.Wrap(e.aside[holder].err, "the work for %d organisations was refused, and all else is done; first of them %s", len(e.aside), holder)
}
