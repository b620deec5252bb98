package validate

import (
	"cmp"
	"net/netip"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// ROA is a route origin authorization (RFC 9582).
type ROA struct {
	SignedObject
	ROAPayload
}

// ROAPayload is what a ROA authorises.
type ROAPayload struct {
	ASN      uint32
	Prefixes []ROAPrefix // in the ROA's own order, IPv4 first
}

// ROAPrefix is one prefix of a ROA.
type ROAPrefix struct {
	Prefix    netip.Prefix
	MaxLength int // the prefix's own length where the ROA gives none
}

// VRPs is the ROA's prefixes one by one.
func (p *ROAPayload) VRPs() []VRP {
	vrps := make([]VRP, len(p.Prefixes))
	for i, x := range p.Prefixes {
		vrps[i] = VRP{x.Prefix, x.MaxLength, p.ASN}
	}
	return vrps
}

// ParseROA reads a ROA and checks all that can be seen in it alone, its signature included. The ROA is nil if any
// finding is an error.
func ParseROA(der []byte, options ...Option) (*ROA, []Finding) {
	c := alone(options)
	r := parseROA(c, der)
	if r == nil || !r.bySigner(c) {
		return nil, c.findings
	}
	return r, c.findings
}

//	RouteOriginAttestation ::= SEQUENCE {                                       -- RFC 9582, section 4
//	  version [0]   INTEGER DEFAULT 0,
//	  asID          ASID,
//	  ipAddrBlocks  SEQUENCE (SIZE(1..2)) OF ROAIPAddressFamily }
//	ROAIPAddressFamily ::= SEQUENCE {
//	  addressFamily OCTET STRING (SIZE(2)),
//	  addresses     SEQUENCE (SIZE(1..MAX)) OF ROAIPAddress }
//	ROAIPAddress ::= SEQUENCE {
//	  address       BIT STRING,
//	  maxLength     INTEGER OPTIONAL }

// parseROA gives nil if it found an error. It checks no signature.
func parseROA(c *check, der []byte) *ROA {
	r := new(ROA)
	var ok bool
	if r.SignedObject, ok = parseSignedObject(c, der); !ok {
		return nil
	}
	if string(r.contentType) != oidROA {
		c.fail("9582-3", "the content is no ROA: its type is %x", r.contentType)
		return nil
	}
	if !r.parse(c, r.content) {
		return nil
	}
	ee := &r.EE.Resources
	switch {
	case ee.HasAS:
		c.fail("9582-5", "the ROA's EE certificate has AS identifiers, which it must not have")
	case ee.Inherits():
		c.fail("9582-5", "the ROA's EE certificate inherits addresses, which it must list")
	}
	for _, p := range r.Prefixes {
		if !ee.Set.ContainsPrefix(p.Prefix) {
			c.fail("9582-5", "the ROA's EE certificate does not hold its prefix %s", p.Prefix)
		}
	}
	if c.failed {
		return nil
	}
	return r
}

func (p *ROAPayload) parse(c *check, content []byte) bool {
	const rule = "9582-4"
	in, ok := inside(content, asn1.SEQUENCE)
	if !ok {
		return c.fail(rule, "the ROA's content is no DER SEQUENCE, or bytes follow it")
	}
	if in.PeekASN1Tag(tag0Explicit) {
		return c.fail("9582-4.1", "the ROA's version is written out; version 0 is left out, and there is no other")
	}
	asID, ok := small(&in, 1<<32-1)
	if !ok {
		return c.fail("9582-4.2", "the ROA's AS number is no DER integer from 0 to 4294967295")
	}
	p.ASN = uint32(asID)
	families, ok := inside(in, asn1.SEQUENCE)
	if !ok || families.Empty() {
		return c.fail("9582-4.3", "the ROA has no address blocks, or bytes follow them")
	}
	for had := 0; !families.Empty(); {
		var family, addresses cryptobyte.String
		if !families.ReadASN1(&family, asn1.SEQUENCE) {
			return c.fail("9582-4.3.1", "an address family of the ROA is no SEQUENCE")
		}
		afi, ok := octets(&family)
		addresses, ok2 := inside(family, asn1.SEQUENCE)
		bits := map[string]int{"\x00\x01": 32, "\x00\x02": 128}[string(afi)]
		switch {
		case !ok || bits == 0:
			return c.fail("9582-4.3.1", "an address family of the ROA is neither IPv4 (0001) nor IPv6 (0002)")
		case !ok2 || addresses.Empty():
			return c.fail("9582-4.3.2", "an address family of the ROA has no list of at least one address")
		case bits == had || had == 32+128:
			return c.fail("9582-4.3", "an address family is in the ROA twice")
		case bits < had:
			c.warn("9582-4.3.3", "the ROA lists IPv6 before IPv4")
		}
		had += bits
		if !p.parseAddresses(c, addresses, bits) {
			return false
		}
	}
	return true
}

func (p *ROAPayload) parseAddresses(c *check, s cryptobyte.String, bits int) bool {
	const order = "9582-4.3.3"
	start := len(p.Prefixes)
	if p.Prefixes == nil {
		p.Prefixes = make([]ROAPrefix, 0, 1+len(s)/11)
	}
	for !s.Empty() {
		var in cryptobyte.String
		if !s.ReadASN1(&in, asn1.SEQUENCE) {
			return c.fail("9582-4.3.2", "an address of the ROA is no SEQUENCE")
		}
		prefix, ok := bitPrefix(&in, bits)
		if !ok {
			return c.fail("9582-4.3.2.1", "an address of the ROA is no DER bit string of at most %d bits", bits)
		}
		x := ROAPrefix{prefix, prefix.Bits()}
		if !in.Empty() {
			length, ok := small(&in, uint64(bits))
			if !ok || !in.Empty() || int(length) < prefix.Bits() {
				return c.fail("9582-4.3.2.2", "the maxLength of %s is not from %d to %d", prefix, prefix.Bits(), bits)
			}
			if x.MaxLength = int(length); x.MaxLength == prefix.Bits() {
				c.warn(order, "the maxLength of %s is written out although it is the prefix's own length", prefix)
			}
		}
		if n := len(p.Prefixes); n > start {
			switch way := p.Prefixes[n-1].compare(x); {
			case way == 0:
				c.warn(order, "the prefix %s is in the ROA twice", prefix)
			case way > 0:
				c.warn(order, "the prefix %s is not in canonical order", prefix)
			}
		}
		p.Prefixes = append(p.Prefixes, x)
	}
	return true
}

// compare is the canonical order of one family (RFC 9582, section 4.3.3).
func (a ROAPrefix) compare(b ROAPrefix) int {
	return cmp.Or(a.Prefix.Addr().Compare(b.Prefix.Addr()), cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()), cmp.Compare(a.MaxLength, b.MaxLength))
}
