package updown

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/wirexml/wiretest"
)

// Generators of everything that a message may have.
var (
	aName   = rapid.StringMatching(`[a-zA-Z0-9"'<>&é]( ?[a-z/_-]){0,5}`)
	aURL    = rapid.StringMatching(`rsync://[a-z]{1,5}/repo/[a-z0-9'&=]{1,10}\.cer`)
	aBinary = rapid.SliceOfN(rapid.Byte(), 4, 60)
	anAS    = rapid.Custom(func(rt *rapid.T) inr.Set {
		var ranges []inr.ASRange
		for range rapid.IntRange(0, 4).Draw(rt, "ranges") {
			first := rapid.Uint32().Draw(rt, "first")
			ranges = append(ranges, inr.ASRange{First: first, Last: rapid.Uint32Min(first).Draw(rt, "last")})
		}
		return inr.Of(nil, ranges)
	})
	aV4 = rapid.Custom(func(rt *rapid.T) inr.Set { return addresses(rt, 4) })
	aV6 = rapid.Custom(func(rt *rapid.T) inr.Set { return addresses(rt, 16) })
)

func addresses(rt *rapid.T, size int) inr.Set {
	var ranges []inr.IPRange
	for range rapid.IntRange(0, 4).Draw(rt, "ranges") {
		first, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), size, size).Draw(rt, "first"))
		r := inr.RangeOf(netip.PrefixFrom(first, rapid.IntRange(1, 8*size).Draw(rt, "bits")))
		if rapid.Bool().Draw(rt, "no prefix") && r.First.Next().Compare(r.Last) < 0 {
			r.First = r.First.Next()
		}
		if !r.First.Is4In6() && !r.Last.Is4In6() {
			ranges = append(ranges, r)
		}
	}
	return inr.Of(ranges, nil)
}

var aLimit = rapid.Custom(func(rt *rapid.T) Limit {
	var l Limit
	if set := anAS.Draw(rt, "AS"); rapid.Bool().Draw(rt, "limit AS") {
		l.AS = &set
	}
	if set := aV4.Draw(rt, "IPv4"); rapid.Bool().Draw(rt, "limit IPv4") {
		l.IPv4 = &set
	}
	if set := aV6.Draw(rt, "IPv6"); rapid.Bool().Draw(rt, "limit IPv6") {
		l.IPv6 = &set
	}
	return l
})

func aClass(certificates ...int) *rapid.Generator[Class] {
	return rapid.Custom(func(rt *rapid.T) Class {
		c := Class{
			Name:      aName.Draw(rt, "name"),
			CertURLs:  []string{aURL.Draw(rt, "URL")},
			Resources: inr.Sum(anAS.Draw(rt, "AS"), aV4.Draw(rt, "IPv4"), aV6.Draw(rt, "IPv6")),
			NotAfter:  time.Unix(rapid.Int64Range(0, 4e9).Draw(rt, "until"), 0).UTC(),
			Issuer:    aBinary.Draw(rt, "issuer"),
		}
		if rapid.Bool().Draw(rt, "another URL") {
			c.CertURLs = append(c.CertURLs, "https://h/c.cer")
		}
		if rapid.Bool().Draw(rt, "suggests") {
			c.SuggestedSIAHead = "rsync://h/m/"
		}
		for range rapid.SampledFrom(certificates).Draw(rt, "certificates") {
			c.Certificates = append(c.Certificates, Issued{[]string{aURL.Draw(rt, "URL")}, aLimit.Draw(rt, "limit"), aBinary.Draw(rt, "certificate")})
		}
		return c
	})
}

