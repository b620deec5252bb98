package ca

import (
	"fmt"
	"slices"
	"time"

	"cadastre/ca/kinds"
	"cadastre/federation"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/store"
	"cadastre/roa"
)

// Consent says how a decision is to be taken: only computed, or past the brake.
type Consent struct {
	DryRun bool   `json:"dry_run,omitempty"` // compute the effect, and change nothing
	Code   string `json:"code,omitempty"`    // lets a decision pass that the brake holds
	// Unbraked is for decisions that the brake cannot prevent, or has weighed before: what a parent elsewhere took away, intents that end
	// by their date, and steps of transfers and handoffs.
	Unbraked bool `json:"-"`
}

// Import takes registries' files: they say what each registry delegates now. Lines that were left out are in the effect.
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

// Exchange gives an organisation resources in place of others, which it keeps until a deadline. Warnings in the effect name
// organisations below it that have parts of the old ones.
func (e *Engine) Exchange(by holdings.By, give inr.Set, want holdings.Delegation, deadline time.Time, consent Consent) (*Effect, error) {
	var warnings []string
	f, err := e.Decide(consent, OfLedger(func(l *holdings.Ledger) (*holdings.Outcome, error) {
		for _, below := range l.Children(holdings.Fold(want.To)) {
			if has := l.Holding(below).Intersect(give); !has.Empty() {
				warnings = append(warnings, fmt.Sprintf("%s has %s of it, which ends with it", below, has))
			}
		}
		return l.Exchange(by, give, want, deadline)
	}))
	if f != nil {
		f.Warnings = append(f.Warnings, warnings...)
	}
	return f, err
}

// Weigh asks the brake about what a holder will lose. See DecideWeighed.
type Weigh func(holder string, vrps []roa.VRP, objects kinds.List) (why, code string)

// DecideWeighed takes a decision whose losses come later and are weighed now, as when a transfer begins. Resolve gets a function that
// asks the brake: for VRPs of a holder, and payloads of other kinds, that will be lost it returns why the brake holds that, and the code that
// lets it pass; both are empty where the brake does not hold it. Losses that pass without a code are remembered, so that many small decisions
// are held as one large one is.
func (e *Engine) DecideWeighed(consent Consent, resolve func(*holdings.Ledger, *roa.Book, Weigh) (*holdings.Outcome, error)) (*Effect, error) {
	var coming []loss
	weigh := func(holder string, vrps []roa.VRP, objects kinds.List) (why, code string) {
		lost := loss{Holder: holder, VRPs: vrps, Objects: objects, Coming: true}
		if why, code = e.brakeOn(lost); why == "" && len(vrps)+len(objects) > 0 {
			coming = append(coming, lost)
		}
		return why, code
	}
	return e.decide(consent, func(l *holdings.Ledger, b *roa.Book) (*holdings.Outcome, *roa.Outcome, error) {
		o, err := resolve(l, b, weigh)
		return o, nil, err
	}, &coming)
}

// Enrol adds an organisation to the tree, or changes its name or country.
func (e *Engine) Enrol(by holdings.By, o holdings.Organisation) (*Effect, error) {
	return e.Decide(Consent{}, OfLedger(func(l *holdings.Ledger) (*holdings.Outcome, error) { return l.Enrol(by, o) }))
}

// Resolve computes from the ledger and the book of intents what a decision changes of each; nil for no change. It changes nothing.
type Resolve func(*holdings.Ledger, *roa.Book) (*holdings.Outcome, *roa.Outcome, error)

// OfLedger is for a decision that changes the ledger alone.
func OfLedger(resolve func(*holdings.Ledger) (*holdings.Outcome, error)) Resolve {
	return func(l *holdings.Ledger, _ *roa.Book) (*holdings.Outcome, *roa.Outcome, error) {
		o, err := resolve(l)
		return o, nil, err
	}
}

// Decide takes a decision. It resolves what changes, computes the effect, asks the brake, and commits. Ledger and book change at one
// moment, under one number in the log. A dry run, or a decision that changes nothing, ends with the effect. If the brake holds the
// decision it fails with Refused, and returns the effect, too. A new registry gets a repository, which a running daemon cannot open: then it
// fails with Busy.
func (e *Engine) Decide(consent Consent, resolve Resolve) (*Effect, error) {
	return e.decide(consent, resolve, nil)
}

