package holdings

import (
	"encoding/binary"
	"encoding/json"
	"iter"

	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// The buckets of the ledger. Values are JSON.
var (
	organisationBucket = store.Declare("organisation", "holdings", store.Deposited)     // handle
	delegationBucket   = store.Declare("delegation", "holdings", store.Deposited)       // number, big-endian: those in force
	endedBucket        = store.Declare("delegation-ended", "holdings", store.Deposited) // recipient, 0, number: never removed
	decisionBucket     = store.Declare("decision", "holdings", store.Deposited)         // number, big-endian: append-only
	importBucket       = store.Declare("import", "holdings", store.Deposited)           // registry: its last file
	transferBucket     = store.Declare("transfer", "holdings", store.Deposited)         // number, big-endian
	policyBucket       = store.Declare("transfer-policy", "holdings", store.Deposited)  // registry
	ledgerBucket       = store.Declare("ledger", "holdings", store.Deposited)           // one key, counters
)

var countersKey = []byte("counters")

// counters has the numbers of the newest decision and of the next delegation.
type counters struct {
	LastDecision   uint64 `json:"lastDecision"`
	NextDelegation uint64 `json:"nextDelegation"`
}

func numberKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func endedKey(handle string, id uint64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(handle), 0), id)
}

// Write writes the outcome to the store; an empty outcome writes nothing. It fails with Conflict if another decision was written since the
// outcome was resolved: then it has to be resolved again.
func (o *Outcome) Write(w store.Writer) error {
	if o.Empty() {
		return nil
	}
	was, err := readCounters(w)
	if err != nil {
		return err
	}
	if was.LastDecision+1 != o.Decision.ID {
		return fault.New(fault.Conflict, "another decision, %d, came first; look again and repeat", was.LastDecision)
	}
	puts := puts{w: w, written: o.noted}
	for _, org := range o.Organisations {
		puts.put(organisationBucket, []byte(org.Handle), org)
	}
	for _, handle := range o.Removed {
		puts.remove(organisationBucket, []byte(handle))
	}
	for _, d := range o.Ended {
		puts.put(endedBucket, endedKey(d.To, d.ID), d)
		puts.remove(delegationBucket, numberKey(d.ID))
	}
	for _, d := range o.Started {
		puts.put(delegationBucket, numberKey(d.ID), d)
	}
	for _, m := range o.Imports {
		puts.put(importBucket, []byte(m.Registry), m)
	}
	for _, p := range o.Policies {
		puts.put(policyBucket, []byte(p.Registry), p)
	}
	for _, t := range o.Transfers {
		puts.put(transferBucket, numberKey(t.ID), t)
	}
	appendDecision(&puts, o.Decision, o.Intents)
	puts.put(ledgerBucket, countersKey, counters{o.Decision.ID, o.nextDelegation})
	return puts.err
}

// puts is a writer that stops at the first error.
type puts struct {
	w       store.Writer
	err     error
	written []byte // see writtenBucket
}

func (p *puts) put(bucket store.Bucket, key []byte, value any) {
	var data []byte
	if p.err == nil {
		data, p.err = json.Marshal(value)
	}
	if p.err == nil {
		p.err = p.w.Put(bucket, key, data)
		p.written = appendNote(p.written, bucket, key, data)
	}
}

func (p *puts) remove(bucket store.Bucket, key []byte) {
	if p.err == nil {
		p.err = p.w.Delete(bucket, key)
		p.written = appendNote(p.written, bucket, key, nil)
	}
}

func readCounters(r store.Reader) (counters, error) {
	var c counters
	data, err := r.Get(ledgerBucket, countersKey)
	if data == nil || err != nil {
		return c, err
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, damaged("its counters", err)
	}
	return c, nil
}

func damaged(what string, err error) error {
	return fault.New(fault.Corrupt, "the ledger is damaged at %s (%w): restore it from a backup", what, err)
}

// all decodes the values whose keys begin with prefix, in the order of their keys.
func all[T any](r store.Reader, bucket store.Bucket, prefix []byte) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for record, err := range r.Scan(bucket, prefix) {
			var v T
			if err == nil {
				if err = json.Unmarshal(record.Value, &v); err != nil {
					err = damaged(bucket.String()+" "+shownKey(record.Key), err)
				}
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// shownKey shows a key: its text, and a number where one ends it.
func shownKey(key []byte) string {
	data, _ := json.Marshal(string(key)) // any string can be marshalled
	return string(data)
}
