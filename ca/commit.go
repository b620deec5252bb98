package ca

import (
	"bytes"
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"strings"
	"time"

	"cadastre/ca/issued"
	"cadastre/internal/fault"
	"cadastre/internal/store"
	"cadastre/rrdp"
)

// moduleOf is the name of the repository in which a URI lies: a registry's, or the mirror of another's.
func (e *Engine) moduleOf(uri string) string {
	if below, ours := strings.CutPrefix(uri, e.policy.RsyncBase); ours {
		module, _, _ := strings.Cut(below, "/")
		return module
	}
	return e.mirrors.of(uri)
}

// Get is the newest committed object at a URI; with it the engine is the state that the gate walks.
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

// candidate is the state that would be: what a batch changes, over what is committed.
type candidate struct {
	engine  *Engine
	files   map[string][]byte
	changed map[string]*issued.Authority // by the URI of its certificate
	moved   map[string]bool              // URIs at which an authority's certificate is no more
}

func (c candidate) Get(uri string) ([]byte, bool) {
	if der, changes := c.files[uri]; changes {
		return der, der != nil
	}
	return c.engine.Get(uri)
}

// Root is the certificate at a URI that a parent outside the tree issued to an authority of ours.
func (e *Engine) Root(uri string) ([]byte, bool) {
	e.knownMu.Lock()
	a, ok := e.clocks[e.borders[uri]]
	e.knownMu.Unlock()
	if !ok || a.Issuer != issued.Outside {
		return nil, false
	}
	return e.taken(&a.Authority)
}

// taken is the certificate that an authority has from outside the tree.
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

// roots is where the certificates are that authorities have from outside the tree.
func (e *Engine) roots() []string {
	e.knownMu.Lock()
	defer e.knownMu.Unlock()
	var uris []string
	for uri, name := range e.borders {
		if e.clocks[name].Issuer == issued.Outside {
			uris = append(uris, uri)
		}
	}
	return uris
}

// Foreign tells whether the certificate at a URI is that of a delegated CA.
func (e *Engine) Foreign(uri string) bool {
	e.knownMu.Lock()
	defer e.knownMu.Unlock()
	return e.clocks[e.borders[uri]].Delegated != nil
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

// certifiedAt is where an authority's certificate is, empty where there is no such authority.
func (e *Engine) certifiedAt(name issued.Name) string {
	e.knownMu.Lock()
	defer e.knownMu.Unlock()
	return e.clocks[name].CertificateURI
}

// commit checks a batch and makes it the state: one transaction for the authorities, their products and revocations
// and what their repositories will publish. With closing set, and where the batch lies in one repository alone, its
// serial is closed in the same transaction.
func (e *Engine) commit(ctx context.Context, b *batch, closing bool) error {
	files, changed, moved := map[string][]byte{}, map[string]*issued.Authority{}, map[string]bool{}
	for name, c := range b.changes {
		if was := e.certifiedAt(name); was != "" && (c.gone || was != c.next.CertificateURI) {
			moved[was] = true
		}
		maps.Copy(files, c.files)
		if !c.gone {
			changed[c.next.CertificateURI] = &c.next.Authority
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
	err = e.commitBatches(prepared, func(w store.Writer) error {
		for _, name := range slices.SortedFunc(maps.Keys(b.changes), issued.Name.Compare) {
			if err := e.write(w, b.changes[name], b.now); err != nil {
				return err
			}
		}
		if err := store.PutValue(w, engineBucket, stepKey, e.step); err != nil {
			return err
		}
		return store.PutValue(w, engineBucket, clockKey, b.now)
	})
	if err != nil {
		return fault.Wrap(err, "couldn't commit")
	}
	verdict.Accept()
	e.sendSoon()
	e.remember(b)
	return nil
}

// commitBatches makes prepared batches of repositories the state: one transaction with them and what extra writes, which
// may be nil. On an error all of them are abandoned. The engine's writing is held.
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

// prepare makes ready what each repository has to write.
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
		own := e.repositories[module] != nil // of a mirror the serial is closed when the server has it
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
func (e *Engine) write(w store.Writer, c *change, now time.Time) error {
	a := &c.next.Authority
	if c.gone {
		return e.erase(w, a)
	}
	if err := issued.Put(w, a); err != nil {
		return err
	}
	for _, p := range c.removed {
		if err := w.Delete(issued.Products, issued.Within(a.Name, p.Name)); err != nil {
			return err
		}
	}
	for _, p := range c.added {
		if err := store.PutValue(w, issued.Products, issued.Within(a.Name, p.Name), p); err != nil {
			return err
		}
	}
	for _, r := range c.revoked {
		if err := store.PutValue(w, issued.Revoked, issued.Within(a.Name, string(r.Serial.Bytes())), r); err != nil {
			return err
		}
	}
	if c.touched {
		if err := forgetRevocations(w, a.Name, now); err != nil {
			return err
		}
	}
	if !c.created || c.key == nil {
		return nil
	}
	sealed, err := e.sealKey(a, c.key)
	if err != nil {
		return err
	}
	return w.Put(issued.Keys, []byte(a.KeyID.String()), sealed)
}

// forgetRevocations drops those that no CRL has to list any more because the certificates have ended.
func forgetRevocations(w store.Writer, authority issued.Name, now time.Time) error {
	var past [][]byte
	err := store.EachValue(w, issued.Revoked, issued.Within(authority, ""), func(key string, r *issued.Revocation) {
		if !r.Expires.After(now) {
			past = append(past, []byte(key))
		}
	})
	if err != nil {
		return err
	}
	for _, key := range past {
		if err := w.Delete(issued.Revoked, key); err != nil {
			return err
		}
	}
	return nil
}

// erase takes an authority and everything of it out of the store, its key included.
func (e *Engine) erase(w store.Writer, a *issued.Authority) error {
	for _, bucket := range []store.Bucket{issued.Products, issued.Revoked} {
		var keys [][]byte
		for record, err := range w.Scan(bucket, issued.Within(a.Name, "")) {
			if err != nil {
				return err
			}
			keys = append(keys, bytes.Clone(record.Key))
		}
		for _, key := range keys {
			if err := w.Delete(bucket, key); err != nil {
				return err
			}
		}
	}
	if err := w.Delete(issued.Keys, []byte(a.KeyID.String())); err != nil {
		return err
	}
	return w.Delete(issued.Authorities, []byte(a.Name.String()))
}

// remember keeps what was committed where plans and clocks look for it.
func (e *Engine) remember(b *batch) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	e.knownMu.Lock()
	defer e.knownMu.Unlock()
	for name, c := range b.changes {
		if c.gone {
			delete(e.known, name)
			e.dropClock(name)
			continue
		}
		e.known[name] = c.next
		e.setClock(&c.next.Authority)
	}
}
