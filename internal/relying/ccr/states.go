package ccr

import (
	stdasn1 "encoding/asn1"
	"math/big"
	"net/netip"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cadastre/internal/fault"
)

func (c *Cache) readManifests(in cryptobyte.String, rest *cryptobyte.String, _ Digest) error {
	c.Manifests = []Manifest{}
	for n := 0; !in.Empty(); n++ {
		m, ok := readManifest(&in)
		if !ok {
			return fault.New(fault.Invalid, "manifest instance %d is malformed", n)
		}
		if n > 0 && compareManifest(c.Manifests[n-1], m) >= 0 {
			return fault.New(fault.Invalid, "manifest instance %d is not in the order of the hashes", n)
		}
		c.Manifests = append(c.Manifests, m)
	}
	latest, ok := readTime(rest)
	if !ok || !latest.Equal(c.mostRecentUpdate()) {
		return fault.New(fault.Invalid, "mostRecentUpdate is not the latest thisUpdate")
	}
	return nil
}

// minManifestSize is the least size of a manifest that the draft allows, in bytes.
const minManifestSize = 1000

func readManifest(in *cryptobyte.String) (Manifest, bool) {
	var m Manifest
	var instance, locations, subordinates cryptobyte.String
	m.Number = new(big.Int)
	if !in.ReadASN1(&instance, asn1.SEQUENCE) || !readOctets(&instance, m.Hash[:]) || !instance.ReadASN1Integer(&m.Size) ||
		m.Size < minManifestSize || !readOctets(&instance, m.AKI[:]) || !instance.ReadASN1Integer(m.Number) ||
		m.Number.Sign() < 0 || m.Number.BitLen() > 159 {
		return m, false
	}
	var ok, present bool
	if m.ThisUpdate, ok = readTime(&instance); !ok || !instance.ReadASN1(&locations, asn1.SEQUENCE) || !m.readLocations(locations) {
		return m, false
	}
	if !instance.ReadOptionalASN1(&subordinates, &present, asn1.SEQUENCE) || !instance.Empty() {
		return m, false
	}
	if present {
		m.Subordinates, ok = readKeys(subordinates)
		return m, ok && len(m.Subordinates) > 0
	}
	return m, true
}

// readLocations takes the one location, which has to be a signedObject. The draft allows several; more than one are refused
// here, and rpki-client writes one.
func (m *Manifest) readLocations(in cryptobyte.String) bool {
	for n := 0; !in.Empty(); n++ {
		var description, name cryptobyte.String
		var method stdasn1.ObjectIdentifier
		if !in.ReadASN1(&description, asn1.SEQUENCE) || !description.ReadASN1ObjectIdentifier(&method) ||
			!description.ReadASN1(&name, uriTag) || !description.Empty() || len(name) == 0 || !in.Empty() || !method.Equal(oidSignedObject) {
			return false
		}
		m.Location = string(name)
	}
	return m.Location != ""
}

func (c *Cache) readTrustAnchors(in cryptobyte.String, _ *cryptobyte.String, _ Digest) error {
	keys, ok := readKeys(in)
	if !ok || len(keys) == 0 {
		return fault.New(fault.Invalid, "the key identifiers are malformed or not in order")
	}
	c.TrustAnchors = keys
	return nil
}

func (c *Cache) readROAs(in cryptobyte.String, _ *cryptobyte.String, _ Digest) error {
	c.ROAs = []VRP{}
	last := int64(-1)
	for !in.Empty() {
		var set, blocks cryptobyte.String
		var asn uint32
		if !in.ReadASN1(&set, asn1.SEQUENCE) || !set.ReadASN1Integer(&asn) || !set.ReadASN1(&blocks, asn1.SEQUENCE) ||
			!set.Empty() || blocks.Empty() || int64(asn) <= last {
			return fault.New(fault.Invalid, "the payload set after AS%d is malformed or not in order", max(last, 0))
		}
		last = int64(asn)
		for !blocks.Empty() {
			if !c.readFamily(&blocks, asn) {
				return fault.New(fault.Invalid, "the prefixes of AS%d are malformed or not in canonical order", asn)
			}
		}
	}
	return nil
}

