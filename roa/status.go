package roa

import (
	"fmt"
	"strings"

	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/intents"
	"cadastre/internal/store"
)

// State says how much of an intent stands.
type State string

// The states of an intent.
const (
	Live    State = "live"    // all that it rests on is held: its prefix, or its customer AS
	Part    State = "part"    // a part of its prefix is held, and authorised
	Parked  State = "parked"  // nothing of it is held; it comes back with the resources
	Pending State = "pending" // all of its prefix is held, and readers do not see all of it yet; package ca sets it
)

// Status is the status of an intent, and the reason.
type Status struct {
	State    State    `json:"state"`
	VRPs     []VRP    `json:"vrps,omitempty"`
	Lost     inr.Set  `json:"lost,omitzero"`      // what is not held of that
	Decision uint64   `json:"decision,omitempty"` // the newest decision that took something of it, 0 where none is known
	To       []string `json:"to,omitempty"`       // who holds what was lost, the lowest in the tree, sorted
	Reason   string   `json:"reason,omitempty"`   // all of that in a sentence
	BGP      *InBGP   `json:"bgp,omitempty"`      // of a ROA, how it stands to what is announced; nil where that is not known; package ca sets it
}

// StatusOf is the status of a ROA intent. It fails with Corrupt only.
func StatusOf(in Intent, l *holdings.Ledger, r store.Reader) (Status, error) {
	holding := l.Holding(in.Holder)
	vrps, parked := Authorised(in, holding)
	s := Status{State: Live, VRPs: vrps, Lost: inr.OfPrefix(in.Prefix).Minus(holding)}
	if s.Lost.Empty() {
		return s, nil
	}
	if s.State = Part; parked {
		s.State = Parked
	}
	return s, s.why(in.Holder, l, r)
}

// StatusOfObject is the status of an intent for another signed object than a ROA. It fails with Corrupt only.
func StatusOfObject(in intents.Object, l *holdings.Ledger, r store.Reader) (Status, error) {
	holding := l.Holding(in.Holder)
	s := Status{State: Live, Lost: in.Says.Resources().Minus(holding)}
	if s.Lost.Empty() {
		return s, nil
	}
	s.State = Parked
	return s, s.why(in.Holder, l, r)
}

// why finds out why a holder does not hold what it lost, and puts it into the status.
func (s *Status) why(holder string, l *holdings.Ledger, r store.Reader) error {
	for past, err := range holdings.Past(r, holder) {
		if err != nil {
			return err
		}
		if past.Resources.Overlaps(s.Lost) {
			s.Decision = max(s.Decision, past.Ended)
		}
	}
	s.To = l.PartHolders(s.Lost)
	s.Reason = fmt.Sprintf("%s does not hold %s", holder, s.Lost)
	if s.Decision != 0 {
		d, err := holdings.ReadDecision(r, s.Decision)
		if err != nil {
			return err
		}
		s.Reason = fmt.Sprintf("%s lost %s by decision %d of %s (%s)", holder, s.Lost, d.ID, d.Time.Format("2006-01-02"), d.Reason)
	}
	if len(s.To) > 0 {
		s.Reason += "; it is held by " + strings.Join(s.To, ", ")
	} else {
		s.Reason += "; no one holds it"
	}
	return nil
}
