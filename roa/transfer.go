package roa

import (
	"slices"
	"time"

	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/intents"
)

// Along is what the donor's side had authorised of what a leg of a transfer brings: the leg's donor and, with the first leg,
// those above that lose it too and are no registries, since the routes that their ROAs cover would lose them. As Joined has
// it; nothing where the donor is elsewhere.
func (b *Book) Along(l *holdings.Ledger, t *holdings.Transfer, leg holdings.Leg) []holdings.Route {
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
	var routes []holdings.Route
	for _, handle := range donors {
		for _, in := range b.Of(handle) {
			routes = append(routes, Carried(in, leg.Resources)...)
		}
	}
	return Joined(routes)
}

// OfRoute is the VRP of a route.
func OfRoute(r holdings.Route) VRP { return VRP{r.Prefix, r.MaxLength, r.Origin} }

// Carried is what of an intent goes along when resources move to another holder: all that lies in them, with the intent's
// maxLength or its own length if that is longer, until the intent ends.
func Carried(in Intent, moving inr.Set) []holdings.Route {
	var routes []holdings.Route
	vrps, _ := Authorised(in, moving)
	for _, v := range vrps {
		routes = append(routes, holdings.Route{Prefix: v.Prefix, MaxLength: v.MaxLength, Origin: v.ASN, Until: in.Until})
	}
	return routes
}

// Joined is routes in the order of their VRPs, each once, with the last of its ends.
func Joined(routes []holdings.Route) []holdings.Route {
	slices.SortStableFunc(routes, func(a, b holdings.Route) int { return OfRoute(a).Compare(OfRoute(b)) })
	joined := routes[:0:0]
	for _, r := range routes {
		switch last := len(joined) - 1; {
		case last < 0 || OfRoute(joined[last]) != OfRoute(r):
			joined = append(joined, r)
		case Outlasts(r.Until, joined[last].Until):
			joined[last].Until = r.Until
		}
	}
	return joined
}

// Outlasts tells whether what ends at one time ends after what ends at another; zero is never.
func Outlasts(a, b time.Time) bool { return intents.Outlasts(a, b) }
