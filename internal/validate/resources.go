package validate

import (
	"net/netip"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cadastre/internal/inr"
)

// Resources is what the extensions of RFC 3779 say: of each kind listed resources, or that they are the issuer's.
type Resources struct {
	Set       inr.Set // the listed ones
	InheritV4 bool
	InheritV6 bool
	InheritAS bool
	HasIP     bool // the IP address extension is there
	HasAS     bool // the AS identifier extension is there
}

// Inherits tells whether any kind is the issuer's.
func (r *Resources) Inherits() bool { return r.InheritV4 || r.InheritV6 || r.InheritAS }

// under is what the certificate stands for below an issuer that has these, and whether the issuer has all of it.
func (r *Resources) under(issuer inr.Set) (inr.Set, bool) {
	set := r.Set
	if r.InheritV4 {
		set.V4 = issuer.V4
	}
	if r.InheritV6 {
		set.V6 = issuer.V6
	}
	if r.InheritAS {
		set.AS = issuer.AS
	}
	return set, issuer.Contains(r.Set)
}

//	IPAddrBlocks        ::= SEQUENCE OF IPAddressFamily                         -- RFC 3779, section 2.2.3
//	IPAddressFamily     ::= SEQUENCE {
//	   addressFamily        OCTET STRING (SIZE (2..3)),
//	   ipAddressChoice      IPAddressChoice }
//	IPAddressChoice     ::= CHOICE {
//	   inherit              NULL,
//	   addressesOrRanges    SEQUENCE OF IPAddressOrRange }
//	IPAddressOrRange    ::= CHOICE {
//	   addressPrefix        IPAddress,
//	   addressRange         IPAddressRange }
//	IPAddressRange      ::= SEQUENCE { min IPAddress, max IPAddress }
//	IPAddress           ::= BIT STRING

// parseIPAddrBlocks reads the extension's value. RFC 6487, section 4.8.10 leaves two families and no SAFI.
func (r *Resources) parseIPAddrBlocks(c *check, der []byte) bool {
	const rule = "3779-2.2.3"
	families, ok := inside(der, asn1.SEQUENCE)
	if !ok || families.Empty() {
		return c.fail(rule, "the IP address blocks are no DER, or name no address family")
	}
	r.HasIP = true
	seen := 0 // the last family: they are sorted, each once
	for !families.Empty() {
		var family cryptobyte.String
		if !families.ReadASN1(&family, asn1.SEQUENCE) {
			return c.fail(rule, "an address family is no SEQUENCE")
		}
		afi, ok := octets(&family)
		choice, ok2 := element(&family)
		if !ok || !ok2 || !family.Empty() {
			return c.fail(rule, "an address family has not exactly a family and a choice")
		}
		bits := 0
		switch {
		case len(afi) == 3:
			return c.fail("6487-4.8.10", "the address family %x has a SAFI, which resource certificates do not use", afi)
		case string(afi) == "\x00\x01":
			bits = 32
		case string(afi) == "\x00\x02":
			bits = 128
		default:
			return c.fail("6487-4.8.10", "the address family %x is neither IPv4 (0001) nor IPv6 (0002)", afi)
		}
		if bits <= seen {
			return c.fail("3779-2.2.3.3", "the address families are not in order, each once")
		}
		seen = bits
		inherit, list := &r.InheritV4, &r.Set.V4
		if bits == 128 {
			inherit, list = &r.InheritV6, &r.Set.V6
		}
		if isNull(choice) {
			*inherit = true
			continue
		}
		blocks, ok := inside(choice, asn1.SEQUENCE)
		if !ok || blocks.Empty() {
			return c.fail(rule, "the addresses of a family are neither inherit nor a list of at least one")
		}
		if *list, ok = addressBlocks(c, blocks, bits); !ok {
			return false
		}
	}
	return true
}

