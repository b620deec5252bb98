package moves

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/relying"
	"cadastre/internal/validate"
	"cadastre/roa"
)

// lookAgain is how old what a relying party of ours saw may be before it looks again.
const lookAgain = 10 * time.Second

// sights is what our relying party saw below each trust anchor that a transfer depends on. It looks beside all else: a
// repository that hangs delays the transfers that need it and no others.
type sights struct {
	mu   sync.Mutex
	seen map[string]*sight // by name
	// judged is what each transfer was last judged by, where that is not all here.
	judged map[uint64]*relying.Report
}

type sight struct {
	looking bool
	at      time.Time // when it began to look
	report  *relying.Report
	err     error
}

// ownSight is the name of what is below our own trust anchor; that of others is the name of their installation.
const ownSight = "own"

// see is what is published below a trust anchor, as of a look that began after since; nil while there is none, and the
// reason of the last that failed. It never waits.
func (m *Mover) see(ctx context.Context, name, tal string, since time.Time) (*relying.Report, error) {
	m.sights.mu.Lock()
	defer m.sights.mu.Unlock()
	if m.sights.seen == nil {
		m.sights.seen = map[string]*sight{}
	}
	s := m.sights.seen[name]
	if s == nil {
		s = &sight{}
		m.sights.seen[name] = s
	}
	if !s.looking && time.Since(s.at) > lookAgain {
		s.looking = true
		go m.lookBelow(ctx, name, tal, s)
	}
	if s.report != nil && s.report.At.Before(since) {
		return nil, nil
	}
	return s.report, s.err
}

func (m *Mover) lookBelow(ctx context.Context, name, tal string, s *sight) {
	at := time.Now()
	report, err := m.engine.Relying(ctx, filepath.Join(m.dir, "sight", name), tal)
	m.sights.mu.Lock()
	s.looking, s.at, s.err = false, at, err
	if err == nil {
		s.report = report
	}
	m.sights.mu.Unlock()
	m.poke()
}

// missing is what of the recipient's side of an accepted transfer is not published yet, and on whom that waits; empty where
// all is.
func (m *Mover) missing(ctx context.Context, t *holdings.Transfer) (waiting, error) {
	if t.To == "" {
		missing, err := m.missingElsewhere(ctx, t)
		return waiting{what: missing, on: t.Peer}, err
	}
	if why := m.offer(t); why != "" {
		return waiting{what: why}, nil
	}
	var want map[string][]roa.VRP
	if err := m.engine.Read(func(l *holdings.Ledger, b *roa.Book) error {
		want = agreed(l, t, b)
		return nil
	}); err != nil {
		return waiting{}, err
	}
	for _, leg := range t.Legs {
		s, err := m.engine.Stands(leg.To, leg.Resources, want[leg.To])
		on := ""
		if s.Delegated && (s.Missing == "" || s.Repository == "") { // else those above it are behind
			on = "the CA of " + leg.To
		}
		if err != nil || s.Missing != "" {
			return waiting{what: s.Missing, on: on}, err
		}
		if t.Seen.IsZero() && s.Pending != "" { // what was published once stays so until it is missing
			return waiting{what: s.Pending}, nil
		}
		if s.Delegated {
			if missing, err := m.missingDelegated(ctx, t, leg, s, want[leg.To]); err != nil || missing != "" {
				return waiting{what: missing, on: on}, err
			}
		}
	}
	return waiting{}, nil
}

// missingDelegated is what a recipient's CA elsewhere does not publish yet: all that is valid below the donor's CA for what
// moves, and what was agreed on. Bytes are believed, as a relying party sees them.
func (m *Mover) missingDelegated(ctx context.Context, t *holdings.Transfer, leg holdings.Leg, s ca.Standing, want []roa.VRP) (string, error) {
	tal, err := m.engine.TAL()
	if err != nil {
		return "", err
	}
	report, err := m.see(ctx, ownSight, tal, t.When(string(holdings.Accepted)))
	switch {
	case err != nil:
		return "a look at what is published: " + err.Error(), nil
	case report == nil:
		return "a look at what is published", nil
	}
	m.saw(t, report)
	for _, uri := range m.engine.CertificatesOf(leg.From) {
		if a := authorityAt(report, uri); a != nil {
			for _, v := range a.VRPs {
				if leg.Resources.ContainsPrefix(v.Prefix) {
					want = append(want, roa.VRP{Prefix: v.Prefix, MaxLength: v.MaxLength, ASN: v.ASN})
				}
			}
		}
	}
	return notShown(report, m.engine.CertificatesOf(leg.To), leg, want), nil
}

// authorityAt is the CA with the certificate at a URI, if it is valid and publishes something valid.
func authorityAt(r *relying.Report, uri string) *validate.AuthorityResult {
	for i := range r.Authorities {
		if r.Authorities[i].CertificateURI == uri {
			return &r.Authorities[i]
		}
	}
	return nil
}

// notShown is what is not valid below certificates at some URIs, in words: the resources of a leg, or VRPs.
func notShown(r *relying.Report, uris []string, leg holdings.Leg, want []roa.VRP) string {
	rest := leg.Resources
	var shown []validate.VRP
	for _, uri := range uris {
		if a := authorityAt(r, uri); a != nil {
			rest = rest.Minus(a.Resources)
			shown = append(shown, a.VRPs...)
		}
	}
	if !rest.Empty() {
		return fmt.Sprintf("that the CA of %s publishes something valid for %s", leg.To, rest)
	}
	for _, v := range want {
		if !slices.Contains(shown, validate.VRP{Prefix: v.Prefix, MaxLength: v.MaxLength, ASN: v.ASN}) {
			return fmt.Sprintf("that the CA of %s publishes a ROA for %s", leg.To, v)
		}
	}
	return ""
}

// missingElsewhere is what the installation elsewhere does not publish yet.
func (m *Mover) missingElsewhere(_ context.Context, t *holdings.Transfer) (string, error) {
	return "that " + t.Peer + " publishes its side", nil
}
