package ca

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cadastre/ca/issued"
	"cadastre/federation"
	"cadastre/internal/due"
	"cadastre/internal/fault"
	"cadastre/internal/relying"
	"cadastre/internal/relying/sandbox"
)

const (
	watchFirst = 10 * time.Minute // after the start
	watchEvery = 24 * time.Hour
)

// watchChildren looks each day, as a relying party does, whether delegated CAs publish anything valid, until ctx ends. It
// says too whose identity nears its end.
func (e *Engine) watchChildren(ctx context.Context) {
	started := time.Now()
	(&due.Poller{
		Names: due.One, Backoff: due.Backoff{First: watchEvery, Most: watchEvery},
		Due: func(_ string, begun time.Time, _ bool) time.Time {
			if begun.IsZero() {
				return started.Add(watchFirst)
			}
			return begun.Add(watchEvery)
		},
		Call: func(ctx context.Context, _ string) error {
			e.warnOfIdentities(time.Now())
			if len(e.peers.Children()) == 0 || e.frozen.err() != nil {
				return nil
			}
			seen, err := e.look(ctx)
			if err == nil {
				err = e.judgeChildren(seen, time.Now())
			}
			if err != nil && ctx.Err() == nil {
				e.log.Error("couldn't look at what delegated CAs publish; it will be tried again tomorrow", "error", err)
			}
			return err
		},
	}).Run(ctx)
}

// look is the certificates, by URI, below our trust anchor whose CAs have a valid manifest and CRL.
func (e *Engine) look(ctx context.Context) (map[string]bool, error) {
	tal, err := e.TAL()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(e.dir, "watch", "own")
	defer func() { _ = os.RemoveAll(dir) }() // until tomorrow
	report, err := e.Relying(ctx, dir, tal)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool, len(report.Authorities))
	for _, a := range report.Authorities {
		seen[a.CertificateURI] = true
	}
	if report.Cut != "" {
		e.log.Warn("not all that is published below us could be looked at; of delegated CAs that were not seen nothing is concluded", "reason", report.Cut)
		return e.delegated(seen), nil
	}
	return seen, nil
}

// delegated is those of some certificates that are of delegated CAs. Without the others nothing can be said of a CA that is not
// among them.
func (e *Engine) delegated(seen map[string]bool) map[string]bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	some := map[string]bool{}
	for _, c := range e.peers.Children() {
		for _, key := range e.peers.Keys(c.Holder) {
			if a := e.issued.Authority(key.Authority); a != nil && seen[a.CertificateURI] {
				some[a.CertificateURI] = true
			}
		}
	}
	return some
}

// Relying is what a relying party sees below a trust anchor. It reads in a process of its own (see the package sandbox). The
// folder keeps its cache, and one at a time uses it. Roots, in PEM, are trusted for TLS besides our own and the system's.
func (e *Engine) Relying(ctx context.Context, dir, tal string, roots ...string) (*relying.Report, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Wrap(err, "couldn't make %s", dir)
	}
	options := e.relyingOptions(filepath.Join(dir, "cache"))
	options.TAL = filepath.Join(dir, "ta.tal")
	if theirs := strings.TrimSpace(strings.Join(roots, "\n")); theirs != "" {
		own, err := e.PrivateTLS()
		if err != nil {
			return nil, err
		}
		options.TLSRoots = filepath.Join(dir, "roots.pem")
		if err := os.WriteFile(options.TLSRoots, []byte(own+theirs+"\n"), 0o600); err != nil {
			return nil, fault.Wrap(err, "couldn't write %s", options.TLSRoots)
		}
	}
	if err := os.WriteFile(options.TAL, []byte(tal), 0o600); err != nil {
		return nil, fault.Wrap(err, "couldn't write %s", options.TAL)
	}
	return sandbox.Verify(ctx, options)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// judgeChildren notes which delegated CAs publish something valid, warns of those that have not for some time, and has the
// certificates of those revoked that have not for all of the policy's silence. Where the CA above one was not seen either,
// nothing can be said of it.
func (e *Engine) judgeChildren(seen map[string]bool, now time.Time) error {
	return e.changePeers(func(w *federation.Tx) error {
		for _, was := range e.peers.Children() {
			c, holder := *was, was.Holder
			valid, judged := e.publishes(holder, seen)
			switch silent := now.Sub(issued.Later(c.Valid, c.Added)); {
			case valid:
				c.Valid = now.UTC()
				if err := w.NoteChild(&c); err != nil {
					return err
				}
			case !judged || silent < e.policy.Silence/3:
			case silent < e.policy.Silence:
				e.log.Warn("a delegated CA has had no valid manifest and CRL for long; its certificates will be revoked", "organisation", holder,
					"days", int(silent/day), "revoked_after_days", int(e.policy.Silence/day))
			default:
				e.log.Error("a delegated CA has had no valid manifest and CRL for too long; its certificates are revoked, and it may ask for new ones", "organisation", holder, "days", int(silent/day))
				for _, key := range e.peers.Keys(holder) {
					if err := w.DeleteKey(key); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
}

// publishes tells whether any key of a delegated CA has a valid manifest and CRL, and whether that could be seen. The
// engine's mu is held.
func (e *Engine) publishes(holder string, seen map[string]bool) (valid, judged bool) {
	for _, key := range e.peers.Keys(holder) {
		authority := key.Authority
		a := e.issued.Authority(authority)
		if a == nil {
			continue
		}
		if issuer := e.issued.Authority(a.Issuer); issuer != nil {
			judged = judged || seen[issuer.CertificateURI]
		}
		valid = valid || seen[a.CertificateURI]
	}
	return valid, judged
}
