package api

import (
	"context"

	"cadastre/escrow"
	"cadastre/internal/principal"
)

// EscrowDeposit asks for a deposit.
type EscrowDeposit struct {
	Folder    string `json:"folder"` // absolute path
	Recipient string `json:"recipient"`
	Full      bool   `json:"full,omitempty"`
}

// Certificate is an answer with a certificate.
type Certificate struct {
	DER []byte `json:"der"`
}

func (s server) escrow(mux *router) {
	handle(mux, principal.Change, "/escrow/deposit", func(ctx context.Context, q EscrowDeposit) (*escrow.Deposited, error) {
		return escrow.Deposit(ctx, s.engine, escrow.Options{Folder: q.Folder, Recipient: q.Recipient, Full: q.Full})
	})
	handle(mux, principal.Read, "/escrow/signer", func(context.Context, Nothing) (Certificate, error) {
		der, err := s.engine.Federation.Identity()
		return Certificate{der}, err
	})
}
