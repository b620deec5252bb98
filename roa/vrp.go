package roa

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"cadastre/internal/fault"
)

// VRP is a validated ROA payload (RFC 6811, section 2): what a validator must find.
type VRP struct {
	Prefix    netip.Prefix `json:"prefix"`
	MaxLength int          `json:"max_length"`
	ASN       uint32       `json:"asn"`
}

// String is "prefix,maxlength,ASn".
func (v VRP) String() string {
	out := v.Prefix.AppendTo(make([]byte, 0, 64))
	out = strconv.AppendInt(append(out, ','), int64(v.MaxLength), 10)
	return string(strconv.AppendUint(append(out, ",AS"...), uint64(v.ASN), 10))
}

// ParseVRP reads what String writes. It fails with BadInput.
func ParseVRP(text string) (VRP, error) {
	fields := strings.Split(text, ",")
	if len(fields) != 3 {
		return VRP{}, fault.New(fault.BadInput, "%q is no VRP; write prefix,maxlength,ASn", text)
	}
	row, err := ParseRow(fields[0], fields[2], fields[1])
	return VRP{row.Prefix, row.MaxLength, row.Origin}, err
}

// Compare orders VRPs by family, address, length, maxLength and AS number.
func (v VRP) Compare(w VRP) int {
	return cmp.Or(
		v.Prefix.Addr().Compare(w.Prefix.Addr()),
		cmp.Compare(v.Prefix.Bits(), w.Prefix.Bits()),
		cmp.Compare(v.MaxLength, w.MaxLength),
		cmp.Compare(v.ASN, w.ASN),
	)
}

// Unique sorts VRPs by Compare and drops those that are there twice.
func Unique(vrps []VRP) []VRP {
	slices.SortFunc(vrps, VRP.Compare)
	return slices.Compact(vrps)
}

// Lines is the VRPs as text, each once, in the order of LC_ALL=C sort: what 'cadastre vrps' prints.
func Lines(vrps []VRP) []string {
	lines := make([]string, len(vrps))
	for i, v := range vrps {
		lines[i] = v.String()
	}
	slices.SortFunc(lines, strings.Compare)
	return slices.Compact(lines)
}
