// Package moves carries transfers of resources from their initiation to their end, so that no VRP is missing in between.
//
// The ledger keeps each transfer and says which steps are allowed. Certificates follow from the ledger: they grow before they shrink.
// This package decides when the next step is due: when the recipient's side is published, when it has been seen for the soak, and when
// nothing of the donor's side is left. Every step is a decision of the ledger, which is durable before anything follows from it. After
// a restart the state of each transfer is read from the ledger.
//
// States and their order are those of draft-nro-sidrops-ta-constraints: between acceptance and finalisation both sides are certified
// for the resources, and until finalisation the donor's side is not changed.
//
// The package is large: a transfer inside, one between two installations and a handoff share each step, its observation and its proof.
package moves

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/due"
	"cadastre/internal/fault"
	"cadastre/internal/intents"
	"cadastre/internal/peer"
	"cadastre/internal/principal"
	"cadastre/roa"
)

// Mover carries the transfers of one installation.
type Mover struct {
	engine   *ca.Engine
	dir      string
	log      *slog.Logger
	wake     due.Signal
	observed observations

	background background // looks and calls that are under way
	contacts   contacts
	senders    senders
	allowances allowances
	merging    sync.Mutex // held while a report of another installation is taken and followed

	// The following are set before Run, or not at all.
	Trace *peer.Tracer // of messages to and from other installations
	HTTP  *http.Client // for messages to them; nil for one that fits
	Look  Look         // how to look at what is published; nil for federation.Federation.Relying

	mu       sync.Mutex
	reports  map[string]*peerReport       // by reportKey
	waiting  map[uint64]noted             // what each transfer was last seen to wait for
	seenAt   map[uint64]time.Time         // when transfers that soak were last looked at
	refusals map[uint64]string            // why the last step of each was refused
	refused  map[uint64]map[string]string // by handoff: holders whose transfers could not begin, and why
}

// Self is who takes, in the log of decisions, the steps that the mover takes by itself.
var Self = principal.Part("transfer")

const (
	lookEvery  = time.Second      // while the next serial may make a step due
	retryAfter = 30 * time.Second // after a failure
)

// New is a mover for the engine of a data directory.
func New(e *ca.Engine, dir string, log *slog.Logger) *Mover {
	m := &Mover{
		engine: e, dir: dir, log: log, wake: due.NewSignal(), reports: map[string]*peerReport{},
		waiting: map[uint64]noted{}, seenAt: map[uint64]time.Time{}, refusals: map[uint64]string{}, refused: map[uint64]map[string]string{},
	}
	e.Federation.Registries = m.peerNames
	return m
}

// Run takes the steps that are due until ctx ends. A step that fails is logged and tried again.
func (m *Mover) Run(ctx context.Context) {
	for ctx.Err() == nil {
		wait, err := m.Step(ctx)
		if err != nil && ctx.Err() == nil {
			m.log.Error("a transfer's next step failed and will be tried again; both sides stay as they are", "error", err, "kind", fault.KindOf(err))
			wait = retryAfter
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-m.wake:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// poke has Run look again at once.
func (m *Mover) poke() {
	m.wake.Send()
}

// dueSteps lists the transfers that are ready for each step. Each list is one decision.
type dueSteps struct {
	accept, finalise, seen, lost, released []uint64
}

// Step takes the steps that are due now, and returns after how long it is to be called again.
func (m *Mover) Step(ctx context.Context) (time.Duration, error) {
	if m.engine.Frozen() != nil {
		return retryAfter, nil //nolint:nilerr // a soak cannot be measured while the clock may be wrong
	}
	var open []*holdings.Transfer
	if err := m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		open = l.Unrest()
		return nil
	}); err != nil {
		return 0, err
	}
	if len(open) == 0 {
		m.forgetObservations()
	}
	now := time.Now()
	next, ready := now.Add(time.Hour), dueSteps{}
	if at, err := m.correspond(ctx, open, now); err != nil {
		return 0, err
	} else if !at.IsZero() {
		next = earliest(next, at)
	}
	for _, t := range open {
		at, err := m.look(ctx, t, now, &ready)
		if err != nil {
			return 0, fault.Wrap(err, "transfer %d", t.ID)
		}
		if !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	taken, refused, err := m.take(&ready)
	switch {
	case taken:
		return 0, err
	case refused:
		next = earliest(next, now.Add(retryAfter))
	}
	return max(time.Until(next), 0), err
}

// Underway tells whether a transfer with another installation is accepted and not over. Its next steps are taken by the two programs; before that
// they are people's.
func (m *Mover) Underway() (yes bool) {
	_ = m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		yes = slices.ContainsFunc(l.Unrest(), func(t *holdings.Transfer) bool { return !t.Local() && t.State == holdings.Accepted })
		return nil
	})
	return yes
}

