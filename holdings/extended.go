package holdings

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

// The limits of a file. The largest registry's file has some 30 MB unpacked, and 300,000 records.
const (
	largestFile = 256 << 20 // bytes, once unpacked
	mostLines   = 1_000_000
)

// File is a registry's delegated-extended statistics, read and found to be sound by itself.
type File struct {
	Name     string // as the user knows it
	Registry string // its name in the file, lower case
	Serial   uint64
	Date     time.Time // the last day that it covers
	SHA256   string    // hex, of the bytes unpacked
	Records  []Record
	Wrong    []WrongLine // those that are left out, where that was asked for
}

// Record is one line of a File.
type Record struct {
	Line      int
	Country   string // empty where it is not known
	Resources inr.Set
	Date      time.Time // zero where it is not known
	Status    string    // allocated, assigned, available or reserved
	OpaqueID  string    // lower case; joins one holder's records within one file
	key       string    // type, start and value
}

// inUse tells whether the record has a holder; the others are the registry's own pool.
func (r *Record) inUse() bool {
	return r.Status == string(Allocated) || r.Status == string(Assigned)
}

// ReadFile reads a delegated-extended file of version 2 to 2.3, plain or gzip. Anything wrong with it is BadInput, with
// the first ten wrong lines by number: a line that can't be read, special-purpose space in use, space that is there
// twice, counts that do not match the lines.
func ReadFile(name string, in io.Reader) (*File, error) { return readFile(name, in, false) }

// ReadFileExceptWrong reads a file and leaves out lines that are wrong by themselves: those that can't be read, special-purpose space in
// use, space that is on an earlier line. What is wrong with the file as a whole is still BadInput.
func ReadFileExceptWrong(name string, in io.Reader) (*File, error) { return readFile(name, in, true) }

func readFile(name string, in io.Reader, exceptWrong bool) (*File, error) {
	buffered := bufio.NewReader(in)
	var plain io.Reader = buffered
	if magic, _ := buffered.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, fault.New(fault.BadInput, "%s can't be unpacked (%w): fetch it again", name, err)
		}
		plain = unpacked
	}
	hash := sha256.New()
	limited := &io.LimitedReader{R: plain, N: largestFile + 1}
	p := parser{
		file: &File{Name: name}, lines: fault.NewLines(name), exceptWrong: exceptWrong,
		ids: map[string]string{}, found: map[string]int{}, stated: map[string]int{},
	}
	scan := bufio.NewScanner(io.TeeReader(limited, hash))
	for scan.Scan() {
		p.number++
		err := p.line(strings.TrimSpace(scan.Text()))
		if err != nil && p.exceptWrong && p.isRecord {
			p.leave(p.number, err, p.named)
			continue
		}
		p.lines.Add(p.number, err)
		if p.headed && p.file.Registry == "" {
			return nil, p.lines.Err() // it is no such file, so errors of its other lines would not help
		}
		if p.headed && p.seen > p.records { // more records than the header states are not kept
			p.lines.Add(p.number, fault.New(fault.BadInput, "here begin more records than the %d that its header states: it is altered; fetch it again", p.records))
			return nil, p.lines.Err()
		}
		if p.number > mostLines || p.records > mostLines {
			return nil, fault.New(fault.BadInput, "%s has more than %d lines; that is no registry's file", name, mostLines)
		}
	}
	switch err := scan.Err(); {
	case err != nil:
		return nil, fault.New(fault.BadInput, "%s can't be read beyond line %d (%w): fetch it again", name, p.number, err)
	case limited.N <= 0:
		return nil, fault.New(fault.BadInput, "%s has more than %d bytes; that is no registry's file", name, largestFile)
	}
	p.file.SHA256 = hex.EncodeToString(hash.Sum(nil))
	if err := p.finish(); err != nil {
		return nil, err
	}
	return p.file, nil
}

// parser goes through the lines of a file:
//
//	version|registry|serial|records|startdate|enddate|UTCoffset
//	registry|*|type|*|count|summary
//	registry|cc|type|start|value|date|status[|opaque-id[|extensions...]]
type parser struct {
	exceptWrong bool    // wrong records are left out
	isRecord    bool    // the line is one, as far as it can be told
	named       inr.Set // its resources, where they can be read

	file    *File
	lines   *fault.Lines
	number  int
	headed  bool
	records int               // that the header states
	seen    int               // so far
	ids     map[string]string // opaque-ids as they are written, by their lower case
	stated  map[string]int    // by type, that the summary lines state
	found   map[string]int    // by type
}

// leave leaves out a line that is wrong.
func (p *parser) leave(line int, err error, named inr.Set) {
	p.file.Wrong = append(p.file.Wrong, WrongLine{line, err.Error(), named})
}

