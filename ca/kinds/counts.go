package kinds

import (
	"encoding/json"
	"strconv"

	"cadastre/internal/payload"
)

// Counts counts something of each kind, in the order of the Table.
type Counts [len(Table)]uint64

// Add counts payloads.
func (c *Counts) Add(list []payload.Payload) {
	for _, p := range list {
		for i, k := range Table {
			if k.Name == p.Kind() {
				c[i]++
			}
		}
	}
}

// Plus is c and d together.
func (c Counts) Plus(d Counts) Counts {
	for i := range c {
		c[i] += d[i]
	}
	return c
}

// Minus is c without d.
func (c Counts) Minus(d Counts) Counts {
	for i := range c {
		c[i] -= d[i]
	}
	return c
}

// Total is how many there are of all kinds.
func (c Counts) Total() int {
	n := 0
	for _, of := range c {
		n += int(of) // #nosec G115 -- of a list
	}
	return n
}

// Join adds the counts to a JSON object, each kind as a member of its own: "aspas". Kinds of which there is none are left out.
func (c Counts) Join(object []byte) []byte {
	for i, k := range Table {
		if c[i] > 0 {
			object = join(object, k.member("%s"), strconv.AppendUint(nil, c[i], 10))
		}
	}
	return object
}

// Cut reads what Join added. VRPs are counted beside it.
func (c *Counts) Cut(object []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(object, &members); err != nil {
		return err
	}
	for i, k := range Table {
		if text, there := members[k.member("%s")]; there && k != &ROA {
			if err := json.Unmarshal(text, &c[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
