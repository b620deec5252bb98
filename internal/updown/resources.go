package updown

import (
	"strconv"
	"strings"

	"cadastre/internal/inr"
	"cadastre/internal/wirexml"
)

// Resource sets are texts without white space (section 3.3.2): AS numbers and ranges of them without "AS"
// ("64496,64500-64510"), prefixes and ranges of addresses ("192.0.2.0/24,198.51.100.0-198.51.100.9").
//
// Tolerated: Krill writes "AS64496, AS64500-AS64510", and a space behind the commas of addresses too.

// readResources takes the three resource sets of a class.
func readResources(element *wirexml.Element) inr.Set {
	as, _ := readAS(element, "resource_set_as")
	v4, _ := readIP(element, "resource_set_ipv4")
	v6, _ := readIP(element, "resource_set_ipv6")
	return inr.Set{V4: v4.V4, V6: v6.V6, AS: as.AS}
}

// readLimit takes the resource sets of what was asked for, each of which may be missing.
func readLimit(element *wirexml.Element) Limit {
	var limit Limit
	if set, ok := readAS(element, "req_resource_set_as"); ok {
		limit.AS = &set
	}
	if set, ok := readIP(element, "req_resource_set_ipv4"); ok {
		limit.IPv4 = &set
	}
	if set, ok := readIP(element, "req_resource_set_ipv6"); ok {
		limit.IPv6 = &set
	}
	return limit
}

func readAS(element *wirexml.Element, attribute string) (inr.Set, bool) {
	text, ok := element.Optional(attribute, maxResourceSet)
	var ranges []inr.ASRange
	for word := range words(text) {
		first, last, isRange := strings.Cut(word, "-")
		if !isRange {
			last = first
		}
		f, err1 := inr.ParseAS(first)
		l, err2 := inr.ParseAS(last)
		if err1 != nil || err2 != nil || f > l {
			element.Fail("its %s has %.40q, which is no AS number or range of them like 64500-64510", attribute, word)
			break
		}
		ranges = append(ranges, inr.ASRange{First: f, Last: l})
	}
	return inr.Of(nil, ranges), ok
}

// readIP takes a set of addresses of the family that the name of the attribute ends with.
func readIP(element *wirexml.Element, attribute string) (inr.Set, bool) {
	text, ok := element.Optional(attribute, maxResourceSet)
	set, err := inr.Parse(text)
	if err != nil {
		element.Fail("its %s cannot be read: %w", attribute, err)
	}
	other := set.V4
	if strings.HasSuffix(attribute, "4") {
		other = set.V6
	}
	if len(other)+len(set.AS) > 0 {
		element.Fail("its %s has resources of another kind", attribute)
	}
	return set, ok
}

// words splits a resource set.
func words(text string) func(yield func(string) bool) {
	return strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// textAS writes the AS numbers of a set.
func textAS(set inr.Set) string {
	var text []byte
	for i, r := range set.AS {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendUint(text, uint64(r.First), 10)
		if r.Last != r.First {
			text = append(text, '-')
			text = strconv.AppendUint(text, uint64(r.Last), 10)
		}
	}
	return string(text)
}

// textIP writes addresses.
func textIP(ranges []inr.IPRange) string {
	parts := make([]string, len(ranges))
	for i, r := range ranges {
		parts[i] = r.String()
	}
	return strings.Join(parts, ",")
}
