package holdings

import (
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"cadastre/internal/fault"
	"cadastre/internal/principal"
	"cadastre/internal/store"
)

// ParseTree reads the organisations that a new ledger begins with: one [[organisation]] table each, with the keys of
// Organisation. It fails with BadInput, naming the organisation or the key that is wrong.
func ParseTree(text []byte) ([]Organisation, error) {
	var file struct {
		Organisation []Organisation `toml:"organisation"`
	}
	meta, err := toml.Decode(string(text), &file)
	if err != nil {
		return nil, fault.New(fault.BadInput, "the tree can't be read: %w", err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, fault.New(fault.BadInput, "the tree has a key that means nothing here: %s", unknown[0])
	}
	for i, o := range file.Organisation {
		file.Organisation[i] = o.normal()
	}
	if _, err := newTree(file.Organisation); err != nil {
		return nil, err
	}
	return file.Organisation, nil
}

// newTree makes a ledger of organisations alone, in any order. It checks all rules of the tree.
func newTree(orgs []Organisation) (*Ledger, error) {
	l := &Ledger{
		orgs: make(map[string]*node, len(orgs)), policies: map[string]*Policy{}, unrest: map[uint64]bool{}, moving: map[string]map[uint64]bool{},
		refs: map[string]uint64{}, within: map[uint64][]uint64{}, handoffs: map[uint64]bool{},
	}
	for _, o := range orgs {
		if err := o.check(); err != nil {
			return nil, err
		}
		if l.orgs[o.Handle] != nil {
			return nil, fault.New(fault.Conflict, "organisation %s is there twice", o.Handle)
		}
		if o.Kind == Root {
			if l.root != "" {
				return nil, fault.New(fault.BadInput, "%s and %s are both the root; a tree has one", l.root, o.Handle)
			}
			l.root = o.Handle
		}
		l.orgs[o.Handle] = &node{Organisation: o}
	}
	if l.root == "" {
		return nil, fault.New(fault.BadInput, "the tree has no root; one organisation must have kind \"root\"")
	}
	for handle, n := range l.orgs {
		if handle == l.root {
			continue
		}
		if err := l.checkPlace(n.Organisation); err != nil {
			return nil, err
		}
		l.orgs[n.Parent].children = append(l.orgs[n.Parent].children, handle)
	}
	for handle, n := range l.orgs {
		slices.Sort(n.children)
		if !l.rooted(handle) {
			return nil, fault.New(fault.BadInput, "organisation %s is below itself: give it another parent", handle)
		}
	}
	return l, nil
}

// checkPlace checks where a normal organisation is in the tree; the error says what is wrong.
func (l *Ledger) checkPlace(o Organisation) error {
	parent := l.orgs[o.Parent]
	if parent == nil {
		return fault.New(fault.NotFound, "organisation %s: its parent %s is unknown", o.Handle, o.Parent)
	}
	if !slices.Contains(parents[o.Kind], parent.Kind) {
		return fault.New(fault.BadInput, "organisation %s: a %s can't be below %s, which is a %s", o.Handle, o.Kind, o.Parent, parent.Kind)
	}
	if o.Kind != RIR && o.Kind != NIR {
		return nil
	}
	// with two registries of one name in statistics, or two NIRs of one country, nobody could tell whose a record is
	for _, other := range l.orgs {
		switch {
		case other.Handle == o.Handle || other.Kind != o.Kind:
		case o.Kind == RIR && other.statistics() == o.statistics():
			return fault.New(fault.Conflict, "organisations %s and %s have the same name in statistics, %s", o.Handle, other.Handle, o.statistics())
		case o.Kind == NIR && other.Parent == o.Parent:
			for _, c := range o.Countries {
				if slices.Contains(other.Countries, c) {
					return fault.New(fault.Conflict, "organisations %s and %s both serve %s", o.Handle, other.Handle, c)
				}
			}
		}
	}
	return nil
}

// rooted tells whether an organisation is below the root.
func (l *Ledger) rooted(handle string) bool {
	for range len(l.orgs) {
		if handle == l.root {
			return true
		}
		handle = l.orgs[handle].Parent
	}
	return false
}

// Create writes a new ledger with these organisations, as ParseTree returned them, and the decision that founds it.
func Create(w store.Writer, orgs []Organisation, who principal.Principal, now time.Time) error {
	if _, err := newTree(orgs); err != nil {
		return err
	}
	d := By{Who: who, Reason: "the ledger is founded", Time: now}.decision(1)
	orgs = slices.SortedFunc(slices.Values(orgs), func(a, b Organisation) int { return strings.Compare(a.Handle, b.Handle) })
	for _, o := range orgs {
		d.Changes = append(d.Changes, Change{What: Enrolled, Organisation: o.Handle})
	}
	o := &Outcome{Decision: d, Organisations: orgs, nextDelegation: 1}
	return o.Write(w)
}

// Note adds a decision to the log that changes no holding: something that was done to the installation as a whole.
func Note(w store.Writer, by By) error {
	c, err := readCounters(w)
	if err != nil {
		return err
	}
	c.LastDecision++
	p := puts{w: w}
	d := by.decision(c.LastDecision)
	d.Changes = []Change{}
	appendDecision(&p, d, nil)
	p.put(ledgerBucket, countersKey, c)
	return p.err
}
