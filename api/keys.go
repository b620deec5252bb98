package api

import (
	"context"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/principal"
	"cadastre/internal/term"
)

// KeysRoll asks to make new keys for an organisation's CA (RFC 6489).
type KeysRoll struct {
	Why
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
	Why
	Holder string `json:"holder"`
}

func (s server) keys(mux *router) {
	e := s.engine
	handle(mux, principal.Change, "/keys/roll", func(ctx context.Context, q KeysRoll) (rolled KeysRolled, err error) {
		if q.Abandon {
			return rolled, e.AbandonRoll(q.by(ctx), q.Holder)
		}
		soak, err := term.Parse(q.Soak)
		if err != nil {
			return rolled, fault.Wrap(err, "soak")
		}
		if err := e.RollKey(q.by(ctx), q.Holder, soak.Duration()); err != nil {
			return rolled, err
		}
		if w := e.WaitsOf()(holdings.Fold(q.Holder)); w != nil && w.Kind == ca.AnchorNeeded {
			rolled.Wait = w
		}
		return rolled, nil
	})
	handle(mux, principal.Change, "/keys/activate", func(ctx context.Context, q KeysActivate) (Nothing, error) {
		return Nothing{}, e.ActivateKey(q.by(ctx), q.Holder)
	})
	handle(mux, principal.Read, "/keys/show", func(_ context.Context, q Holder) ([]ca.KeyStatus, error) { return e.Keys(q.Holder) })
}
