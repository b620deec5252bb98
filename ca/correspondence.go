package ca

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"cadastre/federation"
	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/peer"
	"cadastre/internal/store"
	"cadastre/internal/validate"
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

// Signer signs messages to another installation, by our name for it, as that knows us. It fails with Internal before the keys
// are open.
func (e *Engine) Signer(registry string) (*envelope.Signer, error) {
	e.mu.RLock()
	signer := e.signer
	e.mu.RUnlock()
	if signer == nil {
		return nil, fault.New(fault.Internal, "a message is to be signed before the keys are open")
	}
	return e.signers(federation.PeerName("registry", registry))[0], nil
}

// Call sends a message to another installation, by our name for it, as that knows us, and gives the reply. It fails as
// peer.Client does.
func (e *Engine) Call(ctx context.Context, registry string, client *peer.Client, text []byte) ([]byte, error) {
	return e.callPeer(ctx, federation.PeerName("registry", registry), client, text)
}

// Introduction is the certificate of the identity that introductions to other installations have: the next, where there is one.
func (e *Engine) Introduction() ([]byte, error) {
	id, err := e.introduction()
	if err != nil {
		return nil, err
	}
	return id.Certificate, nil
}

// ServiceBase is where peers send their messages; the name of the protocol and a handle follow.
func (e *Engine) ServiceBase() string { return e.policy.ServiceBase }

// CheckTAL says what is wrong with a trust anchor locator (RFC 8630), with BadInput.
func (e *Engine) CheckTAL(text string) error {
	if locator, findings := validate.ParseTAL([]byte(text), e.reading()...); locator == nil {
		return fault.New(fault.BadInput, "the trust anchor locator cannot be used: %s", firstFindings(findings))
	}
	return nil
}

// Owns tells whether a certificate is one that was issued here, or to an authority of ours: others cannot show it as theirs.
func (e *Engine) Owns(uri string) bool {
	if strings.HasPrefix(uri, e.policy.RsyncBase) {
		return true
	}
	return e.issued.Border(uri) != nil
}

// ParentsOf is the names of the parents outside the tree that an organisation has, sorted.
func (e *Engine) ParentsOf(holder string) []string {
	var names []string
	for _, name := range e.parentNames() {
		e.mu.RLock()
		if p := e.peers.Parent(name); p != nil && p.Holder == holder && !p.Removed {
			names = append(names, name)
		}
		e.mu.RUnlock()
	}
	return names
}

// PrivateTLS is the TLS authority that init made for a trial, in PEM; empty where the installation has files of its own.
func (e *Engine) PrivateTLS() (string, error) {
	path := filepath.Join(e.dir, "tls", "ca.pem")
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fault.Wrap(err, "couldn't read %s", path)
	}
	return string(text), nil
}
