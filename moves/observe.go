package moves

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cadastre/holdings"
	"cadastre/internal/relying"
	"cadastre/roa"
)

// Look has a relying party look at what is published below a trust anchor, with a folder for its cache and TLS authorities, in
// PEM, that it trusts besides the system's.
type Look func(ctx context.Context, dir, tal string, roots ...string) (*relying.Report, error)

// A relying party of ours looks again when its last look began lookAgain ago, and lookShare times as long as that look took: so it
// looks for a fifth of the time at most, however much a peer publishes. A look that began before what is asked about has nothing to
// say of it, and the next one need not wait for its share. But one look of two has to: whatever peers do, and however often, to
// look takes no more than a third of the time.
const (
	lookAgain = 10 * time.Second
	lookShare = 5
)

// observations is what our relying party saw below each trust anchor that a transfer depends on. It looks beside all else: a
// repository that hangs delays the transfers that need it and no others.
type observations struct {
	mu sync.Mutex
	of map[string]*observation // by name
	// basis is what each transfer was last judged by, where that is not all here.
	basis map[uint64]*relying.Report
}

// observation is the newest look below a trust anchor.
type observation struct {
	looking bool
	at      time.Time // when it began
	took    time.Duration
	early   bool // it did not wait for its share
	report  *relying.Report
	err     error
}

// due tells whether to look now for what happened since some time, and whether that is before the share of the last look is over.
func (o *observation) due(since, now time.Time) (due, early bool) {
	rested := now.Sub(o.at)
	switch {
	case o.looking || rested <= lookAgain:
		return false, false
	case rested > lookShare*o.took:
		return true, false
	}
	return !o.early && o.at.Before(since), true
}

// ownAnchor is the name of what is below our own trust anchor; that of others is the name of their installation.
const ownAnchor = "own"

// see is what is published below a trust anchor, as of a look that began after since; nil while there is none, and the
// reason of the last look if it failed. Roots are TLS authorities, in PEM, that are trusted besides. It never waits.
func (m *Mover) see(ctx context.Context, name, tal, roots string, since time.Time) (*relying.Report, error) {
	m.observed.mu.Lock()
	defer m.observed.mu.Unlock()
	if m.observed.of == nil {
		m.observed.of = map[string]*observation{}
	}
	o := m.observed.of[name]
	if o == nil {
		o = &observation{}
		m.observed.of[name] = o
	}
	if due, early := o.due(since, time.Now()); due {
		o.looking, o.early = true, early
		m.background.start(func() { m.observe(ctx, name, tal, roots, o) })
	}
	if o.report != nil && o.report.At.Before(since) {
		return nil, o.err
	}
	return o.report, o.err
}

// forgetObservations removes what looks have cached, while no transfer is under way that would need them.
func (m *Mover) forgetObservations() {
	m.observed.mu.Lock()
	defer m.observed.mu.Unlock()
	for _, o := range m.observed.of {
		if o.looking {
			return
		}
	}
	m.observed.of = nil
	if err := os.RemoveAll(filepath.Join(m.dir, cacheDir)); err != nil {
		m.log.Warn("what looks at other repositories left in the data directory cannot be removed", "error", err)
	}
}

// cacheDir is where looks cache what they fetched, below the data directory.
const cacheDir = "sight"

// observe looks once at what is published below a trust anchor.
func (m *Mover) observe(ctx context.Context, name, tal, roots string, o *observation) {
	at := time.Now()
	look := m.Look
	if look == nil {
		look = m.engine.Federation.Relying
	}
	report, err := look(ctx, filepath.Join(m.dir, cacheDir, relying.Folder(name)), tal, roots)
	m.observed.mu.Lock()
	o.looking, o.at, o.took, o.err = false, at, time.Since(at), err
	if err == nil {
		o.report = report
	}
	m.observed.mu.Unlock()
	m.poke()
}

// lack is what of the recipient's side is not published yet, and on whom that waits. Where it is unsure, nobody could look: what was
// seen before is then neither seen nor lost.
type lack struct {
	holdings.Waiting
	unsure bool
}

func lacks(w holdings.Waiting) lack { return lack{w, false} }

// lacksOf is what the authorities say that they have yet to do.
func lacksOf(says string, on holdings.Party) lack {
	if says == "" {
		return lack{}
	}
	return lacks(holdings.Waiting{For: needAuthorities, Says: says, On: on})
}

// nobodySaw is that there is no look at what an installation publishes, or for "" at what is published here, and why not.
func nobodySaw(installation string, why error) lack {
	w := holdings.Waiting{For: needLook, Of: installation}
	if why != nil {
		w.Says = why.Error()
	}
	return lack{w, true}
}

// missing is what of the recipient's side of an accepted transfer is not published yet, and on whom that waits; empty where
// all is.
func (m *Mover) missing(ctx context.Context, t *holdings.Transfer) (lack, error) {
	if t.Outgoing() {
		return m.missingElsewhere(ctx, t)
	}
	if why, err := m.offer(t); why != "" || err != nil {
		return lacksOf(why, holdings.Party{}), err
	}
	var want map[string][]roa.VRP
	if err := m.engine.Read(func(l *holdings.Ledger, b *roa.Book) error {
		want = agreed(l, t, b)
		return nil
	}); err != nil {
		return lack{}, err
	}
	for _, leg := range t.Legs {
		if _, delegated := m.engine.Delegated(leg.To); delegated && t.Forced {
			continue
		}
		s, err := m.engine.Stands(leg.To, leg.Resources, want[leg.To])
		var on holdings.Party
		if s.Delegated && (s.Missing == "" || s.Repository == "") { // else those above it are behind
			on = onCA(leg.To)
		}
		if err != nil || s.Missing != "" {
			return lacksOf(s.Missing, on), err
		}
		if t.Seen.IsZero() && s.Pending != "" { // what was published once stays so until it is missing
			return lacksOf(s.Pending, holdings.Party{}), nil
		}
		_, donorElsewhere := m.engine.Delegated(leg.From)
		if t.Forced || !s.Delegated && (!donorElsewhere || !t.Kind.SameHolder()) {
			continue
		}
		if missing, err := m.missingDelegated(ctx, t, leg, want[leg.To]); err != nil || missing.For != "" {
			missing.On = on
			return missing, err
		}
	}
	return lack{}, nil
}

// missingDelegated is what a recipient does not publish yet where its CA, or the donor's, is elsewhere: what was agreed on, and
// all that is valid below the donor's CA for what moves with the same holder. Bytes are believed, as a relying party sees them.
func (m *Mover) missingDelegated(ctx context.Context, t *holdings.Transfer, leg holdings.Leg, want []roa.VRP) (lack, error) {
	donors, l, err := m.donorVRPs(ctx, t, leg)
	if err != nil || l.For != "" {
		return l, err
	}
	tal, err := m.engine.TAL()
	if err != nil {
		return lack{}, err
	}
	report, err := m.see(ctx, ownAnchor, tal, "", t.When(holdings.StepAccepted))
	switch {
	case err != nil:
		return nobodySaw("", err), nil // it is said, and looked again
	case report == nil:
		return nobodySaw("", nil), nil
	}
	m.noteBasis(t, report)
	return notShown(report, m.engine.CertificatesOf(leg.To), leg.To, leg, append(want, donors...)), nil
}
