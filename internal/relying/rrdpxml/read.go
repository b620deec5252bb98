package rrdpxml

import (
	"encoding/base64"
	"encoding/xml"
	"io"
	"slices"
	"strings"

	"cadastre/internal/fault"
)

// maxURI is the longest URI that is taken, in bytes; other relying parties stop here too.
const maxURI = 2048

// ReadNotification reads an update notification file (RFC 8182, section 3.5.1). It fails with Invalid.
func ReadNotification(r io.Reader, lim Limits) (*Notification, error) {
	p := newParser(r, lim)
	head, err := p.root("notification")
	if err != nil {
		return nil, fault.Wrap(err, "the notification")
	}
	n := &Notification{Head: head}
	if err := n.read(p, lim); err != nil {
		return nil, fault.Wrap(err, "the notification of serial %d", head.Serial)
	}
	return n, nil
}

func (n *Notification) read(p *parser, lim Limits) error {
	for {
		element, err := p.child("notification", true)
		if err != nil {
			return err
		}
		if element == nil {
			break
		}
		switch name := element.Name.Local; {
		case name == "snapshot" && n.Snapshot.URI == "" && len(n.Deltas) == 0:
			n.Snapshot, _, err = reference(element, "uri", "hash")
		case name == "delta" && n.Snapshot.URI != "" && len(n.Deltas) < lim.Objects:
			var d Delta
			var serial string
			if d.File, serial, err = reference(element, "uri", "hash", "serial"); err == nil {
				d.Serial, err = parseSerial(serial)
			}
			n.Deltas = append(n.Deltas, d)
		case name == "delta" && n.Snapshot.URI != "":
			err = fault.New(fault.Invalid, "it lists more than %d deltas", lim.Objects)
		default:
			err = fault.New(fault.Invalid, "it has <%.40s> where one snapshot and then deltas are expected", name)
		}
		if err == nil {
			err = p.empty(element.Name.Local)
		}
		if err != nil {
			return err
		}
	}
	if n.Snapshot.URI == "" {
		return fault.New(fault.Invalid, "it names no snapshot")
	}
	if err := p.end(); err != nil {
		return err
	}
	return n.sort()
}

// sort brings the deltas, which may be listed in any order, in the order of their serials.
func (n *Notification) sort() error {
	slices.SortFunc(n.Deltas, func(a, b Delta) int {
		switch {
		case a.Serial < b.Serial:
			return -1
		case a.Serial > b.Serial:
			return 1
		}
		return 0
	})
	for i, d := range n.Deltas {
		if i > 0 && n.Deltas[i-1].Serial == d.Serial {
			return fault.New(fault.Invalid, "it lists the delta of serial %d twice", d.Serial)
		}
		if d.Serial > n.Serial {
			return fault.New(fault.Invalid, "it lists a delta of serial %d, which is beyond its own", d.Serial)
		}
	}
	return nil
}

// reference reads the attributes of <snapshot> and <delta> in a notification.
func reference(element *xml.StartElement, names ...string) (File, string, error) {
	attrs, err := attributes(element, names...)
	if err != nil {
		return File{}, "", err
	}
	f := File{URI: attrs["uri"]}
	if !strings.HasPrefix(f.URI, "https://") || len(f.URI) > maxURI {
		return File{}, "", fault.New(fault.Invalid, "it has %.120q where an https URI is expected", f.URI)
	}
	return f, attrs["serial"], f.Hash.UnmarshalText([]byte(attrs["hash"]))
}

// ReadSnapshot reads a snapshot file (RFC 8182, section 3.5.2) and calls each for every object, in the order of the
// file. Data belongs to the callee. It fails with Invalid, or with the error of each.
func ReadSnapshot(r io.Reader, lim Limits, each func(Change) error) (Head, error) {
	return readChanges(r, "snapshot", lim, each)
}

