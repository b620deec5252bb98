// Package envelopetest makes identities of peers that exist in tests alone.
package envelopetest

import (
	"crypto"
	"time"

	"cadastre/internal/envelope"
	"cadastre/internal/object"
)

// NewIdentity makes the key of a peer, in memory, and the certificate that it is known by.
func NewIdentity(now time.Time) (key crypto.Signer, certificate []byte, err error) {
	if key, err = object.RSA.Generate(); err != nil {
		return nil, nil, err
	}
	certificate, err = envelope.CertifyIdentity(key, now)
	return key, certificate, err
}
