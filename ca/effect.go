package ca

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"cadastre/ca/kinds"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/roa"
)

// Effect is what a decision did, or would do. It is what --dry-run prints and what the brake weighs.
type Effect struct {
	Decision uint64 `json:"decision,omitempty"` // the number of the decision; 0 in a dry run or if nothing changes
	DryRun   bool   `json:"dry_run"`

	Delegations  Delta `json:"delegations"`  // new, gone, changed hands
	Holders      Delta `json:"holders"`      // with resources for the first time, with none left, with other ones
	Certificates Delta `json:"certificates"` // new, revoked, replaced

	Gained []roa.VRP `json:"vrps_gained"`
	Lost   []roa.VRP `json:"vrps_lost"`

	// Payloads of other kinds. One that is replaced is in both lists, as it is and as it was. In JSON each kind has members of its own,
	// as "aspas_gained" and "aspas_lost".
	ObjectsGained kinds.List `json:"-"`
	ObjectsLost   kinds.List `json:"-"`

	Largest []Loss `json:"largest_losses"` // at most ten

	Overclaims []Overclaim `json:"overclaims,omitempty"` // of delegated CAs

	Breaks        []roa.Impact   `json:"breaks,omitempty"`        // known announcements that would turn invalid, without ignored ones
	Announcements *Announcements `json:"announcements,omitempty"` // what becomes of announcements; nil where no VRP changes

	Duplicates int      `json:"duplicates,omitempty"` // intents that were there already
	Left       []string `json:"left,omitempty"`       // intents, or lines of registries' files, that were left out, and why
	Warnings   []string `json:"warnings,omitempty"`

	Held string `json:"held,omitempty"` // why the brake holds it; empty where it does not
	Code string `json:"code,omitempty"` // lets it pass

	losses []loss // what the brake weighs
}

type bareEffect Effect

// MarshalJSON writes the payloads of each kind beside the rest.
func (f Effect) MarshalJSON() ([]byte, error) {
	object, err := json.Marshal(bareEffect(f))
	if err == nil {
		object, err = f.ObjectsGained.Join(object, "%s_gained")
	}
	if err == nil {
		object, err = f.ObjectsLost.Join(object, "%s_lost")
	}
	return object, err
}

// UnmarshalJSON reads what MarshalJSON writes.
func (f *Effect) UnmarshalJSON(object []byte) error {
	return cmp.Or(json.Unmarshal(object, (*bareEffect)(f)), f.ObjectsGained.Cut(object, "%s_gained"), f.ObjectsLost.Cut(object, "%s_lost"))
}

// Delta counts what came, went and changed.
type Delta struct {
	New     int `json:"new"`
	Gone    int `json:"gone"`
	Changed int `json:"changed"`
}

// Loss is what one holder loses.
type Loss struct {
	Holder    string  `json:"holder"`
	Name      string  `json:"name,omitempty"`
	VRPs      int     `json:"vrps"`
	Resources inr.Set `json:"resources"`
	// Objects is how many payloads of other kinds. In JSON each kind has a member of its own, as "aspas".
	Objects kinds.Counts `json:"-"`
}

type bareLargest Loss

