package api

import (
	"context"

	"cadastre/ca"
	"cadastre/internal/fault"
	"cadastre/moves"
)

// RegistriesIntroduce asks for our introduction to another installation. The TAL and the TLS authorities, in PEM, are needed
// where relying parties look below another trust anchor, or at servers whose certificates nobody else knows.
type RegistriesIntroduce struct {
	TAL      string `json:"tal,omitempty" printable:"text"`
	TLSRoots string `json:"tls_roots,omitempty" printable:"text"`
}

// RegistriesAdd asks to know another installation by its introduction. Without a name it goes by what it calls itself.
type RegistriesAdd struct {
	By
	Name         string `json:"name,omitempty"`
	Introduction string `json:"introduction" printable:"text"`
}

// RegistriesUpdate asks to replace what is known of another installation by a new introduction, or, where its clock was ahead
// and has been put right, to forget when its newest messages were signed.
type RegistriesUpdate struct {
	By
	Name         string `json:"name"`
	Introduction string `json:"introduction,omitempty" printable:"text"`
	ResetReplay  bool   `json:"reset_replay,omitempty"`
}

// RegistriesRemove asks to forget another installation.
type RegistriesRemove struct {
	By
	Name string `json:"name"`
}

// RegistriesDistrust asks to take nothing more from another installation, and to withdraw what came from it.
type RegistriesDistrust struct {
	By
	ca.Consent
	Name string `json:"name"`
}

// RegistriesTrust asks to take what another installation says again.
type RegistriesTrust struct {
	By
	Name string `json:"name"`
}

// Named names another installation.
type Named struct {
	Name string `json:"name"`
}

// TransferOffer asks for what the CA of a holder that moves needs to ask its new parent for certificates: of one holder, or of
// the first that has its CA elsewhere.
type TransferOffer struct {
	ID     uint64 `json:"id"`
	Holder string `json:"holder,omitempty"`
}

func (s server) registries(mux *router) {
	m := s.mover
	handle(mux, "/registries/introduce", func(_ context.Context, q RegistriesIntroduce) (XML, error) {
		return xmlOf(m.Introduce(q.TAL, q.TLSRoots))
	})
	handle(mux, "/registries/add", func(_ context.Context, q RegistriesAdd) (*moves.PeerStatus, error) {
		name, err := m.AddPeer(q.holdings(), q.Name, []byte(q.Introduction))
		if err != nil {
			return nil, err
		}
		return m.ShowPeer(name)
	})
	handle(mux, "/registries/update", func(_ context.Context, q RegistriesUpdate) (Nothing, error) {
		switch {
		case (q.Introduction == "") != q.ResetReplay:
			return Nothing{}, fault.New(fault.BadInput, "an update takes either a new introduction or that replay be reset")
		case q.ResetReplay:
			return Nothing{}, m.ResetPeer(q.holdings(), q.Name)
		}
		return Nothing{}, m.UpdatePeer(q.holdings(), q.Name, []byte(q.Introduction))
	})
	handle(mux, "/registries/remove", func(_ context.Context, q RegistriesRemove) (Nothing, error) {
		return Nothing{}, m.RemovePeer(q.holdings(), q.Name)
	})
	handle(mux, "/registries/distrust", func(_ context.Context, q RegistriesDistrust) (*moves.Distrusted, error) {
		return m.Distrust(q.holdings(), q.Name, q.Consent)
	})
	handle(mux, "/registries/trust", func(_ context.Context, q RegistriesTrust) (Nothing, error) {
		return Nothing{}, m.Trust(q.holdings(), q.Name)
	})
	handle(mux, "/registries/list", func(context.Context, Nothing) ([]moves.PeerStatus, error) { return m.Peers() })
	handle(mux, "/registries/show", func(_ context.Context, q Named) (*moves.PeerStatus, error) { return m.ShowPeer(q.Name) })
	handle(mux, "/transfers/offer", func(_ context.Context, q TransferOffer) (XML, error) { return xmlOf(m.Offer(q.ID, q.Holder)) })
}
