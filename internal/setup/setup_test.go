package setup

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cadastre/internal/fault"
	"cadastre/internal/handles"
	"cadastre/internal/wirexml/wiretest"
)

var (
	aHandle   = rapid.StringMatching(`[-_A-Za-z0-9/]{1,20}`)
	aTag      = rapid.StringMatching(`([a-zA-Z0-9"'<>&é]( [a-z])?){0,5}`)
	aBinary   = rapid.SliceOfN(rapid.Byte(), 1, 200)
	aReferral = func(contact bool) *rapid.Generator[[]Referral] {
		return rapid.Custom(func(rt *rapid.T) []Referral {
			var all []Referral
			for range rapid.IntRange(0, 3).Draw(rt, "referrals") {
				r := Referral{Referrer: aHandle.Draw(rt, "referrer"), Token: aBinary.Draw(rt, "token")}
				if contact {
					r.ContactURI = rapid.StringMatching(`(mailto:[a-z@?&='/]{1,10})?`).Draw(rt, "contact")
				}
				all = append(all, r)
			}
			return all
		})
	}
)

// written is what all messages can do.
type written interface{ XML() []byte }

// aMessage draws any message, with or without a tag.
func aMessage(tags bool) *rapid.Generator[written] {
	return rapid.Custom(func(rt *rapid.T) written {
		tag, certificate, handle := "", aBinary.Draw(rt, "certificate"), aHandle.Draw(rt, "handle")
		if tags {
			tag = aTag.Draw(rt, "tag")
		}
		uri := rapid.StringMatching(`https?://[a-z]{1,10}:8080/[a-z?&=']{0,10}`).Draw(rt, "URI")
		switch rapid.IntRange(0, 3).Draw(rt, "message") {
		case 0:
			return &ChildRequest{handle, tag, certificate}
		case 1:
			return &ParentResponse{uri, handle, aHandle.Draw(rt, "parent"), tag, certificate, rapid.Bool().Draw(rt, "offer"), aReferral(true).Draw(rt, "referrals")}
		case 2:
			return &PublisherRequest{handle, tag, certificate, aReferral(false).Draw(rt, "referrals")}
		}
		notification := rapid.StringMatching(`(https://[a-z]{1,10}/notification\.xml)?`).Draw(rt, "notification")
		return &RepositoryResponse{uri, handle, "rsync://h/m/" + rapid.StringMatching(`([a-z]{1,3}/){0,3}`).Draw(rt, "base"), notification, tag, certificate}
	})
}

func TestComesBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := aMessage(true).Draw(rt, "message")
		got, err := parse(m.XML(), "")
		if err != nil || !reflect.DeepEqual(m, got) {
			rt.Fatalf("%s\ncame back as %+v, %v", m.XML(), got, err)
		}
	})
}

