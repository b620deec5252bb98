package ccr

import (
	"crypto/sha256"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cadastre/internal/fault"
)

// tag is the context-specific, constructed tag of an EXPLICIT field.
func tag(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }

// Encode writes the cache in DER. The order of the given slices does not matter and duplicates are dropped. Each manifest
// needs a Number. It fails with Internal where a time cannot be written, such as one after the year 9999.
func (c *Cache) Encode() ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidCCR)
		b.AddASN1(tag(0), func(b *cryptobyte.Builder) { b.AddASN1(asn1.SEQUENCE, c.content) })
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fault.New(fault.Internal, "the canonical cache representation cannot be written: %w", err)
	}
	return der, nil
}

func (c *Cache) content(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidSHA256) })
	b.AddASN1GeneralizedTime(c.ProducedAt.UTC())
	if c.Manifests != nil {
		state(b, 1, c.manifestSequence(), func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(c.mostRecentUpdate()) })
	}
	if c.ROAs != nil {
		state(b, 2, c.roaSequence(), nil)
	}
	if c.ASPAs != nil {
		state(b, 3, c.aspaSequence(), nil)
	}
	if c.TrustAnchors != nil {
		state(b, 4, keySequence(c.TrustAnchors), nil)
	}
}

// state writes one aspect of the cache's state: the sequence, what stands after it, and the sequence's hash.
//
//	ManifestState ::= SEQUENCE { mis SEQUENCE OF ManifestInstance, mostRecentUpdate GeneralizedTime, hash Digest }
//	ROAPayloadState ::= SEQUENCE { rps SEQUENCE OF ROAPayloadSet, hash Digest }
//	ASPAPayloadState ::= SEQUENCE { aps SEQUENCE OF ASPAPayloadSet, hash Digest }
//	TrustAnchorState ::= SEQUENCE { skis SEQUENCE (SIZE(1..MAX)) OF SubjectKeyIdentifier, hash Digest }
func state(b *cryptobyte.Builder, n uint8, sequence []byte, between cryptobyte.BuilderContinuation) {
	hash := sha256.Sum256(sequence)
	b.AddASN1(tag(n), func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(sequence)
			if between != nil {
				between(b)
			}
			b.AddASN1OctetString(hash[:])
		})
	})
}

// ManifestHash is the hash of the ManifestState: equal where two relying parties accepted the same manifests, byte
// for byte, and the same CA certificates under each.
func (c *Cache) ManifestHash() Digest { return sha256.Sum256(c.manifestSequence()) }

// ROAHash is the hash of the ROAPayloadState: equal where two relying parties have the same VRPs.
func (c *Cache) ROAHash() Digest { return sha256.Sum256(c.roaSequence()) }

// ASPAHash is the hash of the ASPAPayloadState: equal where two relying parties have the same ASPA payloads.
func (c *Cache) ASPAHash() Digest { return sha256.Sum256(c.aspaSequence()) }

// TrustAnchorHash is the hash of the TrustAnchorState.
func (c *Cache) TrustAnchorHash() Digest { return sha256.Sum256(keySequence(c.TrustAnchors)) }

// manifestSequence is the DER of mis.
//
//	ManifestInstance ::= SEQUENCE {
//	  hash             Digest,
//	  size             INTEGER (1000..MAX),
//	  aki              KeyIdentifier,
//	  manifestNumber   INTEGER (0..MAX),
//	  thisUpdate       GeneralizedTime,
//	  locations        SEQUENCE (SIZE(1..MAX)) OF AccessDescription,
//	  subordinates     SEQUENCE (SIZE(1..MAX)) OF SubjectKeyIdentifier OPTIONAL }
func (c *Cache) manifestSequence() []byte {
	return sequence(func(b *cryptobyte.Builder) {
		for _, m := range canonical(c.Manifests, compareManifest) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1OctetString(m.Hash[:])
				b.AddASN1Int64(int64(m.Size))
				b.AddASN1OctetString(m.AKI[:])
				b.AddASN1BigInt(m.Number)
				b.AddASN1GeneralizedTime(m.ThisUpdate.UTC())
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(oidSignedObject)
						b.AddASN1(uriTag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(m.Location)) })
					})
				})
				if len(m.Subordinates) > 0 {
					b.AddBytes(keySequence(m.Subordinates))
				}
			})
		}
	})
}

