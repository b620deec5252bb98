package api

import (
	"context"

	"cadastre/ca"
	"cadastre/internal/fault"
	"cadastre/internal/principal"
	"cadastre/moves"
)

// RegistriesIntroduce asks for our introduction to another installation. A TAL is needed if our registries are certified below another
// trust anchor; TLS authorities, in PEM, if others do not know those of our servers.
type RegistriesIntroduce struct {
	TAL      string `json:"tal,omitempty" printable:"text"`
	TLSRoots string `json:"tls_roots,omitempty" printable:"text"`
}

// RegistriesAdd asks to add another installation by its introduction. Without a name it gets the one in the introduction.
type RegistriesAdd struct {
	Why
	Name         string `json:"name,omitempty"`
	Introduction string `json:"introduction" printable:"text"`
}

// RegistriesUpdate asks to take a new introduction of another installation, or to forget when it signed its newest messages, after its
// clock was ahead.
type RegistriesUpdate struct {
	Why
	Name         string `json:"name"`
	Introduction string `json:"introduction,omitempty" printable:"text"`
	ResetReplay  bool   `json:"reset_replay,omitempty"`
}

// RegistriesRemove asks to remove another installation.
type RegistriesRemove struct {
	Why
	Name string `json:"name"`
}

// RegistriesDistrust asks to take no messages of another installation any more, and to withdraw what came from it.
type RegistriesDistrust struct {
	Why
	ca.Consent
	Name string `json:"name"`
}

// RegistriesTrust asks to take messages of another installation again.
type RegistriesTrust struct {
	Why
	Name string `json:"name"`
}

// Named names another installation.
type Named struct {
	Name string `json:"name"`
}

// TransferOffer asks for the parent_response for the CA, elsewhere, of a holder that moves. Without a holder it is that of the first holder
// whose CA is elsewhere.
type TransferOffer struct {
	ID     uint64 `json:"id"`
	Holder string `json:"holder,omitempty"`
}

func (s server) registries(mux *router) {
	m := s.mover
	handle(mux, principal.Read, "/registries/introduce", func(_ context.Context, q RegistriesIntroduce) (XML, error) {
		return xmlOf(m.Introduce(q.TAL, q.TLSRoots))
	})
	handle(mux, principal.Change, "/registries/add", func(ctx context.Context, q RegistriesAdd) (*moves.PeerStatus, error) {
		name, err := m.AddPeer(q.by(ctx), q.Name, []byte(q.Introduction))
		if err != nil {
			return nil, err
		}
		return m.ShowPeer(name)
	})
	handle(mux, principal.Change, "/registries/update", func(ctx context.Context, q RegistriesUpdate) (Nothing, error) {
		switch {
		case (q.Introduction == "") != q.ResetReplay:
			return Nothing{}, fault.New(fault.BadInput, "an update takes either a new introduction or that replay be reset")
		case q.ResetReplay:
			return Nothing{}, m.ResetPeer(q.by(ctx), q.Name)
		}
		return Nothing{}, m.UpdatePeer(q.by(ctx), q.Name, []byte(q.Introduction))
	})
	handle(mux, principal.Change, "/registries/remove", func(ctx context.Context, q RegistriesRemove) (Nothing, error) {
		return Nothing{}, m.RemovePeer(q.by(ctx), q.Name)
	})
	handle(mux, principal.Change, "/registries/distrust", func(ctx context.Context, q RegistriesDistrust) (*moves.Distrusted, error) {
		return m.Distrust(q.by(ctx), q.Name, q.Consent)
	})
	handle(mux, principal.Change, "/registries/trust", func(ctx context.Context, q RegistriesTrust) (Nothing, error) {
		return Nothing{}, m.Trust(q.by(ctx), q.Name)
	})
	handle(mux, principal.Read, "/registries/list", func(context.Context, Nothing) ([]moves.PeerStatus, error) { return m.Peers() })
	handle(mux, principal.Read, "/registries/show", func(_ context.Context, q Named) (*moves.PeerStatus, error) { return m.ShowPeer(q.Name) })
	handle(mux, principal.Read, "/transfers/offer", func(_ context.Context, q TransferOffer) (XML, error) { return xmlOf(m.Offer(q.ID, q.Holder)) })
}
