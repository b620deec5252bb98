package rrdp

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"sort"
	"strconv"
)

// piece is a part of a document: literal bytes, or a range of a segment.
type piece struct {
	literal []byte
	segment *segment
	at, end int64 // in the segment; for a literal 0 and its length
}

// document is a file that exists only as its pieces.
type document struct {
	pieces []piece
	ends   []int64 // where each piece ends in the document
}

func (d *document) size() int64 {
	if len(d.ends) == 0 {
		return 0
	}
	return d.ends[len(d.ends)-1]
}

func (d *document) literal(data []byte) {
	d.pieces = append(d.pieces, piece{literal: data, end: int64(len(data))})
	d.ends = append(d.ends, d.size()+int64(len(data)))
}

// span adds a range of a segment; one that follows the range before in the same segment makes it longer.
func (d *document) span(seg *segment, at, end int64) {
	last := len(d.pieces) - 1
	if last >= 0 && d.pieces[last].segment == seg && d.pieces[last].end == at {
		d.pieces[last].end = end
		d.ends[last] += end - at
		return
	}
	d.pieces = append(d.pieces, piece{segment: seg, at: at, end: end})
	d.ends = append(d.ends, d.size()+end-at)
}

// item is one element of a document.
type item struct {
	uri      string
	place    place     // of the object; no segment for a withdrawal
	replaced *[32]byte // hash of what is replaced or withdrawn
}

// sheet is what a document is made of, before the choice of its form.
type sheet struct {
	kind    string // "snapshot" or "delta"
	session string
	serial  uint64
	items   []item
}

// head is the opening tag of a file (RFC 8182, section 3.5). There is no XML declaration: all is US-ASCII, which is XML's
// default too, and octorpki's parser refuses a file that says so.
func head(kind, session string, serial uint64) string {
	return "<" + kind + ` xmlns="http://www.ripe.net/rpki/rrdp" version="1" session_id="` + session +
		`" serial="` + strconv.FormatUint(serial, 10) + "\">\n"
}

func (s *sheet) head() string { return head(s.kind, s.session, s.serial) }
func (s *sheet) tail() string { return "</" + s.kind + ">\n" }

// openingTag is the tag that stands before the base64 of an item that replaces something, or the whole of a withdrawal
// (RFC 8182, section 3.5.3).
func (i *item) openingTag() string {
	hash := `" hash="` + hex.EncodeToString(i.replaced[:])
	if i.place.segment == nil {
		return `<withdraw uri="` + i.uri + hash + "\"/>\n"
	}
	return opening + i.uri + hash + openEnd
}

// plain is the document as XML.
func (s *sheet) plain() *document {
	d := &document{}
	d.literal([]byte(s.head()))
	for i := range s.items {
		it := &s.items[i]
		at, skip := int64(it.place.text), int64(0)
		if it.replaced != nil {
			d.literal([]byte(it.openingTag()))
			skip = int64(len(opening) + len(it.uri) + len(openEnd))
		}
		if it.place.segment != nil {
			d.span(it.place.segment, at+skip, at+int64(it.place.textLen))
		}
	}
	d.literal([]byte(s.tail()))
	return d
}

// gzip is the document as one gzip member (RFC 1952): some readers stop at the end of the first.
func (s *sheet) gzip(of sum) *document {
	d := &document{}
	// no flags, no time, unknown system: the same bytes whenever it is made
	d.literal(stored([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}, false, s.head()))
	for i := range s.items {
		it := &s.items[i]
		at, skip := int64(it.place.flate), int64(0)
		if it.replaced != nil {
			d.literal(stored(nil, false, it.openingTag()))
			skip = int64(storedLen + len(opening) + len(it.uri) + len(openEnd))
		}
		if it.place.segment != nil {
			d.span(it.place.segment, at+skip, at+int64(it.place.flateLen))
		}
	}
	end := stored(nil, true, s.tail())
	end = binary.LittleEndian.AppendUint32(end, of.crc)
	d.literal(binary.LittleEndian.AppendUint32(end, uint32(of.size&0xffffffff))) // ISIZE is modulo 2^32
	return d
}

// readSize is what is read from a segment at once when a document is hashed or copied.
const readSize = 256 << 10

// sum reads the whole document.
func (d *document) sum() (sum, error) {
	out := sum{size: d.size()}
	h := sha256.New()
	buf := make([]byte, readSize)
	for _, p := range d.pieces {
		for at := p.at; at < p.end; {
			part := p.literal
			if p.segment != nil {
				part = buf[:min(int64(len(buf)), p.end-at)]
				if err := readFull(p.segment.file, part, at); err != nil {
					return out, err
				}
			}
			h.Write(part)
			out.crc = crc32.Update(out.crc, crc32.IEEETable, part)
			at += int64(len(part))
		}
	}
	h.Sum(out.hash[:0])
	return out, nil
}

// readFull reads exactly len(buf) bytes; a file that ends before is an error.
func readFull(f io.ReaderAt, buf []byte, at int64) error {
	n, err := f.ReadAt(buf, at)
	if n == len(buf) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// open is the document as a stream in which one can seek.
func (d *document) open() *stream { return &stream{document: d, length: d.size()} }

// stream reads a document. What goes wrong stays in err: http.ServeContent keeps it to itself.
type stream struct {
	document *document
	late     func() (*document, error) // gives the document when it is first read; nil where it is there
	length   int64
	at       int64
	err      error
}

// Read implements io.Reader.
func (s *stream) Read(buf []byte) (int, error) {
	if s.at >= s.length {
		return 0, io.EOF
	}
	if s.document == nil {
		if s.document, s.err = s.late(); s.err != nil {
			return 0, s.err
		}
	}
	d := s.document
	i := sort.Search(len(d.ends), func(i int) bool { return d.ends[i] > s.at })
	p := d.pieces[i]
	at := p.end - (d.ends[i] - s.at)
	n := int(min(int64(len(buf)), p.end-at))
	if p.segment == nil {
		copy(buf[:n], p.literal[at:])
	} else if err := readFull(p.segment.file, buf[:n], at); err != nil {
		s.err = err
		return 0, err
	}
	s.at += int64(n)
	return n, nil
}

// Seek implements io.Seeker.
func (s *stream) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.at
	case io.SeekEnd:
		offset += s.length
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	s.at = offset
	return offset, nil
}
