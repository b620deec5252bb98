package roa

import (
	"io"
	"regexp"
	"strings"

	"cadastre/internal/fault"
	"cadastre/internal/intents"
)

// File is what a file wants added and removed.
type File = intents.File[Row]

// ReadFile reads a file of intents, plain or gzip, in the form that it is found to be in:
//
//   - CSV with a header: columns in any order, by the names that RIPE NCC, ARIN, Krill, Routinator and rpki-client give them;
//   - CSV without one: prefix,ASn[,maxlength[,comment]], or prefix,maxlength,ASn as 'cadastre vrps' prints;
//   - Krill's lines, "A: 192.0.2.0/24-24 => 64496 # comment", with R: for those to be removed;
//   - JSON: a list of ROAs, or an object with such lists, as these write it.
//
// Spaces, quotes, CRLF, a byte order mark, blank lines and lines that begin with # are understood. It fails with BadInput and names the
// first ten wrong lines, or the limit that the file is beyond.
func ReadFile(name string, in io.ReadSeeker) (*File, error) { return intents.ReadFile(name, in, &form) }

// form is how ROAs are written.
var form = intents.Form[Row]{
	Arrow:  parseKrill,
	Header: header,
	Bare:   bareRow,
	Object: objectRow,
	Lists:  map[string]bool{"roas": false, "vrps": false, "routes": false, "added": false, "removed": true, "deleted": true},
	Others: []string{
		"metadata", "routerKeys", "bgpsec_keys", "aspas", "provider_authorizations", "providerAuthorizations", "ifMatch", "entityTag", "lastUpdated",
		"nonfunc_cas", "generated", "generatedTime",
	},
	Use: "roas, added or removed",
	Done: func(row *Row, line int) string {
		row.Line = line
		return row.Comment
	},
}

// ParseCSV is ReadFile for a file that removes nothing.
func ParseCSV(name string, in io.ReadSeeker) ([]Row, error) {
	f, err := ReadFile(name, in)
	if err != nil {
		return nil, err
	}
	if len(f.Remove) > 0 {
		return nil, fault.New(fault.BadInput, "%s:%d: nothing can be removed here", name, f.Remove[0].Line)
	}
	return f.Add, nil
}

var krillLine = regexp.MustCompile(`^(?:([AaRr]):)?\s*([^\s-]+)(?:-(\d+))?\s*=>\s*(\w+)\s*(?:#\s*(.*))?$`)

// parseKrill reads a line as krillc does: "[A:|R:] PREFIX[-MAXLENGTH] => ASN [# comment]".
func parseKrill(text string) (row Row, remove bool, err error) {
	parts := krillLine.FindStringSubmatch(text)
	if parts == nil {
		return Row{}, false, fault.New(fault.BadInput, "%q is no line of Krill's; write A: 192.0.2.0/24-24 => 64496", text)
	}
	row, err = ParseRow(parts[2], parts[4], parts[3], strings.TrimSpace(parts[5]))
	return row, strings.EqualFold(parts[1], "R"), err
}
