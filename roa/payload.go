package roa

import (
	"cadastre/internal/inr"
	"cadastre/internal/intents"
	"cadastre/internal/payload"
)

// Kind is the kind of objects that have a VRP as their payload (RFC 9582). Each ROA that is issued here has one VRP.
const Kind payload.Kind = "roa"

var _ payload.Payload = VRP{}

// Kind is that of ROAs.
func (v VRP) Kind() payload.Kind { return Kind }

// Key is the whole VRP: two different VRPs are independent.
func (v VRP) Key() payload.Key { return payload.ID(v) }

// Resources is the prefix.
func (v VRP) Resources() inr.Set { return inr.OfPrefix(v.Prefix) }

// Covers tells how far the VRP authorises what another VRP does: the other's prefix for the same AS, up to the other's maxLength.
func (v VRP) Covers(other payload.Payload) payload.Cover {
	w, ok := other.(VRP)
	switch {
	case !ok || v.ASN != w.ASN || v.Prefix.Bits() > w.Prefix.Bits() || !v.Prefix.Contains(w.Prefix.Addr()):
		return payload.None
	case v.MaxLength < w.MaxLength:
		return payload.Part
	}
	return payload.Whole
}

// Authorised lists the payloads that a holder's signed objects are to have while it has holding, of which leaving is about to leave. Payloads
// that will be authorised without leaving are included in advance, where that is possible. ROAs are first, then the other kinds by name, each
// in the order of its kind, without duplicates.
func (b *Book) Authorised(holder string, holding, leaving inr.Set) []payload.Payload {
	vrps := Unique(append(b.Ahead(holder, holding, leaving), b.VRPs(holder, holding)...))
	return append(payload.List(vrps), intents.AllAuthorised(b.Objects.Of(holder), holding)...)
}
