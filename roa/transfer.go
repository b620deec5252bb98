package roa

import (
	"slices"
	"time"

	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/intents"
)

// Along lists what the donor's side had authorised for the resources of a leg, sorted as by Joined: the intents of the leg's donor. With the
// leg of the transfer's own donor these are also the intents of organisations above it that lose the resources too and are no registries;
// otherwise routes that only their ROAs cover would lose them. It is empty if the donor is elsewhere.
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

// Carried lists the routes of an intent that go along when resources move to another holder: all of its prefix within these resources, with
// the intent's maxLength, or their own length if that is longer, and the intent's end.
func Carried(in Intent, moving inr.Set) []holdings.Route {
	var routes []holdings.Route
	vrps, _ := Authorised(in, moving)
	for _, v := range vrps {
		routes = append(routes, holdings.Route{Prefix: v.Prefix, MaxLength: v.MaxLength, Origin: v.ASN, Until: in.Until})
	}
	return routes
}

// Joined sorts routes by their VRPs. Of routes with the same VRP only the one with the latest end is kept.
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

// Outlasts tells whether an end is later than another; zero is never.
func Outlasts(a, b time.Time) bool { return intents.Outlasts(a, b) }
