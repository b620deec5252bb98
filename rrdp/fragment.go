package rrdp

import (
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strings"
)

// A fragment is what a snapshot has of one object (RFC 8182, section 3.5.2):
//
//	<publish uri="rsync://…">BASE64</publish>
//
// and once more as deflate blocks (RFC 1951) that end on a byte: a stored block with the opening tag, then the rest
// compressed and flushed. A delta shares everything behind the opening tag, which it puts there anew with the hash of
// what is replaced. So any document is a concatenation, compressed or not.
const (
	opening   = `<publish uri="`
	openEnd   = `">`
	closing   = "</publish>\n"
	storedLen = 5 // bytes of a stored block before its data
)

// maxObject is what rpki-client takes as the size of an object, in bytes.
const maxObject = 8_000_000

// maxURI is what rpki-client takes as the length of a URI.
const maxURI = 2048

// plainURI says whether a URI is of characters that mean nothing to XML, and not too long.
func plainURI(uri string) bool {
	if uri == "" || len(uri) > maxURI {
		return false
	}
	for i := range len(uri) {
		c := uri[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-._~:/[]@%+,=", rune(c)) {
			return false
		}
	}
	return true
}

// stored appends a stored block (RFC 1951, section 3.2.4) with data of at most 65535 bytes.
func stored(out []byte, final bool, data string) []byte {
	first := byte(0)
	if final {
		first = 1
	}
	n := uint16(len(data)) // tags are short
	out = append(out, first)
	out = binary.LittleEndian.AppendUint16(out, n)
	out = binary.LittleEndian.AppendUint16(out, ^n)
	return append(out, data...)
}

// press makes fragments. It is used by one goroutine at a time.
type press struct {
	deflate *flate.Writer
	out     appended
}

// appended is a writer that appends.
type appended []byte

func (a *appended) Write(data []byte) (int, error) {
	*a = append(*a, data...)
	return len(data), nil
}

func newPress() *press {
	p := &press{}
	p.deflate, _ = flate.NewWriter(&p.out, deflateLevel) // fails on unknown levels alone
	return p
}

// deflateLevel is the fastest with matching: within one object there is little for the slower ones to find.
const deflateLevel = 1

// fragment appends the two forms of an object to text and packed, and returns the CRC of what it appended to packed.
func (p *press) fragment(text, packed []byte, uri string, object []byte) ([]byte, []byte, uint32) {
	text = append(text, opening...)
	text = append(text, uri...)
	text = append(text, openEnd...)
	body := len(text)
	text = base64.StdEncoding.AppendEncode(text, object)
	text = append(text, closing...)

	start := len(packed)
	packed = slices.Grow(packed, len(object)+len(object)/8+len(uri)+64) // an object of 4 MB is not to be copied as it grows
	p.out = stored(packed, false, opening+uri+openEnd)
	p.deflate.Reset(&p.out)
	_, _ = p.deflate.Write(text[body:]) // it takes everything
	_ = p.deflate.Flush()
	packed, p.out = p.out, nil // what is large is not kept
	return text, packed, crc32.ChecksumIEEE(packed[start:])
}

// unwrap takes the object out of its fragment's text.
func unwrap(text []byte, uri string) ([]byte, error) {
	head := len(opening) + len(uri) + len(openEnd)
	return base64.StdEncoding.AppendDecode(nil, text[head:len(text)-len(closing)])
}
