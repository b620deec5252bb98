// Package inr is sets of Internet number resources: IPv4 and IPv6 addresses and AS numbers.
//
// A Set is always canonical as RFC 3779 (sections 2.2.3.6 and 3.2.3.4) wants it: ranges sorted, disjoint, and never
// adjacent. Sets are values and are never changed in place, so they can be shared.
package inr

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"
)

// IPRange is the addresses from First to Last, both included, of one family. IPv4 addresses are never 4-in-6.
type IPRange struct{ First, Last netip.Addr }

// ASRange is the AS numbers from First to Last, both included.
type ASRange struct{ First, Last uint32 }

// Set is number resources in canonical form. The zero Set is empty.
type Set struct {
	V4, V6 []IPRange
	AS     []ASRange
}

// RangeOf is the addresses of a prefix.
func RangeOf(p netip.Prefix) IPRange {
	p = p.Masked()
	return IPRange{p.Addr(), lastOf(p)}
}

func lastOf(p netip.Prefix) netip.Addr {
	if p.Addr().Is4() {
		bytes := p.Addr().As4()
		fill(bytes[:], p.Bits())
		return netip.AddrFrom4(bytes)
	}
	bytes := p.Addr().As16()
	fill(bytes[:], p.Bits())
	return netip.AddrFrom16(bytes)
}

// fill sets all bits from the bit with the number from on.
func fill(bytes []byte, from int) {
	for i := from / 8; i < len(bytes); i++ {
		bytes[i] |= 0xff >> (from % 8)
		from = 0
	}
}

// OfPrefix is the set of one prefix.
func OfPrefix(p netip.Prefix) Set { return OfRange(RangeOf(p)) }

// OfRange is the set of one range of addresses.
func OfRange(r IPRange) Set {
	if r.First.Is4() {
		return Set{V4: []IPRange{r}}
	}
	return Set{V6: []IPRange{r}}
}

// OfAS is the set of the AS numbers from first to last.
func OfAS(first, last uint32) Set { return Set{AS: []ASRange{{first, last}}} }

// Everything is all IPv4 and IPv6 addresses, and all AS numbers but AS 0.
func Everything() Set {
	return Set{
		V4: []IPRange{RangeOf(netip.MustParsePrefix("0.0.0.0/0"))},
		V6: []IPRange{RangeOf(netip.MustParsePrefix("::/0"))},
		AS: []ASRange{{1, 4294967295}},
	}
}

// Of makes a canonical set of ranges in any order, overlapping or not.
func Of(ips []IPRange, as []ASRange) Set {
	v4 := 0
	for _, r := range ips {
		if r.First.Is4() {
			v4++
		}
	}
	s := room(v4, len(ips)-v4, len(as))
	for _, r := range ips {
		if r.First.Is4() {
			s.V4 = append(s.V4, r)
		} else {
			s.V6 = append(s.V6, r)
		}
	}
	s.AS = append(s.AS, as...)
	return s.canonical()
}

// Sum is the union of many sets, in one pass. Of one set it is that set.
func Sum(sets ...Set) Set {
	if len(sets) == 1 {
		return sets[0]
	}
	var v4, v6, as int
	for _, s := range sets {
		v4, v6, as = v4+len(s.V4), v6+len(s.V6), as+len(s.AS)
	}
	all := room(v4, v6, as)
	for _, s := range sets {
		all.V4, all.V6, all.AS = append(all.V4, s.V4...), append(all.V6, s.V6...), append(all.AS, s.AS...)
	}
	return all.canonical()
}

// room is an empty set with room for so many ranges. Where there is to be none of a kind it is nil.
func room(v4, v6, as int) (s Set) {
	if v4 > 0 {
		s.V4 = make([]IPRange, 0, v4)
	}
	if v6 > 0 {
		s.V6 = make([]IPRange, 0, v6)
	}
	if as > 0 {
		s.AS = make([]ASRange, 0, as)
	}
	return s
}

