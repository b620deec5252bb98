package routes

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"io"
	"time"

	"cadastre/internal/fault"
)

// The limits of a file. What RouteViews and RIS write is a tenth of them.
const (
	maxUnpacked = 32 << 30  // octets of MRT, once unpacked
	maxText     = 256 << 20 // octets of everything else
	maxLine     = 4096      // octets of a line
	maxLeft     = Most      // lines that have no announcement, and entries without an origin
)

var errTooLarge = errors.New("it is larger than the limit")

// Read reads announcements from a file, plain or packed by gzip or bzip2, in the form that it is found to be in:
//
//   - MRT with TABLE_DUMP_V2 (RFC 6396; RFC 8050 for several paths of a peer), as RouteViews and RIS write it;
//   - a RIS whois dump: lines of origin, prefix and the number of peers, with tabs between them and comments that begin with %;
//   - CSV: prefix,ASn[,peers] without a header, or with one that names the columns prefix, asn and peers in any order;
//   - JSON: a list of objects with prefix, asn and visibility, or an object with such a list in "announcements", as RIPE NCC's API writes it;
//   - the form that Table.Write writes.
//
// What has no single origin AS is left out and counted. At is the time of a table that names none. It fails with BadInput: a file is read as a
// whole or not at all.
func Read(name string, in io.Reader, at time.Time) (*Table, error) {
	packed := bufio.NewReaderSize(in, 64<<10)
	limit := &limited{in: packed, left: maxUnpacked}
	var err error
	switch magic, _ := packed.Peek(3); {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		if limit.in, err = gzip.NewReader(packed); err != nil {
			return nil, fault.New(fault.BadInput, "%s can't be unpacked (%w): fetch it again", name, err)
		}
	case bytes.Equal(magic, []byte("BZh")):
		limit.in = bzip2.NewReader(packed)
	}
	from := bufio.NewReaderSize(limit, 256<<10)
	start, _ := from.Peek(mrtHeader)
	var t *Table
	switch {
	case bytes.HasPrefix(start, []byte(ownMagic[:mrtHeader])):
		limit.left = maxText
		t, err = readOwn(from)
		err = fault.Wrap(err, "%s", name)
	case isMRT(start):
		t, err = readMRT(from, at)
		err = fault.Wrap(err, "%s", name)
	default:
		limit.left = maxText
		t, err = readText(name, from, at)
	}
	return t, err
}

// limited is a reader that fails when more comes than may.
type limited struct {
	in   io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooLarge
	}
	if int64(len(p)) > l.left {
		p = p[:l.left]
	}
	n, err := l.in.Read(p)
	l.left -= int64(n)
	return n, err
}
