// Package rrdpxml reads the three files of the RPKI Repository Delta Protocol (RFC 8182, section 3.5): the update
// notification, the snapshot and the delta.
//
// Nothing that is read here is trusted. The readers stream: memory is bounded by one element, whatever the size of
// the file, and of a notification by its list of deltas too (Limits.Objects). They refuse what the schema of RFC 8182,
// section 3.5.4 does not have (a DOCTYPE, an attribute or element of another name, a byte outside US-ASCII), so that a
// file has one meaning only. Whether the bytes are the ones that the notification announced is the caller's to check: it
// hashes what it gives to the reader.
package rrdpxml

import (
	"encoding/hex"
	"regexp"
	"slices"
	"strconv"

	"cadastre/internal/fault"
)

// Namespace is the XML namespace of all three files.
const Namespace = "http://www.ripe.net/rpki/rrdp"

// Hash is a SHA-256 digest.
type Hash [32]byte

// String is the digest in lower-case hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText writes the digest as String does.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 hexadecimal digits of either case.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != 2*len(h) {
		return fault.New(fault.Invalid, "a SHA-256 hash has 64 hexadecimal digits, not %d characters", len(text))
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return fault.New(fault.Invalid, "hash %q is not hexadecimal", text)
	}
	return nil
}

// Head is what the root elements of all three files say: which state of which session the file is about.
type Head struct {
	Session string // a version 4 UUID, as it was written
	Serial  uint64 // from 1 on
}

// File is a reference to a snapshot or delta file.
type File struct {
	URI  string
	Hash Hash
}

// Delta is a reference to the delta file that leads from Serial-1 to Serial.
type Delta struct {
	Serial uint64
	File
}

// Notification is an update notification file (RFC 8182, section 3.5.1).
type Notification struct {
	Head
	Snapshot File
	Deltas   []Delta // by ascending serial, each serial once; gaps are possible, see Chain
}

// Chain is the deltas that lead from serial to the notification's own serial, oldest first. It is false where one of
// them is missing: then only the snapshot leads there.
func (n *Notification) Chain(serial uint64) ([]Delta, bool) {
	if serial >= n.Serial {
		return nil, serial == n.Serial
	}
	start, found := slices.BinarySearchFunc(n.Deltas, serial+1, func(d Delta, s uint64) int {
		switch {
		case d.Serial < s:
			return -1
		case d.Serial > s:
			return 1
		}
		return 0
	})
	chain := n.Deltas[start:]
	// the serials ascend and none repeats, so that the right count means that none is missing
	if !found || uint64(len(chain)) != n.Serial-serial {
		return nil, false
	}
	return chain, true
}

// Contiguous tells whether the deltas form one chain that ends at the notification's serial, as RFC 8182,
// section 3.5.1.3 wants it. A notification without deltas is contiguous.
func (n *Notification) Contiguous() bool {
	if len(n.Deltas) == 0 {
		return true
	}
	_, whole := n.Chain(n.Deltas[0].Serial - 1)
	return whole
}

// Change is one <publish> or <withdraw> element.
type Change struct {
	URI      string
	Withdraw bool
	Replaces *Hash  // the hash attribute: the object that is replaced or withdrawn; nil for one that is new
	Data     []byte // the object, which can be empty; nil where it is withdrawn
}

// Limits bound what one file may make the reader hold.
type Limits struct {
	Object  int // bytes of one object
	Objects int // objects in a snapshot, changes in a delta, deltas in a notification
}

// uuid4 is the canonical form of a version 4 UUID (RFC 9562, section 5.4), which RFC 8182, section 3.5.1.3 wants.
var uuid4 = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$`)

// parseSerial reads a decimal number from 1 on without sign or leading zero.
func parseSerial(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || text[0] == '0' {
		return 0, fault.New(fault.Invalid, "serial %.40q is not a decimal number from 1 to 2^64-1", text)
	}
	return n, nil
}
