package holdings

import (
	"cmp"
	"encoding/json"
	"errors"
	"iter"
	"maps"

	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// Load reads the ledger. It fails with NotFound where there is none yet, and Corrupt.
func Load(r store.Reader) (*Ledger, error) {
	c, err := readCounters(r)
	if err != nil {
		return nil, err
	}
	if c.LastDecision == 0 {
		return nil, fault.New(fault.NotFound, "the store holds no ledger; make one with 'cadastre init'")
	}
	var orgs []Organisation
	for o, err := range all[Organisation](r, organisationBucket, nil) {
		if err != nil {
			return nil, err
		}
		orgs = append(orgs, o)
	}
	l, err := newTree(orgs)
	if err != nil {
		return nil, damaged("its organisations", err)
	}
	l.lastDecision, l.nextDelegation, l.imports = c.LastDecision, c.NextDelegation, map[string]Mark{}
	for d, err := range all[Delegation](r, delegationBucket, nil) {
		if err != nil {
			return nil, err
		}
		to := l.orgs[d.To]
		if to == nil || !d.foreign() && to.Parent != d.From || d.ID == 0 || d.ID >= l.nextDelegation {
			return nil, damaged("delegation to "+d.To, errors.New("it fits no organisation"))
		}
		l.add(&d)
	}
	for m, err := range all[Mark](r, importBucket, nil) {
		if err != nil {
			return nil, err
		}
		l.imports[m.Registry] = m
	}
	for _, n := range l.orgs {
		n.sum()
	}
	for p, err := range all[Policy](r, policyBucket, nil) {
		if err != nil {
			return nil, err
		}
		l.policies[p.Registry] = &p
	}
	for t, err := range all[Transfer](r, transferBucket, nil) {
		if err != nil {
			return nil, err
		}
		l.setTransfer(&t)
	}
	return l, nil
}

// Past lists the delegations to an organisation that have ended, the oldest first.
func Past(r store.Reader, handle string) iter.Seq2[Delegation, error] {
	return all[Delegation](r, endedBucket, append([]byte(Fold(handle)), 0))
}

// Decisions lists the decisions from a number on.
func Decisions(r store.Reader, from uint64) iter.Seq2[Decision, error] {
	return func(yield func(Decision, error) bool) {
		for id := max(from, 1); ; id++ {
			d, err := ReadDecision(r, id)
			if fault.KindOf(err) == fault.NotFound && err != nil {
				return
			}
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// ReadDecision is one decision of the log. It fails with NotFound and Corrupt.
func ReadDecision(r store.Reader, id uint64) (Decision, error) {
	data, err := r.Get(decisionBucket, numberKey(id))
	if err != nil {
		return Decision{}, err
	}
	if data == nil {
		return Decision{}, noDecision(id)
	}
	var d Decision
	if err := json.Unmarshal(data, &d); err != nil {
		return d, damaged("a decision", err)
	}
	return d, nil
}

func noDecision(id uint64) error {
	return fault.New(fault.NotFound, "there is no decision %d", id)
}

// Imported has the last file that was imported of each registry, by the registry's handle.
func (l *Ledger) Imported() map[string]Mark {
	return maps.Clone(l.imports)
}

// older tells whether a mark is of an older file than another.
func (m Mark) older(than Mark) bool {
	return cmp.Or(m.Date.Compare(than.Date), cmp.Compare(m.Serial, than.Serial)) < 0
}