// decide does what Decide does. Coming, which may be nil, is filled by resolve: what the decision takes away later.
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
	added := e.newRegistries(o)
	if len(added) > 0 && e.keeper != nil {
		return nil, fault.New(fault.Busy, "%s is a registry: stop the daemon, add it, and start again", added[0])
	}
	o.Intents = intents.Changes()
	f, err := e.effectOf(o, intents, consent)
	if err != nil {
		return nil, err
	}
	f.DryRun = consent.DryRun
	if consent.DryRun || o.Empty() {
		return f, nil
	}
	if err := f.passes(consent); err != nil {
		e.Observer.Refused(fault.Refused)
		return f, err
	}
	if f.Held != "" || consent.Unbraked {
		f.losses = nil // it passed with its code, or without the brake
	}
	if coming != nil {
		f.losses = append(f.losses, *coming...)
	}
	if err := e.commitDecision(o, intents, f.losses, added); err != nil {
		return nil, err
	}
	f.Decision = o.Decision.ID
	return f, nil
}

// newRegistries lists the registries that a decision adds. Each gets a repository.
func (e *Engine) newRegistries(o *holdings.Outcome) (added []string) {
	for _, org := range o.Organisations {
		if org.Kind.IsRegistry() && e.repositories.Own()[org.Handle] == nil {
			added = append(added, org.Handle)
		}
	}
	return added
}

// commitDecision commits a decision, with what the brake has to remember of it, applies it, and wakes the engine. Added is the registries
// that it adds. The caller holds the engine's mu.
func (e *Engine) commitDecision(o *holdings.Outcome, intents *roa.Outcome, losses []loss, added []string) error {
	notices := e.noticesOf(o)
	facts, err := e.factsOf(o)
	if err != nil {
		return err
	}
	_, err = e.store.Update(store.Any, func(w store.Writer) error {
		if err := federation.WriteNotices(w, notices); err != nil {
			return err
		}
		if err := writeFacts(w, facts); err != nil {
			return err
		}
		for _, registry := range added {
			if err := e.repositories.Create(w, registry); err != nil {
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
	e.progress.Wake()
	return e.openAdded(added, o.Decision.ID)
}

// openAdded opens the repositories of registries that a decision added, while no daemon runs. On an error the decision is taken nevertheless.
func (e *Engine) openAdded(registries []string, decision uint64) error {
	for _, registry := range registries {
		if err := e.repositories.Add(registry); err != nil {
			return fault.Wrap(err, "decision %d is taken and %s added, and its repository can't be opened; mend that before you start the daemon", decision, registry)
		}
	}
	return nil
}

// noticesOf makes the notices for delegated CAs that lose something by an outcome. A notice includes what an earlier notice, which has
// not ended, gives time for. The caller holds the engine's mu.
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

// AddIntents adds ROA intents. What the ledger does not let be authorised is refused.
func (e *Engine) AddIntents(rows []roa.Row, opt roa.Options, consent Consent) (*Effect, error) {
	return e.ChangeIntents(&roa.File{Add: rows}, opt, consent)
}

// ChangeIntents adds and removes what a file says, in one decision.
func (e *Engine) ChangeIntents(f *roa.File, opt roa.Options, consent Consent) (*Effect, error) {
	known, _ := e.Routes.Now(time.Now())
	given := opt.Announced
	opt.Announced = append(slices.Clone(given), known)
	return e.Decide(consent, func(l *holdings.Ledger, b *roa.Book) (*holdings.Outcome, *roa.Outcome, error) {
		o, err := b.Change(l, f, opt)
		if err != nil {
			return nil, nil, err
		}
		o.Announced = given
		return nil, o, thawed(l, o)
	})
}

// RemoveIntents removes ROA intents, and so withdraws what they authorise.
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

// thawed refuses a change of ROA intents for resources that are in a transfer: both sides have agreed on what is authorised, and a ROA
// for a prefix that covers what moves could make its routes invalid.
func thawed(l *holdings.Ledger, o *roa.Outcome) error {
	for _, in := range slices.Concat(o.Added, o.Removed) {
		if t := l.InTransfer(inr.OfPrefix(in.Prefix)); t != nil {
			return fault.New(fault.Conflict, "%s is in transfer %d, and what is authorised for it can't change until that is over ('cadastre transfer show %d')", in.Prefix, t.ID, t.ID)
		}
	}
	return nil
}

// passes fails with Refused where the brake holds the decision and its code was not given.
func (f *Effect) passes(consent Consent) error {
	switch {
	case f.Held == "" || consent.Code == f.Code || consent.Unbraked:
		return nil
	case consent.Code != "":
		return fault.New(fault.Refused, "the code %s belongs to another plan: %s; look at it again, then repeat with --code %s", consent.Code, f.Held, f.Code)
	}
	return fault.New(fault.Refused, "the brake holds this: %s; look at the plan, then repeat with --code %s", f.Held, f.Code)
}
