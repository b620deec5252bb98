package routes

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"slices"
	"time"

	"cadastre/internal/fault"
)

// MRT (RFC 6396). Types and subtypes that are read; every other is passed over.
const (
	mrtHeader   = 12 // octets: timestamp, type, subtype, length
	tableDumpV2 = 13 // section 4.3

	peerIndexTable  = 1
	ribIPv4         = 2
	ribIPv6         = 4
	ribIPv4AddPaths = 8 // RFC 8050
	ribIPv6AddPaths = 10

	// maxRecord is how long a record may be: a table of 65,535 peers has 1.5 MB.
	maxRecord = 8 << 20

	attributeASPath = 2
	asSequence      = 2 // RFC 4271, section 4.3; RFC 5065 for confederations
	asConfedSet     = 4
	asConfedSeq     = 3
)

// isMRT tells whether a file begins as MRT with TABLE_DUMP_V2, or with another type of MRT, which is an error then.
func isMRT(start []byte) bool {
	return len(start) >= mrtHeader && start[4] == 0 && (start[5] == tableDumpV2 || start[5] == 12 || start[5] == 16 || start[5] == 17)
}

// mrtReader reads records. Who writes them is not trusted: no length that they say is believed beyond what there is.
type mrtReader struct {
	in    *bufio.Reader
	head  [mrtHeader]byte
	body  []byte
	peers []uint32 // the AS of each, by index
	found gatherer
	at    time.Time
	seen  []sighting // of the present record
}

// sighting is that a peer sees a prefix announced by an AS.
type sighting struct {
	origin, since uint32
	peer          uint16
}

// readMRT reads a table from MRT. Its time is that of the last table of peers.
func readMRT(in *bufio.Reader, at time.Time) (*Table, error) {
	m := mrtReader{in: in, at: at}
	for number := 1; ; number++ {
		switch err := m.record(); {
		case errors.Is(err, io.EOF):
			if m.peers == nil {
				return nil, fault.New(fault.BadInput, "it has no table of routes (TABLE_DUMP_V2): take a RIB or bview file, not one of updates")
			}
			return m.found.table(m.at), nil
		case err != nil:
			return nil, fault.New(fault.BadInput, "record %d of MRT can't be read (%w): fetch it again", number, err)
		}
	}
}

var (
	errShort = errors.New("it ends too early")
	errMany  = errors.New("it has more announcements than the limit")
)

// record reads one record. It is io.EOF where there is none.
func (m *mrtReader) record() error {
	header := m.head[:]
	if _, err := io.ReadFull(m.in, header); err != nil {
		if err == io.ErrUnexpectedEOF {
			return errShort
		}
		return err
	}
	length := int64(binary.BigEndian.Uint32(header[8:]))
	if length > maxRecord {
		return errTooLarge
	}
	if int64(cap(m.body)) < length {
		m.body = make([]byte, length, max(length, 64<<10))
	}
	m.body = m.body[:length]
	if _, err := io.ReadFull(m.in, m.body); err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return errShort
		}
		return err
	}
	if binary.BigEndian.Uint16(header[4:]) != tableDumpV2 {
		return nil
	}
	switch binary.BigEndian.Uint16(header[6:]) {
	case peerIndexTable:
		m.at = time.Unix(int64(binary.BigEndian.Uint32(header)), 0).UTC()
		return m.peerIndex()
	case ribIPv4:
		return m.rib(32, false)
	case ribIPv6:
		return m.rib(128, false)
	case ribIPv4AddPaths:
		return m.rib(32, true)
	case ribIPv6AddPaths:
		return m.rib(128, true)
	}
	return nil
}

// cut takes octets from the front of what is left; ok is false where there are not so many.
func cut(rest *[]byte, n int) (part []byte, ok bool) {
	if len(*rest) < n {
		return nil, false
	}
	part, *rest = (*rest)[:n], (*rest)[n:]
	return part, true
}

// peerIndex reads PEER_INDEX_TABLE (RFC 6396, section 4.3.1).
func (m *mrtReader) peerIndex() error {
	rest := m.body
	start, ok := cut(&rest, 6)
	if !ok {
		return errShort
	}
	if _, ok = cut(&rest, int(binary.BigEndian.Uint16(start[4:]))); !ok {
		return errShort
	}
	count, ok := cut(&rest, 2)
	if !ok {
		return errShort
	}
	m.peers = make([]uint32, 0, min(int(binary.BigEndian.Uint16(count)), len(rest)))
	for range binary.BigEndian.Uint16(count) {
		kind, ok := cut(&rest, 1)
		if !ok {
			return errShort
		}
		address, as := 4, 2
		if kind[0]&1 != 0 {
			address = 16
		}
		if kind[0]&2 != 0 {
			as = 4
		}
		peer, ok := cut(&rest, 4+address+as)
		if !ok {
			return errShort
		}
		if as == 2 {
			m.peers = append(m.peers, uint32(binary.BigEndian.Uint16(peer[4+address:])))
		} else {
			m.peers = append(m.peers, binary.BigEndian.Uint32(peer[4+address:]))
		}
	}
	return nil
}

