package ccr

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	stdasn1 "encoding/asn1"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cadastre/internal/fault"
)

// maxSize is how many bytes a gzip file may unpack to: the CCR of the whole Internet has about 15 MB.
const maxSize = 512 << 20

// uriTag is uniformResourceIdentifier in a GeneralName (RFC 5280, section 4.2.1.6).
const uriTag = asn1.Tag(6) | 0x80

// Decode reads a CCR in DER, plain or gzip, and checks the hash of each state and all orders that the draft asks for,
// so that what it returns encodes to the same states again, but for those that Encode does not write. It fails with Invalid, and
// returns no Cache then.
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
		{"vaps", c.readASPAs},
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
