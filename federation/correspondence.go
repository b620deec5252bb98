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

// callPeer sends a message to a peer as it knows us. While our identity is replaced, one that refuses it is tried as the
// other, and what works is remembered.
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

// Signer signs messages to another installation, by our name for it, as that knows us. It fails with Internal before the keys
// are open.
func (f *Federation) Signer(registry string) (*envelope.Signer, error) {
	f.mu.RLock()
	signer := f.signer
	f.mu.RUnlock()
	if signer == nil {
		return nil, fault.New(fault.Internal, "a message is to be signed before the keys are open")
	}
	return f.signers(PeerName("registry", registry))[0], nil
}

// Call sends a message to another installation, by our name for it, as that knows us, and gives the reply. It fails as
// peer.Client does.
func (f *Federation) Call(ctx context.Context, registry string, client *peer.Client, text []byte) ([]byte, error) {
	return f.callPeer(ctx, PeerName("registry", registry), client, text)
}

// Introduction is the certificate of the identity that introductions to other installations have: the next, where there is one.
func (f *Federation) Introduction() ([]byte, error) {
	id, err := f.introduction()
	if err != nil {
		return nil, err
	}
	return id.Certificate, nil
}

// ServiceBase is where peers send their messages; the name of the protocol and a handle follow.
func (f *Federation) ServiceBase() string { return f.config.ServiceBase }

// PrivateTLS is the TLS authority that init made for a trial, in PEM; empty where the installation has files of its own.
func (f *Federation) PrivateTLS() (string, error) {
	path := filepath.Join(f.dir, "tls", "ca.pem")
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fault.Wrap(err, "couldn't read %s", path)
	}
	return string(text), nil
}
