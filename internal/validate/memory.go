package validate

import (
	"bytes"
	"crypto/sha256"
	"iter"
	"net/netip"
	"slices"
	"time"

	"cadastre/internal/inr"
)

// memory is what a gate accepted of one CA.
type memory struct {
	certificate [sha256.Size]byte
	key         [sha256.Size]byte
	resources   inr.Set
	claim       claim

	manifest    [sha256.Size]byte
	number      Serial
	thisUpdate  time.Time
	from, until int64 // Unix seconds within which manifest and CRL are for now: from ≤ now < until
	crl         [sha256.Size]byte
	files       []remembered              // sorted by key
	vrps        []packedVRP               // those of all files, in the order of the manifest
	vaps        map[[sha256.Size]byte]VAP // by the key of the ASPA's file; nil for none
	children    []string                  // certificate URIs
}

// remembered is one accepted file of a manifest, in 80 octets.
type remembered struct {
	key         [sha256.Size]byte // of name and hash
	serial      Serial
	from, until int64  // Unix seconds of the certificate in it: from ≤ now ≤ until
	vrps, count uint32 // its VRPs in the memory of its CA
}

// packedVRP is a VRP in 24 octets.
type packedVRP struct {
	address         [16]byte
	asn             uint32
	bits, maxLength uint8
	v6              bool
}

func pack(v VRP) packedVRP {
	return packedVRP{v.Prefix.Addr().As16(), v.ASN, uint8(v.Prefix.Bits()), uint8(v.MaxLength), v.Prefix.Addr().Is6()}
}

func (p packedVRP) unpack() VRP {
	addr := netip.AddrFrom16(p.address)
	if !p.v6 {
		addr = addr.Unmap()
	}
	return VRP{netip.PrefixFrom(addr, int(p.bits)), int(p.maxLength), p.asn}
}

// setVAP remembers the payload of an ASPA.
func (m *memory) setVAP(key [sha256.Size]byte, v VAP) {
	if m.vaps == nil {
		m.vaps = map[[sha256.Size]byte]VAP{}
	}
	m.vaps[key] = v
}

// payloads is the CA's VRPs, sorted.
func (m *memory) payloads() []VRP {
	vrps := make([]VRP, len(m.vrps))
	for i, p := range m.vrps {
		vrps[i] = p.unpack()
	}
	return SortVRPs(vrps)
}

// fileKey is one hash for a file's name and hash. Names hold no zero octet, so that no two files have the same.
func fileKey(f File) [sha256.Size]byte {
	text := make([]byte, 0, 256+1+sha256.Size)
	text = append(append(text, f.Name...), 0)
	return sha256.Sum256(append(text, f.Hash[:]...))
}

// find gives what is remembered of a file. A nil memory remembers nothing.
func (m *memory) find(key [sha256.Size]byte) *remembered {
	if m == nil {
		return nil
	}
	i, found := slices.BinarySearchFunc(m.files, key, func(r remembered, key [sha256.Size]byte) int { return bytes.Compare(r.key[:], key[:]) })
	if !found {
		return nil
	}
	return &m.files[i]
}

// stands tells whether a CA is as it was accepted: the same certificate that stands for the same resources.
func (m *memory) stands(ca *authority) bool {
	return m != nil && m.certificate == ca.cert.Sum() && m.resources.Equal(ca.resources)
}

// lost is the children that are not in what comes after.
func (m *memory) lost(after *memory) iter.Seq[string] {
	return func(yield func(string) bool) {
		if m == nil {
			return
		}
		stay := make(map[string]bool, len(after.children))
		for _, uri := range after.children {
			stay[uri] = true
		}
		for _, uri := range m.children {
			if !stay[uri] && !yield(uri) {
				return
			}
		}
	}
}

// release takes back what a CA claimed.
func (l *claims) release(uri string, of claim) {
	if l.keys[of.ski] == uri {
		delete(l.keys, of.ski)
	}
	for _, u := range [...]string{of.manifest, of.crl, of.repository} {
		if l.uris[u] == uri {
			delete(l.uris, u)
		}
	}
}

// others finds with whom a CA would share something, but for those that leave or are checked anew.
func (l *claims) others(uri string, of claim, leaves func(holder string) bool) []Finding {
	was := newClaims()
	if holder, taken := l.keys[of.ski]; taken && holder != uri && !leaves(holder) {
		was.keys[of.ski] = holder
	}
	for _, u := range [...]string{of.manifest, of.crl, of.repository} {
		if holder, taken := l.uris[u]; taken && holder != uri && !leaves(holder) {
			was.uris[u] = holder
		}
	}
	return was.claim(uri, of)
}
