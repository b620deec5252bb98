// Package wirexml reads and writes the XML of the messages that certification authorities and publication servers send
// each other (RFC 6492, RFC 8181 and RFC 8183), and of those between installations. It knows no
// message, only what all of them have in common.
//
// Nothing that is read here is trusted. A message lies in memory whole; whoever received it has bounded it. What is
// bounded here is what reading it costs: one tag, its attributes, one text. There is no DTD, no entity but the five of
// XML itself, no processing instruction, no element or attribute that the caller did not ask for. Elements cannot nest
// deeper than the caller descends, because the first that it does not expect ends the reading.
//
// All errors are of kind fault.BadInput. They name the line and the element where there is one to name.
package wirexml

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"cadastre/internal/fault"
)

// Limits bound what is collected of a message at a time, in bytes. Text and white space between tags count as text.
type Limits struct {
	Tag  int // one tag with its attributes, or one comment
	Text int // the text of one element, as it is written
}

// maxAttributes is how many attributes one tag may have, name spaces included. The messages of RFCs have seven at most; a
// source's report of a transfer has fourteen, and its name space.
const maxAttributes = 16

var errTooLong = errors.New("a tag or a text is longer than this message can need")

// source hands a message to the XML decoder byte by byte and stops where one token grows too long, which the decoder
// itself would collect without end. As an io.ByteReader it is read without a buffer in between.
type source struct {
	message []byte
	at, end int
}

func (s *source) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

func (s *source) ReadByte() (byte, error) {
	switch s.at {
	case len(s.message):
		return 0, io.EOF
	case s.end:
		return 0, errTooLong
	}
	s.at++
	return s.message[s.at-1], nil
}

// Reader reads one message from its root element to its end.
type Reader struct {
	dec       *xml.Decoder
	src       *source
	lim       Limits
	namespace string
	began     bool   // whether a token was read: the XML declaration can only be the first
	text      []byte // what Text and Base64 collect in

	skipped, skippedLines int // what the decoder did not see, because raw took it
}

// NewReader reads message, which must not change as long as it is read. A byte order mark at its
// beginning is skipped: XML allows it, some editors write it, and encoding/xml does not know it.
func NewReader(message []byte, lim Limits) *Reader {
	src := &source{message: bytes.TrimPrefix(message, []byte("\ufeff"))}
	dec := xml.NewDecoder(src)
	dec.CharsetReader = func(label string, in io.Reader) (io.Reader, error) {
		if strings.EqualFold(label, "us-ascii") || strings.EqualFold(label, "ascii") {
			return in, nil // which UTF-8 includes
		}
		return nil, errors.New("it declares the encoding " + label + " and neither UTF-8 nor US-ASCII")
	}
	return &Reader{dec: dec, src: src, lim: lim}
}

// Errorf is an error that names the line that was read last.
func (r *Reader) Errorf(format string, args ...any) error {
	return fault.Wrap(fault.New(fault.BadInput, format, args...), "line %d", r.line())
}

// line counts from 1.
func (r *Reader) line() int {
	line, _ := r.dec.InputPos()
	return line + r.skippedLines
}

// offset is where in the message the last token ends.
func (r *Reader) offset() int { return int(r.dec.InputOffset()) + r.skipped }

// next is the next start element, end element or text. Text is valid until the next call.
func (r *Reader) next() (xml.Token, error) {
	for {
		// The next byte tells which limit holds. Behind <tag/> the decoder still owes the end element and reads nothing.
		offset := r.offset()
		limit := r.lim.Text
		if offset < len(r.src.message) && r.src.message[offset] == '<' {
			limit = r.lim.Tag
		}
		r.src.end = offset + limit
		token, err := r.dec.Token()
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		if err != nil {
			return nil, fault.New(fault.BadInput, "it cannot be read: %w", err)
		}
		first := !r.began
		r.began = true
		switch t := token.(type) {
		case xml.Comment:
		case xml.ProcInst:
			if !first || t.Target != "xml" {
				return nil, r.Errorf("it has a processing instruction %.40q", t.Target)
			}
		case xml.Directive:
			return nil, r.Errorf("it has a DOCTYPE or another declaration")
		default:
			return token, nil
		}
	}
}

// Root reads the root element, which must be of one of these namespaces. All elements in it must be of the namespace of the
// root. The namespace "" is that of a message that declares none.
func (r *Reader) Root(namespaces ...string) (*Element, error) {
	for {
		token, err := r.next()
		if errors.Is(err, io.EOF) {
			return nil, fault.New(fault.BadInput, "it has no XML element at all")
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			for _, namespace := range namespaces {
				if t.Name.Space == namespace {
					r.namespace = namespace
					return r.element(&t)
				}
			}
			return nil, r.Errorf("<%.40s> is of the namespace %.120q and not of %q", t.Name.Local, t.Name.Space, namespaces[0])
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return nil, r.Errorf("it begins with text and not with an XML element")
			}
		}
	}
}

