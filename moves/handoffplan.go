package moves

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"time"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/term"
	"cadastre/roa"
)

// HandoffRequest is a handoff that somebody asks for.
type HandoffRequest struct {
	Registry string // whose holders go
	To       string // the registry that gets them
	Batch    int    // so many at once; 0: DefaultBatch
	Pace     time.Duration
	Soak     time.Duration // less than zero: as the registries' policies have it
	Snapshot *Snapshot     // what was deposited, where the registry is not alive; nil: what is here
	Code     string        // of the plan
}

// DefaultBatch is how many holders begin at once where nobody says otherwise.
const DefaultBatch = 100

// HandoffPlan is what a handoff would do. Its fields are the lines that an operator reads before starting it.
type HandoffPlan struct {
	Registry  string           `json:"registry"`
	To        string           `json:"to"`
	Resources inr.Set          `json:"resources"` // all that the registry holds; the successor holds it too before the first holder moves
	Pool      inr.Set          `json:"pool"`      // the part that no holder has: it goes last
	NIRs      []string         `json:"nirs,omitempty"`
	Holders   []PlannedHolder  `json:"holders"` // in their order
	Routes    []holdings.Route `json:"-"`

	Batch   int       `json:"batch"`
	Batches int       `json:"batches"`
	Pace    term.Term `json:"pace"`
	Soak    term.Term `json:"soak"`
	Lasts   term.Term `json:"lasts"` // at least; CAs elsewhere may take longer

	Organisations int `json:"organisations"` // that get certificates, customers of holders included
	Revoked       int `json:"revoked"`       // certificates of these organisations below the registry, if that is here
	Delegated     int `json:"delegated"`     // those of the organisations whose CA is elsewhere
	VRPs          int `json:"vrps"`
	Objects       int `json:"objects,omitempty"` // signed objects of other kinds than ROAs
	Keys          int `json:"keys"`              // to be made
	Signatures    int `json:"signatures"`        // likewise

	Warnings []string `json:"warnings,omitempty"`
	Code     string   `json:"code"` // StartHandoff needs it

	snapshot *Snapshot
}

// PlannedHolder is a holder that would go.
type PlannedHolder struct {
	Holder    string           `json:"holder"`
	To        string           `json:"to"`
	Batch     int              `json:"batch"` // from 1
	Resources inr.Set          `json:"resources"`
	Customers []string         `json:"customers,omitempty"` // organisations below it that go along, by their present handles
	Elsewhere []string         `json:"elsewhere,omitempty"` // the holder and customers whose CA is elsewhere
	Routes    []holdings.Route `json:"vrps"`
	Objects   []holdings.Said  `json:"objects,omitempty"` // what other signed objects say
}

// PlanHandoff says what a handoff would do. It fails with NotFound, BadInput and Conflict where it can't be.
func (m *Mover) PlanHandoff(q HandoffRequest) (*HandoffPlan, error) {
	var p *HandoffPlan
	identities := m.engine.DelegatedIdentities()
	err := m.engine.Read(func(l *holdings.Ledger, b *roa.Book) (err error) {
		p, err = planHandoff(l, b, identities, q, m.engine.Code)
		return err
	})
	return p, err
}

func planHandoff(l *holdings.Ledger, b *roa.Book, identities map[string][]byte, q HandoffRequest, code func(plan []byte) string) (*HandoffPlan, error) {
	p := &HandoffPlan{Registry: holdings.Fold(q.Registry), To: holdings.Fold(q.To), Batch: q.Batch, Pace: term.Term(q.Pace), Soak: term.Term(q.Soak), Holders: []PlannedHolder{}}
	if p.Batch == 0 {
		p.Batch = DefaultBatch
	}
	if p.Batch < 0 || p.Pace < 0 {
		return nil, fault.New(fault.BadInput, "a batch of %d each %s is none; use numbers from 1 and times from 0s", p.Batch, p.Pace)
	}
	if err := p.find(l, b, identities, q.Snapshot); err != nil {
		return nil, err
	}
	if p.Soak < 0 {
		own := p.beginning(l)
		p.Soak = l.TermsOf(&own.Transfer).Soak
	}
	// whether the ledger would let it begin
	if _, err := l.InitiateAll(holdings.By{Time: time.Now()}, []holdings.Beginning{p.beginning(l)}, ""); err != nil {
		return nil, err
	}
	p.list(l)
	p.count(l)
	digest, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	p.Code = code(digest)
	return p, nil
}

