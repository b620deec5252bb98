package escrow

import (
	"encoding/json"
	"fmt"
	"time"

	"cadastre/ca"
	"cadastre/federation"
	"cadastre/holdings"
	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/store"
	"cadastre/roa"
)

// State is what a chain of deposits leads to.
type State struct {
	Settings
	Number uint64    // of the newest deposit
	Time   time.Time // that the state is of

	Ledger   *holdings.Ledger
	Book     *roa.Book
	Children []federation.Child    // delegated CAs, by organisation
	Keys     []federation.ChildKey // theirs
	Parents  []federation.Parent   // elsewhere, by name

	Publishers int // how many are registered

	contents *contents
}

// Open verifies the deposits in a folder, decrypts the newest full one and those after it, and loads what they lead to. It
// fails as Verify does, with Secret where the identity is not that of the recipient, and with Corrupt where what was
// deposited breaks the rules of the ledger.
func Open(folder string, identity *Identity, signer *envelope.Trust) (*State, error) {
	r, err := Verify(folder, signer)
	if err != nil {
		return nil, err
	}
	return r.Load(identity, nil)
}

// Load is Open after Verify. The objects that were published at the time of the newest full deposit are shown to objects,
// which may be nil.
func (r *Report) Load(identity *Identity, objects func(uri string, object []byte) error) (*State, error) {
	first := len(r.chain) - 1
	for r.chain[first].Kind != Full {
		first--
	}
	s := &State{contents: newContents()}
	for _, o := range r.chain[first:] {
		settings, err := o.decrypt(s.contents, identity.secret, objects)
		if err != nil {
			return nil, err
		}
		if settings.Installation != o.Installation {
			return nil, damaged("%s: its content is of the installation %s and its manifest of %s", o.path, settings.Installation, o.Installation)
		}
		s.Settings, s.Number, s.Time = *settings, o.Number, o.Time
	}
	s.contents.sort()
	if err := s.load(); err != nil {
		return nil, fault.Wrap(err, "what was deposited until deposit %d", s.Number)
	}
	r.Decrypted = r.chain[first].Number
	return s, nil
}

// View shows all that was deposited as the store had it: for the past of a holder, and the log of decisions.
func (s *State) View(fn func(store.Reader) error) error { return fn(s.contents) }

func (s *State) load() (err error) {
	if s.Ledger, err = holdings.Load(s.contents); err != nil {
		return err
	}
	if s.Book, err = roa.Load(s.contents); err != nil {
		return err
	}
	if err := checkLedger(s.Ledger); err != nil {
		return err
	}
	if _, err := holdings.Verify(s.contents); err != nil {
		return err
	}
	for _, holder := range s.Book.Holders() {
		if _, ok := s.Ledger.Organisation(holder); !ok {
			return damaged("there are intents of %q, and no such organisation", holder)
		}
	}
	if s.Children, err = values[federation.Child](s.contents, "child"); err != nil {
		return err
	}
	if s.Keys, err = values[federation.ChildKey](s.contents, "child-key"); err != nil {
		return err
	}
	s.Publishers = len(s.contents.buckets["publisher"])
	s.Parents, err = values[federation.Parent](s.contents, "parent")
	return err
}

func values[T any](c *contents, name string) ([]T, error) {
	var out []T
	bucket, _ := store.Named(name)
	for record, err := range c.Scan(bucket, nil) {
		if err != nil {
			return nil, err
		}
		var v T
		if err := json.Unmarshal(record.Value, &v); err != nil {
			return nil, damaged("the record %q of %q cannot be read (%w)", record.Key, bucket, err)
		}
		out = append(out, v)
	}
	return out, nil
}

// Restored is what a new installation is made of, for ca.Restore.
func (s *State) Restored() ca.Restored {
	from := ca.Restored{RsyncBase: s.RsyncBase}
	for _, handle := range s.Ledger.Organisations() {
		o, _ := s.Ledger.Organisation(handle)
		from.Organisations = append(from.Organisations, o)
	}
	from.Fill = func(w store.Writer) error {
		for _, bucket := range takenOver() {
			for record, err := range s.contents.Scan(bucket, nil) {
				if err == nil {
					err = w.Put(bucket, record.Key, record.Value)
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	}
	return from
}

// Why is the reason that stands in the log of the installation that was made of a state.
func (s *State) Why() string {
	return fmt.Sprintf("restored from deposit %d of %s, of %s", s.Number, s.Installation, stamp(s.Time))
}
