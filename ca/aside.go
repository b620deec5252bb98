package ca

import (
	"context"
	"slices"
	"time"

	"cadastre/ca/plan"
	"cadastre/internal/fault"
)

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
	holder := plan.About(part)
	again := e.agenda.Quarantine(holder, cause, plan.Bare(part), time.Now())
	e.log.Error("this was refused and is set aside; all else goes on, and it will be tried again", "organisation", holder, "error", cause, "again", again)
	e.Observer.Refused(fault.KindOf(cause))
}

// asideError says which organisations are quarantined, and why; nil where there are none.
func (e *Engine) asideError() error {
	list := e.agenda.Refused()
	if len(list) == 0 {
		return nil
	}
	return fault.Wrap(list[0].Err, "the work for %d organisations was refused, and all else is done; first of them %s", len(list), list[0].Holder)
}
