package ca

import (
	"fmt"
	"slices"
	"time"

	"cadastre/federation"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/store"
	"cadastre/roa"
	"cadastre/rrdp"
)

// Consent is how far a decision may go: only as far as saying what it would do, or past the brake with its code.
type Consent struct {
	DryRun bool   `json:"dry_run,omitempty"`
	Code   string `json:"code,omitempty"`
	// Unbraked is for what a parent outside the tree has decided: to hold it back would keep nothing.
	Unbraked bool `json:"-"`
}

// Import takes registries' files as what they delegate now. What it left out of them is in the effect.
func (e *Engine) Import(by holdings.By, files []*holdings.File, opt holdings.ImportOptions, consent Consent) (*Effect, error) {
	var omitted []string
	f, err := e.Decide(consent, OfLedger(func(l *holdings.Ledger) (*holdings.Outcome, error) {
		o, err := l.Import(by, files, opt)
		if err == nil {
			omitted = o.Omitted()
		}
		return o, err
	}))
	if f != nil {
		f.Left = omitted
	}
	return f, err
}

// Delegate gives resources to an organisation from its parent.
func (e *Engine) Delegate(by holdings.By, d holdings.Delegation, consent Consent) (*Effect, error) {
	return e.Decide(consent, OfLedger(func(l *holdings.Ledger) (*holdings.Outcome, error) { return l.Delegate(by, d) }))
}

// DelegateNew adds an organisation and gives resources to it from its parent, in one decision.
func (e *Engine) DelegateNew(by holdings.By, o holdings.Organisation, d holdings.Delegation, consent Consent) (*Effect, error) {
	return e.Decide(consent, OfLedger(func(l *holdings.Ledger) (*holdings.Outcome, error) { return l.DelegateNew(by, o, d) }))
}

// DelegateBelow gives resources to an organisation from one above it, and adds it there with a name if it is new.
func (e *Engine) DelegateBelow(by holdings.By, from, name string, d holdings.Delegation, consent Consent) (*Effect, error) {
	return e.Decide(consent, OfLedger(func(l *holdings.Ledger) (*holdings.Outcome, error) { return l.DelegateBelow(by, from, name, d) }))
}

// Return gives resources of an organisation back to its parent.
func (e *Engine) Return(by holdings.By, holder string, resources inr.Set, consent Consent) (*Effect, error) {
	return e.Decide(consent, OfLedger(func(l *holdings.Ledger) (*holdings.Outcome, error) { return l.Return(by, holder, resources) }))
}

// Revoke takes resources from an organisation: all where none are named.
func (e *Engine) Revoke(by holdings.By, holder string, resources inr.Set, consent Consent) (*Effect, error) {
	return e.Decide(consent, OfLedger(func(l *holdings.Ledger) (*holdings.Outcome, error) { return l.Revoke(by, holder, resources) }))
}

