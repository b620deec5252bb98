package federation

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/peer"
)

// callPeer sends a message to a peer, signed with the identity that the peer knows. While our identity is being replaced, and the peer
// refuses the message, it is sent again with the other identity; if that works it is remembered.
func (f *Federation) callPeer(ctx context.Context, called string, client *peer.Client, text []byte) (reply []byte, err error) {
	client.Memory, client.Shares = f.Shares.Memory, f.Shares.Ledger
	for i, self := range f.signers(called) {
		client.Self = self
		again, failed := client.Call(ctx, text)
		switch {
		case failed == nil && i > 0:
			f.mu.RLock()
			knows := self == f.nextSigner
			f.mu.RUnlock()
			return again, f.host.Change(func(tx *Tx) error { return tx.SetKnows(called, knows) })
		case failed == nil:
			return again, nil
		case i == 0:
			err = failed
		}
		if !errors.Is(failed, peer.ErrRefused) {
			break
		}
	}
	return nil, err
}

// Signer is what messages to another installation, by our name for it, are signed with. It fails with Internal before the keys are
// open.
func (f *Federation) Signer(registry string) (*envelope.Signer, error) {
	f.mu.RLock()
	signer := f.signer
	f.mu.RUnlock()
	if signer == nil {
		return nil, fault.New(fault.Internal, "a message is to be signed before the keys are open")
	}
	return f.signers(PeerName("registry", registry))[0], nil
}

// Call sends a message to another installation, by our name for it, and returns the reply. It fails as peer.Client.Call does.
func (f *Federation) Call(ctx context.Context, registry string, client *peer.Client, text []byte) ([]byte, error) {
	return f.callPeer(ctx, PeerName("registry", registry), client, text)
}

// Introduction is the certificate, DER, that goes into introductions to other installations: that of the next identity, where there is
// one.
func (f *Federation) Introduction() ([]byte, error) {
	id, err := f.introduction()
	if err != nil {
		return nil, err
	}
	return id.Certificate, nil
}

// ServiceBase is the URI below which peers send their messages. The name of the protocol and a handle follow.
func (f *Federation) ServiceBase() string { return f.config.ServiceBase }

// PrivateTLS is the certificate of the TLS authority that 'cadastre init' made for a trial, in PEM. It is empty if there is none.
func (f *Federation) PrivateTLS() (string, error) {
	path := filepath.Join(f.dir, "tls", "ca.pem")
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fault.Wrap(err, "couldn't read %s", path)
	}
	return string(text), nil
}
