package moves

import (
	"fmt"
	"time"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/term"
	"cadastre/internal/transferwire"
	"cadastre/roa"
)

// Silence is how long another installation has been silent, where nobody says otherwise, before what is under way with it may end
// without its word.
const Silence = 7 * 24 * time.Hour

// Abandon ends a transfer with another installation that has been silent for so long that it is gone, without its word. What is
// not final is cancelled: the source's side was never touched, and the recipient's side goes. With keep the recipient's side stays
// instead, as if the source had finalised: for when the source had, or will never come back to what it held. Of a transfer that both
// have accepted the recipient's side can't know whether the source has finalised, and so a silence of less than Silence is not enough.
//
// It fails with NotFound, with BadInput for so short a silence, and with Conflict where there is nothing to abandon, or the other
// installation is not silent.
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
	text := fmt.Sprintf("abandoned: no word of %s since %s", t.Peer, heard.UTC().Format(time.RFC3339))
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

// lastHeard is when the other installation of a transfer was heard last; where it never was, when the transfer began.
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
		last = later(last, w.Heard)
	}
	return later(last, p.Contact), nil
}

// atOdds tells whether the other side has another end of a transfer that is over here, and which. The source's side will never hear
// then that the other knows of its own.
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

// odds is what it means that the two sides of a transfer ended differently, in words; empty where they did not.
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
