package moves

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"cadastre/ca/kinds"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/intents"
	"cadastre/internal/payload"
	"cadastre/internal/relying"
	"cadastre/internal/transferwire"
	"cadastre/internal/validate"
	"cadastre/roa"
)

// along is an intent for a signed object, of any kind but ROAs, that goes along with a transfer.
type along struct {
	leg int
	in  intents.Object // the donor's; of a donor elsewhere only what it says and its end are known
}

// objectsAlong lists the intents for signed objects that go along with a transfer, if the holder stays the same or both sides agreed on a
// bridge. They are those of donors here, and those that a donor elsewhere has told, for what rests on resources that move as a whole. Those
// that have ended are left out. It fails with Corrupt where what was told can't be read any more.
func objectsAlong(t *holdings.Transfer, b *roa.Book) ([]along, error) {
	if !t.Kind.SameHolder() && t.Bridge == 0 {
		return nil, nil
	}
	now := time.Now()
	var list []along
	add := func(leg int, in intents.Object) {
		if in.Until.IsZero() || now.Before(in.Until) {
			list = append(list, along{leg, in})
		}
	}
	for i, leg := range t.Legs {
		if leg.From == "" {
			continue
		}
		for _, in := range b.Objects.Of(leg.From) {
			// elsewhere the lowest leg has it, and a leftover of who delegated it on ends
			if in.Authorised(leg.Resources) && (t.Local() || legWith(t.Legs, in.Says.Resources()) == i) {
				add(i, in)
			}
		}
	}
	for _, said := range t.CarriedObjects {
		p, err := kinds.Parse(said.Kind, said.Says)
		var in intents.Object
		if err == nil {
			in, err = intents.ObjectOf(intents.Terms{Until: said.Until}, p)
		}
		if err != nil {
			return nil, fault.New(fault.Corrupt, "transfer %d has %s, which can't be read: %w", t.ID, said, err)
		}
		if i := legWith(t.Legs, p.Resources()); i >= 0 && t.Legs[i].From == "" {
			add(i, in)
		}
	}
	return list, nil
}

// legWith is the index of the lowest of a transfer's legs that has some resources; -1 where none has.
func legWith(legs []holdings.Leg, resources inr.Set) int {
	for i, leg := range slices.Backward(legs) { // each comes after the one above it
		if leg.Resources.Contains(resources) {
			return i
		}
	}
	return -1
}

// wantedObjects lists the intents for signed objects that the recipients of a transfer are to have. While both sides are certified both
// publish such objects, and relying parties take the two as one.
func wantedObjects(t *holdings.Transfer, b *roa.Book) ([]intents.Object, error) {
	if t.Outgoing() {
		return nil, nil
	}
	list, err := objectsAlong(t, b)
	if err != nil {
		return nil, err
	}
	var want []intents.Object
	for _, x := range list {
		in := x.in
		in.Holder, in.Transfer, in.Actor, in.Added, in.Displaced = t.Legs[x.leg].To, t.ID, Self.String(), t.When(holdings.StepAccepted), nil
		if in.Comment == "" {
			in.Comment = carriedComment(t)
		}
		want = append(want, in)
	}
	return want, nil
}

// bringObjects resolves that recipients get the intents for signed objects that go along. One that the recipient has under the same key, such
// as the parked one of an AS that it had before, is displaced: it comes back when the one that was brought ends. What a source elsewhere does
// not list any more is removed.
func bringObjects(t *holdings.Transfer, b *roa.Book) (intents.ObjectChange, error) {
	want, err := wantedObjects(t, b)
	if err != nil {
		return intents.ObjectChange{}, err
	}
	taking, wants := b.Objects.Taking(), map[string]bool{}
	for _, in := range want {
		wants[string(in.Key())] = true
		if has, there := b.Objects.Find(in); there {
			same, brought := payload.Same(has.Says, in.Says), has.Transfer == t.ID
			switch {
			case same && !intents.Outlasts(in.Until, has.Until) && (!brought || in.Until.Equal(has.Until)):
				taking.Duplicates++
				continue
			case brought:
				in.Displaced = has.Displaced
			default:
				if in.Displaced, err = json.Marshal(has); err != nil {
					return intents.ObjectChange{}, err
				}
			}
		}
		taking.Take(in, true)
	}
	if t.Local() {
		return taking.Change, nil // the donor's intents are here, and cannot change while the transfer is under way
	}
	for _, leg := range t.Legs {
		for _, in := range b.Objects.Brought(leg.To, t.ID) {
			if !wants[string(in.Key())] {
				err = b.Objects.Drop(&taking.Change, in)
			}
		}
	}
	return taking.Change, err
}

