package ca

import (
	"context"
	"crypto"
	"time"

	"cadastre/ca/issued"
	"cadastre/internal/due"
	"cadastre/internal/fault"
	"cadastre/internal/store"
	"cadastre/keys"
)

// keeperKey is the header of the keeper of all long-lived keys but the trust anchor's.
var keeperKey = []byte("vault")

// destroyEvery is how often deactivated keys are looked for.
const destroyEvery = 10 * time.Minute

// openKeeper opens the keeper of all long-lived keys but the trust anchor's. The pool is nil for one that makes no keys.
func (e *Engine) openKeeper(passphrase []byte, pool *keys.Pool) (keys.Keeper, error) {
	header, err := e.read(engineBucket, keeperKey)
	if err != nil {
		return nil, err
	}
	return e.policy.Keys.Open(header, passphrase, pool)
}

// key is the key of an authority of ours. The trust anchor's is with a keeper of its own, and not in the store.
func (e *Engine) key(a *issued.Authority) (crypto.Signer, error) {
	if a.Holder == issued.AnchorHolder {
		if e.anchor == nil {
			return nil, fault.New(fault.Secret, "the trust anchor has work to do and is offline: start with --anchor-passphrase-file")
		}
		return e.anchor, nil
	}
	var ref keys.Ref
	err := e.store.View(func(r store.Reader) (err error) {
		ref, err = keys.Get(r, a.KeyID.String())
		return err
	})
	if err != nil {
		return nil, err
	}
	return e.keeper.Find(ref)
}

// discardKeys destroys keys that were made and that no record names. One that cannot be destroyed is no reason to stop.
func (e *Engine) discardKeys(refs []keys.Ref) {
	for _, ref := range refs {
		if err := e.keeper.Destroy(ref); err != nil {
			e.log.Warn("couldn't destroy a key that was made and is not needed; it can sign nothing that counts", "key", ref.Name, "error", err)
		}
	}
}

// destroyDeactivated destroys the keys that are not used any more. Those that cannot be destroyed now are tried again.
func (e *Engine) destroyDeactivated() error {
	n, err := keys.DestroyDeactivated(e.store, e.keeper)
	if n > 0 {
		e.log.Info("keys that are not used any more were destroyed", "keys", n)
	}
	if err != nil {
		e.log.Warn("keys that are not used any more could not be destroyed; it will be tried again", "error", err)
	}
	return err
}

// followDeactivated destroys keys that are not used any more, every ten minutes, until ctx ends.
func (e *Engine) followDeactivated(ctx context.Context) {
	(&due.Poller{
		Names: due.One, Backoff: due.Backoff{First: destroyEvery, Most: time.Hour},
		Due:  func(_ string, begun time.Time, _ bool) time.Time { return begun.Add(destroyEvery) },
		Call: func(context.Context, string) error { return e.destroyDeactivated() },
	}).Run(ctx)
}

// KeysStatus is how long-lived keys are kept.
type KeysStatus struct {
	Keeper      string `json:"keeper,omitempty"`  // what the keys are with; empty while they are not open
	Portable    bool   `json:"portable"`          // a backup of the data directory has the keys, sealed
	Problem     string `json:"problem,omitempty"` // why the keeper cannot be used at present
	Deactivated int    `json:"deactivated"`       // keys that nothing uses any more and that are still to be destroyed
}

func (e *Engine) keysStatus() (s KeysStatus, err error) {
	err = e.store.View(func(r store.Reader) error {
		list, err := keys.Deactivated(r)
		s.Deactivated = len(list)
		return err
	})
	if err != nil || e.keeper == nil {
		return s, err
	}
	health := e.keeper.Health()
	s.Keeper, s.Portable = health.Kind, health.Portable
	if health.Err != nil {
		s.Problem = health.Err.Error()
	}
	return s, nil
}

// CheckKeys checks that the store has a key for each authority whose key is here, and counts them. It opens none.
func (e *Engine) CheckKeys() (n int, err error) {
	err = e.store.View(func(r store.Reader) error {
		var failed error
		err := store.EachValue(r, issued.Authorities, nil, func(_ string, a *issued.Authority) {
			if a.Holder == issued.AnchorHolder || a.Delegated != nil || failed != nil {
				return
			}
			n++
			if _, err := keys.Get(r, a.KeyID.String()); err != nil {
				failed = fault.Wrap(err, "the authority %s has no key", a.Name)
			}
		})
		if err != nil {
			return err
		}
		return failed
	})
	return n, err
}
