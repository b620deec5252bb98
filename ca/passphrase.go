package ca

import (
	"encoding/json"
	"time"

	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/store"
	"cadastre/keys"
)

// PassphraseChange says which passphrases were changed.
type PassphraseChange struct {
	Keys   bool `json:"keys"`
	Anchor bool `json:"anchor"`
}

// ChangePassphrase gives the keys another passphrase. The trust anchor's key gets it, too, if it is there and has the same old one. Each
// of the two is changed in one step. If a crash comes between them, call it again.
func (e *Engine) ChangePassphrase(by holdings.By, old, next []byte) (done PassphraseChange, err error) {
	if err := keys.CheckPassphrase(next); err != nil {
		return done, err
	}
	if _, err := e.openKeeper(old, nil); err != nil {
		return done, err
	}
	err = e.ChangeAnchorPassphrase(by, old, next)
	kind := fault.KindOf(err)
	if done.Anchor = err == nil; !done.Anchor && kind != fault.Secret && kind != fault.NotFound { // these two: it has its own passphrase, or is kept elsewhere
		return done, err
	}
	_, err = e.store.Update(store.Any, func(w store.Writer) error {
		header, err := w.Get(engineBucket, keeperKey)
		if err != nil {
			return err
		}
		if header, err = e.policy.Keys.ChangePassphrase(header, old, next); err != nil {
			return err
		}
		return w.Put(engineBucket, keeperKey, header)
	})
	if err != nil {
		return done, err
	}
	done.Keys = true
	e.log.Info("the passphrase of the keys was changed", "anchor_too", done.Anchor, "actor", by.Who, "reason", by.Reason)
	return done, nil
}

// ChangeAnchorPassphrase gives the trust anchor's key another passphrase.
func (e *Engine) ChangeAnchorPassphrase(by holdings.By, old, next []byte) error {
	f, err := readAnchor(e.dir)
	if err != nil {
		return err
	}
	if f.Keeper, err = e.policy.Keys.ChangePassphrase(f.Keeper, old, next); err != nil {
		return fault.Wrap(err, "couldn't open the trust anchor's key")
	}
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	if err := replaceFile(anchorPath(e.dir), text); err != nil {
		return err
	}
	e.log.Info("the passphrase of the trust anchor's key was changed", "actor", by.Who, "reason", by.Reason)
	return nil
}

// AnchorNeededBy is when the trust anchor's key is needed at the latest: the first end of its manifest, its CRL and the root's
// certificate, which only that key can make anew.
func (e *Engine) AnchorNeededBy() time.Time {
	e.mu.RLock()
	root := e.ledger.Root()
	e.mu.RUnlock()
	at := time.Time{}
	if anchor := e.issued.Authority(issued.Anchor); anchor != nil {
		at = anchor.NextUpdate
	}
	for _, name := range e.issued.Of(root) {
		if a := e.issued.Authority(name); a != nil && a.Issuer == issued.Anchor {
			at = issued.Sooner(at, a.CertExpires)
		}
	}
	return at
}
