package ca

import (
	"time"

	"cadastre/federation"
	"cadastre/holdings"
	"cadastre/internal/store"
	"cadastre/rrdp/publisher"
)

// Restored is what another installation left that a new one is made of.
type Restored struct {
	Organisations []holdings.Organisation
	RsyncBase     string // where that installation published, as in its Policy
	// Fill writes what it kept of ledger, intents and peers, in their buckets.
	Fill func(store.Writer) error
}

// Restore makes a new installation in an empty store, as Init does, that goes on from where another ended. Every key is
// new, the trust anchor's and that of the identity too, and everything is to be issued anew. Delegated CAs, publishers and
// parents elsewhere are known as they were, but they have to get to know the new identity. What parents elsewhere had
// certified is forgotten, since that was for other keys; the ledger still says what it was.
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
