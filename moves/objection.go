package moves

import (
	"time"

	"cadastre/ca"
	"cadastre/holdings"
)

// Object has the source's registry object to a transfer that its holder began as of right. The ground is one of those that its
// policy lists; what is behind it is the reason. The transfer is parked until that is resolved or it is cancelled.
func (m *Mover) Object(by holdings.By, id uint64, ground string) error {
	return m.decide(func(l *holdings.Ledger) (*holdings.Outcome, error) {
		text := holdings.Fold(ground)
		if by.Reason != "" {
			text += ": " + by.Reason
		}
		return l.Object(by, id, ground, text)
	})
}

// Consent waives the source registry's right to object, before its time for that is over.
func (m *Mover) Consent(by holdings.By, id uint64) error {
	return m.decide(func(l *holdings.Ledger) (*holdings.Outcome, error) { return l.Consent(by, id, by.Reason) })
}

// decide takes a decision about transfers, and has what follows looked at.
func (m *Mover) decide(resolve func(*holdings.Ledger) (*holdings.Outcome, error)) error {
	_, err := m.engine.Decide(ca.Consent{Unbraked: true}, ca.OfLedger(resolve))
	m.poke()
	return err
}

// lapse cancels a transfer that nobody answered in time.
func (m *Mover) lapse(id uint64, why string) error {
	by := holdings.By{Actor: Actor, Reason: why, Time: time.Now()}
	return m.decide(func(l *holdings.Ledger) (*holdings.Outcome, error) { return l.Cancel(by, id, why) })
}
