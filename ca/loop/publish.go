package loop

import (
	"context"
	"slices"
	"time"

	"cadastre/ca/issue"
	"cadastre/ca/issued"
	"cadastre/ca/plan"
)

// mayClose tells whether the last batch of a plan can close its repository's serial in its own transaction.
func (l *Loop) mayClose(b *issue.Batch) bool {
	registries := map[string]bool{}
	for _, c := range b.Changes {
		if len(c.Files) > 0 && c.Next.Base == "" {
			registries[c.Next.Repository] = true
		}
	}
	return l.repositories.MayClose(registries)
}

// mustFollow tells whether a wave may be committed only after what is staged is published. That is so if something staged lies in a
// repository above or below one that the wave changes, since a chain goes through both; and if the wave withdraws something whose
// replacement may be staged in another repository. Within one repository a serial shows both or neither.
func (l *Loop) mustFollow(w plan.Wave) bool {
	if w.Step == plan.Refresh {
		return false // a refreshed manifest lists what it listed before
	}
	changes, takes := map[string]bool{}, w.Step == plan.Shrink
	for _, u := range w.Updates {
		changes[l.repositoryOf(u.Name)] = true
		takes = takes || len(u.Withdraw) > 0
	}
	for _, staged := range l.repositories.Staged() {
		for registry := range changes {
			if staged != registry && (takes || l.engine.OnOneChain(staged, registry)) {
				return true
			}
		}
	}
	return false
}

// repositoryOf is the repository in which an authority publishes, or will publish if it is not there yet.
func (l *Loop) repositoryOf(authority issued.Name) string {
	if a := l.issued.Authority(authority); a != nil {
		return a.Repository
	}
	made := l.engine.New(authority)
	return made.Repository
}

// publishStaged closes a serial in each repository that has something staged and may have a serial now. With midway, in the middle of a
// plan, it does so only every closeEvery, and keeps publicationOrder.
func (l *Loop) publishStaged(midway bool) error {
	if midway && time.Since(l.lastClose) < closeEvery {
		return nil
	}
	for _, registry := range l.publicationOrder() {
		repository := l.repositories.Own()[registry]
		if !repository.Staged() {
			continue
		}
		if repository.NextSerialAt().After(time.Now()) {
			if l.unfinished {
				return nil // the repositories after it wait for it
			}
			continue
		}
		if err := l.closeSerial(registry); err != nil {
			return err
		}
	}
	return nil
}

// publicationOrder lists the registries in the order in which they publish. Those deepest in the tree come first, so that readers see a
// certificate after the objects below it. When certificates are withdrawn, those highest in the tree come first.
func (l *Loop) publicationOrder() []string {
	order := l.engine.Registries()
	if l.step == plan.Shrink {
		slices.Reverse(order)
	}
	return order
}

// publishInOrder publishes all that is staged, in publicationOrder. It waits where a repository may not have a serial yet.
func (l *Loop) publishInOrder(ctx context.Context) error {
	for _, registry := range l.publicationOrder() {
		repository := l.repositories.Own()[registry]
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
		if err := l.closeSerial(registry); err != nil {
			return err
		}
	}
	return nil
}

func (l *Loop) closeSerial(registry string) error {
	start := time.Now()
	if err := l.repositories.Close(registry); err != nil {
		return err
	}
	return l.noteSerials(start)
}

// noteSerials tells the observer of new serials, and raises the high-water mark.
func (l *Loop) noteSerials(start time.Time) error {
	l.lastClose = time.Now()
	for name, repository := range l.repositories.Own() {
		if _, serial, at := repository.Published(); !at.Before(start.Truncate(time.Second)) {
			l.engine.Watch().Published(name, serial, time.Since(start))
		}
	}
	return l.engine.RaiseHighWater()
}