// canonical sorts and joins the ranges of s in place, so nobody else may have its slices.
func (s Set) canonical() Set {
	slices.SortFunc(s.V4, byFirstIP)
	slices.SortFunc(s.V6, byFirstIP)
	slices.SortFunc(s.AS, func(a, b ASRange) int { return cmp.Compare(a.First, b.First) })
	return Set{joined(s.V4, ipLine), joined(s.V6, ipLine), joined(s.AS, asLine)}
}

func byFirstIP(a, b IPRange) int { return a.First.Compare(b.First) }

// line is what the algorithms need to know of a kind of number: its ends, its order and its neighbours.
type line[R, N any] struct {
	first, last func(R) N
	of          func(first, last N) R
	compare     func(a, b N) int
	next, prev  func(N) (N, bool)
}

var ipLine = line[IPRange, netip.Addr]{
	first: func(r IPRange) netip.Addr { return r.First }, last: func(r IPRange) netip.Addr { return r.Last },
	of:      func(f, l netip.Addr) IPRange { return IPRange{f, l} },
	compare: netip.Addr.Compare,
	next:    func(a netip.Addr) (netip.Addr, bool) { n := a.Next(); return n, n.IsValid() },
	prev:    func(a netip.Addr) (netip.Addr, bool) { n := a.Prev(); return n, n.IsValid() },
}

var asLine = line[ASRange, uint32]{
	first: func(r ASRange) uint32 { return r.First }, last: func(r ASRange) uint32 { return r.Last },
	of:      func(f, l uint32) ASRange { return ASRange{f, l} },
	compare: cmp.Compare[uint32],
	next:    func(n uint32) (uint32, bool) { return n + 1, n != 4294967295 },
	prev:    func(n uint32) (uint32, bool) { return n - 1, n != 0 },
}

// joined merges what overlaps or touches in sorted ranges, in their place.
func joined[R, N any](sorted []R, ln line[R, N]) []R {
	out := sorted[:0]
	for _, r := range sorted {
		if len(out) > 0 {
			top := &out[len(out)-1]
			after, more := ln.next(ln.last(*top))
			if !more || ln.compare(ln.first(r), after) <= 0 {
				if ln.compare(ln.last(r), ln.last(*top)) > 0 {
					*top = ln.of(ln.first(*top), ln.last(r))
				}
				continue
			}
		}
		out = append(out, r)
	}
	return out
}

