package object

import (
	"encoding/asn1"
	"math/bits"
	"net/netip"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"cadastre/internal/inr"
)

var (
	oidIPAddrBlocks = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 7}
	oidASIdentifier = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 8}
)

// Address families as RFC 3779 writes them, without SAFI.
var (
	familyIPv4 = []byte{0, 1}
	familyIPv6 = []byte{0, 2}
)

// addIPAddrBlocks writes the extension of RFC 3779, section 2.2.3:
//
//	IPAddrBlocks        ::= SEQUENCE OF IPAddressFamily
//	IPAddressFamily     ::= SEQUENCE { addressFamily OCTET STRING (SIZE (2..3)), ipAddressChoice IPAddressChoice }
//	IPAddressChoice     ::= CHOICE { inherit NULL, addressesOrRanges SEQUENCE OF IPAddressOrRange }
//	IPAddressOrRange    ::= CHOICE { addressPrefix IPAddress, addressRange IPAddressRange }
//	IPAddressRange      ::= SEQUENCE { min IPAddress, max IPAddress }
//	IPAddress           ::= BIT STRING
func addIPAddrBlocks(b *cryptobyte.Builder, set inr.Set, inherit bool) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addFamily(b, familyIPv4, set.V4, inherit)
		addFamily(b, familyIPv6, set.V6, inherit)
	})
}

func addFamily(b *cryptobyte.Builder, family []byte, ranges []inr.IPRange, inherit bool) {
	if len(ranges) == 0 && !inherit {
		return
	}
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(family)
		if inherit {
			b.AddASN1NULL()
			return
		}
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, r := range ranges {
				addAddressOrRange(b, r)
			}
		})
	})
}

// addAddressOrRange writes a prefix where the range is one, and else a range with the trailing zeros of its lower end
// and the trailing ones of its upper end left out (RFC 3779, sections 2.2.3.7 and 2.2.3.9).
func addAddressOrRange(b *cryptobyte.Builder, r inr.IPRange) {
	first, last := r.First.AsSlice(), r.Last.AsSlice()
	if length, ok := prefixLength(first, last); ok {
		addAddressBits(b, first, length)
		return
	}
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addAddressBits(b, first, len(first)*8-trailing(first, 0))
		addAddressBits(b, last, len(last)*8-trailing(last, 0xff))
	})
}

// prefixLength is the length of the prefix that first and last span, if they do.
func prefixLength(first, last []byte) (int, bool) {
	length := 0
	for i := range first {
		if same := first[i] ^ last[i]; same != 0 {
			length += bits.LeadingZeros8(same)
			break
		}
		length += 8
	}
	host := len(first)*8 - length
	return length, trailing(first, 0) >= host && trailing(last, 0xff) >= host
}

// trailing counts the bits at the end of address that equal those of fill.
func trailing(address []byte, fill byte) int {
	n := 0
	for _, b := range slices.Backward(address) {
		if rest := b ^ fill; rest != 0 {
			return n + bits.TrailingZeros8(rest)
		}
		n += 8
	}
	return n
}

// addAddressBits writes the first length bits of an address as a BIT STRING, the unused ones zero.
func addAddressBits(b *cryptobyte.Builder, address []byte, length int) {
	size := (length + 7) / 8
	b.AddASN1(cbasn1.BIT_STRING, func(b *cryptobyte.Builder) {
		b.AddUint8(uint8(size*8 - length))
		if size == 0 {
			return
		}
		b.AddBytes(address[:size-1])
		b.AddUint8(address[size-1] & (0xff << (size*8 - length)))
	})
}

func addPrefix(b *cryptobyte.Builder, p netip.Prefix) {
	addAddressBits(b, p.Addr().AsSlice(), p.Bits())
}

// addASIdentifiers writes the extension of RFC 3779, section 3.2.3, without routing domains:
//
//	ASIdentifiers       ::= SEQUENCE { asnum [0] EXPLICIT ASIdentifierChoice OPTIONAL, rdi [1] ... }
//	ASIdentifierChoice  ::= CHOICE { inherit NULL, asIdsOrRanges SEQUENCE OF ASIdOrRange }
//	ASIdOrRange         ::= CHOICE { id ASId, range ASRange }
func addASIdentifiers(b *cryptobyte.Builder, ranges []inr.ASRange, inherit bool) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			if inherit {
				b.AddASN1NULL()
				return
			}
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, r := range ranges {
					if r.First == r.Last {
						b.AddASN1Int64(int64(r.First))
						continue
					}
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1Int64(int64(r.First))
						b.AddASN1Int64(int64(r.Last))
					})
				}
			})
		})
	})
}