var aMessage = rapid.Custom(func(rt *rapid.T) *Message {
	m := &Message{Sender: aName.Draw(rt, "sender"), Recipient: aName.Draw(rt, "recipient")}
	class, ski := aName.Draw(rt, "class"), rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(rt, "ski")
	switch rapid.IntRange(0, 6).Draw(rt, "type") {
	case 0:
		m.Body = new(List)
	case 1:
		list := new(ListResponse)
		for i, c := range rapid.SliceOfN(aClass(0, 1, 2), 0, 3).Draw(rt, "classes") {
			c.Name += fmt.Sprint(i)
			list.Classes = append(list.Classes, c)
		}
		m.Body = list
	case 2:
		m.Body = &Issue{class, aLimit.Draw(rt, "limit"), aBinary.Draw(rt, "request")}
	case 3:
		m.Body = &IssueResponse{aClass(1).Draw(rt, "issued")}
	case 4:
		m.Body = &Revoke{class, ski}
	case 5:
		m.Body = &RevokeResponse{class, ski}
	case 6:
		m.Body = &Error{rapid.IntRange(1, 9999).Draw(rt, "status"), rapid.StringMatching(`([a-z"'é]( [a-z])?){0,5}`).Draw(rt, "description")}
	}
	return m
})

func TestComesBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := aMessage.Draw(rt, "message")
		xml, err := m.XML()
		if err != nil {
			rt.Fatal(err)
		}
		got, err := Parse(xml)
		if err != nil || !reflect.DeepEqual(m, got) {
			rt.Fatalf("%s\ncame back as %+v, %v", xml, got, err)
		}
	})
}

// TestOursIsValid holds what is written against the RFC's schema and against the stricter one of rpki.net.
func TestOursIsValid(t *testing.T) {
	ours := make(map[string][]byte)
	for i := range 60 {
		xml, err := aMessage.Example(i).XML()
		if err != nil {
			t.Fatal(err)
		}
		ours[fmt.Sprint("message", i)] = xml
	}
	for _, schema := range []string{"schemas/provisioning.rnc", "schemas/up-down.rng"} {
		for name, complaint := range wiretest.Complaints(t, wiretest.Path(t, schema), ours) {
			t.Errorf("%s\nis not valid by %s: %s", ours[name], schema, complaint)
		}
	}
}

