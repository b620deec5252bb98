package holdings

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"maps"
	"slices"
	"time"

	"cadastre/internal/inr"
)

// Outcome is a decision with all that it changes in the ledger. It is valid only for the state that it was resolved from: Write refuses it
// if another decision was written since.
type Outcome struct {
	Decision      Decision
	Organisations []Organisation // those that are new, or whose record changed
	Removed       []string       // handles of those that are removed
	Started       []Delegation
	Ended         []Delegation // with Ended set
	// Before and After have the holding of each organisation of which a delegation changes; the two may be equal.
	Before, After map[string]inr.Set
	Counts        Counts
	Imports       []Mark         // the files that this outcome imports
	Redisputed    bool           // the disputes change
	Wrong         []string       // lines of the files that were left out because they are wrong
	Transfers     []Transfer     // those that took a step
	Policies      []Policy       // those that registries set
	Intents       []IntentChange // what changes of the intents with it, for the log; the book of intents writes them
	// Digest is the SHA-256 of the change: who gains and loses what, with which status. It does not depend on numbers, times, actors or
	// reasons, so the same change has the same digest when it is resolved again.
	Digest [sha256.Size]byte

	nextDelegation uint64
	noted          []byte // see Noting
}

// Counts sums an outcome up. Delegations that an import derives (IANA to a registry, a registry to its NIR) are left out.
type Counts struct {
	Organisations int // added
	New           int // started, with resources that no one held before
	Gone          int // ended, with resources that its recipient lost and no one else got
	Moved         int // ended, with resources that its recipient lost and another got: changed hands
	Kept          int // ended and replaced without loss: another date, status or cut into records
	Cut           int // those of Gone and Moved that ended because the holder that delegated them on lost the resources
}

// Empty tells whether nothing would change. Then it is no decision, and nothing is written.
func (o *Outcome) Empty() bool {
	return len(o.Started)+len(o.Ended)+len(o.Organisations)+len(o.Transfers)+len(o.Policies)+len(o.Intents)+len(o.Removed) == 0 && !o.Redisputed
}

// Losers lists the organisations that hold less after the outcome, sorted.
func (o *Outcome) Losers() []string {
	var losers []string
	for h, before := range o.Before {
		if !o.After[h].Contains(before) {
			losers = append(losers, h)
		}
	}
	slices.Sort(losers)
	return losers
}

// digest computes Digest from the rest.
func (o *Outcome) digest() (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, org := range o.Organisations {
		_, _ = fmt.Fprintf(h, "organisation %q %q %s\n", org.Handle, org.Parent, org.Kind)
	}
	for _, handle := range slices.Sorted(maps.Keys(o.Before)) {
		before, after := o.Before[handle], o.After[handle]
		_, _ = fmt.Fprintf(h, "holding %q\n- %s\n+ %s\n", handle, before.Minus(after), after.Minus(before))
	}
	digestDelegations(h, "ended", o.Ended)
	digestDelegations(h, "started", o.Started)
	copy(sum[:], h.Sum(nil))
	return sum
}

func digestDelegations(h hash.Hash, what string, list []Delegation) {
	lines := make([]string, len(list))
	for i, d := range list {
		until := ""
		if !d.Until.IsZero() {
			until = d.Until.UTC().Format(time.RFC3339)
		}
		lines[i] = fmt.Sprintf("%s %q %q %s %s %s\n", what, d.From, d.To, d.Status, until, d.Resources)
	}
	slices.Sort(lines)
	for _, line := range lines {
		_, _ = h.Write([]byte(line)) // a hash takes every write
	}
}