func (p *parser) line(text string) error {
	p.isRecord, p.named = false, inr.Set{}
	if p.number == 1 {
		text = strings.TrimPrefix(text, "\ufeff")
	}
	if text == "" || text[0] == '#' {
		return nil
	}
	fields := strings.Split(text, "|")
	for i, f := range fields {
		fields[i] = strings.TrimSpace(f)
	}
	switch {
	case !p.headed:
		p.headed = true // so that a bad header is said once
		return p.header(fields)
	case !strings.EqualFold(fields[0], p.file.Registry):
		return fault.New(fault.BadInput, "the record is of registry %q in a file of %s", fields[0], p.file.Registry)
	case len(fields) == 6 && fields[5] == "summary":
		return p.summary(fields)
	}
	p.isRecord = true
	p.seen++
	if len(fields) > 2 {
		p.found[fields[2]]++
	}
	if len(fields) < 7 {
		return fault.New(fault.BadInput, "a record has at least 7 fields and this line has %d", len(fields))
	}
	r, err := parseRecord(fields)
	if p.named = r.Resources; err != nil {
		return err
	}
	if r.inUse() {
		written := fields[7]
		if other, known := p.ids[r.OpaqueID]; known && other != written {
			return fault.New(fault.BadInput, "the opaque-ids %s and %s differ in the case of letters alone, which handles do not tell apart", other, written)
		}
		p.ids[r.OpaqueID] = written
	}
	r.Line = p.number
	p.file.Records = append(p.file.Records, r)
	return nil
}

func (p *parser) header(fields []string) error {
	if len(fields) != 7 || !slices.Contains([]string{"2", "2.0", "2.1", "2.2", "2.3"}, fields[0]) {
		return fault.New(fault.BadInput, "the file begins with no header of version 2 to 2.3 (version|registry|serial|records|startdate|enddate|UTCoffset)")
	}
	var err1, err2, err3 error
	p.file.Registry = strings.ToLower(fields[1])
	p.file.Serial, err1 = strconv.ParseUint(fields[2], 10, 64)
	p.records, err2 = strconv.Atoi(fields[3])
	p.file.Date, err3 = parseDate(fields[5])
	p.file.Records = make([]Record, 0, min(max(p.records, 0), 1<<18)) // the header is not trusted with more
	switch {
	case p.file.Registry == "":
		return fault.New(fault.BadInput, "the header names no registry")
	case err1 != nil:
		return fault.New(fault.BadInput, "the header's serial %q is no number", fields[2])
	case err2 != nil:
		return fault.New(fault.BadInput, "the header's count of records %q is no number", fields[3])
	case err3 != nil:
		return fault.Wrap(err3, "the header's last day")
	}
	return nil
}

func (p *parser) summary(fields []string) error {
	count, err := strconv.Atoi(fields[4])
	if err != nil || count < 0 {
		return fault.New(fault.BadInput, "the summary's count %q is no number", fields[4])
	}
	if _, twice := p.stated[fields[2]]; twice {
		return fault.New(fault.BadInput, "there is a second summary of %s", fields[2])
	}
	p.stated[fields[2]] = count
	return nil
}

// finish checks the file as a whole.
func (p *parser) finish() error {
	if !p.headed {
		return fault.New(fault.BadInput, "%s is empty", p.file.Name)
	}
	total := 0
	for _, kind := range []string{"asn", "ipv4", "ipv6"} {
		total += p.found[kind]
		if stated, ok := p.stated[kind]; ok && stated != p.found[kind] {
			p.lines.Add(p.number, fault.New(fault.BadInput, "the file ends with %d %s records where its summary states %d: it is cut short or altered; fetch it again", p.found[kind], kind, stated))
		} else if !ok && p.found[kind] > 0 {
			p.lines.Add(p.number, fault.New(fault.BadInput, "the file has %s records but no summary of them", kind))
		}
	}
	if p.lines.Count() == 0 && total != p.records {
		p.lines.Add(p.number, fault.New(fault.BadInput, "the file ends with %d records where its header states %d: it is cut short or altered; fetch it again", total, p.records))
	}
	p.overlaps()
	return p.lines.Err()
}

// overlaps notes each record that shares numbers with one of an earlier line.
func (p *parser) overlaps() {
	var seen index
	for i := range p.file.Records {
		r := &p.file.Records[i]
		at := &Delegation{ID: uint64(r.Line), Resources: r.Resources} // a line's number is positive
		if earlier := seen.overlapping(r.Resources); len(earlier) > 0 {
			err := fault.New(fault.BadInput, "%s is already on line %d", r.Resources.Intersect(earlier[0].Resources), earlier[0].ID)
			if !p.exceptWrong {
				p.lines.Add(r.Line, err)
				continue
			}
			rest := r.Resources
			for _, e := range earlier {
				rest = rest.Minus(e.Resources)
			}
			p.leave(r.Line, err, rest)
			r.Line = 0
			continue
		}
		seen.insert(at)
	}
	p.file.Records = slices.DeleteFunc(p.file.Records, func(r Record) bool { return r.Line == 0 })
}