// mostRecentUpdate is the latest thisUpdate of all manifests, and the epoch where there is none.
func (c *Cache) mostRecentUpdate() time.Time {
	latest := mostRecentOfEmpty
	for _, m := range c.Manifests {
		if m.ThisUpdate.After(latest) {
			latest = m.ThisUpdate
		}
	}
	return latest.UTC()
}

// roaSequence is the DER of rps: one set for each AS number, IPv4 before IPv6.
//
//	ROAPayloadSet ::= SEQUENCE {
//	  asID             ASID,
//	  ipAddrBlocks     SEQUENCE (SIZE(1..2)) OF ROAIPAddressFamily }
func (c *Cache) roaSequence() []byte {
	all := canonical(c.ROAs, compareVRP)
	return sequence(func(b *cryptobyte.Builder) {
		for len(all) > 0 {
			set := run(all, func(v VRP) bool { return v.ASN == all[0].ASN })
			all = all[len(set):]
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Uint64(uint64(set[0].ASN))
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					for len(set) > 0 {
						is4 := set[0].Prefix.Addr().Is4()
						family := run(set, func(v VRP) bool { return v.Prefix.Addr().Is4() == is4 })
						set = set[len(family):]
						roaFamily(b, is4, family)
					}
				})
			})
		}
	})
}

// run is the VRPs at the front of all for which same holds.
func run(all []VRP, same func(VRP) bool) []VRP {
	n := 0
	for n < len(all) && same(all[n]) {
		n++
	}
	return all[:n]
}

// roaFamily writes the prefixes of one family as a ROA does (RFC 9582, section 4).
//
//	ROAIPAddressFamily ::= SEQUENCE {
//	  addressFamily    OCTET STRING (SIZE(2)),
//	  addresses        SEQUENCE (SIZE(1..MAX)) OF ROAIPAddress }
//	ROAIPAddress ::= SEQUENCE {
//	  address          BIT STRING,
//	  maxLength        INTEGER OPTIONAL }
func roaFamily(b *cryptobyte.Builder, is4 bool, vrps []VRP) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		afi := []byte{0, 2}
		if is4 {
			afi = []byte{0, 1}
		}
		b.AddASN1OctetString(afi)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, v := range vrps {
				bits := v.Prefix.Bits()
				octets := (bits + 7) / 8
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.BIT_STRING, func(b *cryptobyte.Builder) {
						b.AddUint8(uint8(8*octets - bits))
						b.AddBytes(v.Prefix.Addr().AsSlice()[:octets])
					})
					if v.MaxLength != bits {
						b.AddASN1Int64(int64(v.MaxLength))
					}
				})
			}
		})
	})
}

// aspaSequence is the DER of aps, by customer.
//
//	ASPAPayloadSet ::= SEQUENCE {
//	  customerASID     ASID,
//	  providers        SEQUENCE (SIZE(1..MAX)) OF ASID }
func (c *Cache) aspaSequence() []byte {
	return sequence(func(b *cryptobyte.Builder) {
		for _, a := range canonical(c.ASPAs, compareASPA) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Uint64(uint64(a.Customer))
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					for _, p := range a.Providers {
						b.AddASN1Uint64(uint64(p))
					}
				})
			})
		}
	})
}

// keySequence is the DER of subordinates and of skis.
func keySequence(keys []KeyID) []byte {
	return sequence(func(b *cryptobyte.Builder) {
		for _, k := range canonical(keys, compareKeyID) {
			b.AddASN1OctetString(k[:])
		}
	})
}

// sequence is the DER of a SEQUENCE with this content. Only a time after the year 9999 cannot be written in it, and on that
// Encode fails in mostRecentUpdate.
func sequence(content cryptobyte.BuilderContinuation) []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(asn1.SEQUENCE, content)
	der, _ := b.Bytes()
	return der
}
