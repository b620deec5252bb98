package validate

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
)

// VRP is a validated ROA payload (RFC 6811, section 2): this AS may originate this prefix, and more specific ones of up
// to MaxLength bits. MaxLength is the prefix's own length where the ROA gives none.
type VRP struct {
	Prefix    netip.Prefix
	MaxLength int
	ASN       uint32
}

// String is "prefix,maxlength,ASn".
func (v VRP) String() string {
	out := make([]byte, 0, 64)
	out = v.Prefix.AppendTo(out)
	out = append(out, ',')
	out = strconv.AppendInt(out, int64(v.MaxLength), 10)
	out = append(out, ",AS"...)
	return string(strconv.AppendUint(out, uint64(v.ASN), 10))
}

// vrpJSON is the fields of a VRP in JSON.
type vrpJSON struct {
	Prefix    netip.Prefix `json:"prefix"`
	MaxLength int          `json:"max_length"`
	ASN       uint32       `json:"asn"`
}

// MarshalJSON writes the fields under the names that JSON has everywhere.
func (v VRP) MarshalJSON() ([]byte, error) { return json.Marshal(vrpJSON(v)) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (v *VRP) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, (*vrpJSON)(v)) }

// Compare orders VRPs: IPv4 first, then by address, prefix length, maxLength and AS.
func (v VRP) Compare(w VRP) int {
	a, b := v.Prefix.Addr(), w.Prefix.Addr()
	if c := cmp.Compare(a.BitLen(), b.BitLen()); c != 0 {
		return c
	}
	if c := a.Compare(b); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(v.Prefix.Bits(), w.Prefix.Bits()), cmp.Compare(v.MaxLength, w.MaxLength), cmp.Compare(v.ASN, w.ASN))
}

// SortVRPs sorts in place and drops what is there twice.
func SortVRPs(vrps []VRP) []VRP {
	slices.SortFunc(vrps, VRP.Compare)
	return slices.Compact(vrps)
}
