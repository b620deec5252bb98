package rrdpxml

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"cadastre/internal/fault"
)

// slack is what an element may have around its base64: its tag, its URI and white space.
const slack = 16 << 10

var (
	errTooLong  = errors.New("an element is larger than the limit for one object")
	errNotASCII = errors.New("a byte is outside US-ASCII")
)

// meter hands bytes to the XML decoder one by one and refuses to go on when one token takes too many of them, which
// the decoder itself would collect without end. It is an io.ByteReader, so that the decoder puts no buffer of its own
// in front of it.
type meter struct {
	*bufio.Reader
	left, max int
}

func (m *meter) ReadByte() (byte, error) {
	if m.left == 0 {
		return 0, errTooLong
	}
	m.left--
	b, err := m.Reader.ReadByte()
	if err == nil && b >= 0x80 {
		return 0, errNotASCII
	}
	return b, err
}

// parser gives the tokens that an RRDP file can have and refuses all others.
type parser struct {
	dec   *xml.Decoder
	meter *meter
	began bool // whether a token was read: the XML declaration can only be the first
}

func newParser(r io.Reader, lim Limits) *parser {
	max := lim.Object + lim.Object/2 + slack
	m := &meter{Reader: bufio.NewReaderSize(r, 64<<10), left: max, max: max}
	dec := xml.NewDecoder(m)
	dec.CharsetReader = func(label string, in io.Reader) (io.Reader, error) {
		if strings.EqualFold(label, "us-ascii") || strings.EqualFold(label, "ascii") {
			return in, nil
		}
		return nil, errors.New("the file declares the encoding " + label + " and not US-ASCII")
	}
	return &parser{dec: dec, meter: m}
}

// next is the next start element, end element or text. Text is valid until the next call.
func (p *parser) next() (xml.Token, error) {
	for {
		p.meter.left = p.meter.max
		token, err := p.dec.Token()
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		if err != nil {
			return nil, fault.New(fault.Invalid, "it is no well-formed XML: %w", err)
		}
		first := !p.began
		p.began = true
		switch t := token.(type) {
		case xml.Comment:
		case xml.ProcInst:
			if !first || t.Target != "xml" {
				return nil, fault.New(fault.Invalid, "it has a processing instruction %.40q", t.Target)
			}
		case xml.Directive:
			return nil, fault.New(fault.Invalid, "it has a DOCTYPE or another declaration")
		default:
			return token, nil
		}
	}
}

// root reads the root element and checks what all three files have in common.
func (p *parser) root(name string) (Head, error) {
	element, err := p.child("", false)
	if err != nil {
		return Head{}, err
	}
	if element == nil || element.Name.Local != name || element.Name.Space != Namespace {
		return Head{}, fault.New(fault.Invalid, "it has no root element <%s> of the namespace %s", name, Namespace)
	}
	attrs, err := attributes(element, "version", "session_id", "serial")
	if err != nil {
		return Head{}, err
	}
	if attrs["version"] != "1" {
		return Head{}, fault.New(fault.Invalid, "it has version %.40q instead of 1", attrs["version"])
	}
	head := Head{Session: attrs["session_id"]}
	if !uuid4.MatchString(head.Session) {
		return Head{}, fault.New(fault.Invalid, "session_id %.80q is no version 4 UUID", head.Session)
	}
	head.Serial, err = parseSerial(attrs["serial"])
	return head, err
}

// child is the next child element of parent, nil at its end. Text between children may only be white space. With
// inside false it looks for the root, of whatever namespace. The end of the file is an error.
func (p *parser) child(parent string, inside bool) (*xml.StartElement, error) {
	for {
		token, err := p.next()
		if errors.Is(err, io.EOF) {
			return nil, fault.New(fault.Invalid, "it ends before its root element does")
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if inside && t.Name.Space != Namespace {
				return nil, fault.New(fault.Invalid, "it has an element <%.40s> of another namespace", t.Name.Local)
			}
			return &t, nil
		case xml.EndElement:
			return nil, nil
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return nil, fault.New(fault.Invalid, "it has text between the elements of <%s>", parent)
			}
		}
	}
}

// text is the text of an element that has no children, and reads its end. The bytes are the caller's.
func (p *parser) text(element string) ([]byte, error) {
	var all []byte
	for {
		token, err := p.next()
		if errors.Is(err, io.EOF) {
			return nil, fault.New(fault.Invalid, "it ends inside <%s>", element)
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			return nil, fault.New(fault.Invalid, "it has an element inside <%s>", element)
		case xml.EndElement:
			return all, nil
		case xml.CharData:
			// a comment can split the text in many pieces, which the meter counts one by one
			if len(all)+len(t) > p.meter.max {
				return nil, fault.New(fault.Invalid, "it is not acceptable: %w", errTooLong)
			}
			all = append(all, t...)
		}
	}
}

// empty reads the end of an element that has no content.
func (p *parser) empty(element string) error {
	text, err := p.text(element)
	if err == nil && len(bytes.TrimSpace(text)) > 0 {
		err = fault.New(fault.Invalid, "it has text inside <%s>", element)
	}
	return err
}

// end makes sure that nothing follows the root element.
func (p *parser) end() error {
	for {
		token, err := p.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if text, ok := token.(xml.CharData); !ok || len(bytes.TrimSpace(text)) > 0 {
			return fault.New(fault.Invalid, "it goes on after its root element")
		}
	}
}

// attributes collects the attributes of an element. Those named are known, and each must be there unless its name
// begins with "?". Any other, and any that comes twice, is refused; encoding/xml itself does not mind either.
func attributes(element *xml.StartElement, names ...string) (map[string]string, error) {
	found := make(map[string]string, len(names))
	for _, a := range element.Attr {
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			continue
		}
		if _, twice := found[a.Name.Local]; twice {
			return nil, fault.New(fault.Invalid, "it has the attribute %q twice in <%s>", a.Name.Local, element.Name.Local)
		}
		if a.Name.Space != "" {
			return nil, fault.New(fault.Invalid, "it has an attribute %.40q of another namespace", a.Name.Local)
		}
		found[a.Name.Local] = a.Value
	}
	known := 0
	for _, name := range names {
		name, optional := strings.CutPrefix(name, "?")
		_, ok := found[name]
		if ok {
			known++
		} else if !optional {
			return nil, fault.New(fault.Invalid, "it lacks the attribute %q in <%s>", name, element.Name.Local)
		}
	}
	if known != len(found) {
		return nil, fault.New(fault.Invalid, "it has an attribute in <%s> that RFC 8182 does not know", element.Name.Local)
	}
	return found, nil
}
