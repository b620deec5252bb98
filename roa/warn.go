package roa

import (
	"fmt"
	"math/big"
	"net/netip"
	"slices"

	"cadastre/internal/inr"
	"cadastre/routes"
)

// Warning is something unwise about a row that was taken.
type Warning struct {
	Row  Row
	Text string
	// Opened is the space in which an attacker could announce more specific prefixes, which nobody announces now, with the origin AS (RFC
	// 9319, section 3); empty for other warnings.
	Opened inr.Set
}

// The longest prefixes that networks generally accept from each other.
const (
	longestV4 = 24
	longestV6 = 48
)

// warnings finds what to warn of in rows, by the other rows, the book, and what is announced.
func (b *Book) warnings(rows []Row, announced []*routes.Table) []Warning {
	var found []Warning
	known := map[uint32]prefixes{} // by origin, gathered for those that need it
	for _, row := range rows {
		if row.MaxLength > row.Prefix.Bits() {
			known[row.Origin] = nil
		}
	}
	for _, row := range rows {
		if _, needed := known[row.Origin]; !needed {
			continue
		}
		known[row.Origin] = append(known[row.Origin], row.Prefix)
		if row.MaxLength == row.Prefix.Bits() {
			continue
		}
		for _, table := range announced {
			for a := range table.Covered(row.Prefix) {
				if a.Origin == row.Origin {
					known[row.Origin] = append(known[row.Origin], a.Prefix)
				}
			}
		}
	}
	for origin := range known {
		all := slices.Concat(known[origin], b.origins[origin])
		all.sort()
		known[origin] = slices.Compact(all)
	}
	for _, row := range rows {
		longest := longestV4
		if row.Prefix.Addr().Is6() {
			longest = longestV6
		}
		if row.Origin == 0 {
			continue // nobody may announce it (RFC 7607), at whatever length
		}
		if row.Prefix.Bits() > longest {
			found = append(found, Warning{Row: row, Text: fmt.Sprintf("%s is longer than /%d and will hardly be accepted anywhere", row.Prefix, longest)})
		}
		if opened := opens(row, known[row.Origin]); !opened.Empty() {
			found = append(found, Warning{Row: row, Opened: opened, Text: fmt.Sprintf(
				"maxLength %d of %s lets anyone who forges AS%d announce more specifics of %s that are not announced (RFC 9319)",
				row.MaxLength, row.Prefix, row.Origin, amount(opened, row))})
		}
	}
	return found
}

// opens is the part of a row's prefix in which an attacker could announce more specific prefixes with the origin AS. It is the whole prefix
// without known routes that are as long as the maxLength or longer: nothing that the row authorises is more specific than these.
func opens(row Row, known prefixes) inr.Set {
	whole := inr.OfPrefix(row.Prefix)
	if row.MaxLength == row.Prefix.Bits() {
		return inr.Set{}
	}
	var taken []inr.IPRange
	at, _ := slices.BinarySearchFunc(known, row.Prefix, netip.Prefix.Compare)
	for _, p := range known[at:] {
		if !row.Prefix.Contains(p.Addr()) {
			break
		}
		if p.Bits() >= row.MaxLength {
			taken = append(taken, inr.RangeOf(p))
		}
	}
	return whole.Minus(inr.Of(taken, nil))
}

// amount says how much a set is: how many prefixes of the row's maxLength.
func amount(opened inr.Set, row Row) string {
	var slots big.Int
	for _, p := range opened.Prefixes() {
		if bits := row.MaxLength - p.Bits(); bits >= 0 {
			slots.Add(&slots, new(big.Int).Lsh(big.NewInt(1), uint(bits)))
		} else {
			slots.Add(&slots, big.NewInt(1))
		}
	}
	if opened.Equal(inr.OfPrefix(row.Prefix)) {
		return fmt.Sprintf("all of its %s /%d", &slots, row.MaxLength)
	}
	return fmt.Sprintf("%s of its /%d", &slots, row.MaxLength)
}
