package plan

import (
	"time"

	"cadastre/ca/issued"
	"cadastre/internal/inr"
)

// Roll is the state of a line of authorities in a key roll (RFC 6489). A move to another publication server is a key roll, too: the next
// generation publishes in another place.
type Roll struct {
	Active   int           `json:"active"`            // the generation that issues
	Next     int           `json:"next,omitempty"`    // the generation that will issue; 0 where there is none
	Last     int           `json:"last,omitempty"`    // the highest generation that was Next and was given up
	Soak     time.Duration `json:"soak,omitempty"`    // how long Next is published before it issues
	Staged   time.Time     `json:"staged,omitzero"`   // when Next was published
	Switched time.Time     `json:"switched,omitzero"` // when Active began to issue
}

// Retired tells whether a generation does not issue and will not.
func (r Roll) Retired(generation int) bool {
	return generation != r.Active && (r.Next == 0 || generation != r.Next)
}

// Rolls has the state of each line of authorities. A record is replaced, never changed.
type Rolls map[issued.Name]*Roll

// Of is the state of a line of authorities; the zero Roll where it never had a key roll.
func (all Rolls) Of(line issued.Name) Roll {
	if r := all[line]; r != nil {
		return *r
	}
	return Roll{}
}

// Advanced is the next state of a roll, if a step is due at now; else nil. A next generation is staged when it is published, and issues
// after its soak (RFC 6489, section 2).
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

// SwitchAt is when a staged next generation may issue: after the roll's soak. If it publishes in the folder of the old one, and so
// replaces what is there, every reader must be able to have its certificate, too. For every reader that certificate has to name what the
// old one's objects rest on and what is to stay; while it does not, the time is that of the next look.
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

// generations is the authority that issues and the one that is to issue; nil where there is none.
func generations(v View, line issued.Name, roll *Roll) (active, next *issued.Records) {
	return v.Issued(line.At(roll.Active)), v.Issued(line.At(roll.Next))
}

// RollDue is when the next step of a roll may be due; zero where none is under way, or the next generation is not certified yet.
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
