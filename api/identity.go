package api

import (
	"context"

	"cadastre/federation"
	"cadastre/internal/principal"
)

// IdentityActivate asks to sign replies to some peers with the new identity; for all peers, to replace the old identity.
type IdentityActivate struct {
	Why
	Peers []string `json:"peers,omitempty"` // child/HANDLE or publisher/HANDLE
	All   bool     `json:"all,omitempty"`
	Force bool     `json:"force,omitempty"` // although parents or servers elsewhere do not know it yet
}

// IdentityRenew asks for an identity that is to replace the one in use.
type IdentityRenew struct{ Why }

func (s server) identity(mux *router) {
	e := s.engine
	handle(mux, principal.Read, "/identity/show", func(context.Context, Nothing) ([]federation.IdentityStatus, error) { return e.Federation.Identities() })
	handle(mux, principal.Change, "/identity/renew", func(ctx context.Context, q IdentityRenew) ([]federation.IdentityStatus, error) {
		if err := e.Federation.RenewIdentity(q.by(ctx)); err != nil {
			return nil, err
		}
		return e.Federation.Identities()
	})
	handle(mux, principal.Change, "/identity/activate", func(ctx context.Context, q IdentityActivate) ([]federation.IdentityStatus, error) {
		err := error(nil)
		if q.All {
			err = e.Federation.ReplaceIdentity(q.by(ctx), q.Force)
		} else {
			err = e.Federation.ActivateIdentity(q.by(ctx), q.Peers)
		}
		if err != nil {
			return nil, err
		}
		return e.Federation.Identities()
	})
}