// find finds the registry's snapshot: in the ledger here, or in what was deposited.
func (p *HandoffPlan) find(l *holdings.Ledger, b *roa.Book, identities map[string][]byte, deposited *Snapshot) error {
	here, known := l.Organisation(p.Registry)
	switch {
	case deposited == nil && !known:
		return fault.New(fault.NotFound, "there is no organisation %q; name the folder of its deposits with --escrow if it was elsewhere", p.Registry)
	case deposited == nil:
		p.snapshot = SnapshotOf(l, b, identities, p.Registry)
		p.Resources = p.snapshot.Resources
		if all := l.Holding(p.Registry); !p.Resources.Contains(all) {
			p.Warnings = append(p.Warnings, fmt.Sprintf("%s stays with %s: it is certified by a parent elsewhere", all.Minus(p.Resources), p.Registry))
		}
	case deposited.Registry != p.Registry:
		return fault.New(fault.BadInput, "what was deposited is of %s and not of %s", deposited.Registry, p.Registry)
	case known && len(l.HoldersOf(here.Handle)) > 0:
		return fault.New(fault.Conflict, "%s has holders here; hand off those that are here, without --escrow", p.Registry)
	case known:
		var lost inr.Set
		p.Resources = l.InTree(p.Registry)
		var err error
		if p.snapshot, lost, err = deposited.within(p.Resources); err != nil {
			return err
		}
		if !lost.Empty() {
			p.Warnings = append(p.Warnings, fmt.Sprintf("%s was deposited and is not held by %s here any more: it is left out", lost, p.Registry))
		}
	default:
		p.snapshot, p.Resources = deposited, deposited.Resources.Minus(l.Holding(p.To))
	}
	p.NIRs = p.snapshot.NIRs
	if len(p.NIRs) > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("the holders of %s become holders of %s: an NIR has a repository of its own, which a successor adds by itself", strings.Join(p.NIRs, ", "), p.To))
	}
	return nil
}

// beginning is the registry's own transfer.
func (p *HandoffPlan) beginning(l *holdings.Ledger) holdings.Beginning {
	t := holdings.Transfer{
		Kind: holdings.Handoff, From: p.Registry, To: p.To, FromRegistry: p.Registry, ToRegistry: p.To, Resources: p.Resources, Soak: p.Soak,
		Handoff: &holdings.Succession{Batch: p.Batch, Pace: p.Pace, Escrow: len(p.snapshot.Holders) > 0 && len(l.HoldersOf(p.Registry)) == 0, Holders: len(p.snapshot.Holders)},
	}
	if _, here := l.Organisation(p.Registry); !here {
		t.From, t.Elsewhere = "", p.Registry
	}
	return holdings.Beginning{Transfer: t}
}

// list plans each holder.
func (p *HandoffPlan) list(l *holdings.Ledger) {
	names := naming{ledger: l, under: p.To, taken: map[string]bool{}}
	var held []inr.Set
	for i, r := range p.snapshot.Holders {
		h := PlannedHolder{Holder: r.Holder, To: names.of(r.Holder), Batch: i/p.Batch + 1, Resources: r.Legs[0].Resources, Routes: r.Routes, Objects: r.Objects}
		for j, leg := range r.Legs {
			if j > 0 {
				h.Customers = append(h.Customers, leg.From)
			}
			if leg.CA != nil {
				h.Elsewhere = append(h.Elsewhere, leg.From)
			}
		}
		held = append(held, h.Resources)
		p.Holders = append(p.Holders, h)
		p.Batches = h.Batch
	}
	p.Pool = p.Resources.Minus(inr.Sum(held...))
}

// naming finds handles for holders below their new registry.
type naming struct {
	ledger *holdings.Ledger
	under  string
	taken  map[string]bool
}

// of is the handle that a holder gets: the last part of its present one, below the new registry, with a number if that is taken.
func (n *naming) of(handle string) string {
	base := n.under + "/" + path.Base(handle)
	for name, i := base, 2; ; name, i = fmt.Sprintf("%s-%d", base, i), i+1 {
		if _, there := n.ledger.Organisation(name); !there && !n.taken[name] {
			n.taken[name] = true
			return name
		}
	}
}

// count sums up the plan. Keys and signatures are those for all that is new, and for the manifests of the two registries in each batch.
func (p *HandoffPlan) count(l *holdings.Ledger) {
	for i, h := range p.Holders {
		p.Organisations += len(p.snapshot.Holders[i].Legs)
		p.Delegated += len(h.Elsewhere)
		p.VRPs, p.Objects = p.VRPs+len(h.Routes), p.Objects+len(h.Objects)
	}
	if len(l.HoldersOf(p.Registry)) > 0 {
		p.Revoked = p.Organisations
	}
	hosted := p.Organisations - p.Delegated
	p.Keys = 2*hosted + p.VRPs + p.Objects + 2*p.Batches // a CA's, its manifest's, an object's; a manifest of each registry
	p.Signatures = p.Organisations + 3*hosted + 2*(p.VRPs+p.Objects) + 6*p.Batches
	p.Lasts = term.Term(max(p.Batches-1, 0))*p.Pace + p.Soak
	if _, here := l.Organisation(p.Registry); !here {
		p.Warnings = append(p.Warnings, p.Registry+" is not in the tree here: whoever is above it has to end its certificate")
	}
}
