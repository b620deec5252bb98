package roa

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"cadastre/internal/fault"
)

// column is what a column of a table, or a member of an object, says.
type column int

const (
	unknownColumn column = iota
	prefixColumn
	addressColumn // the first address of a prefix, with lengthColumn
	lengthColumn
	originColumn
	maxLengthColumn
	commentColumn
	otherColumn // is no part of an intent
)

// columnNames is the names that RIPE NCC, ARIN, Krill, Routinator, rpki-client and people give to columns, in lower case and without what
// is neither letter nor digit.
var columnNames = map[column][]string{
	prefixColumn:    {"prefix", "ipprefix", "ipv4prefix", "ipv6prefix", "roaprefix", "network", "route"},
	addressColumn:   {"startaddress", "ipaddress", "address"},
	lengthColumn:    {"cidrlength", "prefixlength", "length"},
	originColumn:    {"asn", "as", "asid", "asnumber", "origin", "originas", "originasn", "originasnumber", "autonomoussystem"}, //nolint:misspell // origin AS
	maxLengthColumn: {"maxlength", "maxlen", "maximallength", "maximumlength", "maxprefixlength"},
	commentColumn:   {"comment", "comments", "name", "roaname", "label", "description", "note"},
	otherColumn: {
		"ta", "trustanchor", "uri", "source", "serial", "notbefore", "notafter", "notvalidbefore", "notvalidafter", "startdate", "enddate", "expires",
		"endaddress", "ipversion", "autorenewed", "autolinked", "autolink", "roahandle", "roaobjects", "group",
		"numberofvalidscaused", "numberofinvalidscaused", "updatedat", "visibility", "currentstate", "suppressed", "verified",
	},
}

// columnOf is what a name stands for.
func columnOf(name string) column {
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(name))
	for c, names := range columnNames {
		if slices.Contains(names, name) {
			return c
		}
	}
	return unknownColumn
}

func unknownName(what, name string) error {
	return fault.New(fault.BadInput, "the %s %q is not known; use prefix, asn, maxlength and comment, and leave out what is none of these", what, name)
}

// columns is what each column says, by a header.
type columns []column

// header reads the names of columns; nil where the fields are none.
func header(fields []string) (func([]string) (Row, error), error) {
	if !isHeader(fields) {
		return nil, nil
	}
	named, err := newColumns(fields)
	if err != nil {
		return nil, err
	}
	return named.row, nil
}

// newColumns reads a header.
func newColumns(fields []string) (columns, error) {
	var header columns
	for _, name := range fields {
		c := columnOf(name)
		switch {
		case c == unknownColumn:
			return nil, unknownName("column", name)
		case c != otherColumn && slices.Contains(header, c):
			return nil, fault.New(fault.BadInput, "the column %q says what another column says already", name)
		}
		header = append(header, c)
	}
	has := func(c column) bool { return slices.Contains(header, c) }
	switch {
	case !has(originColumn):
		return nil, fault.New(fault.BadInput, "the header has no column for the AS number; call it asn")
	case !has(prefixColumn) && !(has(addressColumn) && has(lengthColumn)):
		return nil, fault.New(fault.BadInput, "the header has no column for the prefix; call it prefix")
	}
	return header, nil
}

// usual is the columns in their usual order. A header may name the first of them, and lines have more.
var usual = columns{prefixColumn, originColumn, maxLengthColumn, commentColumn}

// row reads the fields of a line.
func (h columns) row(fields []string) (Row, error) {
	if len(fields) > len(h) && len(fields) <= len(usual) && slices.Equal(h, usual[:len(h)]) {
		return ParseRow(fields...)
	}
	if len(fields) > len(h) {
		return Row{}, fault.New(fault.BadInput, "it has %d fields, and the header has %d", len(fields), len(h))
	}
	said := map[column]string{}
	for i, field := range fields { // those that are missing at the end are empty
		said[h[i]] = field
	}
	return rowOf(said)
}

// rowOf reads what the columns of one row say.
func rowOf(said map[column]string) (Row, error) {
	prefix := said[prefixColumn]
	if address := said[addressColumn]; prefix == "" && address != "" {
		prefix = unpadded(address) + "/" + said[lengthColumn]
	}
	return ParseRow(prefix, said[originColumn], said[maxLengthColumn], said[commentColumn])
}

// unpadded is an IPv4 address without the zeros that ARIN pads its numbers with.
func unpadded(address string) string {
	parts := strings.Split(address, ".")
	for i, p := range parts {
		if n, err := strconv.Atoi(p); err == nil && len(parts) == 4 {
			parts[i] = strconv.Itoa(n)
		}
	}
	return strings.Join(parts, ".")
}

// bareRow reads a line without a header: prefix,ASn[,maxlength[,comment]], or prefix,maxlength,ASn where AS is written.
func bareRow(fields []string) (Row, error) {
	if len(fields) < 3 || isAS(fields[1]) || fields[2] == "" {
		return ParseRow(fields...)
	}
	if isAS(fields[2]) && len(fields) == 3 {
		return ParseRow(fields[0], fields[2], fields[1])
	}
	if p, err := parsePrefix(fields[0]); err == nil {
		if n, err := strconv.Atoi(fields[1]); err == nil && n >= p.Bits() && n <= p.Addr().BitLen() {
			return Row{}, fault.New(fault.BadInput, "it is not clear which of %s and %s is the AS number; write AS%s or AS%s, or a header", fields[1], fields[2], fields[1], fields[2])
		}
	}
	return ParseRow(fields...)
}

func isAS(text string) bool { return len(text) > 2 && strings.EqualFold(text[:2], "AS") }

// objectRow reads a ROA. Numbers may be quoted.
func objectRow(object map[string]json.RawMessage) (Row, error) {
	said := map[column]string{}
	for name, value := range object {
		c := columnOf(name)
		if c == unknownColumn {
			return Row{}, unknownName("member", name)
		}
		if c == otherColumn || string(value) == "null" {
			continue
		}
		if _, twice := said[c]; twice {
			return Row{}, fault.New(fault.BadInput, "two of its members say what %q says", name)
		}
		text := string(value)
		if text[0] == '"' {
			if err := json.Unmarshal(value, &text); err != nil {
				return Row{}, fault.New(fault.BadInput, "%q can't be read (%w)", name, err)
			}
		}
		said[c] = strings.TrimSpace(text)
	}
	return rowOf(said)
}
