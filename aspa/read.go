package aspa

import (
	"encoding/json"
	"io"
	"slices"
	"strings"

	"cadastre/internal/fault"
	"cadastre/internal/intents"
)

// ReadFile reads a file of ASPAs, plain or gzip, in the form that it is found to be in:
//
//   - CSV with a header: customer, provider or providers, and comment, in any order;
//   - CSV without one: the customer AS, then its providers;
//   - Krill's lines, "AS64500 => AS64501, AS64502 # comment", as 'cadastre aspas' prints them;
//   - JSON: a list of ASPAs, or an object with such lists, as rpki-client, Routinator, Krill and RIPE NCC write it.
//
// Providers within one field are apart by spaces, commas or semicolons. Several rows of one customer count together. It fails with
// BadInput and names the first ten wrong lines, or the limit that the file is beyond.
func ReadFile(name string, in io.ReadSeeker) (*File, error) {
	f, err := intents.ReadFile(name, in, &form)
	if err != nil {
		return nil, err
	}
	lines := fault.NewLines(name)
	for i := range f.Add {
		lines.Add(f.Add[i].Line, f.Add[i].Check())
	}
	return f, lines.Err()
}

var form = intents.Form[Row]{
	Arrow:  parseArrow,
	Header: header,
	Bare:   func(fields []string) (Row, error) { return ParseRow(fields[0], fields[1:]...) },
	Object: objectRow,
	Lists: map[string]bool{
		"aspas": false, "aspaConfigurations": false, "add_or_replace": false, "add": false, "added": false, "remove": true, "removed": true,
	},
	Others: []string{
		"metadata", "roas", "routerKeys", "bgpsec_keys", "provider_authorizations", "ifMatch", "entityTag", "nonfunc_cas", "generated",
		"generatedTime",
	},
	Use: "aspas, added or removed",
	Done: func(row *Row, line int) string {
		row.Line = line
		return row.Comment
	},
}

// parseArrow reads a line of Krill's.
func parseArrow(text string) (row Row, remove bool, err error) {
	said, comment, _ := strings.Cut(text, "#")
	customer, providers, found := strings.Cut(said, "=>")
	if !found {
		return Row{}, false, fault.New(fault.BadInput, "%q is no ASPA; write AS64500 => AS64501, AS64502", text)
	}
	row, err = ParseRow(strings.TrimSpace(customer), providers)
	row.Comment = strings.TrimSpace(comment)
	return row, false, err
}

// column is what a column, or a member of an object, says.
type column int

const (
	customerColumn column = iota + 1
	providersColumn
	commentColumn
	otherColumn // is no part of an ASPA
)

// columnNames is the names that people, rpki-client, Routinator, Krill, RIPE NCC and ARIN give them, in lower case and without what is
// neither letter nor digit.
var columnNames = map[string]column{
	"customer": customerColumn, "customeras": customerColumn, "customerasn": customerColumn, "customerasid": customerColumn, "customerasnumber": customerColumn,
	"provider": providersColumn, "providers": providersColumn, "provideras": providersColumn, "providerasn": providersColumn, "providerasns": providersColumn,
	"providerasids": providersColumn, "providerasid": providersColumn, "providersas": providersColumn,
	"comment": commentColumn, "comments": commentColumn, "name": commentColumn, "label": commentColumn, "note": commentColumn, "description": commentColumn,
	"ta": otherColumn, "expires": otherColumn, "source": otherColumn, "afi": otherColumn, "status": otherColumn,
}

func columnOf(name string) column {
	return columnNames[strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(name))]
}

func unknownName(what, name string) error {
	return fault.New(fault.BadInput, "the %s %q is not known; use customer, providers and comment, and leave out what is none of these", what, name)
}

// header reads the names of columns; nil where the fields are none. A digit tells them apart: no name has one, and every AS number does.
func header(fields []string) (func([]string) (Row, error), error) {
	if strings.ContainsAny(strings.Join(fields, ""), "0123456789") {
		return nil, nil
	}
	var named []column
	for _, name := range fields {
		c := columnOf(name)
		switch {
		case c == 0:
			return nil, unknownName("column", name)
		case c != otherColumn && slices.Contains(named, c):
			return nil, fault.New(fault.BadInput, "the column %q says what another column says already", name)
		}
		named = append(named, c)
	}
	for c, name := range map[column]string{customerColumn: "customer", providersColumn: "providers"} {
		if !slices.Contains(named, c) {
			return nil, fault.New(fault.BadInput, "the header has no column for the %s; call it %s", name, name)
		}
	}
	return func(fields []string) (Row, error) {
		if len(fields) > len(named) {
			return Row{}, fault.New(fault.BadInput, "it has %d fields, and the header has %d", len(fields), len(named))
		}
		said := map[column]string{}
		for i, field := range fields {
			said[named[i]] = field
		}
		row, err := ParseRow(said[customerColumn], said[providersColumn])
		row.Comment = said[commentColumn]
		return row, err
	}, nil
}

// objectRow reads an ASPA from JSON. AS numbers are numbers, or texts with or without AS before them.
func objectRow(object map[string]json.RawMessage) (Row, error) {
	said := map[column]json.RawMessage{}
	for name, value := range object {
		c := columnOf(name)
		if c == 0 {
			return Row{}, unknownName("member", name)
		}
		if _, twice := said[c]; twice && c != otherColumn {
			return Row{}, fault.New(fault.BadInput, "two of its members say what %q says", name)
		}
		if string(value) != "null" {
			said[c] = value
		}
	}
	customer, err := textOf(said[customerColumn])
	if err != nil {
		return Row{}, err
	}
	var list []json.RawMessage
	if value, ok := said[providersColumn]; ok {
		if err := json.Unmarshal(value, &list); err != nil {
			return Row{}, fault.New(fault.BadInput, "its providers are no list")
		}
	}
	providers := make([]string, len(list))
	for i, value := range list {
		if providers[i], err = textOf(value); err != nil {
			return Row{}, err
		}
	}
	row, err := ParseRow(customer, providers...)
	if value, ok := said[commentColumn]; ok && err == nil {
		row.Comment, err = textOf(value)
	}
	return row, err
}

// textOf is a text, or a number as a text.
func textOf(value json.RawMessage) (string, error) {
	text := string(value)
	if strings.HasPrefix(text, `"`) {
		if err := json.Unmarshal(value, &text); err != nil {
			return "", fault.New(fault.BadInput, "%s can't be read (%w)", value, err)
		}
	}
	return strings.TrimSpace(text), nil
}
