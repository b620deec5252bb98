package roa

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

// Row is an intent as it was typed or read from a file, before its holder is known.
type Row struct {
	Prefix    netip.Prefix
	Origin    uint32
	MaxLength int // the prefix's own length where none was said
	Comment   string
	Until     time.Time // when it is to end by itself; zero: never
	Line      int       // in its file, 0 when it came from none
}

// isHeader tells whether fields are names of columns: one of them is known or says prefix, and none is a prefix; or there is no digit in
// them, as there is in every prefix and AS number.
func isHeader(fields []string) bool {
	known := false
	for _, f := range fields {
		if _, err := parsePrefix(f); err == nil {
			return false
		}
		known = known || columnOf(f) != unknownColumn || strings.Contains(strings.ToLower(f), "prefix")
	}
	return known || !strings.ContainsAny(strings.Join(fields, ""), "0123456789")
}

// ParseRow reads what one intent is: prefix, AS number, and if present maxLength (may be empty) and a comment. It fails
// with BadInput.
func ParseRow(fields ...string) (Row, error) {
	if len(fields) < 2 || len(fields) > 4 {
		return Row{}, fault.New(fault.BadInput, "it has %d fields; write prefix,ASn or prefix,ASn,maxlength", len(fields))
	}
	p, err := parsePrefix(fields[0])
	if err != nil {
		return Row{}, err
	}
	origin, err := inr.ParseAS(fields[1])
	if err != nil {
		return Row{}, err
	}
	row := Row{Prefix: p, Origin: origin, MaxLength: p.Bits()}
	if len(fields) > 3 {
		row.Comment = fields[3]
	}
	if len(fields) > 2 && fields[2] != "" {
		n, err := strconv.Atoi(fields[2])
		if err != nil {
			return Row{}, fault.New(fault.BadInput, "%q is no maxLength; it is a number of bits", fields[2])
		}
		row.MaxLength = n
	}
	return row, row.Check()
}

func parsePrefix(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return p, fault.New(fault.BadInput, "%q is no prefix; write 196.10.0.0/24 or 2c0f:ea00::/32", text)
	}
	return p, nil
}

// Check says what is wrong with a row by itself, its origin apart (CheckOrigin). The error is of kind fault.BadInput.
func (r Row) Check() error {
	if !r.Prefix.IsValid() || r.Prefix.Addr().Is4In6() {
		return fault.New(fault.BadInput, "it names no prefix")
	}
	if r.Prefix != r.Prefix.Masked() {
		return fault.New(fault.BadInput, "%s has bits set beyond its length; the prefix is %s", r.Prefix, r.Prefix.Masked())
	}
	if longest := r.Prefix.Addr().BitLen(); r.MaxLength < r.Prefix.Bits() || r.MaxLength > longest {
		return fault.New(fault.BadInput, "the maxLength of %s can't be %d; it is from %d to %d", r.Prefix, r.MaxLength, r.Prefix.Bits(), longest)
	}
	return nil
}
