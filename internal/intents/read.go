package intents

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"cadastre/internal/fault"
)

// The limits of a file. All ROAs of the Internet fit.
const (
	maxRows    = 1_000_000
	maxBeside  = 100_000   // lines that have no row, or objects of JSON that are none
	maxText    = 256 << 20 // bytes, once unpacked
	maxComment = 1000      // bytes
	maxValue   = 1 << 20   // bytes of one entry of JSON, and of one value beside them
)

// Form is how rows of one kind are written in files.
type Form[R any] struct {
	// Arrow reads a line of Krill's, which has "=>" in it.
	Arrow func(text string) (row R, remove bool, err error)
	// Header reads the names of columns, which fields of the first line may be; read is nil where they are not.
	Header func(fields []string) (read func(fields []string) (R, error), err error)
	// Bare reads the fields of a line of a file without a header.
	Bare func(fields []string) (R, error)
	// Object reads an object of JSON.
	Object func(map[string]json.RawMessage) (R, error)
	// Lists is the members of an object of JSON that are lists of rows: those to add, and those to remove. Others is what else there
	// may be. Use names those that people should write.
	Lists  map[string]bool
	Others []string
	Use    string
	// Done notes where a row was read, and gives its comment.
	Done func(row *R, line int) (comment string)
}

// File is what a file wants added and removed.
type File[R any] struct {
	Add, Remove []R
}

// ReadFile reads a file of rows, plain or gzip: lines of CSV (RFC 4180), with a header or without one, and of Krill's, or JSON. Spaces,
// quotes, CRLF, a byte order mark, blank lines and lines that begin with # are understood. It fails with BadInput and names the
// first ten wrong lines, or the limit that the file is beyond. It goes through the file twice: what is too large is refused before anything
// of it is kept.
func ReadFile[R any](name string, in io.ReadSeeker, form *Form[R]) (*File[R], error) {
	if err := count(name, in); err != nil {
		return nil, err
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return nil, fault.New(fault.BadInput, "%s can't be read twice (%w)", name, err)
	}
	text, _, isJSON, err := unpacked(name, in)
	if err != nil {
		return nil, err
	}
	r := &reader[R]{Form: form, lines: fault.NewLines(name)}
	if isJSON {
		err = r.json(text)
	} else {
		err = r.text(text)
	}
	switch {
	case errors.Is(err, errTooMany):
		return nil, tooMany(name)
	case err != nil:
		return nil, fault.New(fault.BadInput, "%s can't be read beyond %s %d (%w)", name, r.unit, r.number, err)
	}
	if err := r.lines.Err(); err != nil {
		return nil, err
	}
	return &r.file, nil
}

// unpacked is the text of what may be packed by gzip, without a byte order mark and blanks before it, and whether it is JSON. The text ends
// one byte beyond maxText: where it was longer, nothing is left of limit (N is 0) when it was read.
func unpacked(name string, in io.Reader) (text *bufio.Reader, limit *io.LimitedReader, isJSON bool, err error) {
	packed := bufio.NewReader(in)
	limit = &io.LimitedReader{R: packed, N: maxText + 1}
	if magic, _ := packed.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		if limit.R, err = gzip.NewReader(packed); err != nil {
			return nil, nil, false, fault.New(fault.BadInput, "%s can't be unpacked (%w): fetch it again", name, err)
		}
	}
	text = bufio.NewReader(limit)
	if mark, _ := text.Peek(3); string(mark) == "\ufeff" {
		_, _ = text.Discard(3)
	}
	return text, limit, begins(text, "[{"), nil
}

// count refuses a file that has too many bytes or rows. It counts lines, or the opening braces of JSON. Lines without a row, and braces that
// begin no row, are counted too; so it lets maxBeside more pass than there may be rows.
func count(name string, in io.Reader) error {
	text, limit, isJSON, err := unpacked(name, in)
	if err != nil {
		return err
	}
	row := []byte("\n")
	if isJSON {
		row = []byte("{")
	}
	part, rows := make([]byte, 64<<10), 0
	for {
		n, err := text.Read(part)
		rows += bytes.Count(part[:n], row)
		switch {
		case limit.N <= 0:
			return fault.New(fault.BadInput, "%s has more than %d bytes unpacked; split it", name, maxText)
		case rows > maxRows+maxBeside:
			return tooMany(name)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fault.New(fault.BadInput, "%s can't be read beyond byte %d (%w): fetch it again", name, maxText+1-limit.N, err)
		}
	}
}

