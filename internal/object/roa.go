package object

import (
	"crypto"
	"encoding/asn1"
	"math/big"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"cadastre/internal/inr"
)

var oidContentROA = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 24}

// ROAPrefix is one address block of a ROA. MaxLength is never below the prefix's own length.
type ROAPrefix struct {
	Prefix    netip.Prefix
	MaxLength int
}

// ROA is what a route origin authorisation says (RFC 9582).
type ROA struct {
	Place
	ASN                 uint32
	Prefixes            []ROAPrefix
	NotBefore, NotAfter time.Time
}

// Sign makes the ROA; see Manifest.Sign for the keys. The EE certificate names exactly the addresses and no AS numbers.
//
//	RouteOriginAttestation ::= SEQUENCE {
//	  version [0] INTEGER DEFAULT 0, asID ASID, ipAddrBlocks SEQUENCE (SIZE(1..2)) OF ROAIPAddressFamily }
//	ROAIPAddressFamily ::= SEQUENCE { addressFamily OCTET STRING (SIZE(2)), addresses SEQUENCE OF ROAIPAddress }
//	ROAIPAddress ::= SEQUENCE { address BIT STRING, maxLength INTEGER OPTIONAL }
func (r *ROA) Sign(issuer, oneTime crypto.Signer, at time.Time) ([]byte, *big.Int, error) {
	prefixes := slices.Clone(r.Prefixes)
	slices.SortFunc(prefixes, canonicalOrder)
	prefixes = slices.Compact(prefixes)
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Uint64(uint64(r.ASN))
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addROAFamily(b, familyIPv4, prefixes, netip.Addr.Is4)
			addROAFamily(b, familyIPv6, prefixes, netip.Addr.Is6)
		})
	})
	content, err := b.Bytes()
	if err != nil {
		return nil, nil, err
	}
	ranges := make([]inr.IPRange, len(prefixes))
	for i, p := range prefixes {
		ranges[i] = inr.RangeOf(p.Prefix)
	}
	ee := Certificate{NotBefore: r.NotBefore, NotAfter: r.NotAfter, Resources: inr.Of(ranges, nil)}
	return r.wrap(oidContentROA, content, ee, issuer, oneTime, at)
}

// canonicalOrder is that of RFC 9582, section 4.3.3: by address, then length, then maxLength, absent first.
func canonicalOrder(a, b ROAPrefix) int {
	if c := a.Prefix.Addr().Compare(b.Prefix.Addr()); c != 0 {
		return c
	}
	if a.Prefix.Bits() != b.Prefix.Bits() {
		return a.Prefix.Bits() - b.Prefix.Bits()
	}
	return a.MaxLength - b.MaxLength
}

func addROAFamily(b *cryptobyte.Builder, family []byte, prefixes []ROAPrefix, of func(netip.Addr) bool) {
	prefixes = slices.DeleteFunc(slices.Clone(prefixes), func(p ROAPrefix) bool { return !of(p.Prefix.Addr()) })
	if len(prefixes) == 0 {
		return
	}
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(family)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, p := range prefixes {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					addPrefix(b, p.Prefix)
					if p.MaxLength > p.Prefix.Bits() {
						b.AddASN1Int64(int64(p.MaxLength))
					}
				})
			}
		})
	})
}
