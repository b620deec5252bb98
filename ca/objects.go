package ca

import (
	"maps"
	"slices"

	"cadastre/ca/kinds"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/intents"
	"cadastre/internal/payload"
	"cadastre/internal/store"
	"cadastre/roa"
)

// ChangeObjects changes intents for signed objects of other kinds than ROAs, in one decision. Resolve is that of the kind, as aspa.Resolve is.
// It fails as resolve does, and with Conflict where resources that an intent is about are in a transfer.
func (e *Engine) ChangeObjects(by holdings.By, consent Consent, resolve func(*holdings.Ledger, intents.Objects) (*intents.Resolved, error)) (*Effect, error) {
	return e.Decide(consent, func(l *holdings.Ledger, b *roa.Book) (*holdings.Outcome, *roa.Outcome, error) {
		r, err := resolve(l, b.Objects)
		if err != nil {
			return nil, nil, err
		}
		o := &roa.Outcome{By: by, Objects: r.ObjectChange}
		for _, left := range r.Left {
			o.Left = append(o.Left, roa.Left{Row: roa.Row{Line: left.Line}, Reason: left.Reason})
		}
		for _, text := range r.Warnings {
			o.Warnings = append(o.Warnings, roa.Warning{Text: text})
		}
		for _, in := range slices.Concat(r.Added, r.Removed) {
			if t := l.InTransfer(in.Says.Resources()); t != nil {
				return nil, nil, fault.New(fault.Conflict, "%s is in transfer %d, and what is authorised for it can't change until that is over ('cadastre transfer show %d')", in.Says.Resources(), t.ID, t.ID)
			}
		}
		return nil, o, nil
	})
}

// Objects calls each for every intent of a kind of a holder, with its status; for those of all holders if none is named.
func (e *Engine) Objects(kind payload.Kind, holder string, each func(intents.Object, roa.Status)) error {
	e.mu.RLock()
	defer e.mu.RUnlock()
	of := func(holder string) []intents.Object {
		return slices.DeleteFunc(slices.Clone(e.book.Objects.Of(holder)), func(in intents.Object) bool { return in.Says.Kind() != kind })
	}
	return eachIntent(e, holder, slices.Sorted(e.book.Objects.Everyone()), of, func(in intents.Object, r store.Reader) (roa.Status, []string, error) {
		status, err := roa.StatusOfObject(in, e.ledger, r)
		return status, []string{in.Says.String()}, err
	}, each)
}

// Lines lists the payloads of a kind that a validator prints now, as it prints them; with committed, those of all objects that are signed.
func (e *Engine) Lines(kind payload.Kind, committed bool) ([]string, error) {
	k, err := kinds.Of(kind)
	if err != nil {
		return nil, err
	}
	list := e.publishedSays
	if committed {
		list = e.committedSays
	}
	says, err := list(kind)
	if err != nil {
		return nil, err
	}
	return k.Lines(says)
}

// objectEffect is what a decision does to signed objects of other kinds than ROAs.
type objectEffect struct {
	gained, gone kinds.List
	lost         map[string]kinds.List // by holder: those under whose key nothing is authorised after the decision
}

// effectOnObjects computes what a decision does to signed objects of other kinds than ROAs. Changed is its change of intents, by holder. The
// caller holds the engine's mu.
func (e *Engine) effectOnObjects(o *holdings.Outcome, changed map[string]*roa.Outcome) objectEffect {
	f := objectEffect{lost: map[string]kinds.List{}}
	before, after, stands := map[payload.Key]payload.Payload{}, map[payload.Key]payload.Payload{}, map[payload.Key]bool{}
	of := map[string][]payload.Payload{} // by holder, before
	look := func(holder string, was, now inr.Set, change intents.ObjectChange) {
		of[holder] = intents.AllAuthorised(e.book.Objects.Of(holder), was)
		for _, p := range of[holder] {
			before[payload.ID(p)] = p
		}
		for _, p := range intents.AllAuthorised(e.book.Objects.With(holder, change), now) {
			after[payload.ID(p)], stands[p.Key()] = p, true
		}
	}
	for holder, now := range o.After {
		var change intents.ObjectChange
		if c := changed[holder]; c != nil {
			change = c.Objects
		}
		look(holder, o.Before[holder], now, change)
	}
	for holder, c := range changed {
		if _, done := of[holder]; !done {
			holding := e.ledger.Holding(holder)
			look(holder, holding, holding, c.Objects)
		}
	}
	f.gained, f.gone = missingIn(before, after), missingIn(after, before)
	for holder, list := range of {
		for _, p := range list {
			if !stands[p.Key()] {
				f.lost[holder] = append(f.lost[holder], p)
			}
		}
	}
	return f
}

// missingIn lists what of b is not in a, in order.
func missingIn(a, b map[payload.Key]payload.Payload) kinds.List {
	var list kinds.List
	for _, id := range slices.SortedFunc(maps.Keys(b), func(x, y payload.Key) int { return payload.Compare(b[x], b[y]) }) {
		if a[id] == nil {
			list = append(list, b[id])
		}
	}
	return list
}
