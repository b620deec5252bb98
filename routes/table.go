// Package routes keeps what is announced in BGP: which AS announces which prefix, how many peers of a route collector see it, and since when.
// It reads that from RIS whois dumps, MRT (TABLE_DUMP_V2), CSV and JSON, and finds what a prefix covers.
//
// It knows nothing of who holds a prefix or authorises an AS: what an announcement becomes by a change of ROAs is package roa's to say.
package routes

import (
	"cmp"
	"encoding/binary"
	"iter"
	"math"
	"net/netip"
	"slices"
	"time"
)

// Announcement is a route as it is seen in BGP: a prefix and the AS that originates it (RFC 6811, section 2).
type Announcement struct {
	Prefix netip.Prefix `json:"prefix"` // masked
	Origin uint32       `json:"asn"`
	Peers  int          `json:"peers,omitempty"` // of route collectors that see it; 0: not known, 65535: as many or more
	Since  time.Time    `json:"since,omitzero"`  // the earliest time that it is known to have been seen; zero: not known
}

// Key is the prefix and the AS alone, which tell an announcement from all others.
func (a Announcement) Key() Announcement { return Announcement{Prefix: a.Prefix, Origin: a.Origin} }

// Compare orders announcements by family, address, length and AS number.
func (a Announcement) Compare(b Announcement) int {
	return cmp.Or(a.Prefix.Addr().Compare(b.Prefix.Addr()), cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()), cmp.Compare(a.Origin, b.Origin))
}

// entry is an announcement in 32 bytes. An IPv4 address is in the upper half of hi.
type entry struct {
	hi, lo uint64
	origin uint32
	since  uint32 // seconds since 1970; 0: not known
	peers  uint16
	bits   uint8
}

// compare orders entries of one family by address, length and AS number.
func (e entry) compare(f entry) int {
	return cmp.Or(cmp.Compare(e.hi, f.hi), cmp.Compare(e.lo, f.lo), cmp.Compare(e.bits, f.bits), cmp.Compare(e.origin, f.origin))
}

func family(p netip.Prefix) int {
	if p.Addr().Is4() {
		return 0
	}
	return 1
}

// entryOf is the entry of a prefix that is masked.
func entryOf(p netip.Prefix, origin uint32) entry {
	e := entry{origin: origin, bits: uint8(p.Bits())} // at most 128
	if p.Addr().Is4() {
		four := p.Addr().As4()
		e.hi = uint64(binary.BigEndian.Uint32(four[:])) << 32
		return e
	}
	all := p.Addr().As16()
	e.hi, e.lo = binary.BigEndian.Uint64(all[:8]), binary.BigEndian.Uint64(all[8:])
	return e
}

func (e entry) prefix(family int) netip.Prefix {
	var all [16]byte
	binary.BigEndian.PutUint64(all[:8], e.hi)
	binary.BigEndian.PutUint64(all[8:], e.lo)
	if family == 0 {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(all[:4])), int(e.bits))
	}
	return netip.PrefixFrom(netip.AddrFrom16(all), int(e.bits))
}

func (e entry) announcement(family int) Announcement {
	a := Announcement{Prefix: e.prefix(family), Origin: e.origin, Peers: int(e.peers)}
	if e.since != 0 {
		a.Since = time.Unix(int64(e.since), 0).UTC()
	}
	return a
}

// Table is the announcements of one time, sorted. It does not change once it is made. A nil Table is empty.
type Table struct {
	Time time.Time // when all of this was announced; of several sources the oldest
	Left int       // lines and entries that were left out: those without a single origin AS (AS_SET)

	of      [2][]entry     // of IPv4 and of IPv6, sorted, each once
	lengths [2][129]uint32 // how many there are of each length
}

// Len is how many announcements there are.
func (t *Table) Len() int {
	if t == nil {
		return 0
	}
	return len(t.of[0]) + len(t.of[1])
}

// Counts is how many announcements there are of IPv4 and of IPv6.
func (t *Table) Counts() (v4, v6 int) {
	if t == nil {
		return 0, 0
	}
	return len(t.of[0]), len(t.of[1])
}

// All yields every announcement, in order.
func (t *Table) All() iter.Seq[Announcement] {
	return func(yield func(Announcement) bool) {
		if t == nil {
			return
		}
		for family, list := range t.of {
			for _, e := range list {
				if !yield(e.announcement(family)) {
					return
				}
			}
		}
	}
}

// Covered yields the announcements of a prefix and of those that are more specific, in order.
func (t *Table) Covered(p netip.Prefix) iter.Seq[Announcement] {
	return func(yield func(Announcement) bool) {
		if t == nil || !p.IsValid() {
			return
		}
		family := family(p)
		list, first := t.of[family], entryOf(p.Masked(), 0)
		at, _ := slices.BinarySearchFunc(list, first, entry.compare)
		for _, e := range list[at:] {
			if !first.covers(e) || !yield(e.announcement(family)) {
				return
			}
		}
	}
}

// covers tells whether the prefix of an entry of the same family is within this one's. It is at least as long.
func (e entry) covers(f entry) bool {
	if e.bits <= 64 {
		return (e.hi^f.hi)>>(64-e.bits) == 0 // a shift by 64 is 0
	}
	return e.hi == f.hi && (e.lo^f.lo)>>(128-e.bits) == 0
}

