package moves

import (
	"time"

	"cadastre/ca"
	"cadastre/holdings"
)

// Object records that the source's registry objects to a transfer that its holder may begin without approval. The ground is one that the
// registry's policy lists; by.Reason explains it. The transfer is parked until the objection is resolved or the transfer is cancelled.
func (m *Mover) Object(by holdings.By, id uint64, ground string) error {
	return m.decide(func(l *holdings.Ledger) (*holdings.Outcome, error) {
		text := holdings.Fold(ground)
		if by.Reason != "" {
			text += ": " + by.Reason
		}
		return l.Object(by, id, ground, text)
	})
}

// Consent waives the source registry's right to object, before the time to object is over.
func (m *Mover) Consent(by holdings.By, id uint64) error {
	return m.decide(func(l *holdings.Ledger) (*holdings.Outcome, error) { return l.Consent(by, id, by.Reason) })
}

// decide takes a decision about transfers, and has Run look at once for what follows.
func (m *Mover) decide(resolve func(*holdings.Ledger) (*holdings.Outcome, error)) error {
	_, err := m.engine.Decide(ca.Consent{Unbraked: true}, ca.OfLedger(resolve))
	m.poke()
	return err
}

// lapse cancels a transfer that has lapsed: nobody agreed to it, or answered an objection, in time.
func (m *Mover) lapse(id uint64, why string) error {
	by := holdings.By{Who: Self, Reason: why, Time: time.Now()}
	return m.decide(func(l *holdings.Ledger) (*holdings.Outcome, error) { return l.Cancel(by, id, why) })
}
