package ca

import (
	"slices"

	"cadastre/aspa"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/store"
	"cadastre/internal/validate"
	"cadastre/roa"
)

// ChangeASPAs adds and removes providers of customer ASes, in one decision. It fails as aspa.Book.Resolve does, and with Conflict where a
// customer AS is in a transfer.
func (e *Engine) ChangeASPAs(f *aspa.File, opt aspa.Options, consent Consent) (*Effect, error) {
	return e.Decide(consent, func(l *holdings.Ledger, b *roa.Book) (*holdings.Outcome, *roa.Outcome, error) {
		r, err := b.ASPAs.Resolve(l, f, opt)
		if err != nil {
			return nil, nil, err
		}
		o := &roa.Outcome{By: opt.By, ASPAs: r.Change}
		for _, left := range r.Left {
			o.Left = append(o.Left, roa.Left{Row: roa.Row{Line: left.Line}, Reason: left.Reason})
		}
		for _, text := range r.Warnings {
			o.Warnings = append(o.Warnings, roa.Warning{Text: text})
		}
		for _, in := range slices.Concat(r.Added, r.Removed) {
			if t := l.InTransfer(inr.OfAS(in.Customer, in.Customer)); t != nil {
				return nil, nil, fault.New(fault.Conflict, "AS%d is in transfer %d, and its providers can't change until that is over ('cadastre transfer show %d')", in.Customer, t.ID, t.ID)
			}
		}
		return nil, o, nil
	})
}

// ASPAs calls each for every ASPA intent of a holder, with its status; for those of all holders if none is named.
func (e *Engine) ASPAs(holder string, each func(aspa.Intent, roa.Status)) error {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return eachIntent(e, holder, slices.Sorted(e.book.ASPAs.Everyone()), e.book.ASPAs.Of, func(in aspa.Intent, r store.Reader) (roa.Status, []string, error) {
		status, err := roa.StatusOfASPA(in, e.ledger, r)
		return status, []string{in.VAP.String()}, err
	}, each)
}

// ASPALines lists the validated ASPA payloads that a validator prints now, as text, by customer AS; with committed, those of all objects
// that are signed. ASPAs of several authorities for one customer AS are merged, as validators do.
func (e *Engine) ASPALines(committed bool) ([]string, error) {
	list := e.publishedSays
	if committed {
		list = e.committedSays
	}
	says, err := list(aspa.Kind)
	if err != nil {
		return nil, err
	}
	all := make([]validate.VAP, len(says))
	for i, text := range says {
		v, err := aspa.ParseVAP(text)
		if err != nil {
			return nil, err
		}
		all[i] = validate.VAP(v)
	}
	merged, _ := validate.MergeVAPs(all)
	lines := make([]string, len(merged))
	for i, v := range merged {
		lines[i] = v.String()
	}
	return lines, nil
}

// aspaEffect is what a decision does to ASPAs.
type aspaEffect struct {
	gained, gone []aspa.VAP
	lost         map[string][]aspa.VAP // by holder: those whose customer AS has no ASPA after the decision
}

// aspaEffect computes what a decision does to ASPAs. Changed is its change of intents, by holder. The caller holds the engine's mu.
func (e *Engine) aspaEffect(o *holdings.Outcome, changed map[string]*roa.Outcome) aspaEffect {
	f := aspaEffect{lost: map[string][]aspa.VAP{}}
	var before, after []aspa.VAP
	of := map[string][]aspa.VAP{} // by holder, before
	look := func(holder string, was, now inr.Set, change aspa.Change) {
		of[holder] = aspa.AllAuthorised(e.book.ASPAs.Of(holder), was)
		before = append(before, of[holder]...)
		after = append(after, aspa.AllAuthorised(e.book.ASPAs.With(holder, change), now)...)
	}
	for holder, now := range o.After {
		var change aspa.Change
		if c := changed[holder]; c != nil {
			change = c.ASPAs
		}
		look(holder, o.Before[holder], now, change)
	}
	for holder, c := range changed {
		if _, done := of[holder]; !done {
			holding := e.ledger.Holding(holder)
			look(holder, holding, holding, c.ASPAs)
		}
	}
	before, after = aspa.Unique(before), aspa.Unique(after)
	stands := map[uint32]bool{}
	for _, v := range after {
		stands[v.Customer] = true
	}
	has := func(list []aspa.VAP, v aspa.VAP) bool {
		_, found := slices.BinarySearchFunc(list, v, aspa.VAP.Compare)
		return found
	}
	for _, v := range after {
		if !has(before, v) {
			f.gained = append(f.gained, v)
		}
	}
	for _, v := range before {
		if !has(after, v) {
			f.gone = append(f.gone, v)
		}
	}
	for holder, list := range of {
		for _, v := range list {
			if !stands[v.Customer] {
				f.lost[holder] = append(f.lost[holder], v)
			}
		}
	}
	return f
}