// Covering yields the announcements of prefixes that a prefix is within and that are less specific, the shortest first.
func (t *Table) Covering(p netip.Prefix) iter.Seq[Announcement] {
	return func(yield func(Announcement) bool) {
		if t == nil || !p.IsValid() {
			return
		}
		family := family(p)
		for bits := range p.Bits() {
			if t.lengths[family][bits] == 0 {
				continue
			}
			wanted := entryOf(netip.PrefixFrom(p.Addr(), bits).Masked(), 0)
			list := t.of[family]
			at, _ := slices.BinarySearchFunc(list, wanted, entry.compare)
			for ; at < len(list) && list[at].hi == wanted.hi && list[at].lo == wanted.lo && list[at].bits == wanted.bits; at++ {
				if !yield(list[at].announcement(family)) {
					return
				}
			}
		}
	}
}

// Overlapping yields the announcements that have an address in common with a prefix: Covering, then Covered.
func (t *Table) Overlapping(p netip.Prefix) iter.Seq[Announcement] {
	return func(yield func(Announcement) bool) {
		for _, some := range []iter.Seq[Announcement]{t.Covering(p), t.Covered(p)} {
			for a := range some {
				if !yield(a) {
					return
				}
			}
		}
	}
}

// Find is the announcement of a prefix by an AS.
func (t *Table) Find(p netip.Prefix, origin uint32) (Announcement, bool) {
	if t == nil || !p.IsValid() {
		return Announcement{}, false
	}
	family := family(p)
	at, found := slices.BinarySearchFunc(t.of[family], entryOf(p.Masked(), origin), entry.compare)
	if !found {
		return Announcement{}, false
	}
	return t.of[family][at].announcement(family), true
}

// Most is how many announcements a table may have; today's Internet has 1,250,000.
const Most = 8_000_000

// gatherer makes a table.
type gatherer struct {
	of   [2][]entry
	left int
}

// add adds an announcement, and is false where there are too many. One that is the same as the last is joined with it: the peers of both see it.
func (g *gatherer) add(p netip.Prefix, origin uint32, peers int, since uint32) bool {
	e := entryOf(p.Masked(), origin)
	e.peers, e.since = uint16(min(max(peers, 0), math.MaxUint16)), since
	family := family(p)
	list := g.of[family]
	if n := len(list); n > 0 && list[n-1].compare(e) == 0 {
		list[n-1] = list[n-1].with(e)
		return true
	}
	if len(g.of[0])+len(g.of[1]) >= Most {
		return false
	}
	g.of[family] = append(list, e)
	return true
}

// with is an entry that two sources have: the peers of both see it.
func (e entry) with(f entry) entry {
	e.peers = uint16(min(int(e.peers)+int(f.peers), math.MaxUint16))
	if e.since == 0 || f.since != 0 && f.since < e.since {
		e.since = f.since
	}
	return e
}

// table sorts what was gathered.
func (g *gatherer) table(at time.Time) *Table {
	t := &Table{Time: at, Left: g.left, of: g.of}
	for family, list := range t.of {
		if !slices.IsSortedFunc(list, entry.compare) {
			slices.SortFunc(list, entry.compare)
		}
		kept := list[:0]
		for _, e := range list {
			if n := len(kept); n > 0 && kept[n-1].compare(e) == 0 {
				kept[n-1] = kept[n-1].with(e)
			} else {
				kept = append(kept, e)
			}
		}
		t.of[family] = slices.Clip(kept)
	}
	t.count()
	return t
}

func (t *Table) count() {
	for family, list := range t.of {
		for _, e := range list {
			t.lengths[family][e.bits]++
		}
	}
}

// Of makes a table of announcements.
func Of(at time.Time, list ...Announcement) *Table {
	var g gatherer
	for _, a := range list {
		g.add(a.Prefix, a.Origin, a.Peers, seconds(a.Since))
	}
	return g.table(at)
}

// seconds is a time as entries have it.
func seconds(at time.Time) uint32 {
	if unix := at.Unix(); !at.IsZero() && unix > 0 && unix <= math.MaxUint32 {
		return uint32(unix)
	}
	return 0
}

// Merge is the tables of several sources as one: what several have is there once, with the peers of all. Tables that are nil are left out;
// it is nil where all are.
func Merge(tables ...*Table) *Table {
	tables = slices.DeleteFunc(slices.Clone(tables), func(t *Table) bool { return t == nil })
	switch len(tables) {
	case 0:
		return nil
	case 1:
		return tables[0]
	}
	var g gatherer
	at := tables[0].Time
	for _, t := range tables {
		g.left += t.Left
		if t.Time.Before(at) {
			at = t.Time
		}
		for family := range g.of {
			g.of[family] = append(g.of[family], t.of[family]...)
		}
	}
	return g.table(at)
}

// after sets since when the announcements of a table are seen, which takes the place of an old one: what the old one has too is seen since its
// time there, if that is earlier. What says no time is seen since the table's. It changes the table and returns it.
func (t *Table) after(old *Table) *Table {
	now := seconds(t.Time)
	for family, list := range t.of {
		var was []entry
		if old != nil {
			was = old.of[family]
		}
		at := 0
		for i := range list {
			for at < len(was) && was[at].compare(list[i]) < 0 {
				at++
			}
			if list[i].since == 0 {
				list[i].since = now
			}
			if at < len(was) && was[at].compare(list[i]) == 0 && was[at].since != 0 {
				list[i].since = min(list[i].since, was[at].since)
			}
		}
	}
	return t
}

// visible is the table without what fewer peers see than some. What says no number of peers stays.
func (t *Table) visible(fewest int) *Table {
	if t == nil || fewest <= 0 {
		return t
	}
	v := &Table{Time: t.Time, Left: t.Left}
	for family, list := range t.of {
		for _, e := range list {
			if e.peers == 0 || int(e.peers) >= fewest {
				v.of[family] = append(v.of[family], e)
			}
		}
	}
	v.count()
	return v
}
