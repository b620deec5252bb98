package moves

import (
	"time"

	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/roa"
)

// offer registers the CAs of donors that have them elsewhere for the same holders' organisations on the recipient's side, and
// says what keeps it from that. Who holds something else too decides for himself whether that CA is to have it.
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
		if _, err := m.engine.Federation.OfferChild(holdings.By{Actor: Actor, Reason: "its CA moves with it", Time: time.Now()}, leg.To, identity); err != nil {
			return err.Error(), nil //nolint:nilerr // it is said, and tried again
		}
	}
	return "", nil
}
