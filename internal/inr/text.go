package inr

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"cadastre/internal/fault"
)

// String writes the set as Parse reads it: prefixes and ranges of addresses, then AS numbers, split by ", ".
func (s Set) String() string {
	var parts []string
	for _, r := range slices.Concat(s.V4, s.V6) {
		parts = append(parts, r.String())
	}
	for _, r := range s.AS {
		parts = append(parts, r.String())
	}
	return strings.Join(parts, ", ")
}

// String is a prefix where the range is one, else "first-last".
func (r IPRange) String() string {
	if p := r.Prefixes(); len(p) == 1 {
		return p[0].String()
	}
	return r.First.String() + "-" + r.Last.String()
}

// String is "AS37100" or "AS37100-AS37110".
func (r ASRange) String() string {
	first := "AS" + strconv.FormatUint(uint64(r.First), 10)
	if r.First == r.Last {
		return first
	}
	return first + "-AS" + strconv.FormatUint(uint64(r.Last), 10)
}

// Parse reads prefixes, addresses, ranges of addresses ("196.10.0.0-196.10.0.9") and AS numbers ("AS37100",
// "AS37100-AS37110"), split by commas, spaces, tabs or newlines. It fails with BadInput and names the word that it cannot read.
func Parse(text string) (Set, error) {
	var ips []IPRange
	var as []ASRange
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' }) {
		first, last, isRange := strings.Cut(word, "-")
		if !isRange {
			last = first
		}
		if strings.HasPrefix(strings.ToUpper(word), "AS") {
			f, err1 := ParseAS(first)
			l, err2 := ParseAS(last)
			if err1 != nil || err2 != nil || f > l {
				return Set{}, fault.New(fault.BadInput, "%q is no AS number or range of them; write AS37100 or AS37100-AS37110", word)
			}
			as = append(as, ASRange{f, l})
			continue
		}
		r, ok := parseRange(first, last, isRange)
		if !ok {
			return Set{}, fault.New(fault.BadInput, "%q is no prefix, address range or AS number; write 196.10.0.0/24, 196.10.0.0-196.10.0.9 or AS37100", word)
		}
		ips = append(ips, r)
	}
	return Of(ips, as), nil
}

func parseRange(first, last string, isRange bool) (IPRange, bool) {
	if !isRange {
		if p, err := netip.ParsePrefix(first); err == nil {
			return RangeOf(p), p == p.Masked() && !p.Addr().Is4In6()
		}
	}
	f, err1 := netip.ParseAddr(first)
	l, err2 := netip.ParseAddr(last)
	if err1 != nil || err2 != nil || f.BitLen() != l.BitLen() || f.Compare(l) > 0 || f.Zone()+l.Zone() != "" || f.Is4In6() || l.Is4In6() {
		return IPRange{}, false
	}
	return IPRange{f, l}, true
}

// ParseAS reads an AS number with or without "AS" before it.
func ParseAS(text string) (uint32, error) {
	digits := text
	if len(text) > 2 && strings.EqualFold(text[:2], "AS") {
		digits = text[2:]
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return 0, fault.New(fault.BadInput, "%q is no AS number; write AS37100", text)
	}
	return uint32(n), nil
}

// MarshalJSON writes the set as its text.
func (s Set) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Set) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	parsed, err := Parse(text)
	*s = parsed
	return err
}