// schema writes the schema of RFC 8183: the one in ../shared is a draft's, in which no message has a tag yet.
func schema(t *testing.T) string {
	draft := string(wiretest.Vector(t, "schemas/oob-setup.rnc"))
	path := filepath.Join(t.TempDir(), "oob-setup.rnc")
	final := strings.ReplaceAll(draft, "attribute version { version },", `attribute version { version }, attribute tag { xsd:token { maxLength="1024" } }?,`)
	if err := os.WriteFile(path, []byte(final), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOursIsValid(t *testing.T) {
	with, without := make(map[string][]byte), make(map[string][]byte)
	for i := range 40 {
		with[fmt.Sprint("message", i)] = aMessage(true).Example(i).XML()
		without[fmt.Sprint("message", i)] = aMessage(false).Example(i).XML()
	}
	for name, complaint := range wiretest.Complaints(t, schema(t), with) {
		t.Errorf("%s\nis not valid: %s", with[name], complaint)
	}
	for name, complaint := range wiretest.Complaints(t, wiretest.Path(t, "schemas/oob-setup.rng"), without) {
		t.Errorf("%s\nis not valid by the draft's schema: %s", without[name], complaint)
	}
}

// TestVectors reads the messages of Krill, rpki.net, APNIC and AFRINIC.
func TestVectors(t *testing.T) {
	want := map[string]string{
		"afrinic-parent-response.xml":        "*setup.ParentResponse",
		"apnic-parent-response.xml":          "*setup.ParentResponse",
		"apnic-repository-response.xml":      "*setup.RepositoryResponse",
		"krill-0-9-parent-response.xml":      "*setup.ParentResponse",
		"krill-0-9-repository-response.xml":  "*setup.RepositoryResponse",
		"rpkid-child-id.xml":                 "*setup.ChildRequest",
		"rpkid-parent-response-offer.xml":    "*setup.ParentResponse",
		"rpkid-parent-response-referral.xml": "*setup.ParentResponse",
		"rpkid-publisher-request.xml":        "*setup.PublisherRequest",
		"carol-child-id.xml":                 "*setup.ChildRequest",
		"issuer-alice-child-bob-parent.xml":  "*setup.ParentResponse",
		"rpkid-parent-response.xml":          "*setup.ParentResponse",
		"bob-child-id.xml":                   "<identity> is none of the messages", // rpki.net's before there was an RFC
	}
	paths := append(wiretest.Glob(t, "rpki-rs/ca/rfc8183/*.xml"), wiretest.Glob(t, "up-down/isc-interop-updown/*.xml")...)
	if len(paths) != len(want) {
		t.Errorf("there are %d samples, of which %d are known", len(paths), len(want))
	}
	for _, path := range paths {
		m, err := parse(wiretest.Vector(t, path), "")
		is := want[filepath.Base(path)]
		if strings.HasPrefix(is, "<") {
			if err == nil || !strings.Contains(err.Error(), is) {
				t.Errorf("%s: %v, which does not say %q", path, err, is)
			}
			continue
		}
		if err != nil || fmt.Sprintf("%T", m) != is {
			t.Errorf("%s: %T and not %s, %v", path, m, is, err)
			continue
		}
		if again, err := parse(m.(written).XML(), ""); err != nil || !reflect.DeepEqual(m, again) {
			t.Errorf("%s does not come back: %+v, %v", path, again, err)
		}
	}
}

// TestWhatTheySay looks into some of the samples.
func TestWhatTheySay(t *testing.T) {
	apnic, err := ParseRepositoryResponse(wiretest.Vector(t, "rpki-rs/ca/rfc8183/apnic-repository-response.xml"))
	if err != nil {
		t.Fatal(err)
	}
	apnic.TrustAnchor = nil
	if want := (&RepositoryResponse{
		ServiceURI: "http://rpki.apnic.net/publication/APNIC-AP/A91872ED0000", PublisherHandle: "A91872ED0000",
		SIABase: "rsync://rpki.sub.apnic.net/repository/A91872ED0000/", RRDPNotificationURI: "https://rrdp.sub.apnic.net/notification.xml",
	}); !reflect.DeepEqual(apnic, want) {
		t.Errorf("%+v", apnic)
	}
	afrinic, err := ParseParentResponse(wiretest.Vector(t, "rpki-rs/ca/rfc8183/afrinic-parent-response.xml"))
	if err != nil || !afrinic.Offer || afrinic.ChildHandle != "F3615BDCAF" || afrinic.ParentHandle != "AFRINIC" {
		t.Errorf("%+v, %v", afrinic, err)
	}
	rpkid, err := ParseParentResponse(wiretest.Vector(t, "rpki-rs/ca/rfc8183/rpkid-parent-response-referral.xml"))
	if err != nil || rpkid.Offer || len(rpkid.Referrals) != 1 || rpkid.Referrals[0].ContactURI != "http://example.com/info" || len(rpkid.Referrals[0].Token) < 2000 {
		t.Errorf("%+v, %v", rpkid, err)
	}
	publisher, err := ParsePublisherRequest(wiretest.Vector(t, "rpki-rs/ca/rfc8183/rpkid-publisher-request.xml"))
	if err != nil || publisher.Tag != "A0001" || publisher.PublisherHandle != "Bob" || !bytes.HasPrefix(publisher.TrustAnchor, []byte{0x30, 0x82}) {
		t.Errorf("%+v, %v", publisher, err)
	}
}

// TestOther gives each parser the messages that it is not for.
func TestOther(t *testing.T) {
	messages := map[string]written{
		"child_request":       &ChildRequest{"a", "", []byte{1}},
		"parent_response":     &ParentResponse{"https://h/", "a", "b", "", []byte{1}, false, nil},
		"publisher_request":   &PublisherRequest{"a", "", []byte{1}, nil},
		"repository_response": &RepositoryResponse{"https://h/", "a", "rsync://h/m/", "", "", []byte{1}},
	}
	for wanted, parse := range map[string]func([]byte) (any, error){
		"child_request":       func(b []byte) (any, error) { return ParseChildRequest(b) },
		"parent_response":     func(b []byte) (any, error) { return ParseParentResponse(b) },
		"publisher_request":   func(b []byte) (any, error) { return ParsePublisherRequest(b) },
		"repository_response": func(b []byte) (any, error) { return ParseRepositoryResponse(b) },
	} {
		for name, m := range messages {
			got, err := parse(m.XML())
			switch {
			case name == wanted && (err != nil || !reflect.DeepEqual(got, m)):
				t.Errorf("%s: %+v, %v", name, got, err)
			case name != wanted && (err == nil || !strings.Contains(err.Error(), "the "+wanted+": line 1: this is a "+name)):
				t.Errorf("%s in place of %s: %v", name, wanted, err)
			}
		}
	}
	large := append((&ChildRequest{"a", "", []byte{1}}).XML(), bytes.Repeat([]byte{' '}, maxMessage)...)
	if _, err := parse(large, ""); err == nil || fault.KindOf(err) != fault.BadInput || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("a message of %d bytes: %v", len(large), err)
	}
}

func TestIsHandle(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, "a": true, "A-Z_0/9": true, "a.b": false, "a b": false, "é": false, `a\b`: false,
		strings.Repeat("a", 255): true, strings.Repeat("a", 256): false,
	} {
		if handles.IsWire(text) != want {
			t.Errorf("%q", text)
		}
	}
}
