package transferwire

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"

	"cadastre/internal/fault"
	"cadastre/internal/printable"
	"cadastre/internal/wirexml"
)

// limits have room for the tag with the longest resource set and URI, and for white space around base64.
var limits = wirexml.Limits{Tag: maxResources + maxURI + 16*maxName, Text: 4 * maxBinary}

// Parse reads a message. It fails with BadInput; what it returns shares nothing with message.
func Parse(message []byte) (Message, error) {
	if len(message) > MaxMessage {
		return nil, fault.New(fault.BadInput, "the message about a transfer has %d octets, more than %d", len(message), MaxMessage)
	}
	r := wirexml.NewReader(message, limits)
	m, err := read(r)
	if err == nil {
		err = r.Done()
	}
	if err != nil {
		return nil, fault.Wrap(err, "the message about a transfer")
	}
	return m, nil
}

func read(r *wirexml.Reader) (Message, error) {
	root, err := r.Root(namespace)
	if err != nil {
		return nil, err
	}
	checkVersion(root)
	switch root.Name {
	case "source":
		return readSource(r, root)
	case "recipient":
		return readRecipient(r, root)
	}
	return nil, r.Errorf("its root element is <%.40s> and neither <source> nor <recipient>", root.Name)
}

func checkVersion(root *wirexml.Element) {
	if v := root.Token("version", maxWord); v != version && v != "" {
		root.Fail("it is of version %.40q, and only version %s is known here; the newer side has to speak it", v, version)
	}
}

func readSource(r *wirexml.Reader, root *wirexml.Element) (*Source, error) {
	s := &Source{
		Ref: ref(root), State: oneOf(root, "state", Initiated, Accepted, Finalised, Cancelled),
		Kind: oneOf(root, "kind", "transfer", "merger", "takeover", "move", "handoff"),
		From: readHandle(root, "from"), FromRegistry: readHandle(root, "from_registry"), To: readHandle(root, "to"), ToRegistry: readHandle(root, "to_registry"),
		Under: optionalHandle(root, "under"), Soak: duration(root, "soak", true), Bridge: duration(root, "bridge", false),
		Held: optionalOf(root, "held", "true") != "", Since: moments(root, "since"),
	}
	if text, ok := root.Optional("original", maxResources); ok {
		s.Original = resourcesOf(root, "original", text)
	}
	if err := root.Err(); err != nil {
		return nil, err
	}
	known, parts := map[string]bool{}, 0
	order := ordered{names: []string{"reason", "disputed", "leg", "carried", "object", "staged", "certificate"}, many: []string{"leg", "carried", "object", "staged", "certificate"}}
	err := order.each(r, root, func(e *wirexml.Element) (err error) {
		switch e.Name {
		case "reason":
			s.Reason, err = readText(r, e)
		case "disputed":
			s.Disputed, err = readText(r, e)
		case "leg":
			var leg *Leg
			if leg, err = readLeg(r, e, &parts); err == nil {
				err = leg.fits(e, known)
				s.Legs = append(s.Legs, *leg)
			}
		case "carried":
			s.Carried, err = readRoute(r, e, s.Carried)
		case "object":
			s.Objects, err = readObject(r, e, s.Objects)
		case "staged":
			s.Staged, err = readRoute(r, e, s.Staged)
		case "certificate":
			shown := Shown{Key: octets(e, "key"), Signature: octets(e, "signature")}
			shown.URI, err = readCertificate(r, e, len(s.Certificates))
			s.Certificates = append(s.Certificates, shown)
		}
		return err
	})
	if err == nil && len(s.Legs) == 0 {
		err = r.Errorf("there is no <leg> in <source>")
	}
	return s, err
}

// fits checks that a leg is the donor's, or below one that came before, and that there are not too many.
func (l *Leg) fits(e *wirexml.Element, known map[string]bool) error {
	above := ""
	if at := strings.LastIndexByte(l.Path, '/'); at >= 0 {
		above = l.Path[:at]
	}
	switch {
	case known[l.Path]:
		return e.Errorf("the leg %.80q is there twice", l.Path)
	case len(known) == 0 && l.Path != "":
		return e.Errorf("the first leg is %.80q and not the donor's", l.Path)
	case len(known) > 0 && !known[above]:
		return e.Errorf("the leg %.80q comes before the one above it", l.Path)
	case len(known) == maxLegs:
		return e.Errorf("there are more than %d legs", maxLegs)
	}
	known[l.Path] = true
	return nil
}

