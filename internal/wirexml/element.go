package wirexml

import (
	"encoding/xml"
	"slices"
	"strings"

	"cadastre/internal/fault"
)

// xmlNamespace is what the prefix xml of xml:lang stands for.
const xmlNamespace = "http://www.w3.org/XML/1998/namespace"

// Element is the start of an element. Its attributes are taken one after another by name; what is wrong with them is
// kept, and told by Err when all were taken: the first fault, or that there is an attribute that nobody took.
type Element struct {
	Name  string
	line  int
	attrs []xml.Attr // those that were not taken yet
	err   error
}

// element looks at the attributes: none may come twice, which encoding/xml does not mind, nor be of a namespace,
// except for xml:lang.
func (r *Reader) element(start *xml.StartElement) (*Element, error) {
	e := &Element{Name: start.Name.Local, line: r.line(), attrs: start.Attr[:0]}
	if len(start.Attr) > maxAttributes {
		return nil, r.Errorf("<%.40s> has more than %d attributes", e.Name, maxAttributes)
	}
	for i, a := range start.Attr {
		for _, before := range start.Attr[:i] {
			if before.Name == a.Name {
				return nil, r.Errorf("<%.40s> has the attribute %.40q twice", e.Name, a.Name.Local)
			}
		}
	}
	for _, a := range start.Attr {
		switch {
		case a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns":
			continue
		case a.Name.Space == xmlNamespace:
			a.Name.Local = "xml:" + a.Name.Local
		case a.Name.Space != "":
			return nil, r.Errorf("<%.40s> has the attribute %.40q of another namespace", e.Name, a.Name.Local)
		}
		e.attrs = append(e.attrs, a)
	}
	return e, nil
}

// Errorf is an error that names the element and its line.
func (e *Element) Errorf(format string, args ...any) error {
	return fault.Wrap(fault.New(fault.BadInput, format, args...), "line %d, <%.40s>", e.line, e.Name)
}

// Fail keeps a fault of an attribute for Err, if it is the first.
func (e *Element) Fail(format string, args ...any) {
	if e.err == nil {
		e.err = e.Errorf(format, args...)
	}
}

// Err is the first fault of the attributes, or that there is one that was not taken.
func (e *Element) Err() error {
	if e.err == nil && len(e.attrs) > 0 {
		e.Fail("it has an attribute %.40q, which this protocol does not know", e.attrs[0].Name.Local)
	}
	return e.err
}

// Optional takes an attribute of at most max bytes, and tells whether it is there.
func (e *Element) Optional(name string, max int) (string, bool) {
	i := slices.IndexFunc(e.attrs, func(a xml.Attr) bool { return a.Name.Local == name })
	if i < 0 {
		return "", false
	}
	value := e.attrs[i].Value
	e.attrs = slices.Delete(e.attrs, i, i+1)
	if len(value) > max {
		e.Fail("its attribute %s is longer than %d bytes", name, max)
		return "", false
	}
	return value, true
}

// Attr takes an attribute of at most max bytes that must be there.
func (e *Element) Attr(name string, max int) string {
	value, ok := e.Optional(name, max)
	if !ok {
		e.Fail("it lacks the attribute %s", name)
	}
	return value
}

// Token takes an xsd:token of at most max bytes that must be there: white space around it and more than one space in it
// mean nothing.
func (e *Element) Token(name string, max int) string { return token(e.Attr(name, max)) }

// OptionalToken takes an xsd:token of at most max bytes, "" where it is not there.
func (e *Element) OptionalToken(name string, max int) string {
	value, _ := e.Optional(name, max)
	return token(value)
}

func token(value string) string {
	return strings.Join(strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) }), " ")
}

// URI takes a URI of at most max bytes that must be there and begin with one of these schemes ("https://"), if any are
// given. It has only visible characters of US-ASCII, and names no user (IsURI); whether it makes sense is not looked at.
func (e *Element) URI(name string, max int, schemes ...string) string {
	value := e.Attr(name, max)
	if e.err == nil && !IsURI(value, schemes...) {
		which := ""
		if len(schemes) > 0 {
			which = " that begins with " + strings.Join(schemes, " or ")
		}
		e.Fail("its attribute %s has %.120q where a URI is needed%s", name, value, which)
	}
	return value
}

// OptionalURI takes a URI as URI does, "" where it is not there.
func (e *Element) OptionalURI(name string, max int, schemes ...string) string {
	if !slices.ContainsFunc(e.attrs, func(a xml.Attr) bool { return a.Name.Local == name }) {
		return ""
	}
	return e.URI(name, max, schemes...)
}

// IsURI tells whether text has only visible characters of US-ASCII, names no user before its host, and begins with one of
// these schemes and goes on, if any are given.
func IsURI(text string, schemes ...string) bool {
	if _, rest, ok := strings.Cut(text, "://"); ok {
		if end := strings.IndexAny(rest, "/?#"); end >= 0 {
			rest = rest[:end]
		}
		if strings.Contains(rest, "@") {
			return false
		}
	}
	for _, b := range []byte(text) {
		if b <= ' ' || b >= 0x7f {
			return false
		}
	}
	begins := func(scheme string) bool {
		return len(text) > len(scheme) && strings.EqualFold(text[:len(scheme)], scheme)
	}
	return text != "" && (len(schemes) == 0 || slices.ContainsFunc(schemes, begins))
}
