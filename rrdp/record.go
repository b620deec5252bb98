package rrdp

import (
	"encoding/binary"
	"errors"
	"time"
)

// The log of a repository is a sequence of records, their keys counting up. Replaying it makes the index, and committing a
// batch applies the same records to it: what a restart finds is what was there before.
//
//	begun    a session: its id and the secret of its file names
//	entered  an object has come, with where its fragment lies
//	left     objects that came earlier have gone
//	closed   a serial is published: when, and the hashes of its snapshot and delta
type record interface {
	encode() []byte
	// apply makes the index what it is after this record, which has the key seq.
	apply(x *index, seq uint64) error
}

// The first byte of a record says which it is. A new layout takes a new byte.
const (
	tagBegun   = 'N'
	tagEntered = 'E'
	tagLeft    = 'R'
	tagClosed  = 'S'
)

type begun struct {
	session string // UUID, RFC 9562 version 4
	secret  [32]byte
}

type entered struct {
	entry *entry
}

type left struct {
	seqs []uint64 // of the entries that go with the serial that is next
}

type closed struct {
	number          uint64
	at              time.Time // whole seconds, later than the serial before
	tat             time.Time // see pace.go
	snapshot, delta sum       // delta.size is 0 where there is none
}

// sum is what identifies the bytes of a file.
type sum struct {
	size int64
	hash [32]byte // SHA-256 (RFC 8182, section 3.5.1.3)
	crc  uint32   // CRC-32 of RFC 1952, for the trailer of its gzip form
}

func (b *begun) encode() []byte {
	out := append([]byte{tagBegun}, b.secret[:]...)
	return append(out, b.session...)
}

func (e *entered) encode() []byte {
	out := []byte{tagEntered}
	l := &e.entry.place
	for _, n := range []uint64{e.entry.added, uint64(l.segment.id), uint64(l.text), uint64(l.textLen), uint64(l.flate), uint64(l.flateLen)} {
		out = binary.AppendUvarint(out, n)
	}
	out = binary.BigEndian.AppendUint32(out, l.crc)
	out = append(out, e.entry.hash[:]...)
	return append(out, e.entry.uri...)
}

func (l *left) encode() []byte {
	out := []byte{tagLeft}
	last := uint64(0)
	for _, seq := range l.seqs {
		out = binary.AppendUvarint(out, seq-last)
		last = seq
	}
	return out
}

func (c *closed) encode() []byte {
	out := binary.AppendUvarint([]byte{tagClosed}, c.number)
	out = binary.AppendVarint(out, c.at.Unix())
	out = binary.AppendVarint(out, c.tat.Unix())
	for _, s := range []sum{c.snapshot, c.delta} {
		out = binary.AppendUvarint(out, uint64(s.size)) // never negative
		out = append(out, s.hash[:]...)
		out = binary.BigEndian.AppendUint32(out, s.crc)
	}
	return out
}

var errRecord = errors.New("it cannot be read")

// decode reads a record; segments turns the numbers of segments into segments.
func decode(data []byte, segments *segments) (record, error) {
	if len(data) == 0 {
		return nil, errRecord
	}
	in := &reader{data: data[1:]}
	var rec record
	switch data[0] {
	case tagBegun:
		b := &begun{}
		copy(b.secret[:], in.bytes(32))
		b.session = string(in.rest())
		in.bad = in.bad || len(b.session) != 36
		rec = b
	case tagEntered:
		rec = decodeEntered(in, segments)
	case tagLeft:
		l := &left{}
		for seq := uint64(0); len(in.data) > 0 && !in.bad; {
			seq += in.uvarint()
			l.seqs = append(l.seqs, seq)
		}
		rec = l
	case tagClosed:
		c := &closed{number: in.uvarint(), at: time.Unix(in.varint(), 0), tat: time.Unix(in.varint(), 0)}
		for _, s := range []*sum{&c.snapshot, &c.delta} {
			s.size = int64(in.uvarint()) // checked below
			copy(s.hash[:], in.bytes(32))
			s.crc = in.uint32()
			in.bad = in.bad || s.size < 0
		}
		in.bad = in.bad || len(in.data) > 0
		rec = c
	default:
		return nil, errRecord
	}
	if in.bad {
		return nil, errRecord
	}
	return rec, nil
}

func decodeEntered(in *reader, segments *segments) *entered {
	e := &entry{removed: never}
	e.added = in.uvarint()
	id := in.small()
	l := &e.place
	l.text, l.textLen, l.flate, l.flateLen = in.small(), in.small(), in.small(), in.small()
	l.crc = in.uint32()
	copy(e.hash[:], in.bytes(32))
	e.uri = string(in.rest())
	if !plainURI(e.uri) || int(l.textLen) < len(opening)+len(e.uri)+len(openEnd) || int(l.flateLen) < storedLen+len(opening)+len(e.uri)+len(openEnd) {
		in.bad = true
	}
	if !in.bad {
		l.segment = segments.known(id)
		l.segment.claim(*l)
	}
	return &entered{entry: e}
}

// reader takes numbers and bytes off the front of a record; once something is missing, bad stays set.
type reader struct {
	data []byte
	bad  bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.data)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *reader) small() uint32 {
	v := r.uvarint()
	if v > 1<<32-1 {
		r.bad = true
	}
	return uint32(v) // checked above
}

func (r *reader) uint32() uint32 {
	if b := r.bytes(4); !r.bad {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) bytes(n int) []byte {
	if len(r.data) < n {
		r.bad = true
		return nil
	}
	out := r.data[:n]
	r.data = r.data[n:]
	return out
}

func (r *reader) rest() []byte {
	out := r.data
	r.data = nil
	return out
}