// addressBlocks reads addressesOrRanges in the one order and form of RFC 3779, section 2.2.3.6.
func addressBlocks(c *check, s cryptobyte.String, bits int) ([]inr.IPRange, bool) {
	const rule = "3779-2.2.3.6"
	blocks := make([]inr.IPRange, 0, min(1+len(s)/10, maxBlocks))
	for !s.Empty() {
		var r inr.IPRange
		var ok bool
		if s.PeekASN1Tag(asn1.BIT_STRING) {
			var p netip.Prefix
			if p, ok = bitPrefix(&s, bits); ok {
				r = inr.RangeOf(p)
			}
		} else {
			var in cryptobyte.String
			if !s.ReadASN1(&in, asn1.SEQUENCE) {
				return nil, c.fail("3779-2.2.3.7", "an address block is neither a prefix nor a range")
			}
			var minimal bool
			r, minimal, ok = bitRange(&in, bits)
			switch {
			case !ok:
			case r.Last.Less(r.First):
				return nil, c.fail("3779-2.2.3.9", "the address range from %s to %s is backwards", r.First, r.Last)
			case !minimal:
				return nil, c.fail("3779-2.2.3.9", "the ends of the address range %s to %s have bits that should be left out", r.First, r.Last)
			case isPrefix(r):
				return nil, c.fail("3779-2.2.3.7", "the address range %s is written as a range although it is a prefix", r)
			}
		}
		if !ok {
			return nil, c.fail("3779-2.2.3.8", "an address is no DER bit string of at most %d bits", bits)
		}
		if n := len(blocks); n > 0 {
			if after := blocks[n-1].Last.Next(); !after.IsValid() || r.First.Compare(after) <= 0 {
				return nil, c.fail(rule, "the address block %s does not come after %s with a gap between them", r, blocks[n-1])
			}
		}
		if len(blocks) == maxBlocks {
			return nil, c.fail("limit-blocks", "the certificate lists more than %d address blocks of one family", maxBlocks)
		}
		blocks = append(blocks, r)
	}
	return blocks, true
}

// bitPrefix reads an IPAddress as a prefix: the bits that are there are its length.
func bitPrefix(s *cryptobyte.String, bits int) (netip.Prefix, bool) {
	var in cryptobyte.String
	if !s.ReadASN1(&in, asn1.BIT_STRING) {
		return netip.Prefix{}, false
	}
	addr, length, ok := bitAddr(in, bits, false)
	return netip.PrefixFrom(addr, length), ok
}

// bitAddr reads the contents of a bit string as the lowest or highest address that begins with its bits.
func bitAddr(in []byte, bits int, highest bool) (netip.Addr, int, bool) {
	if len(in) == 0 || len(in)-1 > bits/8 || in[0] > 7 || in[0] > 0 && len(in) == 1 {
		return netip.Addr{}, 0, false
	}
	unused := int(in[0])
	var a [16]byte
	n := copy(a[:], in[1:])
	if unused > 0 && a[n-1]&(1<<unused-1) != 0 { //nolint:gosec // it has at least one byte then
		return netip.Addr{}, 0, false // DER, X.690 section 11.2.1
	}
	if highest {
		if n > 0 {
			a[n-1] |= 1<<unused - 1 //nolint:gosec // n is at most bits/8
		}
		for i := n; i < len(a); i++ {
			a[i] = 0xFF
		}
	}
	if bits == 32 {
		return netip.AddrFrom4([4]byte(a[:4])), 8*n - unused, true
	}
	return netip.AddrFrom16(a), 8*n - unused, true
}

// bitRange reads min and max. minimal tells whether min has no zero bits at its end and max no one bits.
func bitRange(s *cryptobyte.String, bits int) (r inr.IPRange, minimal, ok bool) {
	var low, high cryptobyte.String
	if !s.ReadASN1(&low, asn1.BIT_STRING) || !s.ReadASN1(&high, asn1.BIT_STRING) || !s.Empty() {
		return r, false, false
	}
	first, n, ok := bitAddr(low, bits, false)
	last, m, ok2 := bitAddr(high, bits, true)
	if !ok || !ok2 {
		return r, false, false
	}
	minimal = (n == 0 || lastBit(low) == 1) && (m == 0 || lastBit(high) == 0)
	return inr.IPRange{First: first, Last: last}, minimal, true
}