// readASPAs reads the providers of each customer AS, customers and providers in ascending order.
func (c *Cache) readASPAs(in cryptobyte.String, _ *cryptobyte.String, _ Digest) error {
	c.ASPAs = []ASPA{}
	for !in.Empty() {
		var set, providers cryptobyte.String
		a := ASPA{}
		n := len(c.ASPAs)
		if !in.ReadASN1(&set, asn1.SEQUENCE) || !set.ReadASN1Integer(&a.Customer) || !set.ReadASN1(&providers, asn1.SEQUENCE) ||
			!set.Empty() || providers.Empty() || n > 0 && a.Customer <= c.ASPAs[n-1].Customer {
			return fault.New(fault.Invalid, "ASPA payload %d is malformed or not in order", n+1)
		}
		for !providers.Empty() {
			var p uint32
			last := len(a.Providers) - 1
			if !providers.ReadASN1Integer(&p) || last >= 0 && (p <= a.Providers[last] || a.Providers[0] == 0) {
				return fault.New(fault.Invalid, "the providers of AS%d are malformed or not in order", a.Customer)
			}
			a.Providers = append(a.Providers, p)
		}
		c.ASPAs = append(c.ASPAs, a)
	}
	return nil
}

// readFamily reads one ROAIPAddressFamily. The order of the VRPs shows that families and prefixes
// are in order, and that no prefix repeats.
func (c *Cache) readFamily(in *cryptobyte.String, asn uint32) bool {
	var family, addresses cryptobyte.String
	var afi [2]byte
	if !in.ReadASN1(&family, asn1.SEQUENCE) || !readOctets(&family, afi[:]) || !family.ReadASN1(&addresses, asn1.SEQUENCE) ||
		!family.Empty() || addresses.Empty() {
		return false
	}
	// a second block of the family that went before would be in order, and yet not canonical
	if n := len(c.ROAs); n > 0 && c.ROAs[n-1].ASN == asn && c.ROAs[n-1].Prefix.Addr().Is4() == (afi[1] == 1) {
		return false
	}
	for !addresses.Empty() {
		v, ok := readAddress(&addresses, afi)
		v.ASN = asn
		if n := len(c.ROAs); !ok || n > 0 && compareVRP(c.ROAs[n-1], v) >= 0 {
			return false
		}
		c.ROAs = append(c.ROAs, v)
	}
	return true
}

func readAddress(in *cryptobyte.String, afi [2]byte) (VRP, bool) {
	var address, octets cryptobyte.String
	var unused uint8
	if !in.ReadASN1(&address, asn1.SEQUENCE) || !address.ReadASN1(&octets, asn1.BIT_STRING) || !octets.ReadUint8(&unused) ||
		unused > 7 || len(octets) == 0 && unused > 0 {
		return VRP{}, false
	}
	var full [16]byte
	var addr netip.Addr
	switch {
	case afi == [2]byte{0, 1} && len(octets) <= 4:
		copy(full[:4], octets)
		addr = netip.AddrFrom4([4]byte(full[:4]))
	case afi == [2]byte{0, 2} && len(octets) <= 16:
		copy(full[:], octets)
		addr = netip.AddrFrom16(full)
	default:
		return VRP{}, false
	}
	bits := 8*len(octets) - int(unused)
	v := VRP{Prefix: netip.PrefixFrom(addr, bits), MaxLength: bits}
	if v.Prefix != v.Prefix.Masked() {
		return VRP{}, false
	}
	if !address.Empty() {
		// one that equals the prefix length is left out in the canonical form
		if !address.ReadASN1Integer(&v.MaxLength) || v.MaxLength <= bits || v.MaxLength > addr.BitLen() {
			return VRP{}, false
		}
	}
	return v, address.Empty()
}

// readKeys reads key identifiers in ascending order.
func readKeys(in cryptobyte.String) ([]KeyID, bool) {
	var keys []KeyID
	for !in.Empty() {
		var k KeyID
		if !readOctets(&in, k[:]) || len(keys) > 0 && compareKeyID(keys[len(keys)-1], k) >= 0 {
			return nil, false
		}
		keys = append(keys, k)
	}
	return keys, true
}

// readOctets reads an OCTET STRING of exactly the length of out.
func readOctets(in *cryptobyte.String, out []byte) bool {
	var octets cryptobyte.String
	return in.ReadASN1(&octets, asn1.OCTET_STRING) && copy(out, octets) == len(out) && len(octets) == len(out)
}

// readTime reads a GeneralizedTime in the form YYYYMMDDHHMMSSZ.
func readTime(in *cryptobyte.String) (time.Time, bool) {
	var t time.Time
	ok := in.ReadASN1GeneralizedTime(&t)
	return t, ok && t.Location() == time.UTC
}
