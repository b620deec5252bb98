package moves

import (
	"time"

	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/roa"
)

// offer registers donors' CAs that are elsewhere as the delegated CAs of the same holders on the recipient's side. It returns in words
// what prevents that. If an organisation holds other resources too, an operator has to decide whether this CA is to have them.
func (m *Mover) offer(t *holdings.Transfer) (string, error) {
	if !t.Kind.SameHolder() || t.Outgoing() {
		return "", nil
	}
	for _, leg := range t.Legs {
		identity := leg.CA
		if child, ok := m.engine.Delegated(leg.From); ok && leg.From != "" {
			identity = child.TrustAnchor
		}
		if _, ok := m.engine.Delegated(leg.To); ok || identity == nil {
			continue
		}
		var besides inr.Set
		if err := m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
			besides = l.Holding(leg.To).Minus(t.Resources)
			return nil
		}); err != nil {
			return "", err
		}
		if !besides.Empty() {
			m.noteWaiting(t, holdings.Waiting{For: needOffer, Of: leg.To, Resources: besides})
			continue
		}
		if _, err := m.engine.Federation.OfferChild(holdings.By{Who: Self, Reason: "its CA moves with it", Time: time.Now()}, leg.To, identity); err != nil {
			return err.Error(), nil //nolint:nilerr // the transfer waits for it, and it is tried again
		}
	}
	return "", nil
}
