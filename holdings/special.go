package holdings

import (
	"net/netip"
	"slices"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

// Special is an entry of one of IANA's special-purpose registries that nobody can hold. Entries that these registries call globally
// reachable, as those of AS112 (RFC 7534, RFC 7535), are not among them: they may be registered to a holder and have ROAs.
type Special struct {
	Resources inr.Set
	Name      string
	RFC       string
}

func block(prefix, name, rfc string) Special {
	return Special{inr.OfPrefix(netip.MustParsePrefix(prefix)), name, rfc}
}

// but is an entry without prefixes for which IANA has more specific entries that are globally reachable.
func (s Special) but(prefixes ...string) Special {
	for _, p := range prefixes {
		s.Resources = s.Resources.Minus(inr.OfPrefix(netip.MustParsePrefix(p)))
	}
	return s
}

func asns(first, last uint32, name, rfc string) Special {
	return Special{inr.OfAS(first, last), name, rfc}
}

// specials has the entries of IANA's IPv4, IPv6 and AS number special-purpose registries that are not globally reachable, those that are
// not in use any more, and the multicast blocks. Entries within another one here are left out.
var specials = []Special{
	block("0.0.0.0/8", "this network", "RFC 791, section 3.2"),
	block("10.0.0.0/8", "private use", "RFC 1918"),
	block("100.64.0.0/10", "shared address space", "RFC 6598"),
	block("127.0.0.0/8", "loopback", "RFC 1122, section 3.2.1.3"),
	block("169.254.0.0/16", "link local", "RFC 3927"),
	block("172.16.0.0/12", "private use", "RFC 1918"),
	block("192.0.0.0/24", "IETF protocol assignments", "RFC 6890, section 2.1").but("192.0.0.9/32", "192.0.0.10/32"),
	block("192.0.2.0/24", "documentation", "RFC 5737"),
	block("192.88.99.0/24", "6to4 relay anycast, deprecated", "RFC 7526"),
	block("192.168.0.0/16", "private use", "RFC 1918"),
	block("198.18.0.0/15", "benchmarking", "RFC 2544"),
	block("198.51.100.0/24", "documentation", "RFC 5737"),
	block("203.0.113.0/24", "documentation", "RFC 5737"),
	block("224.0.0.0/4", "multicast", "RFC 5771"),
	block("240.0.0.0/4", "reserved", "RFC 1112, section 4"),

	block("::/127", "unspecified and loopback", "RFC 4291"),
	block("::ffff:0:0/96", "IPv4-mapped", "RFC 4291"),
	block("64:ff9b:1::/48", "IPv4-IPv6 translation", "RFC 8215"),
	block("100::/64", "discard only", "RFC 6666"),
	block("100:0:0:1::/64", "dummy prefix", "RFC 9780"),
	block("2001::/23", "IETF protocol assignments", "RFC 2928").but(
		"2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:3::/32", "2001:4:112::/48", "2001:20::/28", "2001:30::/28"),
	block("2001:db8::/32", "documentation", "RFC 3849"),
	block("2002::/16", "6to4", "RFC 3056"),
	block("3fff::/20", "documentation", "RFC 9637"),
	block("5f00::/16", "SRv6 SIDs", "RFC 9602"),
	block("fc00::/7", "unique local", "RFC 4193"),
	block("fe80::/10", "link local", "RFC 4291"),
	block("ff00::/8", "multicast", "RFC 4291"),

	asns(0, 0, "AS 0", "RFC 7607"),
	asns(23456, 23456, "AS_TRANS", "RFC 6793"),
	asns(64496, 64511, "documentation", "RFC 5398"),
	asns(64512, 65534, "private use", "RFC 6996"),
	asns(65535, 65535, "the last 16-bit AS number", "RFC 7300"),
	asns(65536, 65551, "documentation", "RFC 5398"),
	asns(65552, 131071, "reserved", "IANA's AS number registry"),
	asns(4200000000, 4294967294, "private use", "RFC 6996"),
	asns(4294967295, 4294967295, "the last 32-bit AS number", "RFC 7300"),
}

var specialSpace = func() inr.Set {
	sets := make([]inr.Set, len(specials))
	for i, s := range specials {
		sets[i] = s.Resources
	}
	return inr.Sum(sets...)
}()

// Specials lists the special-purpose entries that a set overlaps.
func Specials(s inr.Set) []Special {
	if !specialSpace.Overlaps(s) {
		return nil
	}
	return slices.Collect(func(yield func(Special) bool) {
		for _, entry := range specials {
			if entry.Resources.Overlaps(s) && !yield(entry) {
				return
			}
		}
	})
}

// refuseSpecial fails with BadInput where a set overlaps a special-purpose entry, and names the first one.
func refuseSpecial(s inr.Set) error {
	if found := Specials(s); len(found) > 0 {
		return fault.New(fault.BadInput, "%s is special-purpose (%s, %s), not globally reachable, and can't be held", found[0].Resources.Intersect(s), found[0].Name, found[0].RFC)
	}
	return nil
}
