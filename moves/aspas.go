package moves

import (
	"fmt"
	"slices"
	"time"

	"cadastre/aspa"
	"cadastre/holdings"
	"cadastre/internal/intents"
	"cadastre/roa"
)

// aspasAlong tells whether the donor's ASPAs go along with a transfer. They do if the holder stays the same, or if both sides agreed on
// a bridge.
func aspasAlong(t *holdings.Transfer) bool {
	return !t.Outgoing() && (t.Kind.SameHolder() || t.Bridge > 0)
}

// wantedASPAs lists the ASPAs that go along with a transfer, as intents of the recipients: those of donors here for customer ASes that
// move. While both sides are certified both publish the same ASPA; relying parties merge the two.
func wantedASPAs(t *holdings.Transfer, b *roa.Book) []aspa.Intent {
	if !aspasAlong(t) {
		return nil
	}
	now := time.Now()
	var list []aspa.Intent
	for _, leg := range t.Legs {
		for _, in := range b.ASPAs.Of(leg.From) {
			if !aspa.Authorised(in, leg.Resources) || !in.Until.IsZero() && !now.Before(in.Until) {
				continue
			}
			in.Holder, in.Transfer, in.Actor, in.Added = leg.To, t.ID, Self.String(), t.When(holdings.StepAccepted)
			if in.Comment == "" {
				in.Comment = carriedComment(t)
			}
			list = append(list, in)
		}
	}
	return list
}

// settledASPAs is the change to the ASPAs that a transfer brought, when the transfer is over. settleRoutes does the same for ROAs.
func settledASPAs(t *holdings.Transfer, b *roa.Book) aspa.Change {
	var change aspa.Change
	for _, leg := range t.Legs {
		for _, in := range b.ASPAs.Brought(leg.To, t.ID) {
			switch {
			case t.State == holdings.Cancelled:
				change.Removed = append(change.Removed, in)
			case !t.Kind.SameHolder() && intents.Outlasts(in.Until, bridgeEnd(t)):
				change.Removed = append(change.Removed, in)
				in.Until = bridgeEnd(t)
				change.Added = append(change.Added, in)
			}
		}
	}
	return change
}

// foreseeASPAs lists which ASPAs go along, and which end. None go along to another
// installation: the recipient asks for them there.
func (f *Begun) foreseeASPAs(l *holdings.Ledger, b *roa.Book) {
	t := &f.Transfer
	giving, _ := l.Involved(t)
	for _, holder := range giving {
		for _, in := range b.ASPAs.Of(holder) {
			if !aspa.Authorised(in, t.Resources) || !aspa.Authorised(in, l.Holding(holder)) {
				continue
			}
			along := aspasAlong(t) && slices.ContainsFunc(t.Legs, func(leg holdings.Leg) bool { return leg.From == holder && aspa.Authorised(in, leg.Resources) })
			if along {
				f.CarriedASPAs = append(f.CarriedASPAs, in.VAP)
				continue
			}
			f.LostASPAs = append(f.LostASPAs, in.VAP)
			f.Warnings = append(f.Warnings, fmt.Sprintf("the ASPA %s of %s ends with the finalisation: who holds AS%d then has to ask for one", in.VAP, holder, in.Customer))
		}
	}
	f.CarriedASPAs, f.LostASPAs = aspa.Unique(f.CarriedASPAs), aspa.Unique(f.LostASPAs)
}