func readLeg(r *wirexml.Reader, e *wirexml.Element, parts *int) (*Leg, error) {
	l := &Leg{Path: path(e), Kind: oneOf(e, "kind", "lir", "enduser"), Name: name(e), Country: country(e)}
	if err := e.Err(); err != nil {
		return nil, err
	}
	order := ordered{names: []string{"ca", "part"}, many: []string{"part"}}
	err := order.each(r, e, func(c *wirexml.Element) (err error) {
		if c.Name == "ca" {
			l.CA, err = readBinary(r, c)
			return err
		}
		p := Part{Status: oneOf(c, "status", "allocated", "assigned"), Until: moments(c, "until"), Country: country(c)}
		p.Resources = resourcesOf(c, "resources", c.Attr("resources", maxResources))
		if *parts++; *parts > maxParts {
			c.Fail("there are more than %d parts", maxParts)
		}
		if err = c.Err(); err == nil {
			err = r.End(c)
		}
		l.Parts = append(l.Parts, p)
		return err
	})
	if err == nil && len(l.Parts) == 0 {
		err = r.Errorf("there is no <part> in <leg>")
	}
	return l, err
}

func readRecipient(r *wirexml.Reader, root *wirexml.Element) (*Recipient, error) {
	m := &Recipient{Ref: ref(root), State: oneOf(root, "state", Initiated, Accepted, Finalised, Cancelled, Unknown, Refused)}
	if err := root.Err(); err != nil {
		return nil, err
	}
	order := ordered{names: []string{"reason", "waits", "disputed", "wish", "leg"}, many: []string{"leg"}}
	err := order.each(r, root, func(e *wirexml.Element) (err error) {
		switch e.Name {
		case "reason":
			m.Reason, err = readText(r, e)
		case "waits":
			m.Waits, err = readText(r, e)
		case "disputed":
			m.Disputed, err = readText(r, e)
		case "wish":
			m.Wish, err = readText(r, e)
		case "leg":
			var leg *Arrival
			if leg, err = readArrival(r, e); err == nil && len(m.Legs) == maxLegs {
				err = e.Errorf("there are more than %d legs", maxLegs)
			}
			if err == nil {
				m.Legs = append(m.Legs, *leg)
			}
		}
		return err
	})
	return m, err
}

func readArrival(r *wirexml.Reader, e *wirexml.Element) (*Arrival, error) {
	a := &Arrival{Path: path(e), Holder: readHandle(e, "holder")}
	if err := e.Err(); err != nil {
		return nil, err
	}
	order := ordered{names: []string{"certificate", "offer"}, many: []string{"certificate"}}
	err := order.each(r, e, func(c *wirexml.Element) (err error) {
		if c.Name == "offer" {
			a.Offer, err = readBinary(r, c)
			return err
		}
		uri, err := readCertificate(r, c, len(a.Certificates))
		a.Certificates = append(a.Certificates, uri)
		return err
	})
	return a, err
}

// readCertificate reads where a certificate is published. So many came before it.
func readCertificate(r *wirexml.Reader, e *wirexml.Element, before int) (string, error) {
	uri := e.URI("uri", maxURI, "rsync://")
	if before == MaxCertificates {
		e.Fail("there are more than %d certificates", MaxCertificates)
	}
	err := e.Err()
	if err == nil {
		err = r.End(e)
	}
	return uri, err
}

// octets takes an attribute in base64; nil where it is not there.
func octets(e *wirexml.Element, name string) []byte {
	text, ok := e.Optional(name, base64.StdEncoding.EncodedLen(maxKey))
	if !ok {
		return nil
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(data) == 0 {
		e.Fail("its attribute %s is not base64", name)
	}
	return data
}

// ordered is the elements that may be in another, in this order; each at most once but those of many.
type ordered struct{ names, many []string }

// each reads the children of an element, and its end. It calls take for each child, and take has to read that to its end.
func (o *ordered) each(r *wirexml.Reader, parent *wirexml.Element, take func(*wirexml.Element) error) error {
	at := 0
	for {
		e, err := r.Child(parent)
		if err != nil || e == nil {
			return err
		}
		found := slices.Index(o.names[at:], e.Name)
		if found < 0 {
			return r.Errorf("there is a <%.40s> in <%s> that does not belong there", e.Name, parent.Name)
		}
		if at += found; !slices.Contains(o.many, e.Name) {
			at++
		}
		if err := take(e); err != nil {
			return err
		}
	}
}

func readText(r *wirexml.Reader, e *wirexml.Element) (string, error) {
	if err := e.Err(); err != nil {
		return "", err
	}
	text, err := r.Text(e)
	if err != nil {
		return "", err
	}
	text = bytes.TrimSpace(text)
	if len(text) == 0 || len(text) > maxText {
		return "", r.Errorf("the text of <%s> is empty or longer than %d bytes", e.Name, maxText)
	}
	return printable.Line(string(text)), nil // it is shown, and is another's
}

func readBinary(r *wirexml.Reader, e *wirexml.Element) ([]byte, error) {
	if err := e.Err(); err != nil {
		return nil, err
	}
	data, err := r.Base64(e, maxBinary)
	if err == nil && len(data) == 0 {
		err = r.Errorf("<%s> is empty", e.Name)
	}
	return data, err
}
