package main

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// announcement is that an AS announces a prefix, which is what a holder would have authorised.
type announcement struct {
	prefix netip.Prefix
	origin uint64
}

func readAnnouncements(text []byte) ([]announcement, error) {
	var out []announcement
	for line := range strings.Lines(string(text)) {
		prefix, origin, _ := strings.Cut(strings.TrimSpace(line), ",AS")
		p, err := netip.ParsePrefix(prefix)
		if err != nil {
			return nil, err
		}
		asn, err := strconv.ParseUint(origin, 10, 32)
		if err != nil {
			return nil, err
		}
		out = append(out, announcement{p, asn})
	}
	return out, nil
}

// specialASNs are the ranges of AS numbers that no one can be given, from IANA's registry of special-purpose ones and
// what its AS number registry calls reserved.
var specialASNs = [][2]uint64{
	{0, 0}, {23456, 23456}, {64496, 64511}, {64512, 65534}, {65535, 65535}, {65536, 65551}, {65552, 131071},
	{4200000000, 4294967294}, {4294967295, 4294967295},
}

func isSpecial(asn uint64) bool {
	return slices.ContainsFunc(specialASNs, func(r [2]uint64) bool { return r[0] <= asn && asn <= r[1] })
}

// vrpSet is VRPs as lines, "prefix,maxlength,ASn".
type vrpSet map[string]bool

func (s vrpSet) sorted() []string { return slices.Sorted(maps.Keys(s)) }

func (s vrpSet) without(t vrpSet) vrpSet {
	out := vrpSet{}
	for v := range s {
		if !t[v] {
			out[v] = true
		}
	}
	return out
}

func setOf(lines []string) vrpSet {
	out := make(vrpSet, len(lines))
	for _, v := range lines {
		out[v] = true
	}
	return out
}

// expected is what must come out, computed from the inputs.
type expected struct {
	within  int                 // announcements that fall within what someone holds in the first file
	refused int                 // of those, how many have an AS number that no one can have
	before  vrpSet              // after the first file
	after   vrpSet              // after the second
	rest    map[string][]string // for a VRP of before that is not of after: what its holder keeps of it
}

// expect follows every announcement to its end: it stands while its holder holds the whole prefix, and then for what
// that holder still holds of it.
func expect(announcements []announcement, first, second registry) expected {
	e := expected{before: vrpSet{}, after: vrpSet{}, rest: map[string][]string{}}
	for _, a := range announcements {
		holder := first.holder(a.prefix)
		if holder == "" {
			continue
		}
		e.within++
		if isSpecial(a.origin) {
			e.refused++
			continue
		}
		vrp := line(a.prefix, a.origin)
		e.before[vrp] = true
		for _, p := range second.left(a.prefix, holder) {
			kept := line(p, a.origin)
			e.after[kept] = true
			if kept != vrp {
				e.rest[vrp] = append(e.rest[vrp], kept)
			}
		}
	}
	return e
}

// line is the VRP of a prefix whose maxLength is its own.
func line(p netip.Prefix, origin uint64) string {
	return fmt.Sprintf("%s,%d,AS%d", p, p.Bits(), origin)
}