func intersected[R, N any](a, b []R, ln line[R, N]) []R {
	var out []R
	for len(a) > 0 && len(b) > 0 {
		first, last := ln.first(a[0]), ln.last(a[0])
		if ln.compare(ln.first(b[0]), first) > 0 {
			first = ln.first(b[0])
		}
		if ln.compare(ln.last(b[0]), last) < 0 {
			last = ln.last(b[0])
		}
		if ln.compare(first, last) <= 0 {
			out = append(out, ln.of(first, last))
		}
		if ln.compare(ln.last(a[0]), ln.last(b[0])) < 0 {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return out
}

func subtracted[R, N any](a, b []R, ln line[R, N]) []R {
	var out []R
	for _, r := range a {
		first, last := ln.first(r), ln.last(r)
		i := sort.Search(len(b), func(i int) bool { return ln.compare(ln.last(b[i]), first) >= 0 })
		left := true
		for ; i < len(b) && ln.compare(ln.first(b[i]), last) <= 0; i++ {
			if before, ok := ln.prev(ln.first(b[i])); ok && ln.compare(first, before) <= 0 {
				out = append(out, ln.of(first, before))
			}
			if first, left = ln.next(ln.last(b[i])); !left {
				break
			}
		}
		if left && ln.compare(first, last) <= 0 {
			out = append(out, ln.of(first, last))
		}
	}
	return out
}

// within tells whether every range of a lies in one of b; both are canonical.
func within[R, N any](a, b []R, ln line[R, N]) bool {
	for _, r := range a {
		i := sort.Search(len(b), func(i int) bool { return ln.compare(ln.last(b[i]), ln.first(r)) >= 0 })
		if i == len(b) || ln.compare(ln.first(b[i]), ln.first(r)) > 0 || ln.compare(ln.last(r), ln.last(b[i])) > 0 {
			return false
		}
	}
	return true
}

// Union is what is in s or in b.
func (s Set) Union(b Set) Set { return Sum(s, b) }

// Intersect is what is in both.
func (s Set) Intersect(b Set) Set {
	return Set{intersected(s.V4, b.V4, ipLine), intersected(s.V6, b.V6, ipLine), intersected(s.AS, b.AS, asLine)}
}

// Minus is what is in s and not in b.
func (s Set) Minus(b Set) Set {
	return Set{subtracted(s.V4, b.V4, ipLine), subtracted(s.V6, b.V6, ipLine), subtracted(s.AS, b.AS, asLine)}
}

// Contains tells whether all of b is in s.
func (s Set) Contains(b Set) bool {
	return within(b.V4, s.V4, ipLine) && within(b.V6, s.V6, ipLine) && within(b.AS, s.AS, asLine)
}

// ContainsPrefix tells whether all addresses of p are in s.
func (s Set) ContainsPrefix(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return within([]IPRange{RangeOf(p)}, s.V4, ipLine)
	}
	return within([]IPRange{RangeOf(p)}, s.V6, ipLine)
}

// Overlaps tells whether s and b share anything.
func (s Set) Overlaps(b Set) bool { return !s.Intersect(b).Empty() }

// Empty tells whether nothing is in s.
func (s Set) Empty() bool { return len(s.V4)+len(s.V6)+len(s.AS) == 0 }

// HasIP tells whether any address is in s.
func (s Set) HasIP() bool { return len(s.V4)+len(s.V6) > 0 }

// Equal tells whether s and b are the same resources.
func (s Set) Equal(b Set) bool {
	return slices.Equal(s.V4, b.V4) && slices.Equal(s.V6, b.V6) && slices.Equal(s.AS, b.AS)
}

// IPs is the addresses of s alone.
func (s Set) IPs() Set { return Set{V4: s.V4, V6: s.V6} }

// Addresses is how many IPv4 addresses and how many IPv6 /48 networks s holds, and how many AS numbers; a part of a
// /48 counts as one.
func (s Set) Addresses() (v4, v6Sites, asns uint64) {
	for _, r := range s.V4 {
		f, l := r.First.As4(), r.Last.As4()
		v4 += uint64(be32(l[:])) - uint64(be32(f[:])) + 1
	}
	for _, r := range s.V6 {
		f, l := r.First.As16(), r.Last.As16()
		v6Sites += be48(l[:]) - be48(f[:]) + 1
	}
	for _, r := range s.AS {
		asns += uint64(r.Last) - uint64(r.First) + 1
	}
	return v4, v6Sites, asns
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
func be48(b []byte) uint64 { return uint64(be32(b))<<16 | uint64(b[4])<<8 | uint64(b[5]) }

// Prefixes is the fewest prefixes that cover exactly the addresses of r, in order.
func (r IPRange) Prefixes() []netip.Prefix {
	var out []netip.Prefix
	first := r.First
	for first.Compare(r.Last) <= 0 {
		bits := first.BitLen()
		for bits > 0 {
			wider := netip.PrefixFrom(first, bits-1)
			if wider.Masked().Addr() != first || lastOf(wider).Compare(r.Last) > 0 {
				break
			}
			bits--
		}
		p := netip.PrefixFrom(first, bits)
		out = append(out, p)
		if first = lastOf(p).Next(); !first.IsValid() {
			break
		}
	}
	return out
}

// Prefixes is the fewest prefixes that cover exactly the addresses of s, IPv4 first.
func (s Set) Prefixes() []netip.Prefix {
	var out []netip.Prefix
	for _, r := range slices.Concat(s.V4, s.V6) {
		out = append(out, r.Prefixes()...)
	}
	return out
}