// MarshalJSON writes the counts of each kind beside the rest.
func (l Loss) MarshalJSON() ([]byte, error) {
	object, err := json.Marshal(bareLargest(l))
	if err != nil {
		return nil, err
	}
	return l.Objects.Join(object), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (l *Loss) UnmarshalJSON(object []byte) error {
	return cmp.Or(json.Unmarshal(object, (*bareLargest)(l)), l.Objects.Cut(object))
}

// effectOf computes what a decision does to holders, certificates, VRPs and other payloads. The caller holds the engine's mu.
func (e *Engine) effectOf(o *holdings.Outcome, intents *roa.Outcome, consent Consent) (*Effect, error) {
	f := &Effect{Delegations: Delta{New: o.Counts.New, Gone: o.Counts.Gone, Changed: o.Counts.Moved}, Duplicates: intents.Duplicates + intents.Objects.Duplicates, Largest: []Loss{}}
	for _, left := range intents.Left {
		f.Left = append(f.Left, fmt.Sprintf("line %d: %s", left.Row.Line, left.Reason))
	}
	for _, w := range intents.Warnings {
		f.Warnings = append(f.Warnings, w.Text)
	}
	f.Warnings = append(f.Warnings, intents.Over...)
	var before, after []roa.VRP
	changed := intents.ByHolder()
	objects := e.effectOnObjects(o, changed)
	for holder, now := range o.After {
		was := o.Before[holder]
		switch {
		case was.Equal(now):
			continue
		case was.Empty():
			f.Holders.New++
		case now.Empty():
			f.Holders.Gone++
		default:
			f.Holders.Changed++
		}
		had, has := e.book.VRPs(holder, was), roa.AllAuthorised(e.book.With(holder, changed[holder]), now)
		delete(changed, holder)
		before, after = append(before, had...), append(after, has...)
		if gone := was.Minus(now); !gone.Empty() {
			lost := without(had, has)
			f.Largest = append(f.Largest, Loss{holder, e.nameOf(holder), len(lost), gone, objects.lost[holder].Counted()})
			f.losses = append(f.losses, loss{Holder: holder, VRPs: lost, Objects: objects.lost[holder], Resources: gone, All: now.Empty()})
		}
	}
	for holder, of := range changed {
		holding := e.ledger.Holding(holder)
		if now, touched := o.After[holder]; touched {
			holding = now
		}
		had, has := roa.AllAuthorised(of.Removed, holding), roa.AllAuthorised(of.Added, holding)
		before, after = append(before, had...), append(after, has...)
		lost := slices.DeleteFunc(without(had, has), func(v roa.VRP) bool { return e.book.KeepsBeside(holder, v, of.Removed) })
		if len(lost)+len(objects.lost[holder]) > 0 {
			f.losses = append(f.losses, loss{Holder: holder, VRPs: lost, Objects: objects.lost[holder], Own: true})
		}
	}
	f.Certificates, f.Overclaims = f.Holders, e.overclaims(o)
	var err error
	if f.Announcements, err = e.announcements(before, after, intents.Announced); err != nil {
		return nil, err
	}
	if f.Announcements != nil {
		f.Breaks = f.Announcements.breaks
	}
	f.Gained, f.Lost = without(after, before), without(before, after)
	f.ObjectsGained, f.ObjectsLost = objects.gained, objects.gone
	slices.SortFunc(f.Largest, func(a, b Loss) int {
		av4, av6, _ := a.Resources.Addresses()
		bv4, bv6, _ := b.Resources.Addresses()
		return cmp.Or(cmp.Compare(b.VRPs+b.Objects.Total(), a.VRPs+a.Objects.Total()), cmp.Compare(bv4, av4), cmp.Compare(bv6, av6), cmp.Compare(a.Holder, b.Holder))
	})
	f.Largest = f.Largest[:min(10, len(f.Largest))]
	f.losses = forGood(f.losses, after, f.Gained)
	if consent.Unbraked {
		return f, nil
	}
	var why []string
	if heavy := e.weigh(o.Decision.Time, f.losses); heavy != "" {
		why = append(why, heavy)
	}
	if broken := f.Announcements.held(); broken != "" {
		why = append(why, broken)
	}
	if len(intents.Over) > 0 {
		why = append(why, "a registry would authorise what its holders hold")
	}
	if len(why) > 0 {
		f.Held, f.Code = strings.Join(why, "; "), e.Code(f.plan(o))
	}
	return f, nil
}

// plan is the text that a decision's code is made from: what is decided, and what is lost.
func (f *Effect) plan(o *holdings.Outcome) []byte {
	plan := slices.Clone(o.Digest[:])
	for _, c := range o.Intents {
		plan = fmt.Appendf(plan, "\n%s", c)
	}
	for _, b := range f.Breaks {
		plan = fmt.Appendf(plan, "\n%s", b)
	}
	for _, v := range f.Lost {
		plan = fmt.Appendf(plan, "\n%s", v)
	}
	for _, v := range f.ObjectsLost {
		plan = fmt.Appendf(plan, "\n%s", v)
	}
	return plan
}

func (e *Engine) nameOf(holder string) string {
	o, _ := e.ledger.Organisation(holder)
	return o.Name
}

// without is the VRPs of a that are not in b, sorted, without duplicates.
func without(a, b []roa.VRP) []roa.VRP {
	in := make(map[roa.VRP]bool, len(b))
	for _, v := range b {
		in[v] = true
	}
	out := []roa.VRP{}
	for _, v := range a {
		if !in[v] {
			in[v] = true
			out = append(out, v)
		}
	}
	slices.SortFunc(out, roa.VRP.Compare)
	return out
}
