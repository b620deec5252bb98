package arin_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"cadastre/api/arin"
	"cadastre/api/membertest"
)

type client struct {
	*testing.T
	registry *membertest.Registry
}

func newClient(t *testing.T) client {
	return client{t, membertest.New(map[string]string{"ORG-A": "192.0.2.0/24, 2001:db8::/32, AS3333", "ORG-B": "198.51.100.0/24"})}
}

// want makes a call, and its answer must have a status and texts within.
func (c client) want(status int, method, path, body, authorization, content string, within ...string) string {
	c.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", authorization)
	r.Header.Set("Content-Type", content)
	w := httptest.NewRecorder()
	arin.New(c.registry, c.registry.Keys).ServeHTTP(w, r)
	for _, text := range append(within, "") {
		if w.Code != status || !strings.Contains(w.Body.String(), text) {
			c.Errorf("%s %s answers %d %s, not %d with %s", method, path, w.Code, w.Body, status, text)
		}
	}
	return w.Body.String()
}

const (
	key = "ApiKey key of ORG-A"
	app = "application/xml"
	asp = `<aspaAdd><aspa><customerAsId>3333</customerAsId><providerAsIds><providerAsId>1103</providerAsId></providerAsIds></aspa></aspaAdd>`
)

func (c client) transact(status int, inner string, within ...string) string {
	c.Helper()
	return c.want(status, "POST", "/rest/rpki/ORG-A", `<rpkiTransaction xmlns="http://www.arin.net/regrws/rpki/v1">`+inner+`</rpkiTransaction>`, key, app, within...)
}

func (c client) serial(want int) {
	c.Helper()
	if got := c.registry.Serial("ORG-A"); got != want {
		c.Errorf("the intents have changed %d times, not %d", got, want)
	}
}

func add(name, prefix, length string) string {
	return `<roaSpecAdd><roaSpec><autoLink>true</autoLink><asNumber>3333</asNumber><name>` + name + `</name><resources><roaSpecResource><startAddress>` +
		prefix + `</startAddress><cidrLength>` + length + `</cidrLength></roaSpecResource></resources></roaSpec></roaSpecAdd>`
}

func handleIn(body string) string {
	return regexp.MustCompile(`[0-9a-f]{32}`).FindString(body)
}

func TestARIN01Keys(t *testing.T) {
	c := newClient(t)
	c.want(200, "GET", "/rest/roa/ORG-A", "", key, "", "collection")
	c.want(200, "GET", "/rest/roa/ORG-A?apikey=key+of+ORG-A", "", "", "", "collection")
	c.want(400, "GET", "/rest/roa/ORG-A", "", "ApiKey x", "", "E_AUTHENTICATION")
	c.want(400, "GET", "/rest/roa/ORG-A", "", "", "", "E_AUTHENTICATION")
}

func TestARIN02AllOrNothing(t *testing.T) {
	c := newClient(t)
	c.transact(400, add("one", "198.51.100.0", "24")+asp, "E_ENTITY_VALIDATION")
	c.transact(400, add("one", "192.0.2.0", "24")+strings.ReplaceAll(asp, "1103", "3333"), "E_ENTITY_VALIDATION")
	c.serial(0)
	c.transact(200, add("one", "192.0.2.0", "24")+asp)
	c.serial(1)
}

func TestARIN03Replace(t *testing.T) {
	c := newClient(t)
	first := handleIn(c.transact(200, add("one", "192.0.2.0", "24")))
	replace := `<roaSpecDelete><roaHandle>` + first + `</roaHandle></roaSpecDelete>` + add("two", "192.0.2.0", "24")
	c.transact(200, replace, "<name>two")
	c.serial(2)
	if second := handleIn(c.want(200, "GET", "/rest/roa/ORG-A", "", key, "", "two")); first == "" || second == "" || first == second {
		t.Errorf("the handles are %q and then %q", first, second)
	}
	c.transact(404, replace, "E_OBJECT_NOT_FOUND")
	c.serial(2)
}

