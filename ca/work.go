package ca

import (
	"context"
	"time"

	"cadastre/ca/issue"
	"cadastre/ca/issued"
	"cadastre/ca/plan"
	"cadastre/internal/validate"
)

// work plans for a closed set of organisations, and executes the plan wave by wave. If a decision comes in between, it stops, and done is
// false.
func (e *Engine) work(ctx context.Context, set []string) (done bool, err error) {
	if e.loop.unfinished {
		if err := e.publishInOrder(ctx); err != nil {
			return false, err
		}
	}
	e.loop.unfinished = true
	now := time.Now()
	view := e.snapshot(now)
	e.mu.RLock()
	waves, putOff := plan.Make(view, &e.policy, set, now)
	e.mu.RUnlock()
	if view.Err() != nil {
		return false, view.Err()
	}
	e.agenda.PutOff(set, putOff)
	defer e.holdPool(waves)()
	e.agenda.Begin(waves)
	e.Observer.Remaining(e.agenda.Count())
	for i, w := range waves {
		if e.mustFollow(w) {
			if err := e.publishInOrder(ctx); err != nil {
				return false, err
			}
		}
		e.loop.step = w.Step
		if done, err := e.doWave(ctx, w.Chunks(plan.BatchKeys), i == len(waves)-1); !done || err != nil {
			return false, err
		}
	}
	if len(e.repositories.Staged()) > 1 && (e.loop.step == plan.Create || e.loop.step == plan.Shrink) { // a certificate and what is below it
		if err := e.publishInOrder(ctx); err != nil {
			return false, err
		}
	}
	e.loop.unfinished = false
	for _, holder := range e.agenda.Mended(set, now) {
		e.log.Info("what was set aside is done", "organisation", holder)
	}
	if len(waves) > 0 && len(e.issued.Roots()) > 0 || e.Federation.GivesUp(set) {
		e.Federation.AskSoon() // a parent elsewhere may have to be told
	}
	return true, nil
}

// doWave executes the batches of a wave one after the other. While one is closed, checked and committed, the next is signed.
func (e *Engine) doWave(ctx context.Context, chunks [][]plan.Update, lastWave bool) (done bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	next := e.startSigning(ctx, chunks[0])
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
			next = e.startSigning(ctx, chunks[i+1])
		}
		committed, err := false, s.err
		if err == nil {
			committed, err = e.finishBatch(ctx, s.signed, last && lastWave, start)
		}
		if err != nil && ownFault(err) && ctx.Err() == nil {
			committed, err = e.takeApart(ctx, plan.Parts(updates), err)
		}
		if !committed || err != nil {
			return false, err
		}
		if !last && !early {
			next = e.startSigning(ctx, chunks[i+1])
		}
		e.agenda.Committed(updates)
		e.Observer.Remaining(e.agenda.Count())
		if !(last && lastWave) && e.agenda.Interrupted() {
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

func (e *Engine) startSigning(ctx context.Context, updates []plan.Update) <-chan signing {
	out := make(chan signing, 1)
	go func() {
		s, err := issue.Sign(ctx, houseOf{e}, &e.policy, updates, time.Now().Truncate(time.Second))
		out <- signing{s, err}
	}()
	return out
}

// finishBatch closes, checks and commits a signed batch. If a decision has overtaken the batch it does nothing, and the batch is planned
// again. The last batch of a plan is published in the same transaction if that is possible.
func (e *Engine) finishBatch(ctx context.Context, s *issue.Signed, last bool, start time.Time) (committed bool, err error) {
	defer s.Discard()
	if err := e.believe(); err != nil {
		return false, err
	}
	b, err := s.Close(ctx)
	if err != nil {
		return false, err
	}
	if e.overtaken(b) {
		return false, nil
	}
	closing := last && e.mayClose(b)
	if err := e.commit(ctx, b, closing); err != nil {
		return false, err
	}
	objects := 0
	for _, c := range b.Changes {
		objects += len(c.Files)
	}
	e.Observer.Signed(objects, time.Since(start))
	if closing {
		return true, e.noteSerials(start)
	}
	return true, e.publishStaged(true)
}

// overtaken tells whether a decision touched any organisation of a batch since it was planned.
func (e *Engine) overtaken(b *issue.Batch) bool {
	for name := range b.Changes {
		if e.agenda.Touched(name.Holder) {
			return true
		}
	}
	return false
}

// acquaint has the gate read what is published, at the time of the last commit. From then on the gate looks at changes only. Findings are
// logged; they do not stop the engine, which may mend them.
func (e *Engine) acquaint(ctx context.Context) error {
	anchor, err := e.issued.Read(issued.Anchor)
	if err != nil || anchor.Number == 0 {
		return err
	}
	last, err := e.lastCommit()
	if err != nil {
		return err
	}
	findings, err := e.loop.gate.Acquaint(ctx, last, append(e.issued.Roots(), e.policy.AnchorURI()))
	if len(findings) > 0 {
		e.Observer.Findings(len(findings))
		e.log.Error("what is published has findings", "count", len(findings), "first", validate.First(findings))
	}
	return err
}

// holdPool pauses the making of one-time keys while a plan is executed, if there are enough keys for it. The function that it returns
// resumes it.
func (e *Engine) holdPool(waves []plan.Wave) func() {
	n := 0
	for _, w := range waves {
		own, oneTime := plan.KeysFor(w.Updates)
		n += own + oneTime
	}
	if ready, _ := e.pool.Depth(); ready < n {
		return func() {}
	}
	return e.pool.Hold()
}