// look finds the step that one transfer is ready for. If there is none, it returns when to look again; zero if another event will tell.
func (m *Mover) look(ctx context.Context, t *holdings.Transfer, now time.Time, ready *dueSteps) (time.Time, error) {
	if !t.Local() && !t.State.Over() && m.distrusted(t.Peer) {
		m.noteWaiting(t, holdings.Waiting{For: needTrust, Of: t.Peer, On: onOperator})
		return now.Add(time.Minute), nil
	}
	if !t.Local() { // a report that came before a crash, or while something failed, is followed now
		m.merging.Lock()
		err := m.follow(ctx, t.ID)
		m.merging.Unlock()
		switch {
		case own(err):
			m.noteRefusal(t.ID, err)
			return now.Add(retryAfter), nil
		case err != nil:
			return time.Time{}, err
		}
	}
	switch t.State {
	case holdings.Initiated:
		return m.lookAtInitiated(ctx, t, now, ready)
	case holdings.Accepted:
		return m.lookAtAccepted(ctx, t, now, ready)
	}
	return m.lookAtOver(t, now, ready)
}

// lookAtInitiated finds whether a transfer can be accepted.
func (m *Mover) lookAtInitiated(ctx context.Context, t *holdings.Transfer, now time.Time, ready *dueSteps) (time.Time, error) {
	if t.Within != 0 {
		return time.Time{}, nil // lookAtHandoff begins it when it is its turn
	}
	var j holdings.Assessment
	if err := m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		j = l.Assess(t, now)
		return nil
	}); err != nil {
		return time.Time{}, err
	}
	switch {
	case j.Lapsed != "":
		return now, m.lapse(t.ID, j.Lapsed)
	case !j.Ready() || t.Outgoing():
		return j.Next(), nil
	}
	if t.Incoming() {
		lacking, err := m.missingToAccept(ctx, t, now)
		if m.noteWaiting(t, lacking); err != nil || lacking.For != "" {
			return now.Add(lookAgain), err
		}
	}
	ready.accept = append(ready.accept, t.ID)
	return time.Time{}, m.keepLook(t)
}

// missingToAccept is what an incoming transfer still needs before it can be accepted. The ledger has to allow it, a parent elsewhere
// has to certify what moves where there is one above the recipient, and the source has to prove that it holds what moves.
func (m *Mover) missingToAccept(ctx context.Context, t *holdings.Transfer, now time.Time) (holdings.Waiting, error) {
	err := m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		_, err := l.Accept(holdings.By{Who: Self, Time: now}, t.ID, "")
		return err
	})
	switch {
	case own(err):
		m.noteRefusal(t.ID, err)
		return holdings.Waiting{For: needSettling, Says: err.Error(), On: onOperator}, nil
	case err != nil:
		return holdings.Waiting{}, err
	}
	if without, err := m.missingParent(t); err != nil || without.For != "" {
		return without, err
	}
	lacking, err := m.missingProof(ctx, t)
	return lacking.Waiting, err
}

