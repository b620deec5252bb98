package store

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"cadastre/internal/fault"
)

// Every value is stored with a checksum behind it: the XXH64 of its bucket, its key and itself. A record whose bits changed
// on the disk, or that is found where another should be, does not fit its checksum, and reading it is an error that names
// it. The checksum is made to be cheap and is against accidents: whoever writes the file on purpose can compute it, and is
// found by the hashes that the ledger keeps of itself.
const checksumSize = 8

func checksum(bucket string, key, value []byte) uint64 {
	if !checksums {
		return 0
	}
	var d xxhash.Digest
	d.Reset()
	var lengths [16]byte // so that no two records are written the same
	binary.BigEndian.PutUint64(lengths[:], uint64(len(bucket)))
	binary.BigEndian.PutUint64(lengths[8:], uint64(len(key)))
	_, _ = d.Write(lengths[:]) // a digest takes everything
	_, _ = d.WriteString(bucket)
	_, _ = d.Write(key)
	_, _ = d.Write(value)
	return d.Sum64()
}

// sealed is a value as it is stored.
func sealed(bucket string, key, value []byte) ([]byte, uint64) {
	sum := checksum(bucket, key, value)
	out := make([]byte, 0, len(value)+checksumSize)
	return binary.BigEndian.AppendUint64(append(out, value...), sum), sum
}

// unsealed is the value of a record and its checksum. It fails with Corrupt where they do not fit.
func unsealed(bucket string, key, stored []byte) ([]byte, uint64, error) {
	at := len(stored) - checksumSize
	if at < 0 {
		return nil, 0, damagedRecord(bucket, key)
	}
	value := stored[:at:at]
	sum := binary.BigEndian.Uint64(stored[at:])
	if sum != checksum(bucket, key, value) {
		return nil, 0, damagedRecord(bucket, key)
	}
	return value, sum, nil
}

func damagedRecord(bucket string, key []byte) error {
	return fault.New(fault.Corrupt, "the record %s of %q does not fit its checksum", keyText(key), bucket)
}

// keyText shows a key to people: as a number where it is one, else as text.
func keyText(key []byte) string {
	if len(key) == 8 && binary.BigEndian.Uint64(key) < 1<<40 {
		return fmt.Sprint(binary.BigEndian.Uint64(key))
	}
	return fmt.Sprintf("%q", key)
}

// tally is what a bucket has in all: how many records, and the sum of their checksums. It is kept beside the buckets, so that
// a start notices records that are missing or double although each that is there is whole.
type tally struct{ records, sum uint64 }

func (t *tally) add(sum uint64)    { t.records, t.sum = t.records+1, t.sum+sum }
func (t *tally) remove(sum uint64) { t.records, t.sum = t.records-1, t.sum-sum }

func (t *tally) encode() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, t.records), t.sum)
}

func decodeTally(text []byte) (t tally, ok bool) {
	if len(text) != 16 {
		return t, false
	}
	return tally{binary.BigEndian.Uint64(text), binary.BigEndian.Uint64(text[8:])}, true
}

// tallyKey is where the tally of a bucket is kept, in the store's own bucket, which has none.
func tallyKey(bucket string) []byte { return append([]byte("tally/"), bucket...) }
