package ccr

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	stdasn1 "encoding/asn1"
	"io"
	"math/big"
	"net/netip"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cadastre/internal/fault"
)

// maxSize is the largest CCR that Decode takes, in bytes and after gzip: that of the whole Internet is about 15 MB.
const maxSize = 512 << 20

// uriTag is uniformResourceIdentifier in a GeneralName (RFC 5280, section 4.2.1.6).
const uriTag = asn1.Tag(6) | 0x80

// Decode reads a CCR in DER, plain or gzip, and checks the hash of each state and all orders that the draft asks for,
// so that what it returns encodes to the same states again. It fails with Invalid, and returns no Cache then.
func Decode(data []byte) (*Cache, error) {
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		plain, err := gunzip(data)
		if err != nil {
			return nil, fault.New(fault.Invalid, "the canonical cache representation is no valid gzip file: %w", err)
		}
		data = plain
	}
	c, err := decode(data)
	if err != nil {
		return nil, fault.Wrap(err, "the canonical cache representation")
	}
	return c, nil
}

func gunzip(data []byte) ([]byte, error) {
	zr, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(zr, maxSize+1))
	if err == nil && len(plain) > maxSize {
		err = fault.New(fault.Invalid, "it unpacks to more than %d bytes", maxSize)
	}
	return plain, err
}

func decode(der []byte) (*Cache, error) {
	in := cryptobyte.String(der)
	var info, explicit, content cryptobyte.String
	var contentType stdasn1.ObjectIdentifier
	if !in.ReadASN1(&info, asn1.SEQUENCE) || !in.Empty() || !info.ReadASN1ObjectIdentifier(&contentType) {
		return nil, fault.New(fault.Invalid, "it is no ContentInfo in DER")
	}
	if !contentType.Equal(oidCCR) {
		return nil, fault.New(fault.Invalid, "it has content type %s instead of %s: rpki-client writes that from 9.8 on", contentType, oidCCR)
	}
	if !info.ReadASN1(&explicit, tag(0)) || !info.Empty() || !explicit.ReadASN1(&content, asn1.SEQUENCE) || !explicit.Empty() {
		return nil, fault.New(fault.Invalid, "its content is no SEQUENCE")
	}
	if content.PeekASN1Tag(tag(0)) {
		return nil, fault.New(fault.Invalid, "it says its version, which DER does not allow for version 0 and no other is known")
	}
	c := &Cache{}
	if !digestAlgorithm(&content) {
		return nil, fault.New(fault.Invalid, "its hashAlg is not SHA-256 without parameters")
	}
	var ok bool
	if c.ProducedAt, ok = readTime(&content); !ok {
		return nil, fault.New(fault.Invalid, "its producedAt is no GeneralizedTime in whole seconds of UTC")
	}
	if content.Empty() {
		return nil, fault.New(fault.Invalid, "it has no state at all")
	}
	if err := c.states(&content); err != nil {
		return nil, err
	}
	return c, nil
}

func digestAlgorithm(in *cryptobyte.String) bool {
	var alg cryptobyte.String
	var oid stdasn1.ObjectIdentifier
	return in.ReadASN1(&alg, asn1.SEQUENCE) && alg.ReadASN1ObjectIdentifier(&oid) && alg.Empty() && oid.Equal(oidSHA256)
}

// states reads the states in their order. Those of a tag beyond the five known are left alone: the SEQUENCE may grow.
func (c *Cache) states(content *cryptobyte.String) error {
	readers := []struct {
		name string
		read func(sequence cryptobyte.String, rest *cryptobyte.String, hash Digest) error
	}{
		{"mfts", c.readManifests},
		{"vrps", c.readROAs},
		{"vaps", func(_ cryptobyte.String, _ *cryptobyte.String, hash Digest) error { c.ASPAs = &hash; return nil }},
		{"tas", c.readTrustAnchors},
		{"rks", func(_ cryptobyte.String, _ *cryptobyte.String, hash Digest) error { c.RouterKeys = &hash; return nil }},
	}
	for i, r := range readers {
		var wrapped, state cryptobyte.String
		var present bool
		if !content.ReadOptionalASN1(&wrapped, &present, tag(uint8(i+1))) {
			return fault.New(fault.Invalid, "its state %s is no DER", r.name)
		}
		if !present {
			continue
		}
		var element, inside cryptobyte.String
		if !wrapped.ReadASN1(&state, asn1.SEQUENCE) || !wrapped.Empty() || !state.ReadASN1Element(&element, asn1.SEQUENCE) {
			return fault.New(fault.Invalid, "its state %s does not begin with a SEQUENCE", r.name)
		}
		hash := Digest(sha256.Sum256(element))
		element.ReadASN1(&inside, asn1.SEQUENCE)
		if err := r.read(inside, &state, hash); err != nil {
			return fault.Wrap(err, "its state %s", r.name)
		}
		var said cryptobyte.String
		if !state.ReadASN1(&said, asn1.OCTET_STRING) || !state.Empty() || !bytes.Equal(said, hash[:]) {
			return fault.New(fault.Invalid, "its state %s has not the hash that it says", r.name)
		}
	}
	last := asn1.Tag(0)
	for !content.Empty() {
		var ignored cryptobyte.String
		var t asn1.Tag
		if !content.ReadAnyASN1(&ignored, &t) || t <= tag(5) || t <= last {
			return fault.New(fault.Invalid, "its states do not stand in the order of their tags")
		}
		last = t
	}
	return nil
}

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

// readLocations takes the only location, or the first that is a signedObject: the draft allows several, all that are
// read here write one.
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

// readFamily reads one ROAIPAddressFamily. That families and prefixes are in order, and none repeats, shows in the
// order of the VRPs alone.
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
