package holdings

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/handles"
	"cadastre/internal/inr"
)

// parseRecord reads the fields of a record line, of which there are seven or more.
func parseRecord(fields []string) (Record, error) {
	r := Record{Country: strings.ToUpper(fields[1]), Status: fields[6], key: fields[2] + "|" + fields[3] + "|" + fields[4]}
	var err error
	if r.Resources, err = parseResources(fields[2], fields[3], fields[4]); err != nil {
		return r, err
	}
	if r.Date, err = parseDate(fields[5]); err != nil {
		return r, err
	}
	if r.Country == "ZZ" { // ISO 3166 leaves it to its users; registries write it for "none"
		r.Country = ""
	}
	if r.Country != "" && !countryPattern.MatchString(r.Country) {
		return r, fault.New(fault.BadInput, "%q is no country code", fields[1])
	}
	switch r.Status {
	case "available", "reserved":
		return r, nil
	case string(Allocated), string(Assigned):
	default:
		return r, fault.New(fault.BadInput, "%q is no status; it is one of allocated, assigned, available and reserved", r.Status)
	}
	if len(fields) < 8 || fields[7] == "" {
		return r, fault.New(fault.BadInput, "the record names no holder; use the registry's delegated-extended file, whose records end with an opaque-id")
	}
	if r.OpaqueID = Fold(fields[7]); !handles.IsOrganisation(r.OpaqueID) {
		return r, fault.New(fault.BadInput, "the opaque-id %q can't be part of a handle", fields[7])
	}
	return r, refuseSpecial(r.Resources)
}

// parseDate reads yyyymmdd; empty and 00000000 are no date.
func parseDate(text string) (time.Time, error) {
	if text == "" || text == "00000000" {
		return time.Time{}, nil
	}
	t, err := time.Parse("20060102", text)
	if err != nil {
		return t, fault.New(fault.BadInput, "%q is no date; it is written yyyymmdd", text)
	}
	return t, nil
}

// parseResources reads a first number and a value: for ipv4 a count of addresses, which need not be a power of two, for
// ipv6 a prefix length, for asn a count.
func parseResources(kind, start, value string) (inr.Set, error) {
	switch kind {
	case "ipv4":
		first, err := netip.ParseAddr(start)
		if err != nil || !first.Is4() {
			return inr.Set{}, fault.New(fault.BadInput, "%q is no IPv4 address", start)
		}
		bytes := first.As4()
		last, ok := counted(binary.BigEndian.Uint32(bytes[:]), value)
		if !ok {
			return inr.Set{}, fault.New(fault.BadInput, "%q is no count of IPv4 addresses from %s on", value, start)
		}
		binary.BigEndian.PutUint32(bytes[:], last)
		return inr.OfRange(inr.IPRange{First: first, Last: netip.AddrFrom4(bytes)}), nil
	case "ipv6":
		first, err := netip.ParseAddr(start)
		if err != nil || !first.Is6() || first.Is4In6() || first.Zone() != "" {
			return inr.Set{}, fault.New(fault.BadInput, "%q is no IPv6 address", start)
		}
		bits, err := strconv.ParseUint(value, 10, 8)
		if err != nil || bits > 128 {
			return inr.Set{}, fault.New(fault.BadInput, "%q is no length of an IPv6 prefix", value)
		}
		p := netip.PrefixFrom(first, int(bits))
		if p != p.Masked() {
			return inr.Set{}, fault.New(fault.BadInput, "%s has bits set beyond its length; it would be %s", p, p.Masked())
		}
		return inr.OfPrefix(p), nil
	case "asn":
		first, err := strconv.ParseUint(start, 10, 32)
		if err != nil {
			return inr.Set{}, fault.New(fault.BadInput, "%q is no AS number", start)
		}
		last, ok := counted(uint32(first), value)
		if !ok {
			return inr.Set{}, fault.New(fault.BadInput, "%q is no count of AS numbers from %s on", value, start)
		}
		return inr.OfAS(uint32(first), last), nil
	}
	return inr.Set{}, fault.New(fault.BadInput, "%q is no type of resource; it is one of asn, ipv4 and ipv6", kind)
}

// counted is the last of so many numbers from first on, if they fit into 32 bits.
func counted(first uint32, count string) (last uint32, ok bool) {
	n, err := strconv.ParseUint(count, 10, 33)
	if err != nil || n == 0 || uint64(first)+n-1 > 1<<32-1 {
		return 0, false
	}
	return uint32(uint64(first) + n - 1), true
}
