package loop

import (
	"context"
	"slices"
	"time"

	"cadastre/ca/issue"
	"cadastre/ca/plan"
	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// plan plans for a closed set of organisations, and executes the plan wave by wave. If a decision comes in between, it stops, and done is
// false.
func (l *Loop) plan(ctx context.Context, set []string) (done bool, err error) {
	if l.unfinished {
		if err := l.publishInOrder(ctx); err != nil {
			return false, err
		}
	}
	l.unfinished = true
	now := time.Now()
	waves, putOff, err := l.engine.Plan(set, now)
	if err != nil {
		return false, err
	}
	l.agenda.PutOff(set, putOff)
	defer l.holdPool(keysFor(waves))()
	l.agenda.Begin(waves)
	l.engine.Watch().Remaining(l.agenda.Count())
	for i, w := range waves {
		if l.mustFollow(w) {
			if err := l.publishInOrder(ctx); err != nil {
				return false, err
			}
		}
		l.step = w.Step
		if done, err := l.doWave(ctx, w.Chunks(plan.BatchKeys), i == len(waves)-1); !done || err != nil {
			return false, err
		}
	}
	if len(l.repositories.Staged()) > 1 && (l.step == plan.Create || l.step == plan.Shrink) { // a certificate and what is below it
		if err := l.publishInOrder(ctx); err != nil {
			return false, err
		}
	}
	l.unfinished = false
	for _, holder := range l.agenda.Mended(set, now) {
		l.log.Info("the work of a quarantined organisation is done", "organisation", holder)
	}
	l.engine.Planned(set, len(waves) > 0)
	return true, nil
}

// keysFor is how many new keys a plan needs.
func keysFor(waves []plan.Wave) (n int) {
	for _, w := range waves {
		own, oneTime := plan.KeysFor(w.Updates)
		n += own + oneTime
	}
	return n
}

// doWave executes the batches of a wave one after the other. While one is closed, checked and committed, the next is signed.
func (l *Loop) doWave(ctx context.Context, chunks [][]plan.Update, lastWave bool) (done bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	next := l.startSigning(ctx, chunks[0])
	defer func() {
		cancel()
		if next != nil {
			if s := <-next; s.err == nil {
				s.signed.Discard()
			}
		}
	}()
	for i, updates := range chunks {
		start := time.Now()
		s := <-next
		next = nil
		last := i == len(chunks)-1
		early := !last && !plan.Needs(chunks[i+1], updates)
		if early {
			next = l.startSigning(ctx, chunks[i+1])
		}
		committed, err := false, s.err
		if err == nil {
			committed, err = l.finishBatch(ctx, s.signed, last && lastWave, start)
		}
		if err != nil && ownFault(err) && ctx.Err() == nil {
			committed, err = l.takeApart(ctx, plan.Parts(updates), err)
		}
		if !committed || err != nil {
			return false, err
		}
		if !last && !early {
			next = l.startSigning(ctx, chunks[i+1])
		}
		l.agenda.Committed(updates)
		l.engine.Watch().Remaining(l.agenda.Count())
		if !(last && lastWave) && l.agenda.Interrupted() {
			return false, nil
		}
	}
	return true, nil
}

// signing is the outcome of signing a batch.
type signing struct {
	signed *issue.Signed
	err    error
}

func (l *Loop) startSigning(ctx context.Context, updates []plan.Update) <-chan signing {
	out := make(chan signing, 1)
	go func() {
		s, err := issue.Sign(ctx, l.engine, l.policy, updates, time.Now().Truncate(time.Second))
		out <- signing{s, err}
	}()
	return out
}

// finishBatch closes, checks and commits a signed batch. If a decision has overtaken the batch it does nothing, and the batch is planned
// again. The last batch of a plan is published in the same transaction if that is possible.
func (l *Loop) finishBatch(ctx context.Context, s *issue.Signed, last bool, start time.Time) (committed bool, err error) {
	defer s.Discard()
	if err := l.believe(); err != nil {
		return false, err
	}
	b, err := s.Close(ctx)
	if err != nil {
		return false, err
	}
	if l.overtaken(b) {
		return false, nil
	}
	closing := last && l.mayClose(b)
	if err := l.commit(ctx, b, closing); err != nil {
		return false, err
	}
	objects := 0
	for _, c := range b.Changes {
		objects += len(c.Files)
	}
	l.engine.Watch().Signed(objects, time.Since(start))
	if closing {
		return true, l.noteSerials(start)
	}
	return true, l.publishStaged(true)
}

// overtaken tells whether a decision touched any organisation of a batch since it was planned.
func (l *Loop) overtaken(b *issue.Batch) bool {
	for name := range b.Changes {
		if l.agenda.Touched(name.Holder) {
			return true
		}
	}
	return false
}

// commit checks a batch and commits it in one transaction: authorities, products, revocations, and what repositories will publish. With
// closing set, and if the batch lies in one repository, the same transaction closes that repository's serial.
func (l *Loop) commit(ctx context.Context, b *issue.Batch, closing bool) error {
	accept, findings, err := l.gate.Check(ctx, b)
	if findings > 0 {
		l.engine.Watch().Findings(findings)
	}
	if err != nil {
		return err
	}
	err = l.repositories.CommitFiles(b.Files(), closing, func(w store.Writer) error {
		b.Commits()
		return l.engine.Write(w, b, l.step)
	})
	if err != nil {
		return fault.Wrap(err, "couldn't commit")
	}
	accept()
	l.engine.Committed(b)
	return nil
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
func (l *Loop) takeApart(ctx context.Context, parts [][]plan.Update, cause error) (done bool, err error) {
	if len(parts) == 1 {
		l.quarantine(parts[0], cause)
		return true, nil
	}
	for _, half := range [][][]plan.Update{parts[:len(parts)/2], parts[len(parts)/2:]} {
		start := time.Now()
		signed := <-l.startSigning(ctx, slices.Concat(half...))
		done, err := false, signed.err
		if err == nil {
			done, err = l.finishBatch(ctx, signed.signed, false, start)
		}
		if err != nil && ownFault(err) && ctx.Err() == nil {
			done, err = l.takeApart(ctx, half, err)
		}
		if !done || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (l *Loop) quarantine(part []plan.Update, cause error) {
	holder := plan.About(part)
	again := l.agenda.Quarantine(holder, cause, plan.Bare(part), time.Now())
	l.log.Error("this was refused, and its organisation is quarantined; all else goes on, and it will be tried again", "organisation", holder, "error", cause, "again", again)
	l.engine.Watch().Refused(fault.KindOf(cause))
}
