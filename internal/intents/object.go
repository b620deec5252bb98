package intents

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/payload"
	"cadastre/internal/store"
)

// Terms is all of an intent but what it authorises.
type Terms struct {
	Holder   string    `json:"holder"` // handle
	Comment  string    `json:"comment,omitempty"`
	Actor    string    `json:"actor"`
	Added    time.Time `json:"added"`
	Until    time.Time `json:"until,omitzero"`     // when it ends by itself; zero: never
	Transfer uint64    `json:"transfer,omitempty"` // the transfer that brought it, 0 for none; if that is cancelled the intent is removed
	// Displaced is the record of the holder's own intent under the same key that one brought by a transfer has displaced. It comes back
	// when the one that was brought ends.
	Displaced json.RawMessage `json:"displaced,omitempty"`
}

// Owner is the holder.
func (t Terms) Owner() string { return t.Holder }

// Ends is when it ends by itself; zero: never.
func (t Terms) Ends() time.Time { return t.Until }

// BroughtBy is the transfer that brought it; 0: none did.
func (t Terms) BroughtBy() uint64 { return t.Transfer }

// Same tells whether two intents with equal payloads are the same in all that is not about who asked for them, and when.
func (t Terms) Same(other Terms) bool {
	return t.Comment == other.Comment && t.Until.Equal(other.Until) && t.Transfer == other.Transfer
}

// Payload is what an Object authorises.
type Payload interface {
	payload.Payload
	// Sort is the place of an intent among those of its holder and kind: payloads that have the same Key have the same, and others
	// another. It is a part of the key of its record.
	Sort() []byte
}

// Object is an intent that authorises one payload while its holder has all that this rests on, and is parked otherwise. Holder and the payload's
// key identify it. Intents for ROAs are no Objects, since they can authorise parts of what they say (package roa).
type Object struct {
	Terms
	Says Payload
}

// kind is a kind of Objects.
type kind struct {
	bucket store.Bucket                           // of its records: JSON with the members of Terms and of the payload
	decode func(record []byte) (Payload, error)   // reads the payload from such a record
	of     func(payload.Payload) (Payload, error) // a payload of the kind as what it authorises
}

// kinds is what was declared.
var kinds = map[payload.Kind]kind{}

// Declare declares a kind of Objects whose payloads are of the type P. It is called when the program starts, by the package of the kind.
func Declare[P Payload](name payload.Kind, bucket store.Bucket) {
	kinds[name] = kind{
		bucket: bucket,
		decode: func(record []byte) (Payload, error) {
			var p P
			err := json.Unmarshal(record, &p)
			return p, err
		},
		of: func(p payload.Payload) (Payload, error) {
			if says, ok := p.(P); ok {
				return says, nil
			}
			return nil, fault.New(fault.Internal, "%s is no payload of kind %q", p, name)
		},
	}
}

// Kept tells whether intents of a declared kind are kept in a bucket.
func Kept(bucket string) bool {
	for _, k := range kinds {
		if k.bucket.String() == bucket {
			return true
		}
	}
	return false
}

// ObjectOf is the intent that authorises a payload. It fails with Internal where the payload's kind has no Objects.
func ObjectOf(terms Terms, p payload.Payload) (Object, error) {
	k, ok := kinds[p.Kind()]
	if !ok {
		return Object{}, fault.New(fault.Internal, "there are no intents for payloads of kind %q", p.Kind())
	}
	says, err := k.of(p)
	return Object{terms, says}, err
}

// Key is the holder, 0, the kind, 0, and the payload's place among those of its kind.
func (in Object) Key() []byte {
	return slices.Concat([]byte(in.Holder), []byte{0}, []byte(in.Says.Kind()), []byte{0}, in.Says.Sort())
}

// place is where the record of an intent is. Each kind has a bucket of its own, so that its name is not in the key.
func (in Object) place() (store.Bucket, []byte) {
	return kinds[in.Says.Kind()].bucket, slices.Concat([]byte(in.Holder), []byte{0}, in.Says.Sort())
}

// Compare orders the intents of a holder by kind, then by Sort.
func (in Object) Compare(other Object) int {
	return cmp.Or(strings.Compare(string(in.Says.Kind()), string(other.Says.Kind())), bytes.Compare(in.Says.Sort(), other.Says.Sort()))
}

// Authorised tells whether an intent is authorised while its holder has holding. If not it is parked, and comes back with the resources.
func (in Object) Authorised(holding inr.Set) bool { return holding.Contains(in.Says.Resources()) }

// AllAuthorised lists the payloads of one holder's intents that are authorised while it has holding, in order.
func AllAuthorised(all []Object, holding inr.Set) []payload.Payload {
	var says []payload.Payload
	for _, in := range all {
		if in.Authorised(holding) {
			says = append(says, in.Says)
		}
	}
	return says
}

// MarshalJSON writes the members of the terms and those of the payload, as records have them.
func (in Object) MarshalJSON() ([]byte, error) {
	terms, err := json.Marshal(in.Terms)
	if err != nil {
		return nil, err
	}
	says, err := json.Marshal(in.Says)
	if err != nil {
		return nil, err
	}
	return slices.Concat(terms[:len(terms)-1], []byte(","), says[1:]), nil
}

// Objects is the book of all Objects.
type Objects struct{ *Book[Object] }

// ObjectChange is a change of Objects.
type ObjectChange = Change[Object]

// End resolves that the intents whose date has come end. What they had displaced comes back.
func (b Objects) End(now time.Time) (ObjectChange, error) {
	var c ObjectChange
	ended := b.Book.End(now)
	for _, in := range ended.Removed {
		if err := b.Drop(&c, in); err != nil {
			return c, err
		}
	}
	return c, nil
}

// Drop adds to a change that an intent ends, and that what it had displaced comes back. It fails with Corrupt.
func (b Objects) Drop(c *ObjectChange, in Object) error {
	c.Removed = append(c.Removed, in)
	if in.Displaced == nil {
		return nil
	}
	own, err := read(kinds[in.Says.Kind()], in.Displaced)
	if err != nil {
		return fault.New(fault.Corrupt, "an intent that another one had displaced is damaged (%w): restore the store from a backup", err)
	}
	c.Added = append(c.Added, own)
	return nil
}

// read reads a record of a kind.
func read(k kind, record []byte) (in Object, err error) {
	if err = json.Unmarshal(record, &in.Terms); err == nil {
		in.Says, err = k.decode(record)
	}
	return in, err
}

// LoadObjects reads the intents of all kinds that were declared. It fails with Corrupt.
func LoadObjects(r store.Reader) (Objects, error) {
	b := newBook[Object]()
	for _, k := range kinds {
		if err := b.read(r, k.bucket, func(record []byte) (Object, error) { return read(k, record) }); err != nil {
			return Objects{b}, err
		}
	}
	return Objects{b}, nil
}

// WriteObjects makes a change of Objects in the store.
func WriteObjects(w store.Writer, c *ObjectChange) error {
	return c.write(w, Object.place, func(in Object) ([]byte, error) { return json.Marshal(in) })
}

// Stands tells whether a holder that has holding authorises something under the key of a payload.
func (b Objects) Stands(holder string, p payload.Payload, holding inr.Set) bool {
	for _, in := range b.Of(holder) {
		if in.Says.Key() == p.Key() {
			return in.Authorised(holding)
		}
	}
	return false
}

// Resolved is a change of Objects, with warnings and rows that were left out.
type Resolved struct {
	ObjectChange
	Left     []Left
	Warnings []string
}

// Left is a row of a file that was passed over, and why.
type Left struct {
	Line   int
	Reason string
}
