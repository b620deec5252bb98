package federation

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"cadastre/ca/issued"
	"cadastre/internal/due"
)

const (
	watchFirst = 10 * time.Minute // after the start
	watchEvery = 24 * time.Hour
)

// watchChildren looks each day, as a relying party does, whether delegated CAs publish anything valid, until ctx ends. It also warns of
// identities that near their end.
func (f *Federation) watchChildren(ctx context.Context) {
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
			f.warnOfIdentities(time.Now())
			if len(f.Peers.Children()) == 0 || f.host.Frozen() != nil {
				return nil //nolint:nilerr // it is looked again tomorrow
			}
			seen, err := f.look(ctx)
			if err == nil {
				err = f.JudgeChildren(seen, time.Now())
			}
			if err != nil && ctx.Err() == nil {
				f.log.Error("couldn't look at what delegated CAs publish; it will be tried again tomorrow", "error", err)
			}
			return err
		},
	}).Run(ctx)
}

// look lists, by URI, the CA certificates below our trust anchor whose CAs have a valid manifest and CRL.
func (f *Federation) look(ctx context.Context) (map[string]bool, error) {
	tal, err := f.host.TAL()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(f.dir, "watch", "own")
	defer func() { _ = os.RemoveAll(dir) }() // it is not needed until tomorrow
	report, err := f.Relying(ctx, dir, tal)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool, len(report.Authorities))
	for _, a := range report.Authorities {
		seen[a.CertificateURI] = true
	}
	if report.Cut != "" {
		f.log.Warn("not all that is published below us could be looked at; of delegated CAs that were not seen nothing is concluded", "reason", report.Cut)
		return f.OnlyDelegated(seen), nil
	}
	return seen, nil
}

// OnlyDelegated keeps only the certificates of delegated CAs. It is for a look that was cut short: JudgeChildren then does not conclude
// from a missing certificate that its CA is silent, as the certificate of the issuer is missing, too.
func (f *Federation) OnlyDelegated(seen map[string]bool) map[string]bool {
	some := map[string]bool{}
	for _, c := range f.Peers.Children() {
		for _, key := range f.Peers.Keys(c.Holder) {
			if a := f.host.Authority(key.Authority); a != nil && seen[a.CertificateURI] {
				some[a.CertificateURI] = true
			}
		}
	}
	return some
}

// JudgeChildren notes which delegated CAs have a valid manifest and CRL. It warns of a CA that has had none for a third of
// Config.Silence, and has its certificates revoked after all of it. If the CA's issuer was not seen either, it concludes nothing.
func (f *Federation) JudgeChildren(seen map[string]bool, now time.Time) error {
	return f.host.Change(func(tx *Tx) error {
		for _, was := range f.Peers.Children() {
			c, holder := *was, was.Holder
			valid, judged := f.publishes(holder, seen)
			switch silent := now.Sub(issued.Later(c.Valid, c.Added)); {
			case valid:
				c.Valid = now.UTC()
				if err := tx.NoteChild(&c); err != nil {
					return err
				}
			case !judged || silent < f.config.Silence/3:
			case silent < f.config.Silence:
				f.log.Warn("a delegated CA has had no valid manifest and CRL for long; its certificates will be revoked", "organisation", holder,
					"days", int(silent/day), "revoked_after_days", int(f.config.Silence/day))
			default:
				f.log.Error("a delegated CA has had no valid manifest and CRL for too long; its certificates are revoked, and it may ask for new ones", "organisation", holder, "days", int(silent/day))
				for _, key := range f.Peers.Keys(holder) {
					if err := tx.DeleteKey(key); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
}

// publishes tells whether any key of a delegated CA has a valid manifest and CRL, and whether the look can tell.
func (f *Federation) publishes(holder string, seen map[string]bool) (valid, judged bool) {
	for _, key := range f.Peers.Keys(holder) {
		authority := key.Authority
		a := f.host.Authority(authority)
		if a == nil {
			continue
		}
		if issuer := f.host.Authority(a.Issuer); issuer != nil {
			judged = judged || seen[issuer.CertificateURI]
		}
		valid = valid || seen[a.CertificateURI]
	}
	return valid, judged
}