// lastBit is the last used bit of a bit string that has at least one.
func lastBit(in []byte) byte { return in[len(in)-1] >> in[0] & 1 }

// isPrefix tells whether a range is the addresses of one prefix.
func isPrefix(r inr.IPRange) bool {
	first, last := r.First.As16(), r.Last.As16()
	differ := false // past the first bit that differs, first must be all zero and last all one
	for i := range first {
		for bit := 7; bit >= 0; bit-- {
			f, l := first[i]>>bit&1, last[i]>>bit&1
			if f != l {
				differ = true
			}
			if differ && (f != 0 || l != 1) {
				return false
			}
		}
	}
	return true
}

//	ASIdentifiers       ::= SEQUENCE {                                          -- RFC 3779, section 3.2.3
//	    asnum               [0] EXPLICIT ASIdentifierChoice OPTIONAL,
//	    rdi                 [1] EXPLICIT ASIdentifierChoice OPTIONAL }
//	ASIdentifierChoice  ::= CHOICE {
//	   inherit              NULL,
//	   asIdsOrRanges        SEQUENCE OF ASIdOrRange }
//	ASIdOrRange         ::= CHOICE { id ASId, range ASRange }
//	ASRange             ::= SEQUENCE { min ASId, max ASId }
//	ASId                ::= INTEGER

// parseASIdentifiers reads the extension's value. RFC 6487, section 4.8.11 forbids RDIs.
func (r *Resources) parseASIdentifiers(c *check, der []byte) bool {
	const rule = "3779-3.2.3"
	in, ok := inside(der, asn1.SEQUENCE)
	var asnum cryptobyte.String
	if !ok || !in.ReadASN1(&asnum, tag0|cons) {
		return c.fail(rule, "the AS identifiers are no DER, or name no AS numbers")
	}
	r.HasAS = true
	if !in.Empty() {
		return c.fail("6487-4.8.11", "the AS identifiers name routing domains (rdi), which resource certificates do not use")
	}
	if isNull(asnum) {
		r.InheritAS = true
		return true
	}
	list, ok := inside(asnum, asn1.SEQUENCE)
	if !ok || list.Empty() {
		return c.fail(rule, "the AS numbers are neither inherit nor a list of at least one")
	}
	r.Set.AS, ok = asBlocks(c, list)
	return ok
}

// asBlocks reads asIdsOrRanges in the one order and form of RFC 3779, section 3.2.3.4.
func asBlocks(c *check, s cryptobyte.String) ([]inr.ASRange, bool) {
	const limit = 1<<32 - 1
	blocks := make([]inr.ASRange, 0, min(1+len(s)/6, maxBlocks))
	for !s.Empty() {
		var first, last uint64
		var ok bool
		if s.PeekASN1Tag(asn1.INTEGER) {
			first, ok = small(&s, limit)
			last = first
		} else {
			var in cryptobyte.String
			var ok2 bool
			if !s.ReadASN1(&in, asn1.SEQUENCE) {
				return nil, c.fail("3779-3.2.3.5", "an AS block is neither a number nor a range")
			}
			first, ok = small(&in, limit)
			last, ok2 = small(&in, limit)
			if ok = ok && ok2 && in.Empty(); ok && first >= last {
				return nil, c.fail("3779-3.2.3.7", "the AS range from %d to %d is backwards or a single number", first, last)
			}
		}
		if !ok {
			return nil, c.fail("3779-3.2.3.8", "an AS number is no DER integer from 0 to %d", uint64(limit))
		}
		if first == 0 {
			c.warn("7607-2", "AS 0 is listed although no one can hold it")
		}
		if n := len(blocks); n > 0 && first <= uint64(blocks[n-1].Last)+1 {
			return nil, c.fail("3779-3.2.3.4", "AS %d does not come after AS %d with a gap between them", first, blocks[n-1].Last)
		}
		if len(blocks) == maxBlocks {
			return nil, c.fail("limit-blocks", "the certificate lists more than %d AS blocks", maxBlocks)
		}
		blocks = append(blocks, inr.ASRange{First: uint32(first), Last: uint32(last)})
	}
	return blocks, true
}
