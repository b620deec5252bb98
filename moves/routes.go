package moves

import (
	"fmt"
	"slices"
	"time"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/payload"
	"cadastre/roa"
)

// bring gives the recipients of a transfer the intents that were agreed on. The donor's intents go along if the holder stays the same,
// or if both agreed on a bridge; a new holder gets its own staged routes, too. Intents that a source elsewhere does not list any more
// are removed. If all is there it changes nothing.
func (m *Mover) bring(t *holdings.Transfer) error {
	if t.Outgoing() {
		return nil
	}
	_, err := m.engine.Decide(ca.Consent{Unbraked: true}, func(l *holdings.Ledger, b *roa.Book) (*holdings.Outcome, *roa.Outcome, error) {
		want := wanted(l, t, b)
		out := b.Bring(want)
		var err error
		if out.Objects, err = bringObjects(t, b); err != nil {
			return nil, nil, err
		}
		out.By = holdings.By{Who: Self, Reason: fmt.Sprintf("routes that go with transfer %d", t.ID), Time: time.Now()}
		if t.Local() {
			return nil, out, nil // the donor's intents are here, and cannot change while the transfer is under way
		}
		now := map[roa.VRP]bool{}
		for _, in := range want {
			now[in.VRP()] = true
		}
		gone := map[roa.Intent]bool{}
		for _, in := range out.Removed {
			gone[in] = true
		}
		for _, leg := range t.Legs {
			for _, in := range b.Brought(leg.To, t.ID) {
				if !now[in.VRP()] && !gone[in] {
					gone[in] = true
					out.Removed = append(out.Removed, in)
				}
			}
		}
		return nil, out, nil
	})
	return err
}

// wanted lists the intents that the recipients of a transfer are to have.
func wanted(l *holdings.Ledger, t *holdings.Transfer, b *roa.Book) []roa.Intent {
	accepted := t.When(holdings.StepAccepted)
	var list []roa.Intent
	add := func(leg holdings.Leg, r holdings.Route, comment string) {
		list = append(list, roa.Intent{
			Holder: leg.To, Prefix: r.Prefix, MaxLength: r.MaxLength, Origin: r.Origin, Comment: comment, Actor: Self.String(), Added: accepted,
			Until: r.Until, Transfer: t.ID,
		})
	}
	for i, routes := range carried(l, t, b) {
		for _, r := range routes {
			add(t.Legs[i], r, carriedComment(t))
		}
	}
	lowest := lowestLegs(t)
	for _, r := range t.Routes {
		if i := lowest.of(r.Prefix); i >= 0 {
			add(t.Legs[i], r, "")
		}
	}
	return list
}

func carriedComment(t *holdings.Transfer) string {
	if t.Kind.SameHolder() {
		return "came with the transfer from " + t.Source()
	}
	return "bridge for the routes of " + t.Source()
}

// carried lists, for each leg, the routes that go along: what the leg's donor, and organisations above it that lose the resources too,
// had authorised for what moves. Routes of organisations further below are listed with their own legs. Routes that have ended are left
// out.
func carried(l *holdings.Ledger, t *holdings.Transfer, b *roa.Book) [][]holdings.Route {
	list := make([][]holdings.Route, len(t.Legs))
	if !t.Kind.SameHolder() && t.Bridge == 0 {
		return list
	}
	lowest := lowestLegs(t)
	for _, r := range t.Carried { // of a donor elsewhere
		if i := lowest.of(r.Prefix); i >= 0 && t.Legs[i].From == "" {
			list[i] = append(list[i], r)
		}
	}
	now := time.Now() // a report of the donor may be older than the end of a route in it
	for i, leg := range t.Legs {
		if leg.From != "" {
			list[i] = b.Along(l, t, leg)
		}
		list[i] = slices.DeleteFunc(list[i], func(r holdings.Route) bool { return !r.Until.IsZero() && !now.Before(r.Until) })
	}
	return list
}

// settleRoutes changes the intents that a transfer brought, when the transfer is over: after a finalisation the bridge's copies get their
// end, after a cancellation all of them are removed. If that is done already it changes nothing.
func (m *Mover) settleRoutes(t *holdings.Transfer) error {
	if t.Outgoing() || t.State == holdings.Finalised && t.Kind.SameHolder() {
		return nil
	}
	_, err := m.engine.Decide(ca.Consent{Unbraked: true}, func(_ *holdings.Ledger, b *roa.Book) (*holdings.Outcome, *roa.Outcome, error) {
		out := &roa.Outcome{By: holdings.By{Who: Self, Reason: fmt.Sprintf("transfer %d is %s", t.ID, t.State), Time: time.Now()}}
		var err error
		if out.Objects, err = settledObjects(t, b); err != nil {
			return nil, nil, err
		}
		staged := stagedOf(t)
		for _, leg := range t.Legs {
			for _, in := range b.Brought(leg.To, t.ID) {
				switch {
				case t.State == holdings.Cancelled:
					out.Removed = append(out.Removed, in)
				case !t.Kind.SameHolder() && roa.Outlasts(in.Until, bridgeEnd(t)) && !staged[in.VRP()]:
					out.Removed = append(out.Removed, in)
					in.Until = bridgeEnd(t)
					out.Added = append(out.Added, in)
				}
			}
		}
		return nil, out, nil
	})
	return err
}

// bridgeEnd is when the bridge's copies of the donor's intents end.
func bridgeEnd(t *holdings.Transfer) time.Time {
	return t.When(holdings.StepFinalised).Add(t.Bridge.Duration())
}

// stagedOf is the set of the recipient's own routes.
func stagedOf(t *holdings.Transfer) map[roa.VRP]bool {
	staged := make(map[roa.VRP]bool, len(t.Routes))
	for _, r := range t.Routes {
		staged[roa.OfRoute(r)] = true
	}
	return staged
}

// agreed lists, by holder, the payloads that the recipient's side has to publish: what the intents that come with the transfer authorise.
func agreed(l *holdings.Ledger, t *holdings.Transfer, b *roa.Book) (map[string][]payload.Payload, error) {
	vrps, all := map[string][]roa.VRP{}, map[string][]payload.Payload{}
	for _, in := range wanted(l, t, b) {
		says, _ := roa.Authorised(in, l.Holding(in.Holder))
		vrps[in.Holder] = append(vrps[in.Holder], says...)
	}
	for holder, list := range vrps {
		all[holder] = payload.List(roa.Unique(list))
	}
	objects, err := wantedObjects(t, b)
	for _, in := range objects {
		if in.Authorised(l.Holding(in.Holder)) {
			all[in.Holder] = append(all[in.Holder], in.Says)
		}
	}
	return all, err
}

// routesIn lists all routes that go along with a transfer, for the report to the installation that gets it.
func routesIn(l *holdings.Ledger, t *holdings.Transfer, b *roa.Book) []holdings.Route {
	var routes []holdings.Route
	for _, of := range carried(l, t, b) {
		routes = append(routes, of...)
	}
	return routes
}

// within divides routes into those whose prefixes lie in a set, and the others.
func within(routes []holdings.Route, s inr.Set) (in, out []holdings.Route) {
	for _, r := range routes {
		if s.ContainsPrefix(r.Prefix) {
			in = append(in, r)
		} else {
			out = append(out, r)
		}
	}
	return in, out
}
