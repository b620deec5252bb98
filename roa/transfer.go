package roa

import (
	"slices"

	"cadastre/holdings"
)

// Along is what the donor's side had authorised of what a leg of a transfer brings: the leg's donor and, with the first leg,
// those above that lose it too and are no registries, since the routes that their ROAs cover would lose them. Sorted, each
// once; nothing where the donor is elsewhere.
func (b *Book) Along(l *holdings.Ledger, t *holdings.Transfer, leg holdings.Leg) []VRP {
	if leg.From == "" {
		return nil
	}
	donors := []string{leg.From}
	if leg.From == t.From {
		giving, _ := l.Involved(t)
		for _, handle := range giving {
			o, _ := l.Organisation(handle)
			below := slices.ContainsFunc(t.Legs, func(other holdings.Leg) bool { return other.From == handle })
			if !below && !o.Kind.IsRegistry() {
				donors = append(donors, handle)
			}
		}
	}
	var vrps []VRP
	for _, handle := range donors {
		for _, in := range b.of[handle] {
			vrps = append(vrps, Carried(in, leg.Resources)...)
		}
	}
	return Unique(vrps)
}
