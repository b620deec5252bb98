package updown

import (
	"encoding/base64"
	"strings"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/wirexml"
)

// XML writes the message. It fails with Internal where the message is none that RFC 6492 has: that is our own fault.
func (m *Message) XML() ([]byte, error) {
	if m.Sender == "" || m.Recipient == "" || m.Body == nil {
		return nil, fault.New(fault.Internal, "a provisioning message from %q to %q lacks a name or a body", m.Sender, m.Recipient)
	}
	w := new(wirexml.Writer)
	w.Tag("message")
	w.Attr("xmlns", namespace)
	w.Attr("version", version)
	w.Attr("sender", m.Sender)
	w.Attr("recipient", m.Recipient)
	w.Attr("type", m.Body.messageType())
	w.OpenLine()
	err := write(w, m.Body)
	w.Close("message")
	return w.Bytes(), fault.Wrap(err, "a provisioning message from %s to %s", m.Sender, m.Recipient)
}

func write(w *wirexml.Writer, body Body) error {
	switch b := body.(type) {
	case *ListResponse:
		for i := range b.Classes {
			if err := b.Classes[i].write(w); err != nil {
				return err
			}
		}
	case *Issue:
		if b.Class == "" || len(b.Request) == 0 {
			return fault.New(fault.Internal, "a request lacks its class or itself")
		}
		w.Tag("request")
		w.Attr("class_name", b.Class)
		b.Limit.write(w)
		w.Open()
		w.Base64(b.Request)
		w.Close("request")
	case *IssueResponse:
		if len(b.Class.Certificates) != 1 {
			return fault.New(fault.Internal, "class %q has %d certificates where one was issued", b.Class.Name, len(b.Class.Certificates))
		}
		return b.Class.write(w)
	case *Revoke:
		return writeKey(w, b.Class, b.SKI)
	case *RevokeResponse:
		return writeKey(w, b.Class, b.SKI)
	case *Error:
		b.write(w)
	}
	return nil
}

// write writes all three resource sets even if they are empty: they are mandatory, and old versions of Krill cannot do
// without. Times are in UTC and seconds.
func (c *Class) write(w *wirexml.Writer) error {
	if c.Name == "" || len(c.CertURLs) == 0 || len(c.Issuer) == 0 {
		return fault.New(fault.Internal, "class %q lacks its name, its cert_url or its issuer", c.Name)
	}
	w.Tag("class")
	w.Attr("class_name", c.Name)
	w.Attr("cert_url", strings.Join(c.CertURLs, ","))
	w.Attr("resource_set_as", textAS(c.Resources))
	w.Attr("resource_set_ipv4", textIP(c.Resources.V4))
	w.Attr("resource_set_ipv6", textIP(c.Resources.V6))
	w.Attr("resource_set_notafter", c.NotAfter.UTC().Format(time.RFC3339))
	w.Optional("suggested_sia_head", c.SuggestedSIAHead)
	w.OpenLine()
	for i := range c.Certificates {
		issued := &c.Certificates[i]
		if len(issued.URLs) == 0 || len(issued.Certificate) == 0 {
			return fault.New(fault.Internal, "class %q has a certificate without a cert_url or without itself", c.Name)
		}
		w.Tag("certificate")
		w.Attr("cert_url", strings.Join(issued.URLs, ","))
		issued.Limit.write(w)
		w.Open()
		w.Base64(issued.Certificate)
		w.Close("certificate")
	}
	w.Tag("issuer")
	w.Open()
	w.Base64(c.Issuer)
	w.Close("issuer")
	w.Close("class")
	return nil
}

func (l Limit) write(w *wirexml.Writer) {
	for _, set := range []struct {
		attribute string
		set       *inr.Set
		text      func(inr.Set) string
	}{
		{"req_resource_set_as", l.AS, textAS},
		{"req_resource_set_ipv4", l.IPv4, func(s inr.Set) string { return textIP(s.V4) }},
		{"req_resource_set_ipv6", l.IPv6, func(s inr.Set) string { return textIP(s.V6) }},
	} {
		if set.set != nil {
			w.Attr(set.attribute, set.text(*set.set))
		}
	}
}

func writeKey(w *wirexml.Writer, class string, ski []byte) error {
	if class == "" || len(ski) != skiSize {
		return fault.New(fault.Internal, "a key of class %q has a key identifier of %d bytes and not %d", class, len(ski), skiSize)
	}
	w.Tag("key")
	w.Attr("class_name", class)
	w.Attr("ski", base64.RawURLEncoding.EncodeToString(ski))
	w.Empty()
	return nil
}

// write writes no description that is empty, because rpki-rs cannot read one.
func (e *Error) write(w *wirexml.Writer) {
	w.Tag("status")
	w.Open()
	w.Int(e.Status)
	w.Close("status")
	if e.Description != "" {
		w.Tag("description")
		w.Attr("xml:lang", "en-US")
		w.Open()
		w.Sentence(e.Description, maxDescription)
		w.Close("description")
	}
}
