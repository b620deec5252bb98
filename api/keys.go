package api

import (
	"context"
	"net/http"

	"cadastre/ca"
	"cadastre/internal/fault"
	"cadastre/internal/term"
)

// KeysRoll asks to make new keys for an organisation's CA (RFC 6489).
type KeysRoll struct {
	By
	Holder string `json:"holder"`
	Soak   string `json:"soak"` // how long a new key's certificate is published before the key issues, such as "24h"
}

// KeysActivate asks that the new keys of a key roll issue now.
type KeysActivate struct {
	By
	Holder string `json:"holder"`
}

func (s server) keys(mux *http.ServeMux) {
	e := s.engine
	handle(mux, "/keys/roll", func(_ context.Context, q KeysRoll) (Nothing, error) {
		soak, err := term.Parse(q.Soak)
		if err != nil {
			return Nothing{}, fault.Wrap(err, "soak")
		}
		return Nothing{}, e.RollKey(q.holdings(), q.Holder, soak.Duration())
	})
	handle(mux, "/keys/activate", func(_ context.Context, q KeysActivate) (Nothing, error) {
		return Nothing{}, e.ActivateKey(q.holdings(), q.Holder)
	})
	handle(mux, "/keys/show", func(_ context.Context, q Holder) ([]ca.KeyStatus, error) { return e.Keys(q.Holder) })
}