// lookAtAccepted finds whether the recipient's side is published, whether the soak is over, and whether the transfer can be finalised.
func (m *Mover) lookAtAccepted(ctx context.Context, t *holdings.Transfer, now time.Time, ready *dueSteps) (time.Time, error) {
	if t.Incoming() {
		return m.lookAtIncoming(t, now) // the source decides what comes next
	}
	if until := m.restsUntil(t, now); !until.IsZero() {
		return until, nil
	}
	missing, err := m.missing(ctx, t)
	if err != nil {
		return time.Time{}, err
	}
	switch {
	case missing.unsure:
		m.noteWaiting(t, missing.Waiting)
		return now.Add(lookAgain), nil
	case missing.For != "" && !t.Seen.IsZero():
		m.noteLook(t, time.Time{})
		ready.lost = append(ready.lost, t.ID)
		return time.Time{}, m.keepLook(t)
	case missing.For != "":
		m.noteWaiting(t, missing.Waiting)
		return now.Add(lookEvery), nil
	case t.Seen.IsZero():
		ready.seen = append(ready.seen, t.ID)
		return time.Time{}, m.keepLook(t)
	case t.Parked() != "":
		return now.Add(time.Minute), nil
	case t.Handoff == nil && now.Before(t.Soaked()):
		m.noteLook(t, now)
		return m.restsUntil(t, now), nil
	case t.Held:
	case t.Handoff != nil:
		return m.lookAtHandoff(t, now, ready)
	default:
		if t.Outgoing() {
			if w, err := m.peerReportOf(t.Peer, t.Ref); err != nil || w == nil || w.Unsure || w.Heard.Before(heardSince(t, now)) {
				m.noteWaiting(t, holdings.Waiting{For: needReport, Of: t.Peer, On: onInstallation(t.Peer)})
				return now.Add(lookAgain), err
			}
		}
		ready.finalise = append(ready.finalise, t.ID)
		return time.Time{}, m.keepLook(t)
	}
	return time.Time{}, nil
}

// lookAtIncoming looks after our side of an accepted incoming transfer: it brings the intents, offers CAs elsewhere their new parent,
// and notes which certificates are missing. The source takes the next step.
func (m *Mover) lookAtIncoming(t *holdings.Transfer, now time.Time) (time.Time, error) {
	if err := m.bring(t); err != nil {
		return time.Time{}, err
	}
	if hindered, err := m.offer(t); err != nil || hindered != "" {
		m.noteWaiting(t, holdings.Waiting{For: needAuthorities, Says: hindered, On: onAuthorities})
		return now.Add(retryAfter), err
	}
	for _, leg := range t.Legs {
		if len(m.engine.CertificatesOf(leg.To)) == 0 {
			w := holdings.Waiting{For: needCertificate, Of: leg.To, Resources: leg.Resources, On: onAuthorities}
			if _, delegated := m.engine.Delegated(leg.To); delegated {
				w.On = onCA(leg.To)
			}
			m.noteWaiting(t, w)
			return now.Add(lookEvery), nil
		}
	}
	m.noteWaiting(t, holdings.Waiting{})
	return now.Add(time.Minute), nil
}

// restsUntil is when a transfer that soaks is to be looked at again; zero if that is now.
func (m *Mover) restsUntil(t *holdings.Transfer, now time.Time) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if until := earliest(t.Soaked(), m.seenAt[t.ID].Add(time.Minute)); t.Parked() == "" && now.Before(until) {
		return until
	}
	return time.Time{}
}

func (m *Mover) noteLook(t *holdings.Transfer, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seenAt[t.ID] = at; at.IsZero() {
		delete(m.seenAt, t.ID)
	}
}

// lookAtOver finds whether anything is still certified for the side that lost.
func (m *Mover) lookAtOver(t *holdings.Transfer, now time.Time, ready *dueSteps) (time.Time, error) {
	m.noteLook(t, time.Time{})
	if err := m.settleRoutes(t); err != nil {
		return time.Time{}, err
	}
	var holders []string
	err := m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		giving, taking := l.Involved(t)
		if holders = giving; t.State == holdings.Cancelled {
			holders = taking
		}
		return nil
	})
	if err != nil {
		return time.Time{}, err
	}
	left, err := m.engine.Clear(holders, t.Resources)
	switch {
	case err != nil:
		return time.Time{}, err
	case left.Delegated:
		m.noteWaiting(t, holdings.Waiting{For: needAuthorities, Says: left.Missing, On: onCA(left.Holder), Until: left.Notice})
		return now.Add(lookAgain), nil
	case left.Missing != "":
		m.noteWaiting(t, holdings.Waiting{For: needAuthorities, Says: left.Missing})
		return now.Add(lookEvery), nil
	case t.Outgoing() && t.When(holdings.StepAnnounced).IsZero():
		m.noteWaiting(t, holdings.Waiting{})
		return time.Time{}, nil
	}
	if t.State == holdings.Cancelled {
		if err := m.withdrawOffers(t); err != nil {
			return time.Time{}, err
		}
	}
	ready.released = append(ready.released, t.ID)
	return time.Time{}, nil
}

