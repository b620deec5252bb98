package holdings

import (
	"cmp"
	"slices"

	"cadastre/internal/inr"
)

// Disown resolves that what came from another installation is taken away. Transfers with it that are under way are cancelled, in both
// directions. Resources that it transferred to holders here are taken from whoever has them now, unless they have another ground by now:
// a registry's file, a decision of an operator, or a later transfer from elsewhere. The outcome is empty where nothing came from there.
//
// If what is taken is in other transfers that are under way, those are cancelled, too; a handoff goes on without it.
func (l *Ledger) Disown(by By, peer, text string) (*Outcome, error) {
	d := l.draft(by)
	taken := l.cameFrom(peer)
	for _, id := range sortedKeys(l.unrest) {
		t := l.Transfer(id)
		switch {
		case t.State.Over():
		case t.Handoff != nil:
			if err := d.disownHandoff(t, taken, text); err != nil {
				return nil, err
			}
		case t.Peer == peer || t.State == Accepted && t.Resources.Overlaps(taken):
			if err := d.cancel(id, text); err != nil {
				return nil, err
			}
		}
	}
	if taken.Empty() {
		return d.outcome()
	}
	for _, handle := range l.Organisations() {
		for _, x := range l.orgs[handle].received {
			if x.Transfer != 0 && !x.foreign() && d.ended[x.ID] == nil && x.Resources.Overlaps(taken) {
				d.shrink(x, x.Resources.Minus(taken))
			}
		}
	}
	for _, t := range l.transfers {
		if t.Peer == peer && t.Incoming() && t.State == Finalised && t.Resources.Overlaps(taken) && t.last(StepDisowned) == "" {
			if err := d.step(t.clone(), StepDisowned, text); err != nil {
				return nil, err
			}
		}
	}
	return d.outcome()
}

// disownHandoff leaves out of a registry's handoff what is taken from it meanwhile.
func (d *draft) disownHandoff(of *Transfer, taken inr.Set, text string) error {
	if !of.Resources.Overlaps(taken) {
		return nil
	}
	t := of.clone()
	t.Resources = t.Resources.Minus(taken)
	for i := range t.Legs {
		leg := &t.Legs[i]
		leg.Resources = leg.Resources.Minus(taken)
		parts := slices.Clone(leg.Parts)
		for j := range parts {
			parts[j].Resources = parts[j].Resources.Minus(taken)
		}
		leg.Parts = slices.DeleteFunc(parts, func(p Part) bool { return p.Resources.Empty() })
	}
	d.isStepOf(t)
	return d.step(t, StepDisowned, text)
}

// cameFrom is the resources that are here only by transfers from another installation: what finalised transfers from there brought,
// without what a later transfer brought from elsewhere or took away from here.
func (l *Ledger) cameFrom(peer string) inr.Set {
	var final []*Transfer
	for _, t := range l.transfers {
		if t.State == Finalised && !t.Local() && t.last(StepDisowned) == "" {
			final = append(final, t)
		}
	}
	slices.SortStableFunc(final, func(a, b *Transfer) int {
		return cmp.Or(a.When(StepFinalised).Compare(b.When(StepFinalised)), compareIDs(a.ID, b.ID))
	})
	var came inr.Set
	for _, t := range final {
		if t.Incoming() && t.Peer == peer {
			came = came.Union(t.Resources)
		} else {
			came = came.Minus(t.Resources)
		}
	}
	return came
}
