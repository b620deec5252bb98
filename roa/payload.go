package roa

import (
	"cadastre/aspa"
	"cadastre/internal/inr"
	"cadastre/internal/payload"
)

// Kind is the kind of objects that have a VRP as their payload (RFC 9582). Each ROA that is issued here has one VRP.
const Kind payload.Kind = "roa"

var _ payload.Payload = VRP{}

// Kind is that of ROAs.
func (v VRP) Kind() payload.Kind { return Kind }

// Key is the whole VRP: one says nothing about another.
func (v VRP) Key() payload.Key { return payload.ID(v) }

// Resources is the prefix.
func (v VRP) Resources() inr.Set { return inr.OfPrefix(v.Prefix) }

// Covers tells how far the VRP authorises what another one does: its prefix for the same AS, up to the other's maxLength.
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

// Authorised is what all signed objects of a holder are to say while it has holding, of which a part is leaving: what will
// stand without that stands beside the rest already, where it is possible. It is in the order of kinds, and each kind in its own,
// each payload once.
func (b *Book) Authorised(holder string, holding, leaving inr.Set) []payload.Payload {
	vrps := Unique(append(b.Ahead(holder, holding, leaving), b.VRPs(holder, holding)...))
	return append(payload.List(vrps), payload.List(aspa.AllAuthorised(b.ASPAs.Of(holder), holding))...)
}
