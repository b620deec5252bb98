package moves

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cadastre/holdings"
	"cadastre/internal/due"
	"cadastre/internal/payload"
	"cadastre/internal/relying"
	"cadastre/roa"
)

// Look has a relying party look at what is published below a trust anchor. Dir is for its cache. Roots are TLS authorities, in PEM, that
// it trusts besides those of the system.
type Look func(ctx context.Context, dir, tal string, roots ...string) (*relying.Report, error)

// How often our relying party looks. A look begins when two times have passed since the last look began: lookAgain, and lookShare times
// as long as that look took. So looks take a fifth of the time at most, however much a peer publishes. If the last look began before
// the event in question, the next look is early: it does not wait for the second time. No two looks in a row are early, so looks never
// take more than a third of the time.
const (
	lookAgain = 10 * time.Second
	lookShare = 5
)

// observations has the newest look of our relying party below each trust anchor that a transfer depends on. Looks run in the background:
// a repository that does not answer delays only the transfers that need it.
type observations struct {
	mu sync.Mutex
	of map[string]*observation // by name
	// basis is the look on which the next step of each transfer rests, where not all is published here.
	basis map[uint64]*relying.Report
}

// observation is the newest look below a trust anchor.
type observation struct {
	turn   due.Turn
	early  bool // it did not wait for its share
	report *relying.Report
	err    error
}

// due tells whether to look now for something that happened at since, and whether that look is early.
func (o *observation) due(since, now time.Time) (due, early bool) {
	rested := now.Sub(o.turn.Begun)
	switch {
	case o.turn.Busy() || rested <= lookAgain:
		return false, false
	case rested > lookShare*o.turn.Ended.Sub(o.turn.Begun):
		return true, false
	}
	return !o.early && o.turn.Begun.Before(since), true
}

// ownAnchor is the name of the look below our own trust anchor. Looks below others have names made of the installation's name.
const ownAnchor = "own"

// see is what is published below a trust anchor, by a look that began after since. While there is none it is nil, with the error of the
// last look if that failed; a new look begins in the background when it is due. Roots are TLS authorities, in PEM. It never waits.
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
	now := time.Now()
	if due, early := o.due(since, now); due && o.turn.Begin(now) {
		o.early = early
		m.background.start(func() { m.observe(ctx, name, tal, roots, o) })
	}
	if o.report != nil && o.report.At.Before(since) {
		return nil, o.err
	}
	return o.report, o.err
}

// forgetObservations removes the caches of all looks. It is called when no transfer is under way.
func (m *Mover) forgetObservations() {
	m.observed.mu.Lock()
	defer m.observed.mu.Unlock()
	for _, o := range m.observed.of {
		if o.turn.Busy() {
			return
		}
	}
	m.observed.of = nil
	if err := os.RemoveAll(filepath.Join(m.dir, cacheDir)); err != nil {
		m.log.Warn("what looks at other repositories left in the data directory cannot be removed", "error", err)
	}
}

// cacheDir is where looks cache what they fetched, below the data directory.
const cacheDir = "looks"

// observe has our relying party look once at what is published below a trust anchor, and keeps the result in o.
func (m *Mover) observe(ctx context.Context, name, tal, roots string, o *observation) {
	look := m.Look
	if look == nil {
		look = m.engine.Federation.Relying
	}
	report, err := look(ctx, filepath.Join(m.dir, cacheDir, relying.Folder(name)), tal, roots)
	m.observed.mu.Lock()
	o.turn.End(time.Now(), err, due.Backoff{}) // a look that failed waits no longer than others
	if o.err = err; err == nil {
		o.report = report
	}
	m.observed.mu.Unlock()
	m.poke()
}

// lack is what is missing before a step, and who has to provide it; the zero value if nothing is. If it is unsure, no relying party
// could look: then the recipient's side counts neither as seen nor as lost.
type lack struct {
	holdings.Waiting
	unsure bool
}

func lacks(w holdings.Waiting) lack { return lack{w, false} }

// lacksOf is the lack that the engine describes in words.
func lacksOf(says string, on holdings.Party) lack {
	if says == "" {
		return lack{}
	}
	return lacks(holdings.Waiting{For: needAuthorities, Says: says, On: on})
}

// nobodySaw is the lack of a look at what an installation publishes, or for "" at what is published here, and the reason.
func nobodySaw(installation string, why error) lack {
	w := holdings.Waiting{For: needLook, Of: installation}
	if why != nil {
		w.Says = why.Error()
	}
	return lack{w, true}
}

// missing is the part of an accepted transfer's recipient side that is not published yet; the zero value if all of it is.
func (m *Mover) missing(ctx context.Context, t *holdings.Transfer) (lack, error) {
	if t.Outgoing() {
		return m.missingElsewhere(ctx, t)
	}
	if why, err := m.offer(t); why != "" || err != nil {
		return lacksOf(why, holdings.Party{}), err
	}
	var want map[string][]payload.Payload
	if err := m.engine.Read(func(l *holdings.Ledger, b *roa.Book) (err error) {
		want, err = agreed(l, t, b)
		return err
	}); err != nil {
		return lack{}, err
	}
	for _, leg := range t.Legs {
		if _, delegated := m.engine.Delegated(leg.To); delegated && t.Forced {
			continue
		}
		s, err := m.engine.Stands(leg.To, leg.Resources, want[leg.To])
		var on holdings.Party
		if s.Delegated && (s.Missing == "" || s.Repository == "") { // otherwise an authority above it is behind
			on = onCA(leg.To)
		}
		if err != nil || s.Missing != "" {
			return lacksOf(s.Missing, on), err
		}
		if t.Seen.IsZero() && s.Pending != "" { // once seen, it counts as published until it is missing
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

// missingDelegated is what a recipient does not publish yet where its CA, or the donor's, is elsewhere. The recipient has to publish
// what was agreed on and, if the holder stays the same, all that is valid below the donor's CA for what moves. A relying party tells.
func (m *Mover) missingDelegated(ctx context.Context, t *holdings.Transfer, leg holdings.Leg, want []payload.Payload) (lack, error) {
	donors, l, err := m.donorsShown(ctx, t, leg)
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
		return nobodySaw("", err), nil // the error becomes part of what the transfer waits for, and the next look follows
	case report == nil:
		return nobodySaw("", nil), nil
	}
	m.noteBasis(t, report)
	return notShown(report, m.engine.CertificatesOf(leg.To), leg.To, leg, append(want, donors...)), nil
}
