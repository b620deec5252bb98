package api

import (
	"context"

	"cadastre/ca"
	"cadastre/internal/principal"
)

// PassphraseChange asks to change the passphrase of the keys, and of the trust anchor's key if that has the same one; or to change only
// that of the trust anchor's key.
type PassphraseChange struct {
	Why
	Old        []byte `json:"old"`
	New        []byte `json:"new"`
	AnchorOnly bool   `json:"anchor_only,omitempty"`
}

func (s server) passphrase(mux *router) {
	handle(mux, principal.Change, "/passphrase/change", func(ctx context.Context, q PassphraseChange) (ca.PassphraseChange, error) {
		if q.AnchorOnly {
			err := s.engine.ChangeAnchorPassphrase(q.by(ctx), q.Old, q.New)
			return ca.PassphraseChange{Anchor: err == nil}, err
		}
		return s.engine.ChangePassphrase(q.by(ctx), q.Old, q.New)
	})
}
