package ca

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"time"

	"cadastre/ca/issued"
	"cadastre/federation"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/relying"
	"cadastre/internal/relying/sandbox"
	"cadastre/internal/validate"
)

// A parent that does not name a class any more, or refuses to issue or revoke in it, may still have our certificate published.
// What rests on it stays until it is really gone: until the parent's own repository says so, or it has ended, or the class
// has not been named for a week.

// doubtful is a key that a parent certified and may not know any more.
type doubtful struct {
	source    string
	authority issued.Name
	issuer    []byte // certificate, DER
	got       *federation.Received
}

// doubted tells whether a parent was removed, or does not name a class any more.
func (e *Engine) doubted(called string) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	p := e.peers.Parent(called)
	if p == nil || p.Removed {
		return p != nil
	}
	for _, class := range p.Classes {
		if !class.Missing.IsZero() {
			return true
		}
	}
	return false
}

// doubtfulOf lists the keys of classes that a parent does not name any more, and, where it failed to answer, all keys of one
// that was removed.
func (e *Engine) doubtfulOf(called string, failed bool) []doubtful {
	e.mu.RLock()
	defer e.mu.RUnlock()
	p := e.peers.Parent(called)
	if p == nil {
		return nil
	}
	var list []doubtful
	for source, class := range p.Classes {
		if class.Missing.IsZero() && !(p.Removed && failed) {
			continue
		}
		for authority, got := range class.Keys {
			if !got.Gone {
				list = append(list, doubtful{source, authority, class.Issuer, got})
			}
		}
	}
	return list
}

// giveUp looks whether certificates that are in doubt are gone, gives up the classes that have none left, and forgets keys
// that nobody would revoke for us.
func (e *Engine) giveUp(ctx context.Context, called string, failed bool) error {
	if !e.doubted(called) {
		_ = os.RemoveAll(e.lookDir(called)) // a cache
		return nil
	}
	doubts := e.doubtfulOf(called, failed)
	seen := map[string]*validate.Published{}
	gone := map[issued.Name]bool{}
	for _, d := range doubts {
		published, looked := seen[string(d.issuer)]
		if !looked {
			var err error
			if published, err = e.lookAt(ctx, called, d.issuer); err != nil {
				e.log.Info("it could not be seen whether a certificate of ours is still published; what rests on it stays", "parent", called, "error", err)
			}
			seen[string(d.issuer)] = published
		}
		gone[d.authority] = published != nil && e.isGone(published, d.got)
	}
	var holder string
	var given []string
	now := time.Now()
	err := e.noteParent("", called, func(p *federation.Parent) (news bool) {
		holder = p.Holder
		for source, class := range p.Classes {
			for authority, got := range class.Keys {
				if gone[authority] {
					marked := *got
					marked.Gone = true
					class.Keys[authority], news = &marked, true
				}
			}
			if !class.Missing.IsZero() && !class.Entitled.Empty() && (now.Sub(class.Missing) > lostForGood || classEnded(class, now)) {
				class.Entitled, news = inr.Set{}, true
				given = append(given, source)
			}
		}
		return news
	})
	for _, source := range given {
		if err == nil {
			e.log.Warn("a resource class that a parent outside the tree does not name any more is given up", "parent", called, "source", source)
			err = e.receive(byParent(called), holder, source)
		}
	}
	if err == nil {
		err = e.forgetKeys(called, failed)
	}
	if err == nil {
		err = e.forgetParent(called)
	}
	return err
}

// isGone tells whether a certificate is not published by its issuer any more. A manifest that is older than the certificate
// cannot tell.
func (e *Engine) isGone(by *validate.Published, got *federation.Received) bool {
	cert, _ := validate.ParseCertificate(got.Certificate, e.reading()...)
	return cert != nil && by.Covers(got.URI) && !by.Since.Before(cert.NotBefore) && !by.Has(got.URI, cert, got.Certificate)
}

// classEnded tells whether all certificates of a class are past, or gone.
func classEnded(c *federation.Class, now time.Time) bool {
	for _, got := range c.Keys {
		if now.Before(got.Expires) && !got.Gone {
			return false
		}
	}
	return true
}

// forgetKeys drops keys of no more use that there is nothing left to revoke of: their certificates are gone or past. A parent
// that was removed, and does not answer, may never have known others.
func (e *Engine) forgetKeys(called string, failed bool) error {
	list := e.goneOf(called)
	return e.changePeers(func(w *federation.Tx) error {
		p := e.peers.Parent(called)
		if p == nil {
			return nil
		}
		p, n := p.Clone(), 0
		for _, g := range list {
			class := p.Classes[g.source]
			got := class.Keys[g.authority]
			if got == nil && p.Removed && failed || got != nil && (got.Gone || time.Now().After(got.Expires)) {
				delete(class.Created, g.authority)
				delete(class.Keys, g.authority)
				n++
			}
		}
		if n == 0 {
			return nil
		}
		w.Touch(p.Holder)
		return w.PutParent(p)
	})
}

func (e *Engine) lookDir(called string) string {
	return filepath.Join(e.dir, "watch", relying.Folder("parent/"+called))
}

// lookAtParent is what the CA of a certificate publishes, as a relying party sees it.
func (e *Engine) lookAtParent(ctx context.Context, called string, issuer []byte) (*validate.Published, error) {
	dir := e.lookDir(called)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Wrap(err, "couldn't make %s", dir)
	}
	return sandbox.Publication(ctx, e.relyingOptions(dir), issuer)
}

// relyingOptions are those of a relying party with its cache in a folder, which reads in a process of its own, within limits,
// what is served now. Most of its time it waits for others.
func (e *Engine) relyingOptions(cache string) relying.Options {
	options := relying.Options{
		Cache: cache, P256: e.policy.Algorithm == object.P256, Fresh: true, Only: true, Workers: 16, Limits: cmp.Or(e.Reading, relying.ForDaemon()),
	}
	if roots := filepath.Join(e.dir, "tls", "ca.pem"); exists(roots) {
		options.TLSRoots = roots // our own, of a trial
	}
	return options
}
