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
	"cadastre/ca/plan"
)

// mayClose tells whether the last batch of a plan can close its repository's serial in its own transaction.
func (e *Engine) mayClose(b *issue.Batch) bool {
	registries := map[string]bool{}
	for _, c := range b.Changes {
		if len(c.Files) > 0 && c.Next.Base == "" {
			registries[c.Next.Repository] = true
		}
	}
	return e.repositories.MayClose(registries)
}

// mustFollow tells whether a wave may be committed only after what is staged is published. That is so if something staged lies in a
// repository above or below one that the wave changes, since a chain goes through both; and if the wave withdraws something whose
// replacement may be staged in another repository. Within one repository a serial shows both or neither.
func (e *Engine) mustFollow(w plan.Wave) bool {
	if w.Step == plan.Refresh {
		return false // a refreshed manifest lists what it listed before
	}
	changes, takes := map[string]bool{}, w.Step == plan.Shrink
	for _, u := range w.Updates {
		changes[e.repositoryOf(u.Name)] = true
		takes = takes || len(u.Withdraw) > 0
	}
	for _, staged := range e.repositories.Staged() {
		for registry := range changes {
			if staged != registry && (takes || e.onOneChain(staged, registry)) {
				return true
			}
		}
	}
	return false
}

// onOneChain tells whether one of two registries is above the other.
func (e *Engine) onOneChain(a, b string) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	above := func(low, high string) bool {
		for low != issued.AnchorHolder && low != high {
			low = e.above(low)
		}
		return low == high
	}
	return above(a, b) || above(b, a)
}

// repositoryOf is the repository in which an authority publishes, or will publish if it is not there yet.
func (e *Engine) repositoryOf(authority issued.Name) string {
	if a := e.issued.Authority(authority); a != nil {
		return a.Repository
	}
	made := e.newAuthority(authority)
	return made.Repository
}

// publishStaged closes a serial in each repository that has something staged and may have a serial now. With midway, in the middle of a
// plan, it does so only every closeEvery, and keeps publicationOrder.
func (e *Engine) publishStaged(midway bool) error {
	if midway && time.Since(e.loop.lastClose) < closeEvery {
		return nil
	}
	for _, registry := range e.publicationOrder() {
		repository := e.repositories.Own()[registry]
		if !repository.Staged() {
			continue
		}
		if repository.NextSerialAt().After(time.Now()) {
			if e.loop.unfinished {
				return nil // the repositories after it wait for it
			}
			continue
		}
		if err := e.closeSerial(registry); err != nil {
			return err
		}
	}
	return nil
}

// publicationOrder lists the registries in the order in which they publish. Those deepest in the tree come first, so that readers see a
// certificate after the objects below it. When certificates are withdrawn, those highest in the tree come first.
func (e *Engine) publicationOrder() []string {
	order := e.bottomUp()
	if e.loop.step == plan.Shrink {
		slices.Reverse(order)
	}
	return order
}

// publishInOrder publishes all that is staged, in publicationOrder. It waits where a repository may not have a serial yet.
func (e *Engine) publishInOrder(ctx context.Context) error {
	for _, registry := range e.publicationOrder() {
		repository := e.repositories.Own()[registry]
		if !repository.Staged() {
			continue
		}
		timer := time.NewTimer(time.Until(repository.NextSerialAt()))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		if err := e.closeSerial(registry); err != nil {
			return err
		}
	}
	return nil
}

// bottomUp lists the registries, those deepest in the tree first.
func (e *Engine) bottomUp() []string {
	e.mu.RLock()
	defer e.mu.RUnlock()
	names := slices.Collect(maps.Keys(e.repositories.Own()))
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(e.ledger.Depth(b), e.ledger.Depth(a)), cmp.Compare(a, b))
	})
	return names
}

func (e *Engine) closeSerial(registry string) error {
	start := time.Now()
	if err := e.repositories.Close(registry); err != nil {
		return err
	}
	return e.noteSerials(start)
}

// noteSerials tells the observer of new serials, and raises the high-water mark.
func (e *Engine) noteSerials(start time.Time) error {
	e.loop.lastClose = time.Now()
	for name, repository := range e.repositories.Own() {
		if _, serial, at := repository.Published(); !at.Before(start.Truncate(time.Second)) {
			e.Observer.Published(name, serial, time.Since(start))
		}
	}
	return e.raiseHighWater()
}

// idle tells whether nothing can be done now: every decision is planned for, no plan is under way, and nothing is staged.
func (e *Engine) idle() bool {
	return e.agenda.Idle() && len(e.repositories.Staged()) == 0
}

// untilNext is how long the engine has nothing to do: until something falls due, ends, or may be published.
func (e *Engine) untilNext(now time.Time) (time.Duration, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	next := now.Add(time.Hour)
	if at := e.agenda.Next(now, agendaView{e}); !at.IsZero() {
		if !now.Before(at) {
			return 0, nil
		}
		next = issued.Earlier(next, at)
	}
	if end := e.nextEnd(now); !end.IsZero() {
		next = issued.Earlier(next, end)
	}
	at, err := e.rollsAt()
	if err != nil {
		return 0, err
	}
	if !at.IsZero() {
		next = issued.Earlier(next, at)
	}
	if at, staged := e.repositories.NextSerial(); staged {
		next = issued.Earlier(next, at)
	}
	return next.Sub(now), nil
}

// watchers are callers that wait for the engine to have nothing left to do.
type watchers struct {
	mu      sync.Mutex
	waiting []chan error
}

// tell ends the waiting of all watchers: with nil, or with the error for which their decisions are not published.
func (w *watchers) tell(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.waiting {
		c <- err
	}
	w.waiting = nil
}

// WaitIdle waits until the engine has published all that it can do now for the decisions so far. It returns the error that prevents that.
// It does not wait for a soak, or for others: see Waits. The engine has to be running.
func (e *Engine) WaitIdle(ctx context.Context) error {
	c := make(chan error, 1)
	e.watchers.mu.Lock()
	e.watchers.waiting = append(e.watchers.waiting, c)
	e.watchers.mu.Unlock()
	e.poke()
	select {
	case err := <-c:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// poke wakes the engine if it sleeps.
func (e *Engine) poke() {
	e.wake.Send()
}
