package moves

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"time"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/transferwire"
	"cadastre/roa"
)

// follow takes the steps of a transfer that follow from the other side's newest report. It may be called again: what is done already
// is not done twice, so after a crash the rest is done.
func (m *Mover) follow(ctx context.Context, id uint64) error {
	var t *holdings.Transfer
	err := m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) (err error) {
		t, err = find(l, id)
		return err
	})
	if err != nil || t.Local() || m.distrusted(t.Peer) {
		return err
	}
	w, err := m.peerReportOf(t.Peer, t.Ref)
	switch {
	case err != nil || w == nil:
		return err
	case t.Outgoing() && w.recipient() != nil:
		return m.followRecipient(t, w.recipient(), w.Unsure)
	case t.Incoming() && w.source() != nil:
		return m.followSource(ctx, t, w.source(), w.Unsure)
	}
	return nil
}

// followStep takes one step of a transfer because of another installation's report. Resolve gets the transfer as it is at that moment,
// and may find that there is nothing to do.
func (m *Mover) followStep(t *holdings.Transfer, reason string, resolve func(*holdings.Ledger, holdings.By, *holdings.Transfer) (*holdings.Outcome, error)) error {
	by := elsewhere(t.Peer, reason)
	_, err := m.engine.Decide(ca.Consent{Unbraked: true}, ca.OfLedger(func(l *holdings.Ledger) (*holdings.Outcome, error) {
		now, err := find(l, t.ID)
		if err != nil {
			return nil, err
		}
		o, err := resolve(l, by, now)
		if o == nil && err == nil {
			o = &holdings.Outcome{}
		}
		return o, err
	}))
	m.poke()
	return err
}

// followRecipient is what the source does with a report of the recipient's side. That side can accept the transfer, end it or dispute
// it. To end it is safe: until finalisation the donor's side is not changed.
func (m *Mover) followRecipient(t *holdings.Transfer, r *transferwire.Recipient, unsure bool) error {
	if t.State.Over() {
		return m.noteAnnounced(t, r)
	}
	if why, ends := ending(r); ends {
		return m.followStep(t, why, func(l *holdings.Ledger, by holdings.By, t *holdings.Transfer) (*holdings.Outcome, error) {
			if t.State.Over() {
				return nil, nil
			}
			return l.Cancel(by, t.ID, why)
		})
	}
	if err := m.followDispute(t, r.Disputed, unsure); err != nil {
		return err
	}
	if t.State != holdings.Initiated || r.State != transferwire.Accepted {
		return nil
	}
	err := m.followStep(t, t.Peer+" accepted it", func(l *holdings.Ledger, by holdings.By, t *holdings.Transfer) (*holdings.Outcome, error) {
		if t.State != holdings.Initiated || !sourceReady(l, t, by.Time) {
			return nil, nil
		}
		o, err := l.Accept(by, t.ID, "")
		kind := fault.KindOf(err)
		switch {
		case err != nil && kind != fault.NotHeld && kind != fault.NotFound && kind != fault.BadInput:
			return nil, err
		case err != nil:
			return l.Cancel(by, t.ID, "it can't be any more: "+err.Error())
		case !sameLegs(t.Legs, o.Transfers[0].Legs):
			return l.Cancel(by, t.ID, "what "+t.From+" holds or delegated on of it is not what it was at its beginning; begin the transfer anew")
		}
		return o, nil
	})
	if err == nil {
		m.log.Info("another installation has accepted a transfer", "transfer", t.ID, "name", t.Peer)
	}
	return err
}

// sourceReady tells whether the transfer waits for nothing on the source's side any more, such as an objection.
func sourceReady(l *holdings.Ledger, t *holdings.Transfer, now time.Time) bool {
	for _, w := range l.Assess(t, now).Waits {
		if w.For != holdings.ForAcceptance {
			return false
		}
	}
	return true
}

// sameLegs tells whether what moves now is what the other side accepted.
func sameLegs(was, now []holdings.Leg) bool {
	return slices.EqualFunc(was, now, func(a, b holdings.Leg) bool {
		return a.From == b.From && a.Resources.Equal(b.Resources) && reflect.DeepEqual(a.Parts, b.Parts)
	})
}

// ending tells whether the recipient's side wants a transfer to end, and why.
func ending(r *transferwire.Recipient) (why string, ends bool) {
	switch {
	case r.State == transferwire.Refused:
		return "refused: " + cmp.Or(r.Reason, "no reason given"), true
	case r.State == transferwire.Cancelled:
		return "cancelled by the recipient's side: " + cmp.Or(r.Reason, "no reason given"), true
	case r.Wish != "":
		return "the recipient's side wants it cancelled: " + r.Wish, true
	}
	return "", false
}