// Exchange gives an organisation resources in place of others, which it keeps until a deadline. Its warnings name those below it
// that have something of the old.
func (e *Engine) Exchange(by holdings.By, give inr.Set, want holdings.Delegation, deadline time.Time, consent Consent) (*Effect, error) {
	f, err := e.Decide(consent, OfLedger(func(l *holdings.Ledger) (*holdings.Outcome, error) { return l.Exchange(by, give, want, deadline) }))
	if f == nil {
		return nil, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, below := range e.ledger.Children(holdings.Fold(want.To)) {
		if has := e.ledger.Holding(below).Intersect(give); !has.Empty() {
			f.Warnings = append(f.Warnings, fmt.Sprintf("%s has %s of it, which ends with it", below, has))
		}
	}
	return f, err
}

// DecideWeighed takes a decision whose losses come later and are weighed now: resolve is given the brake, which says why it would hold
// that VRPs of a holder's, and of those above it, are lost, and the code that lets it pass; nothing where it would not. What passes
// without a code is remembered, so that many such decisions are held as one would be.
func (e *Engine) DecideWeighed(consent Consent, resolve func(*holdings.Ledger, *roa.Book, func(string, []roa.VRP) (why, code string)) (*holdings.Outcome, error)) (*Effect, error) {
	var coming []loss
	weigh := func(holder string, lost []roa.VRP) (why, code string) {
		if why, code = e.brakeOn(holder, lost); why == "" && len(lost) > 0 {
			coming = append(coming, loss{Holder: holder, VRPs: lost, Coming: true})
		}
		return why, code
	}
	return e.decide(consent, func(l *holdings.Ledger, b *roa.Book) (*holdings.Outcome, *roa.Outcome, error) {
		o, err := resolve(l, b, weigh)
		return o, nil, err
	}, &coming)
}

// Enrol adds an organisation to the tree, or changes its name or country. A registry comes with a repository of its
// own, which a running daemon does not open.
func (e *Engine) Enrol(by holdings.By, o holdings.Organisation) (*Effect, error) {
	_, exists, err := e.Organisation(o.Handle)
	if err != nil {
		return nil, err
	}
	if o.Kind.IsRegistry() && !exists && e.vault != nil {
		return nil, fault.New(fault.Busy, "%s is a registry: stop the daemon, add it, and start again", o.Handle)
	}
	return e.Decide(Consent{}, OfLedger(func(l *holdings.Ledger) (*holdings.Outcome, error) { return l.Enrol(by, o) }))
}

// Resolve makes of the ledger and the book, which are those of this moment, what a decision changes of either; nil where nothing.
type Resolve func(*holdings.Ledger, *roa.Book) (*holdings.Outcome, *roa.Outcome, error)

// OfLedger is for a decision that changes the ledger alone.
func OfLedger(resolve func(*holdings.Ledger) (*holdings.Outcome, error)) Resolve {
	return func(l *holdings.Ledger, _ *roa.Book) (*holdings.Outcome, *roa.Outcome, error) {
		o, err := resolve(l)
		return o, nil, err
	}
}

// ofIntents is for a decision that changes the intents alone, and is resolved already.
func ofIntents(o *roa.Outcome) Resolve {
	return func(*holdings.Ledger, *roa.Book) (*holdings.Outcome, *roa.Outcome, error) { return nil, o, nil }
}

// Decide takes a decision, and is the only way to take one: it resolves what changes, computes the effect, asks the brake, and
// commits. Ledger and book change at one moment, under one number in the log. A dry run and what changes nothing end with the
// effect. A decision that the brake holds is an error of kind Refused, and comes with its effect.
func (e *Engine) Decide(consent Consent, resolve Resolve) (*Effect, error) {
	return e.decide(consent, resolve, nil)
}

// decide is Decide. Coming is what the decision takes away later, once it is resolved; it may be nil.
func (e *Engine) decide(consent Consent, resolve Resolve, coming *[]loss) (*Effect, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	o, intents, err := resolve(e.ledger, e.book)
	if err != nil {
		return nil, err
	}
	if intents == nil {
		intents = &roa.Outcome{}
	}
	if o == nil || o.Empty() {
		o = e.ledger.OfIntents(intents.By)
	}
	o.Intents = intents.Changes()
	f := e.effectOf(o, intents, consent)
	f.DryRun = consent.DryRun
	if consent.DryRun || o.Empty() {
		return f, nil
	}
	if err := f.passes(consent); err != nil {
		e.Observer.Refused(fault.Refused)
		return f, err
	}
	if f.Held != "" || consent.Unbraked {
		f.losses = nil // somebody has looked at it, or none had to
	}
	if coming != nil {
		f.losses = append(f.losses, *coming...)
	}
	if err := e.commitDecision(o, intents, f.losses); err != nil {
		return nil, err
	}
	f.Decision = o.Decision.ID
	return f, nil
}

// commitDecision makes a decision durable, with what the brake has to remember of it, applies it and wakes the engine. The engine's mu is held.
func (e *Engine) commitDecision(o *holdings.Outcome, intents *roa.Outcome, losses []loss) error {
	notices := e.noticesOf(o)
	facts, err := e.factsOf(o)
	if err != nil {
		return err
	}
	var added []string
	for _, org := range o.Organisations {
		if org.Kind.IsRegistry() && e.repositories[org.Handle] == nil {
			added = append(added, org.Handle)
		}
	}
	_, err = e.store.Update(store.Any, func(w store.Writer) error {
		if err := federation.WriteNotices(w, notices); err != nil {
			return err
		}
		if err := writeFacts(w, facts); err != nil {
			return err
		}
		for _, registry := range added {
			if err := rrdp.Create(w, e.repositoryConfig(registry)); err != nil {
				return err
			}
		}
		if err := intents.Write(o.Noting(w)); err != nil {
			return err
		}
		if err := o.Write(w); err != nil {
			return err
		}
		return e.brake.write(w, o, losses, e.policy.BrakeWindow)
	})
	if err != nil {
		return fault.Wrap(err, "couldn't record the decision")
	}
	e.ledger.Apply(o)
	e.book.Apply(intents)
	e.brake.apply(e, o, intents, losses)
	e.peers.GiveNotices(notices)
	for holder := range o.After {
		e.touch(holder)
	}
	for _, holder := range intents.Holders() {
		e.touch(holder)
	}
	for i := range o.Transfers {
		giving, taking := e.ledger.Involved(&o.Transfers[i])
		for _, holder := range slices.Concat(giving, taking) {
			if _, ok := e.ledger.Organisation(holder); ok {
				e.touch(holder)
			}
		}
	}
	e.poke()
	return e.openAdded(added, o.Decision.ID)
}

// openAdded opens the repositories of registries that a decision added. No daemon runs, as Enrol sees to, and the decision stands.
func (e *Engine) openAdded(registries []string, decision uint64) error {
	for _, registry := range registries {
		repository, err := rrdp.Open(e.store, e.repositoryConfig(registry))
		if err != nil {
			return fault.Wrap(err, "decision %d is taken and %s added, and its repository can't be opened; mend that before you start the daemon", decision, registry)
		}
		e.repositories[registry] = repository
	}
	return nil
}

// noticesOf is the time that an outcome gives to delegated CAs that lose something by it. What they lost before and still
// have time for is among it. The engine's mu is held.
func (e *Engine) noticesOf(o *holdings.Outcome) []*federation.Notice {
	var notices []*federation.Notice
	for holder, now := range o.After {
		lost := o.Before[holder].Minus(now)
		if lost.Empty() || len(e.peers.Keys(holder)) == 0 || e.policy.Notice <= 0 {
			continue
		}
		if was := e.peers.Notice(holder); was != nil {
			lost = lost.Union(was.Lost)
		}
		notices = append(notices, &federation.Notice{Holder: holder, Lost: lost, Until: o.Decision.Time.Add(e.policy.Notice)})
	}
	return notices
}

// AddIntents has rows authorised, as far as the ledger lets them.
func (e *Engine) AddIntents(rows []roa.Row, opt roa.Options, consent Consent) (*Effect, error) {
	return e.ChangeIntents(&roa.File{Add: rows}, opt, consent)
}

// ChangeIntents adds and removes what a file says, in one decision.
func (e *Engine) ChangeIntents(f *roa.File, opt roa.Options, consent Consent) (*Effect, error) {
	return e.Decide(consent, func(l *holdings.Ledger, b *roa.Book) (*holdings.Outcome, *roa.Outcome, error) {
		o, err := b.Change(l, f, opt)
		if err != nil {
			return nil, nil, err
		}
		return nil, o, thawed(l, o)
	})
}

// RemoveIntents ends intents, and with them what they authorise.
func (e *Engine) RemoveIntents(by holdings.By, intents []roa.Intent, consent Consent) (*Effect, error) {
	return e.Decide(consent, func(l *holdings.Ledger, b *roa.Book) (*holdings.Outcome, *roa.Outcome, error) {
		o, err := b.Remove(intents)
		if err != nil {
			return nil, nil, err
		}
		o.By = by
		return nil, o, thawed(l, o)
	})
}

// thawed refuses a change of what is authorised for resources that are in a transfer: what both sides agreed on would not be
// so any more, and an origin that covers what moves could make its routes invalid.
func thawed(l *holdings.Ledger, o *roa.Outcome) error {
	for _, in := range slices.Concat(o.Added, o.Removed) {
		if t := l.InTransfer(inr.OfPrefix(in.Prefix)); t != nil {
			return fault.New(fault.Conflict, "%s is in transfer %d, and what is authorised for it can't change until that is over ('cadastre transfer show %d')", in.Prefix, t.ID, t.ID)
		}
	}
	return nil
}

// passes lets an effect through that the brake does not hold, or whose code was given.
func (f *Effect) passes(consent Consent) error {
	switch {
	case f.Held == "" || consent.Code == f.Code || consent.Unbraked:
		return nil
	case consent.Code != "":
		return fault.New(fault.Refused, "the code %s belongs to another plan: %s; look at it again, then repeat with --code %s", consent.Code, f.Held, f.Code)
	}
	return fault.New(fault.Refused, "the brake holds this: %s; look at the plan, then repeat with --code %s", f.Held, f.Code)
}
