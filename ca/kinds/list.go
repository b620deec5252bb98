package kinds

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"cadastre/internal/payload"
)

// List is payloads of kinds other than ROAs. VRPs are many, and have lists of their own wherever there are lists.
type List []payload.Payload

// Of is the payloads of one kind.
func (l List) Of(k *Kind) List {
	return slices.DeleteFunc(slices.Clone(l), func(p payload.Payload) bool { return p.Kind() != k.Name })
}

// Join adds the payloads of a list to a JSON object, each kind as a member of its own. Form makes its name from that of the kind:
// "%s_gained" makes "aspas_gained". Kinds of which there is none are left out.
func (l List) Join(object []byte, form string) ([]byte, error) {
	for _, k := range Table {
		of := l.Of(k)
		if len(of) == 0 {
			continue
		}
		text, err := json.Marshal(of)
		if err != nil {
			return nil, err
		}
		object = join(object, k.member(form), text)
	}
	return object, nil
}

// join adds a member to a JSON object.
func join(object []byte, name string, value []byte) []byte {
	between := ","
	if len(object) == 2 {
		between = ""
	}
	return fmt.Appendf(slices.Clip(object[:len(object)-1]), "%s%q:%s}", between, name, value)
}

// Cut reads what Join added.
func (l *List) Cut(object []byte, form string) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(object, &members); err != nil {
		return err
	}
	*l = nil
	for _, k := range Table {
		text, there := members[k.member(form)]
		if !there || k == &ROA { // the VRPs
			continue
		}
		var list []json.RawMessage
		if err := json.Unmarshal(text, &list); err != nil {
			return err
		}
		for _, one := range list {
			p, err := k.Decode(one)
			if err != nil {
				return err
			}
			*l = append(*l, p)
		}
	}
	return nil
}

func (k *Kind) member(form string) string { return fmt.Sprintf(form, strings.ToLower(k.Payloads)) }

// Counted is how many there are of each kind.
func (l List) Counted() Counts {
	var c Counts
	c.Add(l)
	return c
}

// Unique sorts a list and drops what is there twice.
func (l List) Unique() List {
	slices.SortFunc(l, payload.Compare)
	return slices.CompactFunc(l, payload.Same)
}
