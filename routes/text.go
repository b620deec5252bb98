package routes

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

// column is what a column of a table says.
type column int

const (
	otherColumn column = iota
	prefixColumn
	originColumn
	peersColumn
)

// columns is what the columns of a line say, by their places.
type columns []column

var (
	usual = columns{prefixColumn, originColumn, peersColumn} // CSV without a header
	ris   = columns{originColumn, prefixColumn, peersColumn} // a RIS whois dump
)

// columnOf is what the name of a column, or of a member of JSON, stands for.
func columnOf(name string) column {
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(name))
	switch name {
	case "prefix", "ipprefix", "network", "route":
		return prefixColumn
	case "asn", "as", "origin", "originas", "originasn", "asid", "asnumber": //nolint:misspell // origin AS
		return originColumn
	case "peers", "visibility", "seenbypeers", "seenby":
		return peersColumn
	}
	return otherColumn
}

// readText reads what is not binary: a RIS whois dump, CSV or JSON. A table without announcements is refused: what is broken on the way
// often looks so.
func readText(name string, in *bufio.Reader, at time.Time) (*Table, error) {
	if mark, _ := in.Peek(3); string(mark) == "\ufeff" {
		_, _ = in.Discard(3)
	}
	r := textReader{in: in, lines: fault.NewLines(name)}
	var err error
	if r.isJSON() {
		err = r.json()
	} else {
		err = r.text()
	}
	if err != nil {
		return nil, fault.New(fault.BadInput, "%s can't be read (%w)", name, err)
	}
	if err := r.lines.Err(); err != nil {
		return nil, err
	}
	t := r.found.table(at)
	if t.Len() == 0 {
		return nil, fault.New(fault.BadInput, "%s has no announcement: it takes lines of prefix,ASn[,peers], a RIS whois dump, or MRT with TABLE_DUMP_V2", name)
	}
	return t, nil
}

type textReader struct {
	in    *bufio.Reader
	line  int
	named columns // nil: no header was seen
	found gatherer
	lines *fault.Lines
}

// isJSON tells whether the first byte that is no space begins JSON.
func (r *textReader) isJSON() bool {
	start, _ := r.in.Peek(512)
	start = bytes.TrimLeft(start, " \t\r\n")
	return len(start) > 0 && (start[0] == '[' || start[0] == '{' && (len(start) == 1 || !isDigit(start[1]))) // {64496,64497} is an AS_SET
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// text reads lines.
func (r *textReader) text() error {
	for {
		line, err := r.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", r.line, err)
		}
		if line == "" || line[0] == '#' || line[0] == '%' {
			if r.found.left+r.line > 2*maxLeft {
				return errMany
			}
			continue
		}
		if err := r.row(line); errors.Is(err, errMany) {
			return err
		} else if err != nil {
			r.lines.Add(r.line, err)
		}
	}
}

// next is the next line without what is blank around it.
func (r *textReader) next() (string, error) {
	r.line++
	line, err := r.in.ReadSlice('\n')
	switch {
	case err == io.EOF && len(line) > 0:
	case errors.Is(err, bufio.ErrBufferFull):
		return "", errors.New("it is longer than a line can be")
	case err != nil:
		return "", err
	}
	if len(line) > maxLine {
		return "", errors.New("it is longer than a line can be")
	}
	return string(bytes.TrimSpace(line)), nil
}

// row reads a line.
func (r *textReader) row(line string) error {
	tabs := strings.ContainsRune(line, '\t')
	var fields [16]string
	n := 0
	for rest, more := line, true; more && n < len(fields); n++ {
		if tabs {
			fields[n], rest, more = strings.Cut(rest, "\t")
		} else {
			fields[n], rest, more = strings.Cut(rest, ",")
		}
		fields[n] = strings.Trim(strings.TrimSpace(fields[n]), `"`)
	}
	as := usual
	if tabs {
		as = ris
	}
	if r.named != nil {
		as = r.named
	} else if named := header(fields[:n]); named != nil && r.found.empty() {
		r.named = named
		return nil
	}
	said := map[column]string{}
	for i, field := range fields[:min(n, len(as))] {
		said[as[i]] = field
	}
	return r.announcement(said[prefixColumn], said[originColumn], said[peersColumn])
}

func (g *gatherer) empty() bool { return len(g.of[0])+len(g.of[1])+g.left == 0 }

// header is the columns that names stand for; nil where the fields are none.
func header(fields []string) columns {
	var named columns
	prefix, origin := false, false
	for _, f := range fields {
		c := columnOf(f)
		prefix, origin = prefix || c == prefixColumn, origin || c == originColumn
		named = append(named, c)
	}
	if !prefix || !origin {
		return nil
	}
	return named
}

// announcement adds what three words say. Those of an AS_SET are left out.
func (r *textReader) announcement(prefix, origin, peers string) error {
	if strings.HasPrefix(origin, "{") {
		r.found.left++
		return nil
	}
	p, err := netip.ParsePrefix(prefix)
	if err != nil || p.Addr().Is4In6() {
		return fault.New(fault.BadInput, "%.80q is no prefix; write 196.10.0.0/24 or 2c0f:ea00::/32", prefix)
	}
	as, err := inr.ParseAS(origin)
	if err != nil {
		return err
	}
	count := 0
	if peers != "" {
		if count, err = strconv.Atoi(peers); err != nil || count < 0 {
			return fault.New(fault.BadInput, "%.80q is no number of peers", peers)
		}
	}
	if !r.found.add(p, as, count, 0) {
		return errMany
	}
	return nil
}

// json reads a list of objects, or an object with such a list in "announcements".
func (r *textReader) json() error {
	d := json.NewDecoder(r.in)
	bad := func(err error) error {
		return fmt.Errorf("octet %d of JSON: %w", d.InputOffset(), err)
	}
	token, err := d.Token()
	if err != nil {
		return bad(err)
	}
	if token == json.Delim('{') {
		for {
			name, err := d.Token()
			if err != nil {
				return bad(err)
			}
			if name == json.Delim('}') {
				return nil
			}
			if name == "announcements" {
				break
			}
			var passed json.RawMessage
			if err := d.Decode(&passed); err != nil {
				return bad(err)
			}
		}
		if token, err = d.Token(); err != nil {
			return bad(err)
		}
	}
	if token != json.Delim('[') {
		return errors.New("the announcements in it are no list")
	}
	for d.More() {
		r.line++
		var object map[string]json.RawMessage
		if err := d.Decode(&object); err != nil {
			return bad(err)
		}
		said := map[column]string{}
		for name, value := range object {
			if c := columnOf(name); c != otherColumn {
				said[c] = strings.Trim(string(value), `"`)
			}
		}
		if err := r.announcement(said[prefixColumn], said[originColumn], said[peersColumn]); errors.Is(err, errMany) {
			return err
		} else if err != nil {
			r.lines.Add(r.line, err)
		}
	}
	_, err = d.Token()
	if err != nil {
		return bad(err)
	}
	return nil
}
