package ca

import (
	"time"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/payload"
	"cadastre/internal/store"
	"cadastre/roa"
)

// Status is the status of this installation.
type Status struct {
	Revision     store.Revision              `json:"revision"`
	Running      bool                        `json:"running"` // a daemon holds the data directory
	Settled      bool                        `json:"settled"` // readers see all that is decided: Waits is empty
	Waits        []Wait                      `json:"waits"`   // what readers do not see yet, and why
	Waiting      int                         `json:"waiting"` // organisations that still have to be planned or signed for
	Frozen       string                      `json:"frozen,omitempty"`
	Organisation int                         `json:"organisations"`
	Delegations  int                         `json:"delegations"`
	Disputes     int                         `json:"disputes"` // lines of registries' last files that holders of another registry have
	Intents      int                         `json:"intents"`
	Authorities  int                         `json:"authorities"`
	FirstExpiry  time.Time                   `json:"first_expiry,omitzero"` // of anything in the whole tree
	FirstHolder  string                      `json:"first_expiry_of,omitempty"`
	AnchorNeeded time.Time                   `json:"anchor_needed_by,omitzero"` // by when the trust anchor's key has to sign again
	PoolReady    int                         `json:"pool_ready"`
	PoolSize     int                         `json:"pool_size"`
	Keys         KeysStatus                  `json:"keys"`
	Repositories map[string]RepositoryStatus `json:"repositories"`
	Transfers    TransferCounts              `json:"transfers"`
}

// TransferCounts counts transfers by their states.
type TransferCounts struct {
	States   map[holdings.TransferState]int `json:"states"` // how many there are, all states named
	Open     int                            `json:"open"`   // with something still to be done
	Disputed int                            `json:"disputed"`
	Held     int                            `json:"held"`
	Oldest   time.Time                      `json:"oldest,omitzero"` // of the last steps of open transfers, the earliest
}

func (e *Engine) countTransfers() TransferCounts {
	c := TransferCounts{States: map[holdings.TransferState]int{holdings.Initiated: 0, holdings.Accepted: 0, holdings.Finalised: 0, holdings.Cancelled: 0}}
	for _, t := range e.ledger.Transfers() {
		if c.States[t.State]++; t.Done() {
			continue
		}
		c.Open++
		if last := t.Steps[len(t.Steps)-1].At; c.Oldest.IsZero() || last.Before(c.Oldest) {
			c.Oldest = last
		}
		if !t.State.Over() && t.Disputed != "" {
			c.Disputed++
		}
		if !t.State.Over() && t.Held {
			c.Held++
		}
	}
	return c
}

// RepositoryStatus is the status of one registry's repository.
type RepositoryStatus struct {
	Session   string    `json:"session"`
	Serial    uint64    `json:"serial"`
	Published time.Time `json:"published,omitzero"`
	Objects   int       `json:"objects"`
	Staged    bool      `json:"staged"` // something is committed and not yet published
	Notify    string    `json:"notify"`
	// Quarantined is why nothing is published there any more: its files are damaged. Empty when all is well.
	Quarantined string `json:"quarantined,omitempty"`
}

// Status is the status of this installation now.
func (e *Engine) Status() (*Status, error) {
	s := &Status{Revision: e.store.Revision(), Running: e.keeper != nil, Waits: append([]Wait{}, e.Waits()...), Waiting: e.agenda.Count(), Repositories: map[string]RepositoryStatus{}}
	s.Settled = len(s.Waits) == 0
	if err := e.frozen.err(); err != nil {
		s.Frozen = err.Error()
	}
	e.mu.RLock()
	s.Intents = e.book.Len()
	s.Organisation, s.Delegations = e.ledger.Len()
	s.Disputes = len(e.ledger.Disputes())
	s.Transfers = e.countTransfers()
	e.mu.RUnlock()
	s.FirstExpiry, s.FirstHolder, s.Authorities = e.FirstExpiry()
	s.AnchorNeeded = e.AnchorNeededBy()
	if e.pool != nil {
		s.PoolReady, s.PoolSize = e.pool.Depth()
	}
	var err error
	if s.Keys, err = e.keysStatus(); err != nil {
		return nil, err
	}
	for name, repository := range e.repositories.Own() {
		session, serial, at := repository.Published()
		of := RepositoryStatus{Session: session, Serial: serial, Published: at, Objects: repository.Objects(), Staged: repository.Staged(), Notify: e.policy.Notify(name)}
		if err := repository.Damage(); err != nil {
			of.Quarantined = err.Error()
		}
		s.Repositories[name] = of
	}
	return s, nil
}

// FirstExpiry is the first time at which an object in the tree ceases to be valid, the organisation whose it is, and the number of
// authorities.
func (e *Engine) FirstExpiry() (at time.Time, holder string, authorities int) {
	at, whose := e.issued.First()
	return at, whose.String(), e.issued.Len()
}

// Counts is how many payloads are issued, by the kind of their objects.
func (e *Engine) Counts() map[payload.Kind]int { return e.issued.Counts() }

// Organisation is the organisation with a handle, and whether there is one.
func (e *Engine) Organisation(handle string) (holdings.Organisation, bool, error) {
	if handle == "" {
		return holdings.Organisation{}, false, fault.New(fault.BadInput, "no organisation is named")
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	o, ok := e.ledger.Organisation(handle)
	return o, ok, nil
}

// Read calls fn with the ledger and the intents as they are now. Fn must not change them, or keep them.
func (e *Engine) Read(fn func(*holdings.Ledger, *roa.Book) error) error {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return fn(e.ledger, e.book)
}

// Intents calls each for every ROA intent of a holder, with its status; for those of all holders if none is named.
func (e *Engine) Intents(holder string, each func(roa.Intent, roa.Status)) error {
	e.mu.RLock()
	defer e.mu.RUnlock()
	known, _ := e.Routes.Now(time.Now())
	return eachIntent(e, holder, e.book.Holders(), e.book.Of, func(in roa.Intent, r store.Reader) (roa.Status, []string, error) {
		status, err := roa.StatusOf(in, e.ledger, r)
		status.BGP = e.book.InBGP(e.ledger, in, known)
		return status, roa.Lines(status.VRPs), err
	}, each)
}

// eachIntent calls each for the intents of one kind of a holder, or of everyone, with their statuses. StatusOf tells the status by the
// ledger alone, and the payloads that the intent is to have. What is live is pending if readers don't see these yet. The engine's mu is
// held.
func eachIntent[I any](e *Engine, holder string, everyone []string, of func(holder string) []I, statusOf func(I, store.Reader) (roa.Status, []string, error), each func(I, roa.Status)) error {
	holders := everyone
	if holder != "" {
		if _, ok := e.ledger.Organisation(holder); !ok {
			return fault.New(fault.NotFound, "there is no organisation %q", holder)
		}
		holders = []string{holdings.Fold(holder)}
	}
	readers := e.visible()
	return e.store.View(func(r store.Reader) error {
		for _, name := range holders {
			for _, in := range of(name) {
				status, says, err := statusOf(in, r)
				if err != nil {
					return err
				}
				switch pends, err := readers.pends(r, name, says); {
				case err != nil:
					return err
				case pends && status.State == roa.Live:
					status.State = roa.Pending
				}
				each(in, status)
			}
		}
		return nil
	})
}