// ReadDelta reads a delta file (RFC 8182, section 3.5.3) and calls each for every change, in the order of the file.
// Data belongs to the callee. It fails with Invalid, or with the error of each.
func ReadDelta(r io.Reader, lim Limits, each func(Change) error) (Head, error) {
	return readChanges(r, "delta", lim, each)
}

func readChanges(r io.Reader, root string, lim Limits, each func(Change) error) (Head, error) {
	p := newParser(r, lim)
	head, err := p.root(root)
	if err != nil {
		return Head{}, fault.Wrap(err, "the %s", root)
	}
	for n := 0; ; n++ {
		element, err := p.child(root, true)
		if err != nil {
			return Head{}, fault.Wrap(err, "the %s of serial %d", root, head.Serial)
		}
		if element == nil {
			if n == 0 && root == "delta" {
				return Head{}, fault.New(fault.Invalid, "the delta of serial %d changes nothing", head.Serial)
			}
			break
		}
		if n == lim.Objects {
			return Head{}, fault.New(fault.Invalid, "the %s of serial %d has more than %d objects", root, head.Serial, lim.Objects)
		}
		c, err := p.change(element, root == "delta", lim)
		if err != nil {
			return Head{}, fault.Wrap(err, "the %s of serial %d", root, head.Serial)
		}
		if err := each(c); err != nil {
			return Head{}, fault.Wrap(err, "the %s of serial %d", root, head.Serial)
		}
	}
	return head, fault.Wrap(p.end(), "the %s of serial %d", root, head.Serial)
}

// change reads one <publish> or, in a delta, <withdraw>.
func (p *parser) change(element *xml.StartElement, delta bool, lim Limits) (Change, error) {
	name := element.Name.Local
	expected := []string{"uri"}
	switch {
	case name == "publish" && delta:
		expected = append(expected, "?hash")
	case name == "publish":
	case name == "withdraw" && delta:
		expected = append(expected, "hash")
	default:
		return Change{}, fault.New(fault.Invalid, "it has an element <%.40s> that does not belong there", name)
	}
	attrs, err := attributes(element, expected...)
	if err != nil {
		return Change{}, err
	}
	c := Change{URI: attrs["uri"], Withdraw: name == "withdraw"}
	if !objectURI(c.URI) {
		return Change{}, fault.New(fault.Invalid, "it has %.120q where the rsync URI of an object is expected", c.URI)
	}
	if text, ok := attrs["hash"]; ok {
		c.Replaces = new(Hash)
		if err := c.Replaces.UnmarshalText([]byte(text)); err != nil {
			return Change{}, fault.Wrap(err, "has for %s no hash", c.URI)
		}
	}
	if c.Withdraw {
		return c, p.empty(name)
	}
	text, err := p.text(name)
	if err != nil {
		return Change{}, err
	}
	c.Data, err = decode(text)
	if err != nil {
		return Change{}, fault.New(fault.Invalid, "it has for %s no object in base64", c.URI)
	}
	if len(c.Data) > lim.Object {
		return Change{}, fault.New(fault.Invalid, "it has for %s an object of more than %d bytes", c.URI, lim.Object)
	}
	return c, nil
}

// decode reads base64 with white space anywhere in it (xsd:base64Binary).
func decode(text []byte) ([]byte, error) {
	packed := text[:0]
	for _, b := range text {
		if b != ' ' && b != '\t' && b != '\n' && b != '\r' {
			packed = append(packed, b)
		}
	}
	data := make([]byte, base64.StdEncoding.Strict().DecodedLen(len(packed)))
	n, err := base64.StdEncoding.Strict().Decode(data, packed)
	return data[:n], err
}

// objectURI tells whether uri can name an object: rsync, a host, a module and a path without any "." or ".." in it.
func objectURI(uri string) bool {
	rest, ok := strings.CutPrefix(uri, "rsync://")
	if !ok || len(uri) > maxURI {
		return false
	}
	parts := strings.Split(rest, "/")
	for _, part := range parts {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	for _, b := range []byte(rest) {
		if b <= ' ' || b >= 0x7f {
			return false
		}
	}
	return len(parts) >= 3
}
