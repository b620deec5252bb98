package holdings

import (
	"strings"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

// Exchange resolves that an organisation gets resources in place of others, so that it can renumber (APNIC-086, section 11.4: several
// blocks for one). In one decision the new resources are delegated, and the delegations of the old ones get the deadline as their end;
// one that ends earlier keeps its end.
//
// Of want, To, Resources and, if not empty, Status (else that of the old) and Ground are taken. It fails as Delegate does, and
// with NotHeld (it does not hold all of the old), BadInput (nothing is named, the deadline is past) or Conflict (some of the
// old is in a transfer, or is a part of a record of a registry's file: the next file would bring back the whole).
func (l *Ledger) Exchange(by By, give inr.Set, want Delegation, deadline time.Time) (*Outcome, error) {
	n := l.orgs[Fold(want.To)]
	deadline = deadline.UTC().Truncate(time.Second)
	switch {
	case n == nil:
		return nil, unknown(want.To)
	case n.Kind.IsRegistry():
		return nil, fault.New(fault.BadInput, "%s is a registry; an exchange is for holders", n.Handle)
	case give.Empty():
		return nil, fault.New(fault.BadInput, "name the resources that %s gives", n.Handle)
	case !deadline.After(by.Time):
		return nil, fault.New(fault.BadInput, "the deadline %s is past", deadline.Format(time.RFC3339))
	}
	if missing := give.Minus(l.inTree(n)); !missing.Empty() {
		if who := l.PartHolders(missing); len(who) > 0 {
			return nil, fault.New(fault.NotHeld, "%s does not hold %s; it is held by %s", n.Handle, missing, strings.Join(who, ", "))
		}
		return nil, fault.New(fault.NotHeld, "%s does not hold %s; no one does", n.Handle, missing)
	}
	if t := l.claims(&Transfer{Resources: give}); t != nil {
		return nil, fault.New(fault.Conflict, "%s is in transfer %d; finalise or cancel that first", t.Resources.Intersect(give), t.ID)
	}
	d := l.draft(by)
	status := Assigned
	for _, x := range n.received {
		if x.foreign() || x.Incoming || !x.Resources.Overlaps(give) {
			continue
		}
		if x.Imported() && !give.Contains(x.Resources) {
			return nil, fault.New(fault.Conflict, "%s is a part of the record %s of a registry's file; exchange all of that", x.Resources.Intersect(give), x.Resources)
		}
		if x.Status == Allocated {
			status = Allocated
		}
		d.shrink(x, x.Resources.Minus(give))
		ends := *x
		ends.ID, ends.Decision, ends.Replaces, ends.Resources = 0, 0, x.ID, x.Resources.Intersect(give)
		if ends.Until.IsZero() || ends.Until.After(deadline) {
			ends.Until = deadline
		}
		d.start(&ends)
	}
	if want.Status == "" {
		want.Status = status
	}
	if want.Ground == "" {
		want.Ground = "exchange for " + give.String()
	}
	add, err := delegationTo(n.Organisation, by, want)
	if err != nil {
		return nil, err
	}
	d.start(add)
	return d.outcome()
}
