package moves

import (
	"fmt"
	"time"

	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/term"
	"cadastre/internal/transferwire"
	"cadastre/roa"
)

// Silence is how long another installation must have been silent before a transfer with it may be abandoned. It is the default, and
// the least for a transfer that both sides have accepted.
const Silence = 7 * 24 * time.Hour

// Abandon ends a transfer here, without the other installation, when that has sent nothing for the given time. A transfer that is not
// final is cancelled: the source's side was never changed, and what the recipient's side got is withdrawn. With keep the recipient's
// side stays, as if the source had finalised the transfer. On the recipient's side of a transfer that both sides have accepted the
// given time must be at least Silence, since the source may have finalised already.
//
// It fails with NotFound, with BadInput where the given time is too short, and with Conflict where there is nothing to abandon, or the
// other installation was heard within that time.
func (m *Mover) Abandon(by holdings.By, id uint64, silence time.Duration, keep bool) error {
	var t *holdings.Transfer
	if err := m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) (err error) {
		t, err = find(l, id)
		return err
	}); err != nil {
		return err
	}
	distrusted := m.distrusted(t.Peer) // nothing that it says counts, and so it may as well be silent
	switch {
	case t.Local():
		return fault.New(fault.Conflict, "both sides of transfer %d are here: cancel it", id)
	case t.Done():
		return fault.New(fault.Conflict, "transfer %d is over, and waits for nothing", id)
	case keep && (t.Outgoing() || t.State != holdings.Accepted):
		return fault.New(fault.Conflict, "there is nothing to keep in transfer %d: only the recipient's side of one that both have accepted can stay", id)
	case t.Incoming() && t.State == holdings.Accepted && silence < Silence && !distrusted:
		return fault.New(fault.BadInput, "%s may have finalised transfer %d, and then nobody has what moved if this side ends: it takes a silence of %s, not %s",
			t.Peer, id, term.Text(Silence), term.Text(silence))
	}
	heard, err := m.lastHeard(t)
	if err != nil {
		return err
	}
	at, odds := m.atOdds(t)
	odds = odds && t.Outgoing() // the recipient's side needs no word to be done
	if quiet := by.Time.Sub(heard); quiet < silence && !odds && !distrusted {
		return fault.New(fault.Conflict, "%s was heard %s ago, and takes part in transfer %d: cancel it, or abandon it when %s has been silent for %s",
			t.Peer, term.Text(quiet.Round(time.Second)), id, t.Peer, term.Text(silence))
	}
	text := fmt.Sprintf("abandoned: nothing was heard of %s since %s", t.Peer, heard.UTC().Format(time.RFC3339))
	if odds {
		text = fmt.Sprintf("abandoned: at %s it is %s", t.Peer, at)
	}
	if by.Reason != "" {
		text += "; " + by.Reason
	}
	if !t.State.Over() {
		if err := m.decide(func(l *holdings.Ledger) (*holdings.Outcome, error) {
			if keep {
				return l.Finalise(by, id, text)
			}
			return l.Cancel(by, id, text)
		}); err != nil {
			return err
		}
	}
	if t.Incoming() {
		return nil
	}
	return m.decide(func(l *holdings.Ledger) (*holdings.Outcome, error) {
		now, err := find(l, id)
		if err != nil || !now.When(holdings.StepAnnounced).IsZero() {
			return &holdings.Outcome{}, err
		}
		return l.Announce(by, id, text)
	})
}

// lastHeard is the time of the last message from a transfer's other installation, or of the transfer's first step if that is later.
func (m *Mover) lastHeard(t *holdings.Transfer) (time.Time, error) {
	last := t.Steps[0].At
	p, err := m.ShowPeer(t.Peer)
	if err != nil {
		return last, err
	}
	w, err := m.peerReportOf(t.Peer, t.Ref)
	if err != nil {
		return last, err
	}
	if w != nil {
		last = issued.Later(last, w.Heard)
	}
	return issued.Later(last, p.Contact), nil
}

// atOdds tells whether a transfer that is over here ended differently at the other installation, and in which state. The other
// installation will then never confirm the end that the transfer has here.
func (m *Mover) atOdds(t *holdings.Transfer) (state string, yes bool) {
	if t.Local() || !t.State.Over() {
		return "", false
	}
	w, err := m.peerReportOf(t.Peer, t.Ref)
	if err != nil {
		return "", false
	}
	if r := w.recipient(); r != nil && t.Outgoing() {
		state = r.State
	} else if s := w.source(); s != nil && t.Incoming() {
		state = s.State
	}
	switch t.State {
	case holdings.Finalised:
		return state, state == transferwire.Cancelled
	case holdings.Cancelled:
		return state, state == transferwire.Finalised
	}
	return state, false
}

// odds says in words how the two sides of a transfer ended differently, and what follows; empty where they did not.
func (m *Mover) odds(t *holdings.Transfer) string {
	at, yes := m.atOdds(t)
	if !yes {
		return ""
	}
	source := string(t.State)
	if t.Incoming() {
		source = at
	}
	means := "both sides have what moved"
	if source == transferwire.Finalised {
		means = "neither side has what moved"
	}
	return fmt.Sprintf("it is %s here and %s at %s: %s, which the two have to settle", t.State, at, t.Peer, means)
}
