package holdings

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"time"

	"cadastre/internal/payload"
	"cadastre/internal/store"
)

// loggedIntentBucket keeps the changes of intents by decisions: by the number of the decision and that of the record within it, both
// big-endian. It is append-only.
var loggedIntentBucket = store.Declare("decision-intent", "holdings", store.Deposited)

// IntentChange is an intent that a decision added or removed, for a ROA or another signed object.
type IntentChange struct {
	Holder  string `json:"holder"`
	Removed bool   `json:"removed,omitempty"`
	*Route         // of a ROA; nil else
	Object  *Said  `json:"object,omitempty"` // of another object; nil else
	Comment string `json:"comment,omitempty"`
}

// Said is what an intent for a signed object says, of any kind but ROAs.
type Said struct {
	Kind  payload.Kind `json:"kind"`           // such as "aspa"
	Says  string       `json:"says"`           // the payload, as its String writes it
	Until time.Time    `json:"until,omitzero"` // when it ends by itself; zero: never
}

// String is the kind in capitals, as people write it, and the payload: "ASPA AS64496 => AS64500, AS64501".
func (s Said) String() string { return strings.ToUpper(string(s.Kind)) + " " + s.Says }

// IntentSummary is the part of a decision's record about intents. The changes themselves are in other records, so that the record of a
// decision stays small however many there are.
type IntentSummary struct {
	Added   int    `json:"added"`
	Removed int    `json:"removed"`
	Objects int    `json:"objects,omitempty"` // how many of the added and removed ones are for other objects than ROAs
	Holders int    `json:"holders"`
	Records int    `json:"records"` // how many records the changes are in
	SHA256  string `json:"sha256"`  // of these records, one after another
}

// changesPerRecord is the most changes in one record.
const changesPerRecord = 1000

// OfIntents is the outcome of a decision that changes intents and leaves the ledger as it is.
func (l *Ledger) OfIntents(by By) *Outcome {
	o := &Outcome{Decision: by.decision(l.lastDecision + 1), nextDelegation: l.nextDelegation}
	o.Decision.Changes = []Change{}
	o.Digest = o.digest()
	return o
}

// appendDecision adds a decision to the log, with what it changed of the intents. Nothing else writes to the log.
func appendDecision(p *puts, d Decision, intents []IntentChange) {
	if len(intents) > 0 {
		d.Intents = summary(intents)
		sum := sha256.New()
		for part := range slices.Chunk(intents, changesPerRecord) {
			text, err := json.Marshal(part)
			if p.err == nil {
				p.err = err
			}
			d.Intents.Records++
			p.put(loggedIntentBucket, intentsKey(d.ID, d.Intents.Records), json.RawMessage(text))
			_, _ = sum.Write(text) // a hash takes every write
		}
		d.Intents.SHA256 = hex.EncodeToString(sum.Sum(nil))
	}
	p.put(decisionBucket, numberKey(d.ID), p.chain(d))
}

func summary(changes []IntentChange) IntentSummary {
	var s IntentSummary
	holders := map[string]bool{}
	for _, c := range changes {
		holders[c.Holder] = true
		if c.Object != nil {
			s.Objects++
		}
		if c.Removed {
			s.Removed++
		} else {
			s.Added++
		}
	}
	s.Holders = len(holders)
	return s
}

func intentsKey(decision uint64, record int) []byte {
	return binary.BigEndian.AppendUint32(numberKey(decision), uint32(record)) // #nosec G115 -- a record for each thousand changes
}

// IntentChanges is what a decision changed of the intents, in the order in which it was written.
func IntentChanges(r store.Reader, decision uint64) iter.Seq2[IntentChange, error] {
	return func(yield func(IntentChange, error) bool) {
		for part, err := range all[[]IntentChange](r, loggedIntentBucket, numberKey(decision)) {
			if err != nil {
				yield(IntentChange{}, err)
				return
			}
			for _, c := range part {
				if !yield(c, nil) {
					return
				}
			}
		}
	}
}