func tooMany(name string) error {
	return fault.New(fault.BadInput, "%s has more than %d rows; split it", name, maxRows)
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
type reader[R any] struct {
	*Form[R]
	lines  *fault.Lines
	file   File[R]
	unit   string // what is counted: lines, or entries of JSON
	number int
}

var errTooMany = errors.New("too many rows")

// take adds a row, or notes why it is none.
func (r *reader[R]) take(row R, remove bool, err error) error {
	if err == nil {
		if comment := r.Done(&row, r.number); len(comment) > maxComment {
			err = fault.New(fault.BadInput, "the comment has %d bytes; %d are the most", len(comment), maxComment)
		}
	}
	if err != nil {
		r.lines.Add(r.number, err)
		return nil
	}
	if len(r.file.Add)+len(r.file.Remove) == maxRows {
		return errTooMany
	}
	if remove {
		r.file.Remove = append(r.file.Remove, row)
	} else {
		r.file.Add = append(r.file.Add, row)
	}
	return nil
}

// text reads CSV, and Krill's lines.
func (r *reader[R]) text(in io.Reader) error {
	r.unit = "line"
	scan := bufio.NewScanner(in)
	read, first := r.Bare, true
	for scan.Scan() {
		r.number++
		text := strings.TrimSpace(scan.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		if strings.Contains(text, "=>") {
			row, remove, err := r.Arrow(text)
			if err := r.take(row, remove, err); err != nil {
				return err
			}
			continue
		}
		fields, err := split(text)
		if err == nil && first {
			first = false
			named, err := r.Header(fields)
			if err != nil {
				r.lines.Add(r.number, err)
				return nil // what the other lines say is not known
			}
			if named != nil {
				read = named
				continue
			}
		}
		first = false
		var row R
		if err == nil {
			row, err = read(fields)
		}
		if err := r.take(row, false, err); err != nil {
			return err
		}
	}
	return scan.Err()
}

// split takes a line of CSV (RFC 4180) apart. Unlike encoding/csv it allows spaces around quotes, as spreadsheets and
// people write them.
func split(text string) ([]string, error) {
	var fields []string
	for more := true; more; {
		text = strings.TrimLeft(text, " \t")
		if !strings.HasPrefix(text, `"`) {
			var field string
			field, text, more = strings.Cut(text, ",")
			fields = append(fields, strings.TrimSpace(field))
			continue
		}
		field, rest, closed := unquote(text[1:])
		rest = strings.TrimLeft(rest, " \t")
		if !closed || rest != "" && rest[0] != ',' {
			return nil, fault.New(fault.BadInput, "a quote is not closed, or more follows it before the comma")
		}
		fields = append(fields, strings.TrimSpace(field))
		_, text, more = strings.Cut(rest, ",")
	}
	return fields, nil
}

// unquote is the text up to the closing quote, in which two quotes stand for one, and what follows it.
func unquote(text string) (field, rest string, closed bool) {
	for {
		before, after, found := strings.Cut(text, `"`)
		field += before
		if !found || !strings.HasPrefix(after, `"`) {
			return field, after, found
		}
		field, text = field+`"`, after[1:]
	}
}

// values hands JSON to a decoder. The decoder would collect a value of any length; values fails where one is longer than maxValue.
type values struct {
	in      io.Reader
	decoder *json.Decoder
	given   int64
}

func (v *values) Read(part []byte) (int, error) {
	if v.given-v.decoder.InputOffset() > maxValue {
		return 0, fault.New(fault.BadInput, "an entry of the JSON has more than %d bytes", maxValue)
	}
	n, err := v.in.Read(part)
	v.given += int64(n)
	return n, err
}

// skip reads a value, of any length, and keeps nothing of it.
func skip(d *json.Decoder) error {
	for depth := 0; ; {
		token, err := d.Token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// json reads a list of rows, or an object with such lists.
func (r *reader[R]) json(in io.Reader) error {
	r.unit = "entry"
	bounded := &values{in: in}
	d := json.NewDecoder(bounded)
	bounded.decoder = d
	first, err := d.Token()
	if err != nil {
		return err
	}
	if first == json.Delim('[') {
		err = r.list(d, false)
	} else {
		err = r.members(d)
	}
	if err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.BadInput, "more follows the end of the JSON")
	}
	return nil
}

func (r *reader[R]) members(d *json.Decoder) error {
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		text, _ := name.(string)
		if remove, ok := r.Lists[text]; ok {
			if open, err := d.Token(); err != nil || open != json.Delim('[') {
				return fault.New(fault.BadInput, "%q is no list", text)
			}
			if err := r.list(d, remove); err != nil {
				return err
			}
			continue
		}
		if !slices.Contains(r.Others, text) {
			return fault.New(fault.BadInput, "the member %q is not known; use %s", text, r.Use)
		}
		if err := skip(d); err != nil {
			return err
		}
	}
	_, err := d.Token() // the closing brace
	return err
}

// list reads rows until the end of the list.
func (r *reader[R]) list(d *json.Decoder, remove bool) error {
	for d.More() {
		r.number++
		var object map[string]json.RawMessage
		if err := d.Decode(&object); err != nil {
			return err
		}
		row, err := r.Object(object)
		if err := r.take(row, remove, err); err != nil {
			return err
		}
	}
	_, err := d.Token() // the closing bracket
	return err
}
