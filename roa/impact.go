package roa

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"cadastre/holdings"
	"cadastre/routes"
)

// Impact is an announcement whose state changes with VRPs.
type Impact struct {
	routes.Announcement
	Was     Validity `json:"was"`
	Now     Validity `json:"now"`
	By      []string `json:"by"`                // the VRPs that cover it then
	Ignored bool     `json:"ignored,omitempty"` // an operator said that it does not matter
}

// Breaks tells whether the announcement turns invalid.
func (i Impact) Breaks() bool { return i.Now.Invalid() && !i.Was.Invalid() }

// String says it in a sentence.
func (i Impact) String() string {
	text := fmt.Sprintf("the announcement of %s by AS%d would be %s (it is %s)", i.Prefix, i.Origin, i.Now, i.Was)
	if i.Breaks() {
		text += "; what covers it then: " + strings.Join(i.By[:min(3, len(i.By))], ", ")
	}
	return text
}

// order puts what turns invalid first, then what ceases to be invalid, then the rest, each in the order of announcements.
func (i Impact) order(j Impact) int {
	rank := func(x Impact) int {
		switch {
		case x.Breaks():
			return 0
		case x.Was.Invalid() && !x.Now.Invalid():
			return 1
		}
		return 2
	}
	return cmp.Or(cmp.Compare(rank(i), rank(j)), i.Compare(j.Announcement))
}

// Impacts lists the announcements whose state (RFC 6811) changes when VRPs take the place of others, those that turn invalid first. Before and
// after are the VRPs of each holder that the change touches, each once for each holder that has it. What is announced is what the tables say,
// of which some may be nil.
func (b *Book) Impacts(l *holdings.Ledger, before, after []VRP, tables ...*routes.Table) []Impact {
	net := map[VRP]int{}
	for _, v := range after {
		net[v]++
	}
	for _, v := range before {
		net[v]--
	}
	var gained, lost Table
	var touched []netip.Prefix
	for v, n := range net {
		of := &gained
		if n < 0 {
			of, n = &lost, -n
		}
		for range n {
			of.Add(v)
		}
		if n != 0 {
			touched = append(touched, v.Prefix)
		}
	}
	slices.SortFunc(touched, func(p, q netip.Prefix) int {
		return cmp.Or(p.Addr().Compare(q.Addr()), cmp.Compare(p.Bits(), q.Bits()))
	})
	var found []Impact
	seen := map[routes.Announcement]bool{}
	var last netip.Prefix
	for _, p := range touched {
		if last.IsValid() && last.Bits() <= p.Bits() && last.Contains(p.Addr()) {
			continue // what it covers was looked at
		}
		last = p
		for i, table := range tables {
			for a := range table.Covered(p) {
				if seen[a.Key()] {
					continue // another table has it
				}
				if i+1 < len(tables) {
					seen[a.Key()] = true
				}
				if impact, changes := b.impact(l, a, &gained, &lost); changes {
					found = append(found, impact)
				}
			}
		}
	}
	slices.SortFunc(found, Impact.order)
	return found
}

// impact is what becomes of one announcement, and whether its state changes.
func (b *Book) impact(l *holdings.Ledger, a routes.Announcement, gained, lost *Table) (Impact, bool) {
	var t Table
	for _, v := range b.Covering(l, a.Prefix) {
		t.Add(v)
	}
	was := t.Validity(a)
	for _, v := range lost.Covering(a.Prefix) {
		t.Remove(v)
	}
	for _, v := range gained.Covering(a.Prefix) {
		t.Add(v)
	}
	now := t.Validity(a)
	if was == now {
		return Impact{}, false
	}
	return Impact{Announcement: a, Was: was, Now: now, By: Lines(t.Covering(a.Prefix))}, true
}

// ValidityOf is the state of an announcement by what is authorised now, and the VRPs that cover it.
func (b *Book) ValidityOf(l *holdings.Ledger, a routes.Announcement) (Validity, []VRP) {
	covering := b.Covering(l, a.Prefix)
	return validity(a, covering), Unique(covering)
}
