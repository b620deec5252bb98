package wirexml

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// lineLength is how much base64 stands in a line of a message that people see and send by mail.
const lineLength = 64

// Writer puts a message together. Whoever writes keeps the order: Tag, its attributes, then Empty, or Open with what
// the element holds and Close. The zero Writer is ready.
type Writer struct{ buf []byte }

// NewWriter has room for a message of so many bytes before it has to grow.
func NewWriter(size int) *Writer { return &Writer{buf: make([]byte, 0, size)} }

// Bytes is the message so far.
func (w *Writer) Bytes() []byte { return w.buf }

// Tag begins the tag of an element.
func (w *Writer) Tag(name string) {
	w.buf = append(w.buf, '<')
	w.buf = append(w.buf, name...)
}

// Attr writes an attribute of the tag.
func (w *Writer) Attr(name, value string) {
	w.attr(name)
	w.escaped(value)
	w.buf = append(w.buf, '"')
}

// Hex writes an attribute of the tag in lower-case hexadecimal.
func (w *Writer) Hex(name string, value []byte) {
	w.attr(name)
	w.buf = hex.AppendEncode(w.buf, value)
	w.buf = append(w.buf, '"')
}

func (w *Writer) attr(name string) {
	w.buf = append(w.buf, ' ')
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, '=', '"')
}

// Optional writes an attribute of the tag if it has a value.
func (w *Writer) Optional(name, value string) {
	if value != "" {
		w.Attr(name, value)
	}
}

// Empty ends the tag of an element that holds nothing.
func (w *Writer) Empty() { w.buf = append(w.buf, "/>\n"...) }

// Open ends the tag of an element that holds text.
func (w *Writer) Open() { w.buf = append(w.buf, '>') }

// OpenLine ends the tag of an element that holds elements.
func (w *Writer) OpenLine() { w.buf = append(w.buf, ">\n"...) }

// Close writes the end of an element.
func (w *Writer) Close(name string) {
	w.buf = append(w.buf, '<', '/')
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, ">\n"...)
}

// Base64 writes bytes as one line of base64.
func (w *Writer) Base64(data []byte) { w.buf = base64.StdEncoding.AppendEncode(w.buf, data) }

// Base64Lines writes bytes as lines of base64 that mail carries.
func (w *Writer) Base64Lines(data []byte) {
	w.buf = append(w.buf, '\n')
	for line := range slices.Chunk(data, lineLength/4*3) {
		w.Base64(line)
		w.buf = append(w.buf, '\n')
	}
}

// Int writes a number as text.
func (w *Writer) Int(n int) { w.buf = strconv.AppendInt(w.buf, int64(n), 10) }

// Sentence writes a text for people, cut off after max bytes. It has no references like &lt; in it, and so writes other
// characters for the three that need them: rpki-rs, and so Krill, refuses a message with a reference in a text.
func (w *Writer) Sentence(text string, max int) {
	text = strings.Map(plain, text)
	if len(text) > max {
		cut := max
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut]
	}
	w.buf = append(w.buf, text...)
}

// plain is what becomes of a character in a text for people: what XML would have to escape is replaced, and so is what
// it cannot carry at all (XML 1.0, section 2.2).
func plain(r rune) rune {
	switch {
	case r == '<':
		return '('
	case r == '>':
		return ')'
	case r == '&':
		return '+'
	case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0xfffe, r == 0xffff:
		return utf8.RuneError
	}
	return r
}

// escaped writes the value of an attribute.
func (w *Writer) escaped(value string) {
	for _, b := range []byte(value) {
		if b < ' ' || b >= 0x7f || b == '"' || b == '&' || b == '<' || b == '>' || b == '\'' {
			_ = xml.EscapeText(w, []byte(value)) // Write never fails
			return
		}
	}
	w.buf = append(w.buf, value...)
}

// Write makes the Writer an io.Writer of raw XML.
func (w *Writer) Write(raw []byte) (int, error) {
	w.buf = append(w.buf, raw...)
	return len(raw), nil
}