// noteAnnounced notes that the recipient's side knows of the end of a transfer.
func (m *Mover) noteAnnounced(t *holdings.Transfer, r *transferwire.Recipient) error {
	if !t.When(holdings.StepAnnounced).IsZero() || !knows(t, r) {
		return nil
	}
	return m.followStep(t, t.Peer+" knows that it is over", func(l *holdings.Ledger, by holdings.By, t *holdings.Transfer) (*holdings.Outcome, error) {
		if !t.When(holdings.StepAnnounced).IsZero() {
			return nil, nil
		}
		return l.Announce(by, t.ID, "")
	})
}

func knows(t *holdings.Transfer, r *transferwire.Recipient) bool {
	if t.State == holdings.Finalised {
		return r.State == transferwire.Finalised
	}
	return r.State == transferwire.Cancelled || r.State == transferwire.Refused
}

// followDispute notes that the other side disputes a transfer, or that its dispute is over. If the report is unsure a dispute is not
// ended.
func (m *Mover) followDispute(t *holdings.Transfer, why string, unsure bool) error {
	if t.DisputedThere == why || why == "" && unsure {
		return nil
	}
	return m.followStep(t, cmp.Or(why, "the dispute is resolved"), func(l *holdings.Ledger, by holdings.By, t *holdings.Transfer) (*holdings.Outcome, error) {
		if t.State.Over() || t.DisputedThere == why {
			return nil, nil
		}
		return l.DisputeThere(by, t.ID, why)
	})
}

// followSource is what the recipient's side does with a report of the source. Once both have accepted, the source alone decides.
func (m *Mover) followSource(ctx context.Context, t *holdings.Transfer, s *transferwire.Source, unsure bool) error {
	switch {
	case t.State.Over():
		return nil
	case s.State == transferwire.Cancelled:
		return m.followStep(t, cmp.Or(s.Reason, "the source cancelled it"), func(l *holdings.Ledger, by holdings.By, t *holdings.Transfer) (*holdings.Outcome, error) {
			if t.State.Over() {
				return nil, nil
			}
			return l.Cancel(by, t.ID, s.Reason)
		})
	case s.State == transferwire.Finalised && t.State == holdings.Accepted:
		return m.followFinalised(t)
	}
	if err := m.followDispute(t, s.Disputed, unsure); err != nil {
		return err
	}
	if err := m.followRoutes(ctx, t, s); err != nil {
		return err
	}
	if t.Held != s.Held {
		return m.followStep(t, "the source holds or releases it", func(l *holdings.Ledger, by holdings.By, t *holdings.Transfer) (*holdings.Outcome, error) {
			if t.State.Over() || t.Held == s.Held {
				return nil, nil
			}
			return l.Hold(by, t.ID, s.Held, "")
		})
	}
	return nil
}

// followFinalised finalises the transfer on the recipient's side, since the source did. If there is a dispute here, the source
// finalised before it knew of it, and the dispute cannot stop the transfer any more.
func (m *Mover) followFinalised(t *holdings.Transfer) error {
	if t.Parked() != "" {
		err := m.followStep(t, "the source had finalised", func(l *holdings.Ledger, by holdings.By, t *holdings.Transfer) (*holdings.Outcome, error) {
			if t.State != holdings.Accepted || t.Parked() == "" {
				return nil, nil
			}
			return l.ResolveAll(by, t.ID, "the source had finalised before it knew of this: "+t.Parked())
		})
		if err != nil {
			return err
		}
	}
	return m.followStep(t, "the source finalised it", func(l *holdings.Ledger, by holdings.By, t *holdings.Transfer) (*holdings.Outcome, error) {
		if t.State != holdings.Accepted {
			return nil, nil
		}
		return l.Finalise(by, t.ID, "")
	})
}

// followRoutes takes over the source's newest lists of routes and other objects that go along; bring then adds and removes the intents. Before the
// transfer is accepted the list only replaces the one before. Afterwards a relying party must first see, at the source, a ROA for each
// route that is new, and each object that is.
func (m *Mover) followRoutes(ctx context.Context, t *holdings.Transfer, s *transferwire.Source) error {
	carried := ledgerRoutes(s.Carried)
	objects, err := readObjects(s.Objects, t.Resources)
	if err != nil {
		return err
	}
	same := func(t *holdings.Transfer) bool {
		return slices.Equal(t.Carried, carried) && slices.Equal(t.CarriedObjects, objects)
	}
	if same(t) {
		return nil
	}
	if t.State == holdings.Accepted {
		added := slices.DeleteFunc(slices.Clone(carried), among(t.Carried))
		report, _ := m.seeSource(ctx, t)
		more := slices.DeleteFunc(slices.Clone(objects), among(t.CarriedObjects))
		if len(added)+len(more) > 0 && (report == nil || unauthorised(report, m.notOurs(report), added) != nil || unshown(report, m.notOurs(report), more) != nil) {
			return nil // it is looked at again
		}
	}
	return m.followStep(t, "what goes along changed", func(l *holdings.Ledger, by holdings.By, t *holdings.Transfer) (*holdings.Outcome, error) {
		if t.State.Over() || same(t) {
			return nil, nil
		}
		return l.Carry(by, t.ID, carried, objects)
	})
}
