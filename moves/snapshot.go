package moves

import (
	"cmp"
	"slices"
	"strings"

	"cadastre/ca/kinds"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/roa"
)

// Snapshot is a registry with its holders, and all that they need below another registry. It is made of a ledger and intents: those
// here, or those of a deposit (SnapshotOf).
type Snapshot struct {
	Registry  string           `json:"registry"`
	Resources inr.Set          `json:"resources"` // all that it held in the tree
	NIRs      []string         `json:"nirs,omitempty"`
	Holders   []SnapshotHolder `json:"holders"`
}

// SnapshotHolder is a holder directly below the registry, or below an NIR of it, with those below it.
type SnapshotHolder struct {
	Holder string `json:"holder"`
	// Legs is what the holder and those below it held, from the top down. From and New are set, and CA where that is elsewhere.
	Legs   []holdings.Leg   `json:"legs"`
	Routes []holdings.Route `json:"routes,omitempty"` // what they had authorised, without duplicates
	// Objects is what other signed objects than ROAs said, for what each of them held. It is sorted, and without duplicates.
	Objects []holdings.Said `json:"objects,omitempty"`
}

// SnapshotOf makes the snapshot of a registry in a ledger. Identities are those of delegated CAs (RFC 8183), DER, by organisation.
func SnapshotOf(l *holdings.Ledger, b *roa.Book, identities map[string][]byte, registry string) *Snapshot {
	registry = holdings.Fold(registry)
	e := &Snapshot{Registry: registry, Resources: l.InTree(registry), NIRs: nirs(l, registry), Holders: []SnapshotHolder{}}
	for _, holder := range l.HoldersOf(registry) {
		r := SnapshotHolder{Holder: holder, Legs: l.LegsOf(holder)}
		var routes []holdings.Route
		for i := range r.Legs {
			leg := &r.Legs[i]
			leg.New, _ = l.Organisation(leg.From)
			leg.CA = identities[leg.From]
			for _, in := range b.Of(leg.From) {
				routes = append(routes, roa.Carried(in, leg.Resources)...)
			}
			for _, in := range b.Objects.Of(leg.From) {
				if in.Authorised(leg.Resources) && legWith(r.Legs, in.Says.Resources()) == i {
					r.Objects = append(r.Objects, roa.SaidOf(in))
				}
			}
		}
		r.Routes = roa.Joined(routes)
		slices.SortFunc(r.Objects, func(a, b holdings.Said) int {
			return cmp.Or(strings.Compare(a.String(), b.String()), a.Until.Compare(b.Until))
		})
		r.Objects = slices.Compact(r.Objects)
		e.Holders = append(e.Holders, r)
	}
	return e
}

// nirs lists the NIRs below a registry.
func nirs(l *holdings.Ledger, registry string) []string {
	var list []string
	for _, child := range l.Children(registry) {
		if o, _ := l.Organisation(child); o.Kind.IsRegistry() {
			list = append(append(list, child), nirs(l, child)...)
		}
	}
	return list
}

// within is the part of a snapshot that lies in a set, and the resources of the rest. It fails where what an object says
// can't be read.
func (e *Snapshot) within(s inr.Set) (*Snapshot, inr.Set, error) {
	out := &Snapshot{Registry: e.Registry, Resources: e.Resources.Intersect(s), NIRs: e.NIRs, Holders: []SnapshotHolder{}}
	var lost []inr.Set
	for _, r := range e.Holders {
		left := SnapshotHolder{Holder: r.Holder}
		for _, leg := range r.Legs {
			lost = append(lost, leg.Resources.Minus(s))
			if leg.Resources = leg.Resources.Intersect(s); leg.Resources.Empty() {
				continue
			}
			var parts []holdings.Part
			for _, p := range leg.Parts {
				if p.Resources = p.Resources.Intersect(s); !p.Resources.Empty() {
					parts = append(parts, p)
				}
			}
			leg.Parts = parts
			left.Legs = append(left.Legs, leg)
		}
		if len(left.Legs) > 0 {
			left.Routes, _ = within(r.Routes, s)
			for _, said := range r.Objects {
				p, err := kinds.Parse(said.Kind, said.Says)
				if err != nil {
					return nil, inr.Set{}, err
				}
				if s.Contains(p.Resources()) {
					left.Objects = append(left.Objects, said)
				}
			}
			out.Holders = append(out.Holders, left)
		}
	}
	return out, inr.Sum(lost...), nil
}
