package api

import (
	"context"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/term"
)

// KeysRoll asks to make new keys for an organisation's CA (RFC 6489).
type KeysRoll struct {
	By
	Holder string `json:"holder"`
	Soak   string `json:"soak"` // how long a new key's certificate is published before the key issues, such as "24h"
	// Abandon gives up the roll that is under way, and begins none.
	Abandon bool `json:"abandon,omitempty"`
}

// KeysRolled is what a key roll waits for before it can begin.
type KeysRolled struct {
	Wait *ca.Wait `json:"wait,omitempty"` // for the key of the trust anchor, which certifies the root's; nil where that is at hand
}

// KeysActivate asks that the new keys of a key roll take over, once no validator would lose a VRP.
type KeysActivate struct {
	By
	Holder string `json:"holder"`
}

func (s server) keys(mux *router) {
	e := s.engine
	handle(mux, "/keys/roll", func(_ context.Context, q KeysRoll) (rolled KeysRolled, err error) {
		if q.Abandon {
			return rolled, e.AbandonRoll(q.holdings(), q.Holder)
		}
		soak, err := term.Parse(q.Soak)
		if err != nil {
			return rolled, fault.Wrap(err, "soak")
		}
		if err := e.RollKey(q.holdings(), q.Holder, soak.Duration()); err != nil {
			return rolled, err
		}
		if w := e.WaitsOf()(holdings.Fold(q.Holder)); w != nil && w.Kind == ca.AnchorNeeded {
			rolled.Wait = w
		}
		return rolled, nil
	})
	handle(mux, "/keys/activate", func(_ context.Context, q KeysActivate) (Nothing, error) {
		return Nothing{}, e.ActivateKey(q.holdings(), q.Holder)
	})
	handle(mux, "/keys/show", func(_ context.Context, q Holder) ([]ca.KeyStatus, error) { return e.Keys(q.Holder) })
}
