package roa

import (
	"fmt"
	"net/netip"
	"slices"

	"cadastre/holdings"
)

// Validity is the state of an announcement (RFC 6811, section 2). There are two kinds of invalid: by AS, and by length.
type Validity string

// The states of an announcement.
const (
	Valid         Validity = "valid"
	NotFound      Validity = "not found"
	InvalidAS     Validity = "invalid, since its AS is not authorised"
	InvalidLength Validity = "invalid, since it is longer than the maxLength for its AS"
)

// Invalid tells whether the announcement is invalid, by AS or by length.
func (v Validity) Invalid() bool { return v == InvalidAS || v == InvalidLength }

// Announcement is a route as it is seen in BGP: a prefix and the AS that originates it.
type Announcement struct {
	Prefix netip.Prefix `json:"prefix"`
	Origin uint32       `json:"asn"`
}

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

// Validity is the state of an announcement (RFC 6811, section 2). AS 0 matches no announcement (RFC 7607).
func (t *Table) Validity(a Announcement) Validity {
	state := NotFound
	for _, v := range t.Covering(a.Prefix) {
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

// Break is an announcement that a change turns invalid.
type Break struct {
	Announcement
	Was Validity `json:"was"`
	Now Validity `json:"now"`
	By  []string `json:"by"` // the VRPs that cover it then
}

func (b Break) String() string {
	return fmt.Sprintf("the announcement of %s by AS%d would be %s (it is %s)", b.Prefix, b.Origin, b.Now, b.Was)
}

// breaks lists the announcements that a change of VRPs turns invalid, in order. It looks only at intents of holders of the announced
// prefixes, since nobody else can have a ROA that covers them.
func (b *Book) breaks(l *holdings.Ledger, announced []Announcement, o *Outcome) []Break {
	if len(announced) == 0 {
		return nil
	}
	gained, lost := o.vrps(l)
	var found []Break
	for _, a := range announced {
		more, less := gained.Covering(a.Prefix), lost.Covering(a.Prefix)
		if len(more)+len(less) == 0 {
			continue
		}
		var t Table
		for _, v := range b.Covering(l, a.Prefix) {
			t.Add(v)
		}
		was := t.Validity(a)
		for _, v := range less {
			t.Remove(v)
		}
		for _, v := range more {
			t.Add(v)
		}
		if now := t.Validity(a); now.Invalid() && !was.Invalid() {
			broken := Break{Announcement: a, Was: was, Now: now, By: Lines(t.Covering(a.Prefix))}
			found = append(found, broken)
		}
	}
	slices.SortFunc(found, func(x, y Break) int { return VRP{x.Prefix, 0, x.Origin}.Compare(VRP{y.Prefix, 0, y.Origin}) })
	return slices.CompactFunc(found, func(x, y Break) bool { return x.Announcement == y.Announcement })
}

// vrps has the VRPs that an outcome adds and removes, with the ledger as it is now.
func (o *Outcome) vrps(l *holdings.Ledger) (gained, lost *Table) {
	gained, lost = &Table{}, &Table{}
	for t, intents := range map[*Table][]Intent{gained: o.Added, lost: o.Removed} {
		for _, in := range intents {
			vrps, _ := Authorised(in, l.Holding(in.Holder))
			for _, v := range vrps {
				t.Add(v)
			}
		}
	}
	return gained, lost
}

// Covering lists the VRPs that cover a prefix, of all its holders: nobody else can have one.
func (b *Book) Covering(l *holdings.Ledger, p netip.Prefix) []VRP {
	var found []VRP
	for _, holder := range l.Holders(p) {
		holding := l.Holding(holder)
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
