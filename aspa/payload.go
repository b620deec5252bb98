package aspa

import (
	"encoding/binary"
	"strconv"

	"cadastre/internal/inr"
	"cadastre/internal/intents"
	"cadastre/internal/payload"
)

// Kind is the kind of objects that have a VAP as their payload (draft-ietf-sidrops-aspa-profile).
const Kind payload.Kind = "aspa"

var _ intents.Payload = VAP{}

// Kind is that of ASPAs.
func (v VAP) Kind() payload.Kind { return Kind }

// Key is the customer AS: an authority has one ASPA for it, and a new one replaces the old one.
func (v VAP) Key() payload.Key {
	return payload.Key{Kind: Kind, Text: "AS" + strconv.FormatUint(uint64(v.Customer), 10)}
}

// Sort is the customer AS, big-endian.
func (v VAP) Sort() []byte { return binary.BigEndian.AppendUint32(nil, v.Customer) }

// Resources is the customer AS.
func (v VAP) Resources() inr.Set { return inr.OfAS(v.Customer, v.Customer) }

// Covers tells whether the payload is about the same customer AS: then it replaces the other.
func (v VAP) Covers(other payload.Payload) payload.Cover {
	if w, ok := other.(VAP); ok && v.Customer == w.Customer {
		return payload.Whole
	}
	return payload.None
}