// settledObjects is the change to the intents for signed objects that a transfer brought, when the transfer is over. settleRoutes does the
// same for ROAs.
func settledObjects(t *holdings.Transfer, b *roa.Book) (change intents.ObjectChange, err error) {
	for _, leg := range t.Legs {
		for _, in := range b.Objects.Brought(leg.To, t.ID) {
			switch {
			case t.State == holdings.Cancelled:
				if err := b.Objects.Drop(&change, in); err != nil {
					return change, err
				}
			case !t.Kind.SameHolder() && intents.Outlasts(in.Until, bridgeEnd(t)):
				change.Removed = append(change.Removed, in)
				in.Until = bridgeEnd(t)
				change.Added = append(change.Added, in)
			}
		}
	}
	return change, nil
}

// foreseeObjects lists which signed objects of other kinds than ROAs go along, and which end.
func (f *Begun) foreseeObjects(l *holdings.Ledger, b *roa.Book) error {
	t := &f.Transfer
	list, err := objectsAlong(t, b)
	if err != nil {
		return err
	}
	goes := map[string]bool{}
	for _, x := range list {
		goes[string(x.in.Key())] = true // of this holder
		f.CarriedObjects = append(f.CarriedObjects, x.in.Says)
	}
	giving, _ := l.Involved(t)
	for _, holder := range giving {
		for _, in := range b.Objects.Of(holder) {
			if goes[string(in.Key())] || !in.Authorised(t.Resources) || !in.Authorised(l.Holding(holder)) {
				continue
			}
			f.LostObjects = append(f.LostObjects, in.Says)
			f.Warnings = append(f.Warnings, fmt.Sprintf("the %s of %s ends with the finalisation: who holds %s then has to ask for one", roa.SaidOf(in), holder, in.Says.Resources()))
		}
	}
	f.CarriedObjects, f.LostObjects = f.CarriedObjects.Unique(), f.LostObjects.Unique()
	return nil
}

// saidIn lists the intents for signed objects that go along with a transfer, for the report to the installation that gets it.
func saidIn(t *holdings.Transfer, b *roa.Book) ([]transferwire.Object, error) {
	list, err := objectsAlong(t, b)
	var said []transferwire.Object
	for _, x := range list {
		said = append(said, transferwire.Object(roa.SaidOf(x.in)))
	}
	return said, err
}

// readObjects reads what a source's report says that goes along. It fails with BadInput where that is of a kind that is not known here, is
// not written as it should be, or is about something that does not move.
func readObjects(list []transferwire.Object, moves inr.Set) ([]holdings.Said, error) {
	var said []holdings.Said
	for _, o := range list {
		k, err := kinds.Of(o.Kind)
		if err != nil {
			return nil, fault.New(fault.BadInput, "something of the kind %.40q is to go along, which is not known here; a newer version may know it", o.Kind)
		}
		p, err := k.Parse(o.Says)
		switch {
		case err != nil:
			return nil, err
		case k == &kinds.ROA || p.String() != o.Says:
			return nil, fault.New(fault.BadInput, "%.120q is not how what goes along is written", o.Says)
		case !moves.Contains(p.Resources()):
			return nil, fault.New(fault.BadInput, "the %s %.120s is not about what moves, %s", k.Title, p, moves)
		}
		said = append(said, holdings.Said(o))
	}
	return said, nil
}

// unshown is the first of the objects that go along that none of some authorities shows; nil if all are shown.
func unshown(r *relying.Report, of func(*validate.AuthorityResult) bool, said []holdings.Said) *holdings.Said {
	if len(said) == 0 {
		return nil
	}
	shown := map[payload.Key]bool{}
	for i := range r.Authorities {
		if a := &r.Authorities[i]; of(a) {
			for _, p := range shownBy(a) {
				shown[payload.ID(p)] = true
			}
		}
	}
	for i, s := range said {
		if !shown[payload.Key{Kind: s.Kind, Text: s.Says}] {
			return &said[i]
		}
	}
	return nil
}

// shownBy lists the payloads of all kinds of signed objects that were found valid for an authority.
func shownBy(a *validate.AuthorityResult) []payload.Payload {
	var says []payload.Payload
	for _, k := range kinds.Table {
		says = append(says, k.Shown(a)...)
	}
	return says
}

// titled is a payload with the title of its kind: "ASPA AS64496 => AS64500".
func titled(p payload.Payload) string {
	if k, err := kinds.Of(p.Kind()); err == nil {
		return k.Title + " " + p.String()
	}
	return p.String()
}
