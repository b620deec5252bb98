package roa

import (
	"net/netip"
	"slices"

	"cadastre/holdings"
	"cadastre/routes"
)

// Validity is the state of an announcement (RFC 6811, section 2). There are two kinds of invalid: by AS, and by length.
type Validity string

// The states of an announcement.
const (
	Valid         Validity = "valid"
	NotFound      Validity = "not found"
	InvalidAS     Validity = "invalid by AS"     // no VRP that covers it is for its AS
	InvalidLength Validity = "invalid by length" // it is longer than the maxLength of each that is for its AS
)

// Invalid tells whether the announcement is invalid, by AS or by length.
func (v Validity) Invalid() bool { return v == InvalidAS || v == InvalidLength }

// Table has VRPs by their prefixes, to find those that cover a route. A search takes one step for each length of prefixes that there is. The
// zero Table is empty.
type Table struct {
	of      map[netip.Prefix][]VRP
	lengths [2][129]int // how many VRPs there are of each length, of IPv4 and IPv6
}

func family(p netip.Prefix) int {
	if p.Addr().Is4() {
		return 0
	}
	return 1
}

// Add adds a VRP. If it is there already, it is there once more.
func (t *Table) Add(v VRP) {
	if t.of == nil {
		t.of = map[netip.Prefix][]VRP{}
	}
	t.of[v.Prefix] = append(t.of[v.Prefix], v)
	t.lengths[family(v.Prefix)][v.Prefix.Bits()]++
}

// Remove removes a VRP once. It does nothing if the VRP is not there.
func (t *Table) Remove(v VRP) {
	at := slices.Index(t.of[v.Prefix], v)
	if at < 0 {
		return
	}
	t.lengths[family(v.Prefix)][v.Prefix.Bits()]--
	if t.of[v.Prefix] = slices.Delete(t.of[v.Prefix], at, at+1); len(t.of[v.Prefix]) == 0 {
		delete(t.of, v.Prefix)
	}
}

// Covering is the VRPs whose prefixes cover one, the shortest first.
func (t *Table) Covering(p netip.Prefix) []VRP {
	var found []VRP
	for bits := range p.Bits() + 1 {
		if t.lengths[family(p)][bits] > 0 {
			found = append(found, t.of[netip.PrefixFrom(p.Addr(), bits).Masked()]...)
		}
	}
	return found
}

// Validity is the state of an announcement.
func (t *Table) Validity(a routes.Announcement) Validity { return validity(a, t.Covering(a.Prefix)) }

// validity is the state of an announcement by the VRPs that cover it (RFC 6811, section 2). AS 0 matches no announcement (RFC 7607).
func validity(a routes.Announcement, covering []VRP) Validity {
	state := NotFound
	for _, v := range covering {
		switch {
		case v.ASN != a.Origin || v.ASN == 0:
			if state == NotFound {
				state = InvalidAS
			}
		case a.Prefix.Bits() <= v.MaxLength:
			return Valid
		default:
			state = InvalidLength
		}
	}
	return state
}

// Covering lists the VRPs that cover a prefix, of all its holders: nobody else can have one. What two holders have is there twice.
func (b *Book) Covering(l *holdings.Ledger, p netip.Prefix) []VRP {
	var found []VRP
	for _, holder := range l.Holders(p) {
		holding, first := l.Holding(holder), len(found)
		for bits := range p.Bits() + 1 {
			for _, in := range b.ofPrefix(holder, netip.PrefixFrom(p.Addr(), bits).Masked()) {
				vrps, _ := Authorised(in, holding)
				for _, v := range vrps {
					if v.Prefix.Bits() <= p.Bits() && v.Prefix.Contains(p.Addr()) {
						found = append(found, v)
					}
				}
			}
		}
		found = append(found[:first], Unique(found[first:])...)
	}
	return found
}

// ofPrefix is the intents of a holder for a prefix, in order.
func (b *Book) ofPrefix(holder string, p netip.Prefix) []Intent {
	list := b.Of(holder)
	first, _ := slices.BinarySearchFunc(list, p, comparePrefix)
	last := first
	for last < len(list) && list[last].Prefix == p {
		last++
	}
	return list[first:last]
}