// Child reads the next element in parent, nil at the end of parent. Between elements there may only be white space.
func (r *Reader) Child(parent *Element) (*Element, error) {
	for {
		token, err := r.inside(parent)
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if t.Name.Space != r.namespace {
				return nil, r.Errorf("<%.40s> is of another namespace than the message", t.Name.Local)
			}
			return r.element(&t)
		case xml.EndElement:
			return nil, nil
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return nil, r.Errorf("there is text in <%s>, where only elements can be", parent.Name)
			}
		}
	}
}

// End reads the end of an element in which nothing is left, nor may be.
func (r *Reader) End(element *Element) error {
	child, err := r.Child(element)
	if err == nil && child != nil {
		err = r.Errorf("there is a <%.40s> in <%s>, where none can be", child.Name, element.Name)
	}
	return err
}

// Text reads the text of an element without children, and its end. It is valid until the next call.
func (r *Reader) Text(element *Element) ([]byte, error) {
	r.text = r.text[:0]
	return r.collect(element)
}

// collect reads the rest of a text.
func (r *Reader) collect(element *Element) ([]byte, error) {
	for {
		token, err := r.inside(element)
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			return nil, r.Errorf("there is a <%.40s> in <%s>, where only text can be", t.Name.Local, element.Name)
		case xml.EndElement:
			return r.text, nil
		case xml.CharData:
			// a comment can split the text in many pieces, each of which is within the limit
			if len(r.text)+len(t) > r.lim.Text {
				return nil, r.Errorf("the text of <%s> is longer than %d bytes", element.Name, r.lim.Text)
			}
			r.text = append(r.text, t...)
		}
	}
}

// Base64 reads an element that holds xsd:base64Binary of at most max bytes, and its end. The bytes are the caller's.
func (r *Reader) Base64(element *Element, max int) ([]byte, error) {
	packed := r.raw()
	r.text = r.text[:0]
	rest, err := r.collect(element)
	if err != nil {
		return nil, err
	}
	if len(packed)+len(rest) > r.lim.Text {
		return nil, r.Errorf("the text of <%s> is longer than %d bytes", element.Name, r.lim.Text)
	}
	// an object of megabytes is decoded where it lies; the decoder leaves out line ends by itself
	if len(rest) > 0 || bytes.ContainsAny(packed, " \t") {
		together := append(bytes.Clone(packed), rest...)
		packed = together[:0]
		for _, b := range together {
			if b != ' ' && b != '\t' {
				packed = append(packed, b)
			}
		}
	}
	encoding := base64.StdEncoding.Strict()
	data := make([]byte, encoding.DecodedLen(len(packed)))
	n, err := encoding.Decode(data, packed)
	if err != nil {
		return nil, r.Errorf("what <%s> holds is no base64: %w", element.Name, err)
	}
	if n > max {
		return nil, r.Errorf("what <%s> holds is larger than %d bytes", element.Name, max)
	}
	return data[:n], nil
}

// raw takes the text behind a start tag as it is written, without the decoder, which would need five times as long for
// the objects that are most of a message. The caller must refuse what XML would not allow in a text. It takes none that
// is too long, or has references in it, or is not this element's, which <element/> ends already.
func (r *Reader) raw() []byte {
	offset := r.offset()
	before, rest := r.src.message[:offset], r.src.message[offset:]
	end := bytes.IndexByte(rest, '<')
	if end < 0 || end > r.lim.Text || bytes.HasSuffix(before, []byte("/>")) || bytes.IndexByte(rest[:end], '&') >= 0 {
		return nil
	}
	r.src.at += end
	r.skipped += end
	r.skippedLines += bytes.Count(rest[:end], []byte("\n"))
	return rest[:end]
}

// Done makes sure that nothing follows the root element.
func (r *Reader) Done() error {
	for {
		token, err := r.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if text, ok := token.(xml.CharData); !ok || len(bytes.TrimSpace(text)) > 0 {
			return r.Errorf("it goes on after its root element")
		}
	}
}

// inside is the next token in an element, where the message cannot end.
func (r *Reader) inside(element *Element) (xml.Token, error) {
	token, err := r.next()
	if errors.Is(err, io.EOF) {
		return nil, r.Errorf("it ends within <%s>", element.Name)
	}
	return token, err
}
