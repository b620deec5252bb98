package ca

import (
	"time"

	"cadastre/ca/issued"
	"cadastre/internal/store"
)

// line of authorities -> Roll
var rollBucket = store.Declare("roll", "ca", store.Withheld("how far keys are rolled that the successor doesn't have"))

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

// retired tells whether a generation neither issues nor will.
func (r Roll) retired(generation int) bool {
	return generation != r.Active && (r.Next == 0 || generation != r.Next)
}

// rolls is how far each line of authorities has come. A record is replaced, never changed.
type rolls map[issued.Name]*Roll

func loadRolls(r store.Reader) (rolls, error) {
	all := rolls{}
	return all, store.EachValue(r, rollBucket, nil, func(line string, l *Roll) { all[issued.Parse(line)] = l })
}

// of is how far a line of authorities has come; the zero Roll where it never had one.
func (all rolls) of(line issued.Name) Roll {
	if r := all[line]; r != nil {
		return *r
	}
	return Roll{}
}
