package roa

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"regexp"
	"strings"

	"cadastre/internal/fault"
)

// What a file may have at most. All ROAs of the Internet are fewer, and fit.
const (
	maxRows    = 1_000_000
	maxText    = 256 << 20 // bytes, once unpacked
	maxComment = 1000      // bytes
)

// File is what a file wants authorised, and what no more.
type File struct {
	Add, Remove []Row
}

// ReadFile reads a file of intents, plain or gzip, in the form that it is found to be in:
//
//   - CSV with a header: columns in any order, by the names that RIPE NCC, ARIN, Krill, Routinator and rpki-client give them;
//   - CSV without one: prefix,ASn[,maxlength[,comment]], or prefix,maxlength,ASn as 'cadastre vrps' prints;
//   - Krill's lines, "A: 192.0.2.0/24-24 => 64496 # comment", with R: for those to be removed;
//   - JSON: a list of ROAs, or an object with such lists, as these write it.
//
// Spaces, quotes, CRLF, a byte order mark, blank lines and lines that begin with # are understood. It fails with BadInput and names the
// first ten wrong lines, or the limit that the file is beyond.
func ReadFile(name string, in io.Reader) (*File, error) {
	text, err := unpacked(name, in)
	if err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: text, N: maxText + 1}
	buffered := bufio.NewReader(limited)
	if mark, _ := buffered.Peek(3); string(mark) == "\ufeff" {
		_, _ = buffered.Discard(3)
	}
	r := &reader{lines: fault.NewLines(name)}
	if begins(buffered, "[{") {
		err = r.json(buffered)
	} else {
		err = r.text(buffered)
	}
	switch {
	case limited.N <= 0:
		return nil, fault.New(fault.BadInput, "%s has more than %d bytes unpacked; split it", name, maxText)
	case errors.Is(err, errTooMany):
		return nil, fault.New(fault.BadInput, "%s has more than %d rows; split it", name, maxRows)
	case err != nil:
		return nil, fault.New(fault.BadInput, "%s can't be read beyond %s %d (%w)", name, r.unit, r.number, err)
	}
	if err := r.lines.Err(); err != nil {
		return nil, err
	}
	return &r.file, nil
}

// ParseCSV is ReadFile for a file that removes nothing.
func ParseCSV(name string, in io.Reader) ([]Row, error) {
	f, err := ReadFile(name, in)
	if err != nil {
		return nil, err
	}
	if len(f.Remove) > 0 {
		return nil, fault.New(fault.BadInput, "%s:%d: nothing can be removed here", name, f.Remove[0].Line)
	}
	return f.Add, nil
}

// unpacked is the text of what may be packed by gzip.
func unpacked(name string, in io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(in)
	if magic, _ := buffered.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return buffered, nil
	}
	text, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, fault.New(fault.BadInput, "%s can't be unpacked (%w): fetch it again", name, err)
	}
	return text, nil
}

// begins tells whether the first byte that is no space is one of some.
func begins(in *bufio.Reader, some string) bool {
	for {
		next, err := in.Peek(1)
		if err != nil {
			return false
		}
		if !strings.ContainsRune(" \t\r\n", rune(next[0])) {
			return strings.IndexByte(some, next[0]) >= 0
		}
		_, _ = in.Discard(1)
	}
}

// reader goes through a file.
type reader struct {
	lines  *fault.Lines
	file   File
	unit   string // what is counted: lines, or entries of JSON
	number int
}

var errTooMany = errors.New("too many rows")

// take adds a row, or notes why it is none.
func (r *reader) take(row Row, remove bool, err error) error {
	if err == nil && len(row.Comment) > maxComment {
		err = fault.New(fault.BadInput, "the comment has %d bytes; %d are the most", len(row.Comment), maxComment)
	}
	if err != nil {
		r.lines.Add(r.number, err)
		return nil
	}
	if len(r.file.Add)+len(r.file.Remove) == maxRows {
		return errTooMany
	}
	row.Line = r.number
	if remove {
		r.file.Remove = append(r.file.Remove, row)
	} else {
		r.file.Add = append(r.file.Add, row)
	}
	return nil
}

// text reads CSV, and Krill's lines.
func (r *reader) text(in io.Reader) error {
	r.unit = "line"
	scan := bufio.NewScanner(in)
	var header columns
	first := true
	for scan.Scan() {
		r.number++
		text := strings.TrimSpace(scan.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		if strings.Contains(text, "=>") {
			row, remove, err := parseKrill(text)
			if err := r.take(row, remove, err); err != nil {
				return err
			}
			continue
		}
		fields, err := split(text)
		if err == nil && first && isHeader(fields) {
			first = false
			if header, err = newColumns(fields); err != nil {
				r.lines.Add(r.number, err)
				return nil // what the other lines say is not known
			}
			continue
		}
		first = false
		var row Row
		if err == nil {
			row, err = header.row(fields)
		}
		if err := r.take(row, false, err); err != nil {
			return err
		}
	}
	return scan.Err()
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