func TestARIN04Duplicate(t *testing.T) {
	c := newClient(t)
	c.transact(200, add("one", "192.0.2.0", "24"))
	c.transact(400, add("two", "192.0.2.0", "24"), "E_ENTITY_VALIDATION", "already")
	c.transact(400, add("one", "2001:db8::", "32"), "E_ENTITY_VALIDATION", "already")
	c.serial(1)
}

func TestARIN05UnknownHandle(t *testing.T) {
	c := newClient(t)
	c.transact(404, `<roaSpecDelete><roaHandle>0123</roaHandle></roaSpecDelete>`+add("one", "192.0.2.0", "24"), "E_OBJECT_NOT_FOUND")
	c.transact(404, `<aspaDelete><customerAsId>3333</customerAsId></aspaDelete>`, "E_OBJECT_NOT_FOUND")
	c.serial(0)
}

func TestARIN06ContentType(t *testing.T) {
	c := newClient(t)
	c.want(415, "GET", "/rest/aspa/ORG-A", "", key, "", "E_UNSUPPORTED_MEDIA_TYPE")
	c.want(200, "GET", "/rest/aspa/ORG-A", "", key, app)
}

func TestARIN07FlatList(t *testing.T) {
	c := newClient(t)
	c.transact(200, add("one", "192.000.002.000", "24")+asp)
	c.want(200, "GET", "/rest/roa/ORG-A", "", key, "", `"http://www.arin.net/regrws/core/v1"`, `"http://www.arin.net/regrws/rpki/v1"`,
		"<rpki:resources><rpki:startAddress>192.000.002.000</rpki:startAddress><rpki:endAddress>192.000.002.255</rpki:endAddress><rpki:cidrLength>24</rpki:cidrLength>")
	c.want(200, "GET", "/rest/aspa/ORG-A", "", key, app, "<rpki:customerAsId>3333</rpki:customerAsId>", "<rpki:providerAsId>1103</rpki:providerAsId>")
}

func TestARIN08AutoLink(t *testing.T) {
	for _, attribute := range []string{"autolink", "autoLink"} {
		c := newClient(t)
		h := handleIn(c.transact(200, add("one", "192.0.2.0", "24")))
		c.transact(200, `<roaSpecDelete><roaHandle `+attribute+`="true">`+h+`</roaHandle></roaSpecDelete>`)
		c.serial(2)
	}
}

func TestARIN09WrongOrganisation(t *testing.T) {
	c := newClient(t)
	if b, none := c.want(401, "GET", "/rest/roa/ORG-B", "", key, ""), c.want(401, "GET", "/rest/roa/NONE", "", key, ""); b != none {
		t.Errorf("another's is answered with %s, and nobody's with %s", b, none)
	}
}

func TestARIN10BrokenXML(t *testing.T) {
	c := newClient(t)
	for _, body := range []string{"", "<", "<a/>", "<rpkiTransaction/>"} {
		c.want(400, "POST", "/rest/rpki/ORG-A", body, key, app, "E_SCHEMA_VALIDATION")
	}
	c.transact(400, strings.Replace(add("one", "192.0.2.0", "24"), "3333", "x", 1), "E_SCHEMA_VALIDATION")
	c.serial(0)
}

func FuzzTransactions(f *testing.F) {
	f.Add(add("one", "192.0.2.0", "24") + asp)
	f.Fuzz(func(t *testing.T, inner string) {
		c := newClient(t)
		r := httptest.NewRequest(http.MethodPost, "/rest/rpki/ORG-A", strings.NewReader(`<rpkiTransaction xmlns="http://www.arin.net/regrws/rpki/v1">`+inner+`</rpkiTransaction>`))
		r.Header.Set("Authorization", key)
		r.Header.Set("Content-Type", app)
		w := httptest.NewRecorder()
		arin.New(c.registry, c.registry.Keys).ServeHTTP(w, r)
		if w.Code >= 500 || w.Code != 200 && c.registry.Serial("ORG-A") != 0 {
			t.Errorf("it answers %d %s", w.Code, w.Body)
		}
	})
}