// TestVectors reads the messages that other implementations exchanged.
func TestVectors(t *testing.T) {
	refused := map[string]string{
		"issue_response.xml": "it has 3 certificates", // a sample made by hand, which is a list_response in truth
	}
	types := make(map[string]int)
	for _, pattern := range []string{
		"up-down/samples/*.xml", "up-down/isc-interop-updown/*.der", "up-down/up-down/*pdu.der",
		"rpki-rs/ca/rfc6492/*", "rpki-rs/ca/sigmsg/pdu*",
	} {
		for _, path := range wiretest.Glob(t, pattern) {
			content := wiretest.Vector(t, path)
			if filepath.Ext(path) != ".xml" {
				content = wiretest.Content(t, content)
			}
			m, err := Parse(content)
			if says, ok := refused[filepath.Base(path)]; ok {
				if err == nil || !strings.Contains(err.Error(), says) {
					t.Errorf("%s: %v, which does not say %q", path, err, says)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			types[m.Body.messageType()]++
			if list, ok := m.Body.(*ListResponse); ok {
				for _, c := range list.Classes {
					if c.Resources.Empty() || c.NotAfter.Year() < 2011 || len(c.Issuer) < 300 || !strings.HasPrefix(c.CertURLs[0], "rsync://") {
						t.Errorf("%s: class %+v", path, c)
					}
				}
			}
		}
	}
	t.Logf("read %v", types)
	for _, want := range []string{"list", "list_response", "issue", "issue_response", "revoke", "revoke_response", "error_response"} {
		if types[want] == 0 {
			t.Errorf("there was no %s", want)
		}
	}
}

// TestLACNIC looks into a large list of a production system.
func TestLACNIC(t *testing.T) {
	m, err := Parse(wiretest.Content(t, wiretest.Vector(t, "rpki-rs/ca/rfc6492/list-response.ber")))
	if err != nil {
		t.Fatal(err)
	}
	class := m.Body.(*ListResponse).Classes[0]
	if m.Sender != "LACNIC" || class.Name != "lacnic-resources" || len(class.Certificates) != 1 || len(class.Resources.AS) < 300 || len(class.Resources.V4) < 1000 {
		t.Errorf("read as %s with %d, %d and %d resources, %d certificates", class.Name,
			len(class.Resources.AS), len(class.Resources.V4), len(class.Resources.V6), len(class.Certificates))
	}
	xml, err := m.XML()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Parse(xml); err != nil || !reflect.DeepEqual(m, again) {
		t.Errorf("it does not come back: %v", err)
	}
}

// TestUnknown wants to hear of an unknown version or type what to answer, and to whom.
func TestUnknown(t *testing.T) {
	for attribute, status := range map[string]int{`version="2"`: StatusVersion, `type="sing"`: StatusUnrecognizedType} {
		name, _, _ := strings.Cut(attribute, "=")
		xml := []byte(`<message xmlns="` + namespace + `" version="1" sender="a" recipient="b" type="list"/>`)
		start := bytes.Index(xml, []byte(" "+name+`="`)) + 1
		end := start + bytes.IndexByte(xml[start:], ' ')
		if name == "type" {
			end = len(xml) - 2
		}
		xml = bytes.Join([][]byte{xml[:start], []byte(attribute), xml[end:]}, nil)
		m, err := Parse(xml)
		var answer *Error
		if !errors.As(err, &answer) || answer.Status != status || fault.KindOf(err) != fault.BadInput || m == nil || m.Sender != "a" || m.Recipient != "b" || m.Body != nil {
			t.Fatalf("%s: %+v, %v", xml, m, err)
		}
		reply, err := (&Message{Sender: m.Recipient, Recipient: m.Sender, Body: answer}).XML()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(reply); err != nil {
			t.Errorf("%s: %v", reply, err)
		}
	}
}

// TestNotWritten wants no message written that is none.
func TestNotWritten(t *testing.T) {
	whole := func() Class {
		return Class{Name: "a", CertURLs: []string{"rsync://h/m/c.cer"}, Issuer: []byte{1}, Certificates: []Issued{{[]string{"rsync://h/m/c.cer"}, Limit{}, []byte{1}}}}
	}
	less := func(change func(*Class)) *IssueResponse {
		c := whole()
		change(&c)
		return &IssueResponse{c}
	}
	if _, err := (&Message{"a", "b", less(func(*Class) {})}).XML(); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]*Message{
		"sender":       {"", "b", new(List)},
		"recipient":    {"a", "", new(List)},
		"body":         {"a", "b", nil},
		"request":      {"a", "b", &Issue{"a", Limit{}, nil}},
		"class":        {"a", "b", &Issue{"", Limit{}, []byte{1}}},
		"ski":          {"a", "b", &Revoke{"a", make([]byte, 19)}},
		"key class":    {"a", "b", &RevokeResponse{"", make([]byte, 20)}},
		"class name":   {"a", "b", less(func(c *Class) { c.Name = "" })},
		"cert_url":     {"a", "b", less(func(c *Class) { c.CertURLs = nil })},
		"issuer":       {"a", "b", less(func(c *Class) { c.Issuer = nil })},
		"certificates": {"a", "b", less(func(c *Class) { c.Certificates = nil })},
		"two":          {"a", "b", less(func(c *Class) { c.Certificates = append(c.Certificates, c.Certificates[0]) })},
		"certificate":  {"a", "b", less(func(c *Class) { c.Certificates[0].Certificate = nil })},
		"its cert_url": {"a", "b", less(func(c *Class) { c.Certificates[0].URLs = nil })},
	} {
		if xml, err := m.XML(); err == nil || fault.KindOf(err) != fault.Internal {
			t.Errorf("without its %s a message is written: %s, %v", name, xml, err)
		}
	}
}

func TestErrorText(t *testing.T) {
	for _, c := range []struct {
		err  *Error
		want string
	}{
		{&Error{StatusIssueKeyUsed, ""}, "RFC 6492 status 1204, already used key in request"},
		{&Error{StatusInternal, "the disk is full"}, "RFC 6492 status 2001, internal server error: the disk is full"},
		{&Error{4711, ""}, "RFC 6492 status 4711"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%q", got)
		}
	}
}
