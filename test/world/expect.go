package main

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"cadastre/test/internal/delegated"
)

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
func expect(announcements []delegated.Announcement, first, second delegated.Registry) expected {
	e := expected{before: vrpSet{}, after: vrpSet{}, rest: map[string][]string{}}
	for _, a := range announcements {
		holder := first.HolderOf(a.Prefix)
		if holder == "" {
			continue
		}
		e.within++
		if delegated.IsSpecial(a.Origin) {
			e.refused++
			continue
		}
		vrp := line(a.Prefix, a.Origin)
		e.before[vrp] = true
		for _, p := range second.Left(a.Prefix, holder) {
			kept := line(p, a.Origin)
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
