// Package payload is the contents of signed objects, of whatever kind: one object has one payload.
//
// The payload of a ROA is a VRP, that of an ASPA a customer AS with its providers. Planning, signing, comparing and withdrawing such objects
// use only payloads. What else a kind needs is in its entry of the table in ca/kinds.
package payload

import (
	"cmp"
	"slices"

	"cadastre/internal/inr"
)

// Kind names a kind of signed objects, in records too: "roa".
type Kind string

// Payload is what one signed object says. It does not change. Payloads are compared by Same, not with ==: some are not comparable so.
type Payload interface {
	Kind() Kind
	// Key is what the payload is about. An authority has one object under a key: a payload takes the place of another
	// that has the same key and says something else. The key of a VRP is all of it, that of an ASPA the customer AS.
	Key() Key
	// Resources is what the certificate of the authority has to name for the payload: a VRP's prefix, a customer AS.
	Resources() inr.Set
	// Covers tells how far this payload stands for another of the same kind when both are read.
	Covers(other Payload) Cover
	// String is all that the payload says, as text, in the one form that records have it in and people read. Two payloads
	// of a kind say the same if their texts are equal.
	String() string
}

// Key is what a payload is about, within its kind. Keys are compared with ==.
type Key struct {
	Kind Kind
	Text string
}

// Cover is how far one payload stands for another.
type Cover int

// The covers.
const (
	None  Cover = iota // it is about other resources, or says something else of them
	Part               // it is about the same resources or more, and authorises a part of what the other one does
	Whole              // it is about the same resources or more, and authorises all that the other one does
)

// Same tells whether two payloads say the same.
func Same(a, b Payload) bool { return ID(a) == ID(b) }

// ID is a payload as a value that can be compared with ==.
func ID(p Payload) Key { return Key{p.Kind(), p.String()} }

// Compare orders payloads by kind and text.
func Compare(a, b Payload) int {
	return cmp.Or(cmp.Compare(a.Kind(), b.Kind()), cmp.Compare(a.String(), b.String()))
}

// List makes a list of payloads of one type.
func List[P Payload](of []P) []Payload {
	list := make([]Payload, len(of))
	for i, p := range of {
		list[i] = p
	}
	return list
}

// Texts is payloads as text, each once, in the order of LC_ALL=C sort.
func Texts(list []Payload) []string {
	lines := make([]string, len(list))
	for i, p := range list {
		lines[i] = p.String()
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}
