package moves

import (
	"time"

	"cadastre/holdings"
)

// noted is what the mover found a transfer to wait for when it last looked, and how many steps the transfer had then.
type noted struct {
	steps int
	holdings.Waiting
}

// The parties that a transfer can wait on.
func onInstallation(name string) holdings.Party {
	return holdings.Party{Kind: holdings.OfInstallation, Name: name}
}

func onCA(holder string) holdings.Party { return holdings.Party{Kind: holdings.OfCA, Name: holder} }

var (
	onAuthorities = holdings.Party{Kind: holdings.OfAuthorities}
	onDaemon      = holdings.Party{Kind: holdings.OfDaemon}
	onOperator    = holdings.Party{Kind: holdings.OfOperator}
)

// noteWaiting notes what a transfer waits for; the zero value if the ledger knows that. If w.On is not set, the party is the one that
// follows from the transfer's state.
func (m *Mover) noteWaiting(t *holdings.Transfer, w holdings.Waiting) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting[t.ID] = noted{len(t.Steps), w}
}

// noteRefusal notes why a transfer's step was refused, and tells whether that is news.
func (m *Mover) noteRefusal(id uint64, err error) (news bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	was, now := m.refusals[id], err.Error()
	m.refusals[id] = now
	return was != now
}

// refusal is why a transfer's last step was refused; empty where it was not.
func (m *Mover) refusal(id uint64) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.refusals[id]
}

// awaits is what a transfer waits for now. It is what the mover noted since the transfer's last step. If the mover noted nothing since
// then, it is what the ledger knows.
func (m *Mover) awaits(l *holdings.Ledger, t *holdings.Transfer, now time.Time) []holdings.Waiting {
	list := l.Awaits(t, now)
	if len(list) != 1 {
		return list
	}
	w := &list[0]
	if t.Outgoing() && w.For == holdings.NeedAcceptance {
		there := m.waitsElsewhere(t)
		w.For, w.Of, w.Says = there.For, there.Of, there.Says
	}
	if at, odds := m.atOdds(t); odds && t.Outgoing() && t.When(holdings.StepAnnounced).IsZero() {
		w.For, w.Of, w.Says, w.Transfer = needSettlement, t.Peer, at, t.ID
		return list
	}
	if w.On == onDaemon {
		w.Refused = m.refusal(t.ID)
	}
	m.mu.Lock()
	n, ok := m.waiting[t.ID]
	m.mu.Unlock()
	switch fresh := ok && n.For != "" && n.steps == len(t.Steps); {
	case !fresh:
		return list
	case w.On != onAuthorities && w.On != onDaemon && w.On != onInstallation(t.Peer):
		return list // it waits for a decision, a dispute or a time: the ledger knows that
	}
	if n.On == (holdings.Party{}) {
		n.On = w.On
	}
	return []holdings.Waiting{n.Waiting}
}
