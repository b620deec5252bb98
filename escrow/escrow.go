// Package escrow makes deposits: what a successor needs to go on if this registry fails. They are written into a folder, from which others
// copy them. A successor uses this package to verify and read them, and to make a new installation.
//
// A deposit has a number and names the SHA-256 of the one before it; together they are a chain. A full deposit has what is
// published, and all records of the kinds that are declared to be deposited (store.Declare). An incremental one has the difference to the
// deposit before it. What is in it is encrypted to the successor (age, X25519). Its manifest is signed by the installation's identity and
// is not encrypted, so that anyone who has the identity's certificate can verify the chain without reading it. The model is
// RFC 8909, whose words are used where they fit.
//
// No private key is in a deposit, sealed or not. The successor issues everything anew with keys of its own.
//
// Nothing that is read here is trusted before the manifest's signature, its place in the chain and the hash of what was
// encrypted have been checked; what the signer wrote is then checked against the rules of the ledger.
package escrow

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Kind says what a deposit has.
type Kind string

// The kinds of deposits (RFC 8909, section 2).
const (
	Full        Kind = "full"        // all of the state
	Incremental Kind = "incremental" // what has changed since the deposit before
)

// Hash is a SHA-256.
type Hash [32]byte

// String is the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText and UnmarshalText have a hash stand in JSON as it does in text.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (h *Hash) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	if err != nil || len(raw) != len(h) {
		return fmt.Errorf("%.80q is no SHA-256", text)
	}
	copy(h[:], raw)
	return nil
}

// stampFormat is how a time stands in a file name.
const stampFormat = "20060102T150405Z"

var namePattern = regexp.MustCompile(`^([0-9]{6,18})-(full|incremental)-([0-9]{8}T[0-9]{6}Z)\.deposit$`)

// label is what a deposit's file name says.
type label struct {
	number uint64
	kind   Kind
	time   time.Time
}

func (l label) name() string {
	return fmt.Sprintf("%06d-%s-%s.deposit", l.number, l.kind, l.time.UTC().Format(stampFormat))
}

// parseName reads the name of a file; false where it is not that of a deposit.
func parseName(name string) (label, bool) {
	m := namePattern.FindStringSubmatch(name)
	if m == nil {
		return label{}, false
	}
	number, err := strconv.ParseUint(m[1], 10, 64)
	at, err2 := time.Parse(stampFormat, m[3])
	l := label{number, Kind(m[2]), at}
	return l, err == nil && err2 == nil && number > 0 && l.name() == name
}
