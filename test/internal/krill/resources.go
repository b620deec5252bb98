package krill

import (
	"net/netip"
	"slices"
	"strings"
)

// Resources are prefixes and AS numbers as words: "41.0.0.0/16", "2c0f:1::/32", "AS37100". They are taken away as they
// were given, so that no arithmetic of sets is needed.
type Resources []string

func ParseResources(text string) Resources { return strings.Fields(text) }

func (r Resources) With(more Resources) Resources { return slices.Concat(r, more) }

func (r Resources) Without(less Resources) Resources {
	return slices.DeleteFunc(slices.Clone(r), func(word string) bool { return slices.Contains(less, word) })
}

// Flags are those of krillc. Where there is nothing of a kind the flag is there and empty: without it Krill would keep
// what there was.
func (r Resources) Flags() []string {
	kinds := map[string][]string{}
	for _, word := range r {
		kinds[flagOf(word)] = append(kinds[flagOf(word)], word)
	}
	var out []string
	for _, flag := range []string{"--asn", "--ipv4", "--ipv6"} {
		out = append(out, flag, strings.Join(kinds[flag], ","))
	}
	return out
}

func flagOf(word string) string {
	prefix, err := netip.ParsePrefix(word)
	switch {
	case err != nil:
		return "--asn"
	case prefix.Addr().Is4():
		return "--ipv4"
	default:
		return "--ipv6"
	}
}

// FieldsOf takes a VRP apart: prefix, maxLength, and the origin without its AS.
func FieldsOf(vrp string) (prefix, maxLength, origin string) {
	fields := strings.Split(vrp, ",")
	return fields[0], fields[1], strings.TrimPrefix(fields[2], "AS")
}
