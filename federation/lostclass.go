package federation

import (
	"context"
	"os"
	"time"

	"cadastre/ca/issued"
	"cadastre/internal/inr"
	"cadastre/internal/validate"
)

// A parent that does not list a class any more may still publish our certificate. What rests on that certificate stays until the
// certificate is not in the parent's repository any more, or has ended, or the parent has not listed the class for LostForGood.

// doubtful is a key that a parent certified, and whose certificate may be gone.
type doubtful struct {
	source    string
	authority issued.Name
	issuer    []byte // certificate, DER
	got       *Received
}

// doubted tells whether a parent was removed, or does not list a class any more.
func (f *Federation) doubted(called string) bool {
	p := f.Peers.Parent(called)
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

// doubtfulOf lists the keys of classes that a parent does not list any more. If the parent was removed and failed to answer, it lists
// all its keys.
func (f *Federation) doubtfulOf(called string, failed bool) []doubtful {
	p := f.Peers.Parent(called)
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

// giveUp looks whether doubtful certificates are gone from the parent's repository, gives up classes whose certificates have all ended
// or that were not listed for LostForGood, and forgets keys that have nothing left to revoke.
func (f *Federation) giveUp(ctx context.Context, called string, failed bool) error {
	if !f.doubted(called) {
		_ = os.RemoveAll(f.lookDir(called)) // a cache
		return nil
	}
	doubts := f.doubtfulOf(called, failed)
	seen := map[string]*validate.Published{}
	gone := map[issued.Name]bool{}
	for _, d := range doubts {
		published, looked := seen[string(d.issuer)]
		if !looked {
			var err error
			if published, err = f.LookAt(ctx, called, d.issuer); err != nil {
				f.log.Info("it could not be seen whether a certificate of ours is still published; what rests on it stays", "parent", called, "error", err)
			}
			seen[string(d.issuer)] = published
		}
		gone[d.authority] = published != nil && f.isGone(published, d.got)
	}
	var holder string
	var given []string
	now := time.Now()
	err := f.noteParent("", called, func(p *Parent) (news bool) {
		holder = p.Holder
		for source, class := range p.Classes {
			for authority, got := range class.Keys {
				if gone[authority] {
					marked := *got
					marked.Gone = true
					class.Keys[authority], news = &marked, true
				}
			}
			if !class.Missing.IsZero() && !class.Entitled.Empty() && (now.Sub(class.Missing) > LostForGood || classEnded(class, now)) {
				class.Entitled, news = inr.Set{}, true
				given = append(given, source)
			}
		}
		return news
	})
	for _, source := range given {
		if err == nil {
			f.log.Warn("a resource class that a parent outside the tree does not name any more is given up", "parent", called, "source", source)
			err = f.receive(byParent(called), holder, source)
		}
	}
	if err == nil {
		err = f.forgetKeys(called, failed)
	}
	if err == nil {
		err = f.forgetParent(called)
	}
	return err
}

// isGone tells whether a certificate's issuer does not publish it any more. A manifest that is older than the certificate proves
// nothing.
func (f *Federation) isGone(by *validate.Published, got *Received) bool {
	cert, _ := validate.ParseCertificate(got.Certificate, f.reading()...)
	return cert != nil && by.Covers(got.URI) && !by.Since.Before(cert.NotBefore) && !by.Has(got.URI, cert, got.Certificate)
}

// classEnded tells whether all certificates of a class have ended, or are gone.
func classEnded(c *Class, now time.Time) bool {
	for _, got := range c.Keys {
		if now.Before(got.Expires) && !got.Gone {
			return false
		}
	}
	return true
}

// forgetKeys drops keys that are not needed any more and have nothing left to revoke: their certificates are gone or have ended. If
// the parent was removed and does not answer, keys without a certificate are dropped, too: it may never have known them.
func (f *Federation) forgetKeys(called string, failed bool) error {
	list := f.goneOf(called)
	return f.host.Change(func(tx *Tx) error {
		p := f.Peers.Parent(called)
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
		tx.Touch(p.Holder)
		return tx.PutParent(p)
	})
}
