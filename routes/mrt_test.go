package routes_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"cadastre/routes"
)

// dump writes MRT as RFC 6396 and RFC 8050 say.
type dump struct {
	out   []byte
	peers []uint32
}

var dumped = time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)

// newDump begins with a table of peers, one for each AS: of IPv4 and IPv6, with AS numbers of two octets and of four.
func newDump(peers ...uint32) *dump {
	d := &dump{peers: peers}
	body := append([]byte{198, 51, 100, 1, 0, 4}, "view"...)
	body = binary.BigEndian.AppendUint16(body, uint16(len(peers)))
	for i, as := range peers {
		address, kind := make([]byte, 4), byte(0)
		if i%2 == 1 {
			address, kind = make([]byte, 16), 1
		}
		if as > 65535 || i%3 == 0 {
			body = append(body, kind|2, 10, 0, 0, byte(i))
			body = binary.BigEndian.AppendUint32(append(body, address...), as)
		} else {
			body = append(body, kind, 10, 0, 0, byte(i))
			body = binary.BigEndian.AppendUint16(append(body, address...), uint16(as))
		}
	}
	d.record(1, body)
	return d
}

func (d *dump) record(subtype uint16, body []byte) {
	d.out = binary.BigEndian.AppendUint32(d.out, uint32(dumped.Unix()))
	d.out = binary.BigEndian.AppendUint16(d.out, 13)
	d.out = binary.BigEndian.AppendUint16(d.out, subtype)
	d.out = append(binary.BigEndian.AppendUint32(d.out, uint32(len(body))), body...)
}

// path is a peer's path to a prefix.
type path struct {
	peer     uint16
	since    time.Time
	segments [][]byte
}

const (
	set       = 1
	sequence  = 2
	confedSeq = 3
)

func segment(kind byte, as ...uint32) []byte {
	s := []byte{kind, byte(len(as))}
	for _, n := range as {
		s = binary.BigEndian.AppendUint32(s, n)
	}
	return s
}

func (d *dump) prefix(text string, addPaths bool, paths ...path) {
	p := netip.MustParsePrefix(text)
	subtype := uint16(2)
	if p.Addr().Is6() {
		subtype = 4
	}
	if addPaths {
		subtype += 6
	}
	body := append([]byte{0, 0, 0, 9, byte(p.Bits())}, p.Addr().AsSlice()[:(p.Bits()+7)/8]...)
	body = binary.BigEndian.AppendUint16(body, uint16(len(paths)))
	for i, one := range paths {
		body = binary.BigEndian.AppendUint16(body, one.peer)
		body = binary.BigEndian.AppendUint32(body, uint32(one.since.Unix()))
		if addPaths {
			body = binary.BigEndian.AppendUint32(body, uint32(i))
		}
		path := slices.Concat(one.segments...)
		attributes := []byte{0x40, 1, 1, 0}                                           // ORIGIN
		attributes = append(attributes, 0x50, 2, byte(len(path)>>8), byte(len(path))) // AS_PATH, with extended length
		attributes = append(attributes, path...)
		attributes = append(attributes, 0x40, 3, 4, 192, 0, 2, 9) // NEXT_HOP
		body = binary.BigEndian.AppendUint16(body, uint16(len(attributes)))
		body = append(body, attributes...)
	}
	d.record(subtype, body)
}

func day(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }

// TestMRT: peers are counted once for each origin, the earliest time stays, and an AS_SET is no origin.
func TestMRT(t *testing.T) {
	d := newDump(64500, 4200000001, 64502)
	d.prefix("192.0.2.0/24", false,
		path{0, day(3), [][]byte{segment(sequence, 64500, 64496)}},
		path{1, day(1), [][]byte{segment(sequence, 4200000001, 3, 64496)}},
		path{2, day(2), [][]byte{segment(sequence, 64502, 4200000009)}})
	d.prefix("2001:db8::/33", true,
		path{0, day(4), [][]byte{segment(sequence, 64500, 64497)}},
		path{2, day(5), [][]byte{segment(sequence, 64502, 64498)}},
		path{0, day(6), [][]byte{segment(sequence, 64500, 7, 64497)}})
	d.prefix("0.0.0.0/0", false, path{1, day(1), nil})
	d.prefix("198.51.100.0/23", false,
		path{0, day(1), [][]byte{segment(sequence, 64500), segment(set, 1, 2)}},
		path{2, day(1), [][]byte{segment(sequence, 64502, 64499), segment(confedSeq, 65000)}})
	want := []routes.Announcement{
		{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Origin: 4200000001, Peers: 1, Since: day(1)},
		{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Origin: 64496, Peers: 2, Since: day(1)},
		{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Origin: 4200000009, Peers: 1, Since: day(2)},
		{Prefix: netip.MustParsePrefix("198.51.100.0/23"), Origin: 64502, Peers: 1, Since: day(1)},
		{Prefix: netip.MustParsePrefix("2001:db8::/33"), Origin: 64497, Peers: 1, Since: day(4)},
		{Prefix: netip.MustParsePrefix("2001:db8::/33"), Origin: 64498, Peers: 1, Since: day(5)},
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(d.out)
	_ = z.Close()
	for name, octets := range map[string][]byte{"plain": d.out, "gzip": packed.Bytes()} {
		got, err := routes.Read("rib", bytes.NewReader(octets), day(30))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if list := slices.Collect(got.All()); !slices.Equal(list, want) {
			t.Errorf("%s: %v\nwant %v", name, list, want)
		}
		if got.Left != 1 || !got.Time.Equal(dumped) {
			t.Errorf("%s: %d left out, of %s", name, got.Left, got.Time)
		}
	}
	if _, err := routes.Read("rib", bytes.NewReader(d.out[:len(d.out)-1]), day(30)); err == nil {
		t.Error("a file that was cut short is taken")
	}
}

func FuzzMRT(f *testing.F) {
	d := newDump(64500, 4200000001)
	d.prefix("192.0.2.0/24", false, path{0, day(3), [][]byte{segment(sequence, 64500, 64496)}})
	d.prefix("2001:db8::/33", true, path{1, day(4), [][]byte{segment(sequence, 1)}})
	f.Add(d.out)
	f.Fuzz(func(t *testing.T, octets []byte) { sound(t, octets) })
}

// sound reads octets, and what is read has to be read again from what it writes.
func sound(t *testing.T, octets []byte) {
	table, err := routes.Read("fuzz", bytes.NewReader(octets), day(1))
	if err != nil {
		return
	}
	var out bytes.Buffer
	if err := table.Write(&out); err != nil {
		t.Fatal(err)
	}
	again, err := routes.Read("again", &out, day(2))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(slices.Collect(table.All()), slices.Collect(again.All())) || again.Left != table.Left || !again.Time.Equal(table.Time) {
		t.Error("it is another table when it is read again")
	}
}
