package holdings

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	"cadastre/internal/store"
)

// The log of decisions is a chain of hashes. Each decision has the hash of the one before it, and beside each decision stand the hashes of
// the records that it wrote or removed. So the log says what every record of the ledger has to be:
//
//	hash of a decision = SHA-256(its record as it is stored, what it wrote as it is stored)
//
// Who changes a decision has to change all that came after it. The newest hash is also in the high-water mark and in deposits.

// writtenBucket has what decisions wrote: number of the decision, big-endian -> for each record the letter of its bucket in audited, the
// length of its key (16 bits, big-endian), its key, and the first half of the SHA-256 of its value; zeros if the record was removed. It is
// append-only.
var writtenBucket = store.Declare("decision-written", "holdings", store.Deposited)

// audited has the buckets whose records the log of decisions accounts for, by their letters in writtenBucket.
var audited = map[byte]store.Bucket{
	'o': organisationBucket, 'd': delegationBucket, 'e': endedBucket, 'f': importBucket, 't': transferBucket, 'p': policyBucket, 'i': loggedIntentBucket,
}

// Audit makes the log account for the records of another bucket, too. They may be written only through Noting. It is called while packages
// are initialised.
func Audit(letter byte, bucket store.Bucket) {
	if was, taken := audited[letter]; taken {
		panic("holdings: " + was.String() + " and " + bucket.String() + " are audited under one letter")
	}
	audited[letter] = bucket
}

// Noting is a writer for records that the outcome's decision accounts for. It has to be used before the outcome's Write.
func (o *Outcome) Noting(w store.Writer) store.Writer { return noting{w, o} }

type noting struct {
	store.Writer
	outcome *Outcome
}

func (n noting) Put(bucket store.Bucket, key, value []byte) error {
	n.outcome.noted = appendNote(n.outcome.noted, bucket, key, value)
	return n.Writer.Put(bucket, key, value)
}

func (n noting) Delete(bucket store.Bucket, key []byte) error {
	n.outcome.noted = appendNote(n.outcome.noted, bucket, key, nil)
	return n.Writer.Delete(bucket, key)
}

// Head names a decision and its hash.
type Head struct {
	Decision uint64 `json:"decision"`
	SHA256   string `json:"sha256"` // hex
}

// mark is the first half of a SHA-256.
type mark [sha256.Size / 2]byte

func markOf(value []byte) (m mark) {
	sum := sha256.Sum256(value)
	copy(m[:], sum[:])
	return m
}

// appendNote adds that a record was written, or removed where value is nil.
func appendNote(out []byte, bucket store.Bucket, key, value []byte) []byte {
	for letter, b := range audited {
		if b != bucket {
			continue
		}
		out = append(out, letter)
		out = binary.BigEndian.AppendUint16(out, uint16(len(key))) // #nosec G115 -- bbolt takes keys of 32 KiB
		out = append(out, key...)
		var m mark
		if value != nil {
			m = markOf(value)
		}
		return append(out, m[:]...)
	}
	return out
}

// chain links a decision to the one before it, and keeps what was written with it.
func (p *puts) chain(d Decision) Decision {
	if p.err != nil {
		return d
	}
	if d.Previous = ""; d.ID > 1 {
		var before Head
		if before, p.err = HeadAt(p.w, d.ID-1); p.err != nil {
			return d
		}
		d.Previous = before.SHA256
	}
	if p.err = p.w.Put(writtenBucket, numberKey(d.ID), p.written); p.err == nil {
		p.written = nil
	}
	return d
}

// Newest is the newest decision and its hash.
func Newest(r store.Reader) (Head, error) {
	c, err := readCounters(r)
	if err != nil {
		return Head{}, err
	}
	return HeadAt(r, c.LastDecision)
}

// HeadAt is the hash of a decision. It fails with NotFound and Corrupt.
func HeadAt(r store.Reader, id uint64) (Head, error) {
	decision, err := r.Get(decisionBucket, numberKey(id))
	if err != nil {
		return Head{}, err
	}
	if decision == nil {
		return Head{}, noDecision(id)
	}
	written, err := r.Get(writtenBucket, numberKey(id))
	if err != nil {
		return Head{}, err
	}
	return Head{id, hashOf(decision, written)}, nil
}

func hashOf(decision, written []byte) string {
	sum := sha256.New()
	_, _ = sum.Write(decision) // a hash takes every write
	_, _ = sum.Write(written)
	return hex.EncodeToString(sum.Sum(nil))
}

