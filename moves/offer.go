package moves

import (
	"time"

	"cadastre/holdings"
)

// offer registers the CAs of donors that have them elsewhere for the same holders' organisations on the recipient's side, which
// find what they hold there when they ask. It says what keeps it from that.
func (m *Mover) offer(t *holdings.Transfer) string {
	if !t.Kind.SameHolder() || t.To == "" {
		return ""
	}
	for _, leg := range t.Legs {
		identity := leg.CA
		if child, ok := m.engine.Delegated(leg.From); ok && leg.From != "" {
			identity = child.TrustAnchor
		}
		if _, ok := m.engine.Delegated(leg.To); ok || identity == nil {
			continue
		}
		if _, err := m.engine.OfferChild(holdings.By{Actor: Actor, Reason: "its CA moves with it", Time: time.Now()}, leg.To, identity); err != nil {
			return err.Error()
		}
	}
	return ""
}