// take takes the steps that are ready, each kind in one decision. It tells whether a step was taken, and whether one was refused.
func (m *Mover) take(ready *dueSteps) (taken, refused bool, err error) {
	now := time.Now()
	for _, step := range []struct {
		ids     []uint64
		reason  string
		resolve func(*holdings.Ledger, holdings.By, []uint64) (*holdings.Outcome, error)
	}{
		{ready.accept, "both sides agree", func(l *holdings.Ledger, by holdings.By, ids []uint64) (*holdings.Outcome, error) {
			return l.AcceptAll(by, ids, "")
		}},
		{ready.lost, "the recipient's side is not seen any more", func(l *holdings.Ledger, by holdings.By, ids []uint64) (*holdings.Outcome, error) {
			return l.Lose(by, ids)
		}},
		{ready.seen, "the recipient's side is published", func(l *holdings.Ledger, by holdings.By, ids []uint64) (*holdings.Outcome, error) {
			return l.See(by, ids)
		}},
		{ready.finalise, "the recipient's side was seen for long enough", func(l *holdings.Ledger, by holdings.By, ids []uint64) (*holdings.Outcome, error) {
			return l.FinaliseAll(by, ids, "")
		}},
		{ready.released, "nothing is certified any more for who lost it", func(l *holdings.Ledger, by holdings.By, ids []uint64) (*holdings.Outcome, error) {
			return l.Release(by, ids)
		}},
	} {
		if len(step.ids) == 0 {
			continue
		}
		by := holdings.By{Who: Self, Reason: step.reason, Time: now}
		did, err := m.each(step.ids, func(ids []uint64) error { return m.step(by, ids, step.resolve) })
		if taken, refused = taken || did, refused || !did; err != nil {
			return taken, refused, err
		}
	}
	return taken, refused, nil
}

// step takes one step of some transfers in one decision. When they are accepted, the recipients' intents are added in the same decision,
// so that their authorities issue the ROAs from the beginning.
func (m *Mover) step(by holdings.By, ids []uint64, resolve func(*holdings.Ledger, holdings.By, []uint64) (*holdings.Outcome, error)) error {
	_, err := m.engine.Decide(ca.Consent{Unbraked: true}, func(l *holdings.Ledger, b *roa.Book) (*holdings.Outcome, *roa.Outcome, error) {
		o, err := resolve(l, by, ids)
		if err != nil {
			return nil, nil, err
		}
		var brought []roa.Intent
		var objects intents.ObjectChange
		for i := range o.Transfers {
			if t := &o.Transfers[i]; t.State == holdings.Accepted && t.Seen.IsZero() {
				brought = append(brought, wanted(l, t, b)...)
				c, err := bringObjects(t, b)
				if err != nil {
					return nil, nil, err
				}
				objects.Added, objects.Removed = append(objects.Added, c.Added...), append(objects.Removed, c.Removed...)
			}
		}
		out := b.Bring(brought)
		out.Objects = objects
		return o, out, nil
	})
	if err == nil {
		m.mu.Lock()
		for _, id := range ids {
			delete(m.refusals, id)
		}
		m.mu.Unlock()
		m.log.Info("transfers took a step", "why", by.Reason, "transfers", ids)
	}
	return err
}

// each calls do for all transfers at once. If that is refused, it calls do for each transfer alone, so that one that is refused does
// not delay the others.
func (m *Mover) each(ids []uint64, do func([]uint64) error) (did bool, err error) {
	if err = do(ids); err == nil || !own(err) {
		return err == nil, err
	}
	for _, id := range ids {
		if len(ids) > 1 {
			if err = do([]uint64{id}); err == nil {
				did = true
				continue
			}
		}
		if !own(err) {
			return did, err
		}
		if m.noteRefusal(id, err) {
			m.log.Error("a transfer's next step was refused and will be tried again; both sides stay as they are", "transfer", id, "error", err)
		}
	}
	return did, nil
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
