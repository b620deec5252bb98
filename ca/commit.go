package ca

import (
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"strings"
	"time"

	"cadastre/ca/issue"
	"cadastre/ca/issued"
	"cadastre/internal/fault"
	"cadastre/internal/store"
	"cadastre/rrdp"
)

// moduleOf is the name of the repository in which a URI lies: that of a registry, or the mirror of a remote repository.
func (e *Engine) moduleOf(uri string) string {
	if below, ours := strings.CutPrefix(uri, e.policy.RsyncBase); ours {
		module, _, _ := strings.Cut(below, "/")
		return module
	}
	return e.Federation.MirrorOf(uri)
}

// Get is the newest committed object at a URI.
func (e *Engine) Get(uri string) ([]byte, bool) {
	repository := e.repository(e.moduleOf(uri))
	if repository == nil {
		return nil, false
	}
	return repository.Get(uri)
}

// Hash is the SHA-256 of the newest committed object at a URI.
func (e *Engine) Hash(uri string) ([sha256.Size]byte, bool) {
	repository := e.repository(e.moduleOf(uri))
	if repository == nil {
		return [sha256.Size]byte{}, false
	}
	return repository.Hash(uri)
}

// candidate is the state as it would be with a batch: what the batch changes, on top of what is committed. The gate walks it.
type candidate struct {
	engine  *Engine
	files   map[string][]byte
	changed map[string]*issued.Authority // by the URI of its certificate
	moved   map[string]bool              // URIs at which an authority's certificate is not any more
}

func (c candidate) Get(uri string) ([]byte, bool) {
	if der, changes := c.files[uri]; changes {
		return der, der != nil
	}
	return c.engine.Get(uri)
}

// Root is the certificate, by its URI, that a parent elsewhere issued to an authority of ours.
func (e *Engine) Root(uri string) ([]byte, bool) {
	a := e.issued.Border(uri)
	if a == nil || a.Issuer != issued.Outside {
		return nil, false
	}
	return e.taken(a)
}

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

// Foreign tells whether the certificate at a URI is that of a delegated CA.
func (e *Engine) Foreign(uri string) bool {
	a := e.issued.Border(uri)
	return a != nil && a.Delegated != nil
}

func (c candidate) Root(uri string) ([]byte, bool) {
	if a := c.changed[uri]; a != nil && a.Issuer == issued.Outside {
		return c.engine.taken(a)
	}
	if c.moved[uri] {
		return nil, false
	}
	return c.engine.Root(uri)
}

func (c candidate) Foreign(uri string) bool {
	if a := c.changed[uri]; a != nil {
		return a.Delegated != nil
	}
	return c.engine.Foreign(uri)
}

func (c candidate) Hash(uri string) ([sha256.Size]byte, bool) {
	if der, changes := c.files[uri]; changes {
		return sha256.Sum256(der), der != nil
	}
	return c.engine.Hash(uri)
}

// commit checks a batch and commits it in one transaction: authorities, products, revocations, and what repositories will publish. With
// closing set, and if the batch lies in one repository, the same transaction closes that repository's serial.
func (e *Engine) commit(ctx context.Context, b *issue.Batch, closing bool) error {
	files, changed, moved := map[string][]byte{}, map[string]*issued.Authority{}, map[string]bool{}
	for name, c := range b.Changes {
		if was := e.issued.Authority(name); was != nil && was.CertificateURI != "" && (c.Gone || was.CertificateURI != c.Next.CertificateURI) {
			moved[was.CertificateURI] = true
		}
		maps.Copy(files, c.Files)
		if !c.Gone {
			changed[c.Next.CertificateURI] = &c.Next.Authority
		}
	}
	verdict, err := e.check(ctx, b, candidate{e, files, changed, moved})
	if err != nil {
		return err
	}
	e.writing.Lock()
	defer e.writing.Unlock()
	prepared, err := e.prepare(files, closing)
	if err != nil {
		return err
	}
	b.Commits()
	err = e.commitBatches(prepared, func(w store.Writer) error {
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
	verdict.Accept()
	e.Federation.SendSoon()
	e.remember(b)
	return nil
}

// commitBatches commits prepared batches of repositories in one transaction, with what extra writes; extra may be nil. On an error all
// of them are abandoned. The caller holds the engine's writing lock.
func (e *Engine) commitBatches(prepared []*rrdp.Batch, extra func(store.Writer) error) error {
	_, err := e.store.Update(store.Any, func(w store.Writer) error {
		for _, p := range prepared {
			if err := p.Write(w); err != nil {
				return err
			}
		}
		if extra == nil {
			return nil
		}
		return extra(w)
	})
	for _, p := range prepared {
		if err != nil {
			p.Abandon()
		} else {
			p.Apply()
		}
	}
	return err
}

// prepare prepares a batch for each repository that files lie in.
func (e *Engine) prepare(files map[string][]byte, closing bool) ([]*rrdp.Batch, error) {
	perRepository := map[string][]rrdp.Change{}
	for _, uri := range slices.Sorted(maps.Keys(files)) {
		module := e.moduleOf(uri)
		perRepository[module] = append(perRepository[module], rrdp.Change{URI: uri, Object: files[uri]})
	}
	return e.prepareChanges(perRepository, closing)
}

func (e *Engine) prepareChanges(perRepository map[string][]rrdp.Change, closing bool) ([]*rrdp.Batch, error) {
	var prepared []*rrdp.Batch
	for _, module := range slices.Sorted(maps.Keys(perRepository)) {
		repository := e.repository(module)
		if repository == nil {
			return nil, fault.New(fault.Internal, "there is no repository for %q", module)
		}
		own := e.repositories[module] != nil // the serial of a mirror is closed later, when the server has all of it
		p, err := repository.Prepare(perRepository[module], closing && own && len(perRepository) == 1)
		if err != nil {
			for _, p := range prepared {
				p.Abandon()
			}
			return nil, fault.Wrap(err, "couldn't write the objects of %s", module)
		}
		prepared = append(prepared, p)
	}
	return prepared, nil
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
