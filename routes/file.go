package routes

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/cespare/xxhash/v2"

	"cadastre/internal/fault"
)

// ownMagic begins a table as Write writes it.
const ownMagic = "cadastre routes 1\n"

// ownEntry is how many octets an announcement has in it.
const ownEntry = 8 + 8 + 4 + 4 + 2 + 1

// ownHeader says what follows.
type ownHeader struct {
	Time time.Time `json:"time"`
	Left int       `json:"left,omitempty"`
	V4   int       `json:"v4"`
	V6   int       `json:"v6"`
}

// Write writes the table in a form of its own that Read reads in a moment: a line that names it, a line of JSON, 27 octets for each announcement,
// and a checksum against accidents (XXH64).
func (t *Table) Write(out io.Writer) error {
	sum := xxhash.New()
	to := bufio.NewWriterSize(io.MultiWriter(out, sum), 256<<10)
	h := ownHeader{Time: t.Time, Left: t.Left, V4: len(t.of[0]), V6: len(t.of[1])}
	line, err := json.Marshal(h)
	if err != nil {
		return err
	}
	_, _ = to.WriteString(ownMagic) // errors are kept by the writer
	_, _ = to.Write(append(line, '\n'))
	for _, list := range t.of {
		for _, e := range list {
			var o [ownEntry]byte
			binary.BigEndian.PutUint64(o[:], e.hi)
			binary.BigEndian.PutUint64(o[8:], e.lo)
			binary.BigEndian.PutUint32(o[16:], e.origin)
			binary.BigEndian.PutUint32(o[20:], e.since)
			binary.BigEndian.PutUint16(o[24:], e.peers)
			o[26] = e.bits
			_, _ = to.Write(o[:])
		}
	}
	if err := to.Flush(); err != nil {
		return err
	}
	_, err = out.Write(binary.BigEndian.AppendUint64(nil, sum.Sum64()))
	return err
}

// readOwn reads what Write writes. It believes nothing: what is out of order or has bits beyond its length is refused.
func readOwn(in *bufio.Reader) (*Table, error) {
	damaged := func(what string) error {
		return fault.New(fault.BadInput, "it is damaged (%s): import or fetch the announcements again", what)
	}
	sum := xxhash.New()
	line, err := in.ReadSlice('\n')
	if err != nil || string(line) != ownMagic {
		return nil, damaged("its first line")
	}
	_, _ = sum.Write(line)
	if line, err = in.ReadSlice('\n'); err != nil {
		return nil, damaged("its header")
	}
	_, _ = sum.Write(line)
	var h ownHeader
	if err := json.Unmarshal(line, &h); err != nil || h.V4 < 0 || h.V6 < 0 || h.V4 > Most || h.V6 > Most || h.V4+h.V6 > Most || h.Left < 0 {
		return nil, damaged("its header")
	}
	t := &Table{Time: h.Time, Left: h.Left}
	for family, count := range [2]int{h.V4, h.V6} {
		list := make([]entry, 0, min(count, 1<<16))
		for range count {
			var o [ownEntry]byte
			if _, err := io.ReadFull(in, o[:]); err != nil {
				return nil, damaged("its end is missing")
			}
			_, _ = sum.Write(o[:])
			e := entry{
				hi: binary.BigEndian.Uint64(o[:]), lo: binary.BigEndian.Uint64(o[8:]), origin: binary.BigEndian.Uint32(o[16:]),
				since: binary.BigEndian.Uint32(o[20:]), peers: binary.BigEndian.Uint16(o[24:]), bits: o[26],
			}
			if n := len(list); int(e.bits) > [2]int{32, 128}[family] || e.masked(family) != e || n > 0 && list[n-1].compare(e) >= 0 {
				return nil, damaged("its order")
			}
			list = append(list, e)
		}
		t.of[family] = list
	}
	var told [8]byte
	if _, err := io.ReadFull(in, told[:]); err != nil {
		return nil, damaged("its end is missing")
	}
	if binary.BigEndian.Uint64(told[:]) != sum.Sum64() {
		return nil, damaged("its checksum")
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		return nil, damaged("something follows its end")
	}
	t.count()
	return t, nil
}

// masked is the entry without bits beyond its length.
func (e entry) masked(family int) entry {
	m := entryOf(e.prefix(family).Masked(), e.origin)
	m.since, m.peers = e.since, e.peers
	return m
}
