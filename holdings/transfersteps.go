package holdings

import (
	"slices"
	"time"

	"cadastre/internal/fault"
)

// The following resolve steps of transfers that do not change what anybody holds. Each fails with NotFound where there is no such transfer,
// and with Conflict where the step may not be taken now. Text goes into the record.

// note resolves one step of some transfers. Change makes other changes of the record, and may refuse the step.
func (l *Ledger) note(by By, ids []uint64, step Step, text string, change func(*Transfer) error) (*Outcome, error) {
	return l.each(by, ids, text, func(d *draft, id uint64, text string) error {
		t, err := l.taking(id, step)
		if err == nil && change != nil {
			err = change(t)
		}
		if err == nil {
			err = d.step(t, step, text)
		}
		if err != nil {
			return err
		}
		return d.checkTaken(t)
	})
}

// See resolves that the recipient's side of transfers is seen to be published, from the time of the decision on.
func (l *Ledger) See(by By, ids []uint64) (*Outcome, error) {
	return l.note(by, ids, StepSeen, "", func(t *Transfer) error { t.Seen = second(by.Time); return nil })
}

// Lose resolves that the recipient's side of transfers is not seen any more.
func (l *Ledger) Lose(by By, ids []uint64) (*Outcome, error) {
	return l.note(by, ids, StepLost, "", func(t *Transfer) error { t.Seen = time.Time{}; return nil })
}

// Release resolves that nothing of the side that lost is certified any more: the transfers are done.
func (l *Ledger) Release(by By, ids []uint64) (*Outcome, error) {
	return l.note(by, ids, StepReleased, "", func(t *Transfer) error { t.Released = second(by.Time); return nil })
}

// Approve resolves that the recipient's registry agrees, and adds routes of the recipient's own.
func (l *Ledger) Approve(by By, id uint64, routes []Route, text string) (*Outcome, error) {
	return l.note(by, []uint64{id}, StepApproved, text, func(t *Transfer) error {
		if !t.When(StepApproved).IsZero() {
			return fault.New(fault.Conflict, "transfer %d is approved already", id)
		}
		for _, r := range routes {
			if !slices.Contains(t.Routes, r) {
				t.Routes = append(slices.Clip(t.Routes), r)
			}
		}
		return nil
	})
}

// Object resolves that the source's registry objects to a transfer, on a ground that its policy lists (MayObject). Text is the ground and
// the reason.
func (l *Ledger) Object(by By, id uint64, ground, text string) (*Outcome, error) {
	return l.note(by, []uint64{id}, StepObjected, text, func(t *Transfer) error { return l.MayObject(t, ground, by.Time) })
}

// Consent resolves that the source's registry waives its right to object, before the time for that is over.
func (l *Ledger) Consent(by By, id uint64, text string) (*Outcome, error) {
	if t := l.Transfer(id); t != nil && (t.State != Initiated || t.Waits.IsZero() || !by.Time.Before(t.Waits)) {
		return nil, fault.New(fault.Conflict, "%s has nothing to consent to in transfer %d: it is %s, and nobody may object to it now", t.FromRegistry, id, t.State)
	}
	return l.note(by, []uint64{id}, StepConsented, text, nil)
}

// Dispute parks a transfer, with both sides valid.
func (l *Ledger) Dispute(by By, id uint64, why string) (*Outcome, error) {
	return l.note(by, []uint64{id}, StepDisputed, why, func(t *Transfer) error { t.Disputed = why; return nil })
}

// Resolve ends a dispute that was raised here.
func (l *Ledger) Resolve(by By, id uint64, text string) (*Outcome, error) {
	return l.note(by, []uint64{id}, StepResolved, text, func(t *Transfer) error {
		switch {
		case t.Disputed == "" && t.DisputedThere != "":
			return fault.New(fault.Conflict, "it is %s that disputes transfer %d, and has to resolve that (%s)", t.Peer, id, t.DisputedThere)
		case t.Disputed == "" && t.last(StepObjected, StepResolved) != StepObjected:
			return fault.New(fault.Conflict, "transfer %d is not disputed", id)
		}
		t.Disputed = ""
		return nil
	})
}

// DisputeThere resolves that the other installation disputes a transfer; without a reason, that it does not any more.
func (l *Ledger) DisputeThere(by By, id uint64, why string) (*Outcome, error) {
	step := StepDisputed
	if why == "" {
		step = StepResolved
	}
	return l.note(by, []uint64{id}, step, why, func(t *Transfer) error { t.DisputedThere = why; return nil })
}

// ResolveAll ends all disputes about a transfer, here and elsewhere.
func (l *Ledger) ResolveAll(by By, id uint64, text string) (*Outcome, error) {
	return l.note(by, []uint64{id}, StepResolved, text, func(t *Transfer) error { t.Disputed, t.DisputedThere = "", ""; return nil })
}

// Hold resolves that a transfer's finalisation, or the next batch of a handoff, waits until it is released; with hold false, that it is
// released.
func (l *Ledger) Hold(by By, id uint64, hold bool, text string) (*Outcome, error) {
	step := StepHeld
	if !hold {
		step = StepLetGo
	}
	return l.note(by, []uint64{id}, step, text, func(t *Transfer) error { t.Held = hold; return nil })
}

// Carry resolves that these routes and other objects go along with an incoming transfer, as its source says now.
func (l *Ledger) Carry(by By, id uint64, routes []Route, objects []Said) (*Outcome, error) {
	return l.note(by, []uint64{id}, StepRoutes, "", func(t *Transfer) error {
		t.Carried, t.CarriedObjects = routes, objects
		return nil
	})
}

// WishOff resolves that the recipient's side of an incoming transfer wants it cancelled.
func (l *Ledger) WishOff(by By, id uint64, text string) (*Outcome, error) {
	return l.note(by, []uint64{id}, StepWishedOff, text, nil)
}

// Announce resolves that the installation that an outgoing transfer went to knows of its end.
func (l *Ledger) Announce(by By, id uint64, text string) (*Outcome, error) {
	return l.note(by, []uint64{id}, StepAnnounced, text, nil)
}

// Force has a transfer not wait for CAs elsewhere.
func (l *Ledger) Force(by By, id uint64, text string) (*Outcome, error) {
	return l.note(by, []uint64{id}, StepForced, text, func(t *Transfer) error { t.Forced = true; return nil })
}
