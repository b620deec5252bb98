package plan

import (
	"time"

	"cadastre/ca/issued"
	"cadastre/internal/inr"
)

// Roll is how far a line of authorities has come in a key roll (RFC 6489), or in a move to another publication server,
// which is one with another place.
type Roll struct {
	Active   int           `json:"active"`            // the generation that issues
	Next     int           `json:"next,omitempty"`    // the one that will; 0 where none is coming
	Last     int           `json:"last,omitempty"`    // the highest that was to be next and was given up
	Soak     time.Duration `json:"soak,omitempty"`    // how long Next is published before it issues
	Staged   time.Time     `json:"staged,omitzero"`   // when Next was published
	Switched time.Time     `json:"switched,omitzero"` // when Active began to issue
}

// Retired tells whether a generation neither issues nor will.
func (r Roll) Retired(generation int) bool {
	return generation != r.Active && (r.Next == 0 || generation != r.Next)
}

// Rolls is how far each line of authorities has come. A record is replaced, never changed.
type Rolls map[issued.Name]*Roll

// Of is how far a line of authorities has come; the zero Roll where it never had one.
func (all Rolls) Of(line issued.Name) Roll {
	if r := all[line]; r != nil {
		return *r
	}
	return Roll{}
}

// Advanced is how a roll goes on at a time; nil where it does not. A next generation that is published is staged, and
// after its soak it issues (RFC 6489, section 2).
func Advanced(v View, policy *issued.Policy, line issued.Name, roll *Roll, now time.Time) *Roll {
	if roll.Next == 0 {
		return nil
	}
	was, is := generations(v, line, roll)
	if was == nil && is == nil { // it has lost all that it held
		next := *roll
		next.Next, next.Staged = 0, time.Time{}
		return &next
	}
	if is == nil || is.Awaits() || is.Number == 0 || v.Unsent(is.Name) {
		return nil
	}
	next := *roll
	switch {
	case roll.Staged.IsZero():
		next.Staged = now
	case now.Before(SwitchAt(v, policy, line, roll, now)):
		return nil
	default:
		next.Active, next.Next, next.Switched = roll.Next, 0, now
	}
	return &next
}

// SwitchAt is when a next generation that is staged may issue: after the roll's soak, and where it publishes in the old one's folder
// and so replaces what is there, when every reader can have its certificate. It has to name, for every reader, what the old one has
// certified and what is to stay, as far as they know that of the old one: it is looked at again later while it does not.
func SwitchAt(v View, policy *issued.Policy, line issued.Name, roll *Roll, now time.Time) time.Time {
	was, is := generations(v, line, roll)
	at := roll.Staged.Add(roll.Soak)
	if was == nil || is == nil {
		return at
	}
	p := planner{View: v, policy: policy, now: now}
	if p.apart(is.Name, is) && policy.Place(&was.Authority) == policy.Place(&is.Authority) {
		at = issued.Later(at, roll.Staged.Add(policy.Soak))
	}
	if now.Before(at) {
		return at
	}
	known, _ := p.soaked(was.Name, was, false)
	names := []inr.Set{known.Intersect(v.Entitled(is.Name))}
	for _, product := range was.Products {
		below, is := product.Certifies()
		if !is {
			continue
		}
		if child := v.Issued(below); child != nil && child.Issuer == was.Name {
			names = append(names, child.Certified)
		}
	}
	if base, until := p.soaked(is.Name, is, false); !base.Contains(inr.Sum(names...)) {
		return issued.Later(until, now.Add(time.Minute))
	}
	return at
}

// generations is the authority that issues and the one that is to, nil where there is none.
func generations(v View, line issued.Name, roll *Roll) (active, next *issued.Records) {
	return v.Issued(line.At(roll.Active)), v.Issued(line.At(roll.Next))
}

// RollDue is when a roll may go on by itself; zero where none is under way, or the next generation has yet to be certified.
func RollDue(v View, policy *issued.Policy, line issued.Name, roll *Roll, now time.Time) time.Time {
	if roll.Next == 0 {
		return time.Time{}
	}
	soon := now.Add(time.Second)
	switch was, is := generations(v, line, roll); {
	case is == nil && was != nil || is != nil && is.Awaits():
		return time.Time{}
	case roll.Staged.IsZero():
		return soon // until it is published
	default:
		return issued.Later(SwitchAt(v, policy, line, roll, now), soon)
	}
}

// Active is the generation of an authority's line that issues.
func (all Rolls) Active(n issued.Name) issued.Name { return n.At(all.Of(n.Line()).Active) }
