package ca

import (
	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// The following is what rooms above need that keep a correspondence of their own with other installations.

// Kept shows what is kept, as of the last commit.
func (e *Engine) Kept(look func(store.Reader) error) error { return e.store.View(look) }

// Keep makes a change of what another room keeps, in one transaction. What is the ledger's, or the authorities', is not
// changed with it.
func (e *Engine) Keep(change func(store.Writer) error) error {
	_, err := e.store.Update(store.Any, change)
	return err
}

// Signer signs messages as this installation. It fails with Internal before the keys are open.
func (e *Engine) Signer() (*envelope.Signer, error) {
	if e.signer == nil {
		return nil, fault.New(fault.Internal, "a message is to be signed before the keys are open")
	}
	return e.signer, nil
}

// Identity is the certificate that peers know this installation by (RFC 8183), DER.
func (e *Engine) Identity() ([]byte, error) {
	id, err := e.readIdentity()
	if err != nil {
		return nil, err
	}
	return id.Certificate, nil
}
