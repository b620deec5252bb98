// Package ccr encodes, decodes and compares the Canonical Cache Representation of what a relying party accepted
// (draft-ietf-sidrops-rpki-ccr-11): which manifest of each CA, which subordinate keys, which ROA
// and ASPA payloads, and which trust anchors.
//
// Two relying parties that accept the same objects write the same bytes but for producedAt, so that equal hashes
// settle the question, and Compare says where they differ when they do not. A CCR is not signed: it is evidence for a
// test or an operator, and nothing is ever published because of one. rpki-client writes this form from 9.8 on.
//
//	ContentInfo ::= SEQUENCE {
//	  contentType      OBJECT IDENTIFIER,  -- 1.2.840.113549.1.9.16.1.54
//	  content          [0] EXPLICIT RpkiCanonicalCacheRepresentation }
//
//	RpkiCanonicalCacheRepresentation ::= SEQUENCE {
//	  version          [0] INTEGER DEFAULT 0,
//	  hashAlg          DigestAlgorithmIdentifier,
//	  producedAt       GeneralizedTime,
//	  mfts             [1] ManifestState OPTIONAL,
//	  vrps             [2] ROAPayloadState OPTIONAL,
//	  vaps             [3] ASPAPayloadState OPTIONAL,
//	  tas              [4] TrustAnchorState OPTIONAL,
//	  rks              [5] RouterKeyState OPTIONAL,
//	  ... }
package ccr

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
	"net/netip"
	"slices"
	"time"
)

var (
	oidCCR            = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 54}
	oidSHA256         = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSignedObject   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 11}
	mostRecentOfEmpty = time.Unix(0, 0).UTC()
)

// Digest is a SHA-256 digest.
type Digest [sha256.Size]byte

// KeyID is a subject key identifier: the SHA-1 of a public key (RFC 6487, section 4.8.2).
type KeyID [20]byte

// Cache is the state of a validated cache. A state that is nil is one that its producer says nothing about.
type Cache struct {
	ProducedAt   time.Time
	Manifests    []Manifest // nil: not said; empty: none is valid
	ROAs         []VRP      // nil: not said; empty: none is valid
	ASPAs        []ASPA     // nil: not said; empty: none is valid
	TrustAnchors []KeyID    // nil: not said
	RouterKeys   *Digest    // the hash alone, of a decoded CCR; never encoded
}

// Manifest is one ManifestInstance: the current manifest of one CA.
type Manifest struct {
	Hash         Digest
	Size         int      // bytes
	AKI          KeyID    // the key of the CA that issued it
	Number       *big.Int // manifestNumber
	ThisUpdate   time.Time
	Location     string  // its signedObject URI
	Subordinates []KeyID // the valid CA certificates below
}

// VRP is one validated ROA payload.
type VRP struct {
	ASN       uint32
	Prefix    netip.Prefix
	MaxLength int
}

// ASPA is the validated ASPA payload of one customer AS. Providers are ascending, each once.
type ASPA struct {
	Customer  uint32
	Providers []uint32
}

func compareASPA(a, b ASPA) int {
	return cmp.Or(cmp.Compare(a.Customer, b.Customer), slices.Compare(a.Providers, b.Providers))
}

// compareVRP is the order of RFC 9582, section 4.3.3 within the ascending AS numbers that CCR wants: family, address,
// prefix length, maxLength.
func compareVRP(a, b VRP) int {
	return cmp.Or(
		cmp.Compare(a.ASN, b.ASN),
		cmp.Compare(a.Prefix.Addr().BitLen(), b.Prefix.Addr().BitLen()),
		a.Prefix.Addr().Compare(b.Prefix.Addr()),
		cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()),
		cmp.Compare(a.MaxLength, b.MaxLength),
	)
}

func compareKeyID(a, b KeyID) int { return bytes.Compare(a[:], b[:]) }

func compareManifest(a, b Manifest) int { return bytes.Compare(a.Hash[:], b.Hash[:]) }

// canonical is a copy of a slice that is sorted and has each element once.
func canonical[T any](all []T, compare func(a, b T) int) []T {
	sorted := slices.SortedFunc(slices.Values(all), compare)
	return slices.CompactFunc(sorted, func(a, b T) bool { return compare(a, b) == 0 })
}
