package ca

import (
	"context"
	"maps"
	"slices"
	"time"

	"cadastre/ca/issue"
	"cadastre/ca/issued"
	"cadastre/ca/repositories"
	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// committed is what is committed, as the gate reads it: it implements issue.Committed.
type committed struct {
	*repositories.Set
	*issued.Index
	engine *Engine
}

func (c committed) Taken(a *issued.Authority) ([]byte, bool) { return c.engine.taken(a) }

// Get is the newest committed object at a URI.
func (e *Engine) Get(uri string) ([]byte, bool) { return e.repositories.Get(uri) }

// taken is the certificate from a parent elsewhere that an authority goes by.
func (e *Engine) taken(a *issued.Authority) ([]byte, bool) {
	got := e.receivedFor(a.Name)
	switch {
	case got == nil:
		return nil, false
	case got.Serial.Cmp(a.CertSerial) == 0:
		return got.Certificate, true
	}
	return got.Taken, got.Taken != nil
}

// commit checks a batch and commits it in one transaction: authorities, products, revocations, and what repositories will publish. With
// closing set, and if the batch lies in one repository, the same transaction closes that repository's serial.
func (e *Engine) commit(ctx context.Context, b *issue.Batch, closing bool) error {
	accept, findings, err := e.loop.gate.Check(ctx, b)
	if findings > 0 {
		e.Observer.Findings(findings)
	}
	if err != nil {
		return err
	}
	err = e.repositories.CommitFiles(b.Files(), closing, func(w store.Writer) error {
		b.Commits()
		for _, name := range slices.SortedFunc(maps.Keys(b.Changes), issued.Name.Compare) {
			if err := e.write(w, b.Changes[name], b.Now); err != nil {
				return err
			}
		}
		if err := store.PutValue(w, engineBucket, stepKey, e.loop.step); err != nil {
			return err
		}
		return store.PutValue(w, engineBucket, clockKey, b.Now)
	})
	if err != nil {
		return fault.Wrap(err, "couldn't commit")
	}
	accept()
	e.Federation.SendSoon()
	e.remember(b)
	return nil
}

// write puts an authority's new state into the store.
func (e *Engine) write(w store.Writer, c *issue.Change, now time.Time) error {
	if c.Gone {
		return issued.Erase(w, &c.Next.Authority)
	}
	to := issued.Change{Next: &c.Next.Authority, Added: c.Added, Removed: c.Removed, Revoked: c.Revoked, Closed: c.Touched, Key: c.KeyRef}
	return to.Write(w, now)
}

// remember brings the index up to date with a batch that was committed.
func (e *Engine) remember(b *issue.Batch) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for name, c := range b.Changes {
		if c.Gone {
			e.issued.Drop(name)
		} else {
			e.issued.Keep(c.Next)
		}
	}
}