// rib reads the RIB entries of one prefix (RFC 6396, section 4.3.2), whose address has so many bits.
func (m *mrtReader) rib(width int, addPaths bool) error {
	if m.peers == nil {
		return errors.New("it comes before the table of peers")
	}
	rest := m.body
	start, ok := cut(&rest, 5)
	if !ok {
		return errShort
	}
	bits := int(start[4])
	if bits > width {
		return errors.New("its prefix is longer than an address")
	}
	var address [16]byte
	octets, ok := cut(&rest, (bits+7)/8)
	if !ok {
		return errShort
	}
	copy(address[:], octets)
	at := netip.AddrFrom16(address)
	if width == 32 {
		at = netip.AddrFrom4([4]byte(address[:4]))
	}
	prefix := netip.PrefixFrom(at, bits).Masked()
	count, ok := cut(&rest, 2)
	if !ok {
		return errShort
	}
	m.seen = m.seen[:0]
	for range binary.BigEndian.Uint16(count) {
		if err := m.entry(&rest, addPaths); err != nil {
			return err
		}
	}
	return m.gather(prefix)
}

// entry reads one RIB entry (RFC 6396, section 4.3.4): peer, time, and the attributes, of which AS_PATH is looked at alone.
func (m *mrtReader) entry(rest *[]byte, addPaths bool) error {
	size := 8
	if addPaths {
		size = 12
	}
	start, ok := cut(rest, size)
	if !ok {
		return errShort
	}
	attributes, ok := cut(rest, int(binary.BigEndian.Uint16(start[size-2:])))
	if !ok {
		return errShort
	}
	peer := binary.BigEndian.Uint16(start)
	if int(peer) >= len(m.peers) {
		return errors.New("it names a peer that there is none of")
	}
	origin, ok := originOf(attributes, m.peers[peer])
	if !ok {
		if m.found.left++; m.found.left > maxLeft {
			return errMany
		}
		return nil
	}
	m.seen = append(m.seen, sighting{origin, binary.BigEndian.Uint32(start[2:]), peer})
	return nil
}

// gather adds what the entries of a prefix say: for each origin how many peers see it, and the earliest time.
func (m *mrtReader) gather(prefix netip.Prefix) error {
	order := func(a, b sighting) int { return cmp.Or(cmp.Compare(a.origin, b.origin), cmp.Compare(a.peer, b.peer)) }
	if !slices.IsSortedFunc(m.seen, order) {
		slices.SortFunc(m.seen, order)
	}
	for i := 0; i < len(m.seen); {
		origin, since, peers, last := m.seen[i].origin, m.seen[i].since, 0, -1
		for ; i < len(m.seen) && m.seen[i].origin == origin; i++ {
			since = min(since, m.seen[i].since)
			if int(m.seen[i].peer) != last {
				last, peers = int(m.seen[i].peer), peers+1
			}
		}
		if !m.found.add(prefix, origin, peers, since) {
			return errMany
		}
	}
	return nil
}

// originOf is the route's origin AS (RFC 6811, section 2): the last AS of AS_PATH, if its last segment is an AS_SEQUENCE. An empty path, or one
// that ends in a confederation, is of the peer's own AS. It is false for an AS_SET, which no VRP can match, and for attributes that can't
// be read, which one peer can send without spoiling the rest.
func originOf(attributes []byte, own uint32) (origin uint32, ok bool) {
	for len(attributes) > 0 {
		start, ok := cut(&attributes, 3)
		if !ok {
			return 0, false
		}
		length := int(start[2])
		if start[0]&0x10 != 0 { // extended length (RFC 4271, section 4.3)
			more, ok := cut(&attributes, 1)
			if !ok {
				return 0, false
			}
			length = length<<8 | int(more[0])
		}
		value, ok := cut(&attributes, length)
		if !ok {
			return 0, false
		}
		if start[1] == attributeASPath {
			return lastOf(value, own)
		}
	}
	return 0, false
}

// lastOf is the origin of an AS_PATH, whose AS numbers have four octets (RFC 6396, section 4.3.4).
func lastOf(path []byte, own uint32) (origin uint32, ok bool) {
	origin, ok = own, true
	for len(path) > 0 {
		start, whole := cut(&path, 2)
		if !whole {
			return 0, false
		}
		list, whole := cut(&path, 4*int(start[1]))
		switch {
		case !whole:
			return 0, false
		case start[0] == asSequence && len(list) > 0:
			origin, ok = binary.BigEndian.Uint32(list[len(list)-4:]), true
		case start[0] == asConfedSeq || start[0] == asConfedSet || start[0] == asSequence:
			origin, ok = own, true
		default:
			origin, ok = 0, false
		}
	}
	return origin, ok
}
