package moves

import (
	"fmt"
	"time"

	"cadastre/holdings"
)

// waiting is what a transfer waits for, on whom, and until when that lasts at most, if it ends by itself.
type waiting struct {
	what, on string
	until    time.Time
}

// noted is what the mover found a transfer to wait for when it last looked, after so many steps.
type noted struct {
	steps int
	waiting
}

// Whom a transfer waits on where that is no registry and no holder.
const (
	onTime        = "time"
	onBoth        = "both registries"
	onAuthorities = "the authorities here"
	onDaemon      = "the daemon here"
	onOperator    = "an operator here"
)

// waits notes what a transfer waits for, where that is something here.
func (m *Mover) waits(t *holdings.Transfer, what string) { m.waitsOn(t, waiting{what: what}) }

// waitsOn notes what a transfer waits for. On whom may be left to what its state says.
func (m *Mover) waitsOn(t *holdings.Transfer, w waiting) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting[t.ID] = noted{len(t.Steps), w}
}

// stuck notes why a transfer's step was refused, and tells whether that is news.
func (m *Mover) stuck(id uint64, err error) (news bool) {
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

// awaits is what a transfer waits for now. What the mover noted before the transfer's last step is of no more interest, and
// where it has not looked since, the ledger tells enough.
func (m *Mover) awaits(l *holdings.Ledger, t *holdings.Transfer, now time.Time) waiting {
	w := dueNext(l, t, now)
	if t.Outgoing() && w.on == t.ToRegistry && t.State == holdings.Initiated && t.Parked() == "" {
		w.what = m.waitsElsewhere(t)
	}
	if at, odds := m.atOdds(t); odds && t.Outgoing() && t.When(holdings.StepAnnounced).IsZero() {
		w.what = fmt.Sprintf("that somebody settles it with %s, where it is %s, and ends it here ('cadastre transfer abandon %d')", t.Peer, at, t.ID)
		return w
	}
	if why := m.refusal(t.ID); why != "" && w.on == onDaemon {
		w.what += ", and was refused: " + why
	}
	m.mu.Lock()
	n, ok := m.waiting[t.ID]
	m.mu.Unlock()
	switch fresh := ok && n.what != "" && n.steps == len(t.Steps); {
	case !fresh:
		return w
	case w.on != onAuthorities && w.on != onDaemon && (w.on != t.Peer || t.Local()):
		return w // a decision, a dispute or time, of which the ledger knows all
	}
	if n.on == "" {
		n.on = w.on
	}
	return n.waiting
}

// dueNext is what a transfer waits for as far as the ledger tells.
func dueNext(l *holdings.Ledger, t *holdings.Transfer, now time.Time) waiting {
	if why := t.Parked(); !t.State.Over() && why != "" {
		return waiting{what: "that the dispute is resolved: " + why, on: onBoth}
	}
	switch t.State {
	case holdings.Initiated:
		if t.Within != 0 {
			return waiting{what: "its turn, which the handoff gives it", on: onDaemon}
		}
		if j := l.Judge(t, now); len(j.Waits) > 0 {
			return judged(t, j)
		} else if j.Lapsed != "" {
			return waiting{what: "its cancellation, since " + j.Lapsed, on: onDaemon}
		}
		return waiting{what: "its acceptance, which is due", on: onDaemon}
	case holdings.Accepted:
		return finalisationOf(t, now)
	}
	switch {
	case t.Done():
		return waiting{}
	case t.Outgoing() && t.When(holdings.StepAnnounced).IsZero():
		return waiting{what: "that " + t.Peer + " knows that it is over", on: t.Peer}
	case t.State == holdings.Cancelled:
		return waiting{what: "that what the recipient's side had got is withdrawn", on: onAuthorities}
	}
	return waiting{what: "that what the source's side had is withdrawn", on: onAuthorities}
}

// finalisationOf is what an accepted transfer waits for.
func finalisationOf(t *holdings.Transfer, now time.Time) waiting {
	soaked := t.Seen.Add(t.Soak)
	const soak = "that readers have had the time to see the recipient's side"
	switch {
	case t.Handoff != nil && !t.Seen.IsZero():
		w := waiting{what: "that its holders have moved", on: onDaemon}
		if t.Held {
			w = waiting{what: "that it is resumed ('cadastre handoff resume')", on: t.ToRegistry}
		}
		return w
	case t.Incoming() && !t.When(holdings.StepWishedOff).IsZero():
		return waiting{what: "that " + t.FromRegistry + " cancels it, as is wished here", on: t.Peer}
	case t.Incoming():
		return waiting{what: "that " + t.FromRegistry + " finalises it", on: t.Peer}
	case t.Seen.IsZero() && t.Outgoing():
		return waiting{what: "that " + t.Peer + " publishes its side", on: t.Peer}
	case t.Seen.IsZero():
		return waiting{what: "that the recipient's side is published", on: onAuthorities}
	case now.Before(soaked) && t.Held:
		return waiting{soak + ", and then for a word of the source, which holds it back", onTime, soaked}
	case now.Before(soaked):
		return waiting{soak, onTime, soaked}
	case t.Held:
		return waiting{what: "a word of the source, which holds it back", on: t.FromRegistry}
	}
	return waiting{what: "its finalisation, which is due", on: onDaemon}
}
