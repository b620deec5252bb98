package ca

import (
	"time"

	"cadastre/federation"
	"cadastre/holdings"
	"cadastre/internal/store"
	"cadastre/rrdp/publisher"
)

// Restored is what a new installation is made from: what another one deposited.
type Restored struct {
	Organisations []holdings.Organisation
	RsyncBase     string // where that installation published, as in its Policy
	// Fill writes the other installation's records of ledger, intents and peers into their buckets.
	Fill func(store.Writer) error
}

// Restore makes a new installation in an empty store, as Init does, from what another one deposited. All keys are new, also the trust
// anchor's and the identity's, and everything has to be issued anew. Delegated CAs, publishers and parents elsewhere are registered as
// they were, but have to be given the new identity. What parents elsewhere had certified is forgotten, since it was for other keys; the
// ledger still has it.
func Restore(st store.Store, dir string, policy Policy, from Restored, passphrase, anchorPassphrase []byte, by holdings.By) error {
	now := time.Now().UTC().Truncate(time.Second)
	return found(st, dir, policy, from.Organisations, passphrase, anchorPassphrase, now, func(w store.Writer) error {
		if err := from.Fill(w); err != nil {
			return err
		}
		if err := federation.ForgetCertified(w); err != nil {
			return err
		}
		if err := publisher.Rebase(w, from.RsyncBase, policy.RsyncBase); err != nil {
			return err
		}
		return holdings.Note(w, by)
	})
}
