package holdings

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"cadastre/internal/store"
)

// Told is a decision, and in words what it did.
type Told struct {
	Decision
	Did []string `json:"did"`
}

// toldOneByOne is how many changes Tell lists. If there are more it counts them.
const toldOneByOne = 10

// Tell says in words what a decision did. It fails with Corrupt.
func (l *Ledger) Tell(r store.Reader, d Decision) (Told, error) {
	told := Told{Decision: d, Did: []string{}}
	if len(d.Changes) > toldOneByOne {
		told.Did = append(told.Did, countedChanges(d.Changes))
	} else {
		for _, c := range d.Changes {
			text, err := l.tellChange(r, c)
			if err != nil {
				return told, err
			}
			told.Did = append(told.Did, text)
		}
	}
	if d.Intents.Added+d.Intents.Removed > toldOneByOne {
		what := "ROAs"
		if d.Intents.Objects > 0 {
			what = "intents"
		}
		told.Did = append(told.Did, fmt.Sprintf("%d %s added and %d removed, of %s", d.Intents.Added, what, d.Intents.Removed, number(d.Intents.Holders, "holder")))
		return told, nil
	}
	for c, err := range IntentChanges(r, d.ID) {
		if err != nil {
			return told, err
		}
		told.Did = append(told.Did, c.String())
	}
	return told, nil
}

// String is "ROA 192.0.2.0/24,24,AS64496 of acme added", or "ASPA AS64496 => AS64500, AS64501 of acme added".
func (c IntentChange) String() string {
	did := "added"
	if c.Removed {
		did = "removed"
	}
	var text string
	var until time.Time
	switch {
	case c.Route != nil:
		text, until = fmt.Sprintf("ROA %s,%d,AS%d", c.Prefix, c.MaxLength, c.Origin), c.Until
	case c.Object != nil:
		text, until = c.Object.String(), c.Object.Until
	}
	text += fmt.Sprintf(" of %s %s", c.Holder, did)
	if !until.IsZero() && !c.Removed {
		text += ", until " + until.Format(time.RFC3339)
	}
	if c.Comment != "" {
		text += fmt.Sprintf(" (%s)", c.Comment)
	}
	return text
}

func (l *Ledger) tellChange(r store.Reader, c Change) (string, error) {
	switch c.What {
	case Enrolled:
		return fmt.Sprintf("organisation %s added or its record changed", c.Organisation), nil
	case Removed:
		return fmt.Sprintf("organisation %s removed", c.Organisation), nil
	case Moved:
		return fmt.Sprintf("transfer %d: %s", c.Transfer, c.Step), nil
	case Ruled:
		return fmt.Sprintf("policy for transfers of %s set", c.Organisation), nil
	}
	d, err := l.readDelegation(r, c)
	if err != nil || d == nil {
		return fmt.Sprintf("delegation %d to %s %s", c.Delegation, c.Organisation, c.What), err
	}
	from := d.From
	if from == "" {
		from = d.Source
	}
	return fmt.Sprintf("delegation %d of %s from %s to %s %s", d.ID, d.Resources, from, d.To, c.What), nil
}

// readDelegation reads the delegation that a change is about, in force or ended; nil where it is about none.
func (l *Ledger) readDelegation(r store.Reader, c Change) (*Delegation, error) {
	if n := l.orgs[c.Organisation]; n != nil {
		for _, d := range n.received {
			if d.ID == c.Delegation {
				return d, nil
			}
		}
	}
	text, err := r.Get(endedBucket, endedKey(c.Organisation, c.Delegation))
	if err != nil || text == nil {
		return nil, err
	}
	var d Delegation
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, damaged("a delegation that has ended", err)
	}
	return &d, nil
}

// countedChanges says in words how many changes of each kind there are.
func countedChanges(changes []Change) string {
	n := map[string]int{}
	for _, c := range changes {
		n[c.What]++
	}
	var parts []string
	for _, kind := range []struct{ what, one, did string }{
		{Enrolled, "organisation", "added or changed"}, {Started, "delegation", "started"}, {Ended, "delegation", "ended"},
		{Moved, "transfer", "took a step"}, {Removed, "organisation", "removed"},
	} {
		if n[kind.what] > 0 {
			parts = append(parts, number(n[kind.what], kind.one)+" "+kind.did)
		}
	}
	if n[Ruled] > 0 {
		parts = append(parts, fmt.Sprintf("policies for transfers set: %d", n[Ruled]))
	}
	return strings.Join(parts, ", ")
}

// number is "1 holder" or "2 holders".
func number(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
