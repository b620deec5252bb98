package ca

import (
	"crypto"
	"encoding/json"
	"slices"
	"time"

	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/store"
	"cadastre/keys"
)

// identityName is under what the key of the installation's identity is sealed, and its record kept.
const identityName = "identity"

// identity is what the installation is known by to its peers, as their parent, child, publication server and publisher
// (RFC 8183, section 5.1). It is not part of the RPKI.
type identity struct {
	Certificate []byte `json:"certificate"`
	Sealed      []byte `json:"sealed_key"`
}

func newIdentity(vault *keys.Vault, now time.Time) (*identity, error) {
	key, certificate, err := envelope.NewIdentity(now)
	if err != nil {
		return nil, err
	}
	sealed, err := vault.Seal(identityName, key)
	return &identity{certificate, sealed}, err
}

func (e *Engine) readIdentity() (*identity, error) {
	var id *identity
	err := e.store.View(func(r store.Reader) error {
		if text := r.Get(engineBucket, []byte(identityName)); text != nil {
			return json.Unmarshal(slices.Clone(text), &id)
		}
		return nil
	})
	if err == nil && id == nil {
		err = fault.New(fault.NotFound, "this installation has no identity for its peers yet; start 'cadastre serve' once")
	}
	return id, err
}

// openIdentity makes ready to sign messages to peers. An installation that is older than they are gets an identity.
func (e *Engine) openIdentity() error {
	id, err := e.readIdentity()
	if fault.KindOf(err) == fault.NotFound && err != nil {
		if id, err = newIdentity(e.vault, time.Now()); err != nil {
			return err
		}
		_, err = e.store.Update(store.Any, func(w store.Writer) error { return put(w, engineBucket, []byte(identityName), id) })
	}
	if err != nil {
		return err
	}
	var key crypto.Signer
	if key, err = e.vault.Open(identityName, id.Sealed); err != nil {
		return err
	}
	e.signer, err = envelope.NewSigner(key, id.Certificate)
	return err
}
