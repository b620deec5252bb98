package delegated

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Announcement is that an AS announces a prefix, which is what a holder would have authorised.
type Announcement struct {
	Prefix netip.Prefix
	Origin uint64
}

// ReadAnnouncements reads lines of prefix,ASn.
func ReadAnnouncements(text []byte) ([]Announcement, error) {
	var out []Announcement
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
		out = append(out, Announcement{p, asn})
	}
	return out, nil
}

// specialASNs are the ranges of AS numbers that no one can be given, from IANA's registry of special-purpose ones and
// what its AS number registry calls reserved.
var specialASNs = [][2]uint64{
	{0, 0}, {23456, 23456}, {64496, 64511}, {64512, 65534}, {65535, 65535}, {65536, 65551}, {65552, 131071},
	{4200000000, 4294967294}, {4294967295, 4294967295},
}

// IsSpecial tells whether nobody can be given an AS number.
func IsSpecial(asn uint64) bool {
	return slices.ContainsFunc(specialASNs, func(r [2]uint64) bool { return r[0] <= asn && asn <= r[1] })
}
