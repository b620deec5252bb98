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

// Identity is the certificate of the installation's identity, DER: what its peers and its successor know it by.
func (e *Engine) Identity() ([]byte, error) {
	id, err := e.readIdentity()
	if err != nil {
		return nil, err
	}
	return id.Certificate, nil
}

// OpenIdentity opens the key of the installation's identity and no other, for one who has something to Sign and nothing to
// issue. A wrong passphrase is of kind Secret.
func (e *Engine) OpenIdentity(passphrase []byte) error {
	var err error
	if e.vault, err = e.openVault(passphrase); err != nil {
		return err
	}
	return e.openIdentity()
}

// Sign signs content, XML, as the installation. It fails with Secret while the keys are not open.
func (e *Engine) Sign(content []byte, at time.Time) ([]byte, error) {
	if e.signer == nil {
		return nil, fault.New(fault.Secret, "nothing can be signed while the keys are not open: name a file with their passphrase, or wait until the daemon has opened them")
	}
	return e.signer.Sign(content, at)
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
