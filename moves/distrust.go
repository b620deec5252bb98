package moves

import (
	"slices"
	"time"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/roa"
)

// Distrusted is the effect of distrusting an installation.
type Distrusted struct {
	Name    string     `json:"name"`
	Cancels []uint64   `json:"cancels"` // transfers that were under way with it, or with something that came from it
	Disowns []uint64   `json:"disowns"` // transfers that had brought resources, which are taken away
	Intents int        `json:"intents"` // how many intents end that came with them
	Effect  *ca.Effect `json:"effect"`  // on holders, certificates and VRPs
	DryRun  bool       `json:"dry_run"` // nothing was changed
}

// Distrust makes this installation take no messages from another one any more, at once. Then it withdraws what came from it: transfers
// with it that are under way are cancelled, and what it transferred to holders here is taken from whoever has it now, with the intents
// that came along. The brake may hold this second part: then it fails with Refused, and returns the effect; it has to be repeated with
// the code. It fails with NotFound where there is no such installation.
func (m *Mover) Distrust(by holdings.By, name string, consent ca.Consent) (*Distrusted, error) {
	if _, err := m.peer(name); err != nil {
		return nil, err
	}
	if !consent.DryRun {
		if err := m.setTrust(by, name, false); err != nil {
			return nil, err
		}
	}
	text := "distrusted"
	if by.Reason != "" {
		text += ": " + by.Reason
	}
	d := &Distrusted{Name: name, Cancels: []uint64{}, Disowns: []uint64{}, DryRun: consent.DryRun}
	var affected []holdings.Transfer
	var err error
	d.Effect, err = m.engine.Decide(consent, func(l *holdings.Ledger, b *roa.Book) (*holdings.Outcome, *roa.Outcome, error) {
		o, err := l.Disown(by, name, text)
		if err != nil {
			return nil, nil, err
		}
		affected = o.Transfers
		intents, err := cameAlong(b, affected)
		if err != nil {
			return nil, nil, err
		}
		intents.By, d.Intents = by, len(intents.Removed)+len(intents.Objects.Removed)
		return o, intents, nil
	})
	for i := range affected {
		if t := &affected[i]; t.State == holdings.Cancelled {
			d.Cancels = append(d.Cancels, t.ID)
		} else {
			d.Disowns = append(d.Disowns, t.ID)
		}
	}
	if err != nil || consent.DryRun {
		return d, err
	}
	for i := range affected {
		if err := m.withdrawOffers(&affected[i]); err != nil {
			return d, err
		}
	}
	m.poke()
	return d, nil
}

// cameAlong removes the intents that came with transfers, and those that went on from there with later transfers.
func cameAlong(b *roa.Book, transfers []holdings.Transfer) (*roa.Outcome, error) {
	of, sets := map[uint64]bool{}, []inr.Set{}
	for i := range transfers {
		if t := &transfers[i]; t.Incoming() {
			of[t.ID], sets = true, append(sets, t.Resources)
		}
	}
	came, out := inr.Sum(sets...), &roa.Outcome{}
	for _, holder := range b.Holders() {
		for _, in := range b.Of(holder) {
			if of[in.Transfer] || in.Transfer != 0 && came.ContainsPrefix(in.Prefix) {
				out.Removed = append(out.Removed, in)
			}
		}
		for _, in := range b.Objects.Of(holder) {
			if in.Transfer != 0 && in.Authorised(came) {
				if err := b.Objects.Drop(&out.Objects, in); err != nil {
					return nil, err
				}
			}
		}
	}
	return out, nil
}

// Trust ends Distrust: messages of the installation are taken again. What was withdrawn does not come back: holders have to begin their
// transfers anew. It fails with NotFound, and with Conflict where the installation is trusted.
func (m *Mover) Trust(by holdings.By, name string) error {
	p, err := m.peer(name)
	if err != nil {
		return err
	}
	if p.Distrusted.IsZero() {
		return fault.New(fault.Conflict, "%s is trusted already", name)
	}
	if err := m.setTrust(by, name, true); err != nil {
		return err
	}
	m.recall(name)
	return nil
}

func (m *Mover) setTrust(by holdings.By, name string, trust bool) error {
	m.merging.Lock() // no report of it is being taken meanwhile
	defer m.merging.Unlock()
	err := m.changeKnown(name, func(p *Peer) error {
		switch {
		case trust:
			p.Distrusted, p.DistrustedFor = time.Time{}, ""
		case p.Distrusted.IsZero():
			p.Distrusted, p.DistrustedFor = by.Time.UTC(), by.Reason
		}
		return nil
	})
	if err == nil {
		m.log.Warn("an operator decided whether another installation is trusted", "name", name, "trusted", trust, "actor", by.Who, "reason", by.Reason)
	}
	return err
}

// heard fails with Forbidden where a peer is distrusted.
func (p *Peer) heard() error {
	if p.Distrusted.IsZero() {
		return nil
	}
	return fault.New(fault.Forbidden, "%s has been distrusted here since %s; nothing is taken from it until 'cadastre registries trust %s'",
		p.Name, p.Distrusted.Format("2006-01-02"), p.Name)
}

// distrusted tells whether an operator distrusts an installation, by its name.
func (m *Mover) distrusted(name string) bool {
	p, err := m.peer(name)
	return err == nil && !p.Distrusted.IsZero()
}

// openIncoming is how many transfers of an installation nobody here has agreed to yet.
func openIncoming(l *holdings.Ledger, name string) int {
	return len(slices.DeleteFunc(l.Unrest(), func(t *holdings.Transfer) bool { return t.Peer != name || !t.Asserted() }))
}