// Verify checks the ledger against its log: no decision is missing or was changed, and every record of the ledger is as the last decision
// about it wrote it. It returns the newest decision. It fails with Corrupt, and names the decision or the record that was changed.
func Verify(r store.Reader) (Head, error) {
	c, err := readCounters(r)
	if err != nil {
		return Head{}, err
	}
	wrote, err := allWritten(r)
	if err != nil {
		return Head{}, err
	}
	var head Head
	state := map[string]mark{} // by letter of the bucket and key
	for record, err := range r.Scan(decisionBucket, nil) {
		if err != nil {
			return Head{}, err
		}
		id := head.Decision + 1
		begins := fmt.Sprintf(`{"id":%d,`, id)
		if id > 1 {
			begins = fmt.Sprintf(`{"previous":"%s","id":%d,`, head.SHA256, id)
		}
		if !bytes.Equal(record.Key, numberKey(id)) {
			return Head{}, tampered(fmt.Sprintf("decision %d is missing", id))
		}
		if !bytes.HasPrefix(record.Value, []byte(begins)) {
			return Head{}, tampered(fmt.Sprintf("decision %d does not follow from decision %d: one of the two is not what it was", id, id-1))
		}
		if id > uint64(len(wrote)) {
			return Head{}, tampered(fmt.Sprintf("what decision %d wrote is missing", id))
		}
		written := wrote[id-1]
		head = Head{id, hashOf(record.Value, written)}
		if !replay(written, state) {
			return Head{}, tampered(fmt.Sprintf("what decision %d wrote cannot be read", id))
		}
	}
	if head.Decision != c.LastDecision {
		return Head{}, tampered(fmt.Sprintf("there are %d decisions, and the last was %d", head.Decision, c.LastDecision))
	}
	return head, compare(r, state)
}

// allWritten reads what each decision wrote, from the first on. The octets belong to the transaction. It reads all at once, since a lookup
// of each costs more than its hash.
func allWritten(r store.Reader) ([][]byte, error) {
	var all [][]byte
	for record, err := range r.Scan(writtenBucket, nil) {
		if err != nil {
			return nil, err
		}
		if id := uint64(len(all) + 1); !bytes.Equal(record.Key, numberKey(id)) {
			return nil, tampered(fmt.Sprintf("what decision %d wrote is missing", id))
		}
		all = append(all, record.Value)
	}
	return all, nil
}

// replay changes the state as a decision did.
func replay(written []byte, state map[string]mark) bool {
	for len(written) > 0 {
		if _, known := audited[written[0]]; !known || len(written) < 3 {
			return false
		}
		size := 3 + int(binary.BigEndian.Uint16(written[1:]))
		if len(written) < size+len(mark{}) {
			return false
		}
		name := string(written[:1]) + string(written[3:size])
		m := mark(written[size:])
		if written = written[size+len(m):]; m == (mark{}) {
			delete(state, name)
		} else {
			state[name] = m
		}
	}
	return true
}

// compare compares the records of the ledger with the state that the log leads to.
func compare(r store.Reader, state map[string]mark) error {
	for _, letter := range slices.Sorted(maps.Keys(audited)) {
		bucket := audited[letter]
		for record, err := range r.Scan(bucket, nil) {
			if err != nil {
				return err
			}
			name := string([]byte{letter}) + string(record.Key)
			switch m, known := state[name]; {
			case !known:
				return tampered(fmt.Sprintf("the record %s of %q was added, and no decision says so", shownRecord(bucket, record.Key), bucket))
			case m != markOf(record.Value):
				return tampered(fmt.Sprintf("the record %s of %q is not what a decision made it", shownRecord(bucket, record.Key), bucket))
			}
			delete(state, name)
		}
	}
	for name := range state {
		bucket := audited[name[0]]
		return tampered(fmt.Sprintf("the record %s of %q is missing, and no decision removed it", shownRecord(bucket, []byte(name[1:])), bucket))
	}
	return nil
}

// shownRecord is the key of a record for people.
func shownRecord(bucket store.Bucket, key []byte) string {
	if (bucket == delegationBucket || bucket == transferBucket) && len(key) == 8 {
		return fmt.Sprint(binary.BigEndian.Uint64(key))
	}
	return shownKey(key)
}

func tampered(what string) error {
	return damaged("its log", errors.New(what+"; the store was changed by something else than this program"))
}
