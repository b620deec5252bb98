package ripe_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cadastre/api/membertest"
	"cadastre/api/ripe"
	"cadastre/routes"
)

// client calls the dialect with the key of ORG-A.
type client struct {
	*testing.T
	registry *membertest.Registry
	http.Handler
}

func newClient(t *testing.T) client {
	r := membertest.New(map[string]string{"ORG-A": "192.0.2.0/24, 2001:db8::/32, AS3333", "ORG-B": "198.51.100.0/24"})
	r.Known = []routes.Announcement{membertest.Route("192.0.2.0/24", 3333), membertest.Route("192.0.2.0/25", 3333), membertest.Route("192.0.2.128/25", 1103), membertest.Route("192.0.0.0/16", 7018)}
	return client{t, r, ripe.New(r, r.Keys)}
}

// call makes a call; headers are name, value, name, value.
func (c client) call(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	c.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("ncc-api-authorization", "key of ORG-A")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w
}

// want makes a call, and its answer must have a status and a text within.
func (c client) want(status int, within, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	c.Helper()
	w := c.call(method, path, body, headers...)
	if w.Code != status || !strings.Contains(w.Body.String(), within) {
		c.Errorf("%s %s answers %d %s, not %d with %s", method, path, w.Code, w.Body, status, within)
	}
	return w
}

func (c client) serial(want int) {
	c.Helper()
	if got := c.registry.Serial("ORG-A"); got != want {
		c.Errorf("the intents have changed %d times, not %d", got, want)
	}
}

const (
	roa24   = `{"asn":"AS3333","prefix":"192.0.2.0/24","maximalLength":24}`
	add24   = `{"added":[` + roa24 + `],"deleted":[]}`
	foreign = `{"added":[{"asn":"AS3333","prefix":"198.51.100.0/24","maximalLength":24}],"deleted":[]}`
)

// The tests are the cases of the notes on faces of registries, by their numbers.

func TestRIPE01Keys(t *testing.T) {
	c := newClient(t)
	c.want(200, `["192.0.2.0/24","2001:db8::/32","AS3333"]`, "GET", "/resources", "")
	c.want(200, "192.0.2.0/24", "GET", "/resources?key=key+of+ORG-A", "", "ncc-api-authorization", "")
	for _, key := range []string{"", "key of nobody"} {
		if w := c.want(401, "", "GET", "/resources", "", "ncc-api-authorization", key); w.Body.Len() != 0 {
			t.Errorf("a bad key is answered with %s", w.Body)
		}
	}
	c.want(401, "", "POST", "/roas/publish", add24, "ncc-api-authorization", "x")
	c.serial(0)
}

func TestRIPE02EntityTags(t *testing.T) {
	c := newClient(t)
	tag := c.want(200, "[]", "GET", "/roas", "").Header().Get("ETag")
	c.want(204, "", "POST", "/roas/publish", add24, "If-Match", tag)
	now := c.want(200, `"_numberOfValidsCaused":1,"_numberOfInvalidsCaused":2`, "GET", "/roas", "").Header().Get("ETag")
	c.want(204, "", "POST", "/roas/publish", add24, "If-Match", now)
	c.want(204, "", "POST", "/roas/publish", add24)
	c.serial(1)
	c.want(400, "read it again", "POST", "/roas/publish", `{"added":[],"deleted":[`+roa24+`]}`, "If-Match", tag)
	c.want(400, "differ", "POST", "/roas/publish", `{"ifMatch":"a"}`, "If-Match", `"b"`)
	c.serial(1)
}

func TestRIPE03StageIsWhatPublishDoes(t *testing.T) {
	c := newClient(t)
	var staged, after []struct {
		ASN, Prefix                            string
		CurrentState, FutureState              string
		AffectedByChange, Verified, Suppressed bool
	}
	decode := func(w *httptest.ResponseRecorder, into any) {
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			t.Fatal(err)
		}
	}
	decode(c.want(200, "", "POST", "/roas/stage", "["+roa24+"]"), &staged)
	c.serial(0)
	c.want(204, "", "POST", "/roas/publish", add24)
	decode(c.want(200, "", "GET", "/announcements", ""), &after)
	if len(staged) != 4 || len(after) != 4 || after[3].Verified || !after[0].Verified {
		t.Fatalf("staged %v, and then %v", staged, after)
	}
	for i := range staged {
		if staged[i].FutureState != after[i].CurrentState || staged[i].AffectedByChange != (staged[i].CurrentState != after[i].CurrentState) {
			t.Errorf("staged was %v, and it is %v", staged[i], after[i])
		}
	}
}

func TestRIPE04MaximalLength(t *testing.T) {
	c := newClient(t)
	c.want(204, "", "POST", "/roas/publish", `{"added":[{"asn":"AS3333","prefix":"2001:db8::/32","maximalLength":"48"}]}`)
	c.want(200, `"maximalLength":48`, "GET", "/roas", "")
	c.want(400, "no maximalLength", "POST", "/roas/publish", `{"added":[{"asn":"AS3333","prefix":"2001:db8::/32"}]}`)
	c.want(400, "no maximalLength", "POST", "/roas/publish", `{"added":[{"asn":"AS3333","prefix":"2001:db8::/32","maximalLength":null}]}`)
	c.want(400, "from 32 to 128", "POST", "/roas/publish", `{"added":[{"asn":"AS3333","prefix":"2001:db8::/32","maximalLength":31}]}`)
	c.serial(1)
}

func TestRIPE05ForeignPrefix(t *testing.T) {
	c := newClient(t)
	c.want(403, `{"error":"You are not a holder of the prefix 198.51.100.0/24"}`, "POST", "/roas/publish", foreign)
	c.want(403, "You are not a holder", "POST", "/roas/publish", strings.Replace(foreign, "[{", "["+roa24+",{", 1))
	c.want(204, "", "POST", "/roas/publish", `{"added":[],"deleted":[{"asn":"AS3333","prefix":"198.51.100.0/24","maximalLength":24}]}`)
	c.serial(0)
}

func TestRIPE06TwoLengths(t *testing.T) {
	c := newClient(t)
	c.want(204, "", "POST", "/roas/publish", add24)
	c.want(400, "AS3333 and 192.0.2.0/24: 24 and 25", "POST", "/roas/publish", strings.Replace(add24, `:24}`, `:25}`, 1))
	c.want(400, "24 and 25", "POST", "/roas/stage", "["+roa24+","+strings.Replace(roa24, `:24}`, `:25}`, 1)+"]")
	c.serial(1)
}

func TestRIPE07AddedAndDeleted(t *testing.T) {
	c := newClient(t)
	both := `{"added":[` + roa24 + `],"deleted":[` + roa24 + `]}`
	c.want(204, "", "POST", "/roas/publish", both)
	c.serial(0)
	c.want(204, "", "POST", "/roas/publish", add24)
	c.want(204, "", "POST", "/roas/publish", both)
	c.serial(1)
	c.want(200, "192.0.2.0/24", "GET", "/roas", "")
}

func TestRIPE08Affected(t *testing.T) {
	c := newClient(t)
	before := c.want(200, `"prefix":"192.0.2.0/25","visibility":100,"currentState":"INVALID_LENGTH"`, "POST", "/announcements/affected", roa24)
	c.want(204, "", "POST", "/roas/publish", add24)
	after := c.want(200, "", "GET", "/announcements", "")
	for _, state := range []string{`"INVALID_LENGTH"`, `"INVALID_ASN"`, `"VALID"`} {
		if b, a := strings.Count(before.Body.String(), state), strings.Count(after.Body.String(), state); b != 1 || a != 1 {
			t.Errorf("%d were to be %s, and %d are", b, state, a)
		}
	}
	c.want(400, "", "POST", "/announcements/affected", `{"asn":"AS3333","prefix":"192.0.2.0/24"}`)
	c.want(200, `[{"roa":`+roa24+`,"validity":"INVALID_ASN"}]`, "POST", "/roas/affecting", `{"asn":"AS1103","prefix":"192.0.2.128/25"}`)
}

func TestRIPE09Suppress(t *testing.T) {
	c := newClient(t)
	const one = `[{"asn":"AS1103","prefix":"192.0.2.128/25"}]`
	if w := c.want(201, "", "POST", "/alerts/suppress", one); w.Body.Len() != 0 || w.Header().Get("Location") == "" {
		t.Errorf("it answers %s with %v", w.Body, w.Header())
	}
	c.want(200, `"currentState":"UNKNOWN","suppressed":true`, "GET", "/announcements", "")
	c.want(201, "", "POST", "/alerts/unsuppress", one)
	if strings.Contains(c.want(200, "", "GET", "/announcements/extended", "").Body.String(), `"suppressed":true`) {
		t.Error("it is suppressed still")
	}
}

func TestRIPE10ASPATags(t *testing.T) {
	c := newClient(t)
	const list = `"aspaConfigurations":[{"customerAsn":"AS3333","providers":["AS1103","AS7018"]}]`
	tag := c.want(200, `"aspaConfigurations":[]`, "GET", "/aspa", "").Header().Get("ETag")
	c.want(428, "entity tag", "PUT", "/aspa", `{`+list+`}`)
	c.want(204, "", "PUT", "/aspa", `{`+list+`}`, "If-Match", tag)
	c.want(200, list, "GET", "/aspa", "")
	c.want(412, "", "PUT", "/aspa", `{"aspaConfigurations":[]}`, "If-Match", tag)
	c.serial(1)
	c.want(204, "", "PUT", "/aspa", `{"ifMatch":"1","aspaConfigurations":[]}`)
	c.want(400, "provider of itself", "PUT", "/aspa", `{"ifMatch":"2","aspaConfigurations":[{"customerAsn":"AS3333","providers":["AS3333"]}]}`)
	c.serial(2)
}

func TestRIPE11LongBody(t *testing.T) {
	c := newClient(t)
	pad := func(n int) string { return strings.Repeat(" ", n-len(add24)) + add24 }
	c.want(413, "1000000", "POST", "/roas/publish", pad(1_000_001))
	c.serial(0)
	c.want(204, "", "POST", "/roas/publish", pad(1_000_000))
	c.serial(1)
}

func TestRIPE12BrokenJSON(t *testing.T) {
	c := newClient(t)
	for _, body := range []string{"", "{", `[]`, `{"added":7}`, `{"added":[{"asn":"x"}]}`} {
		c.want(400, "Bad request for '/roas/publish' with error 'Invalid Json'", "POST", "/roas/publish", body)
	}
	c.serial(0)
}

// TestOvertaken checks that a change that another overtakes is made for what there is then, without a tag, and refused with one.
func TestOvertaken(t *testing.T) {
	c := newClient(t)
	overtaken, other := false, "2001:db8::/48"
	c.registry.Before = func() {
		if !overtaken {
			overtaken = true
			c.want(204, "", "POST", "/roas/publish", `{"added":[{"asn":"AS3333","prefix":"`+other+`","maximalLength":48}]}`)
		}
	}
	c.want(204, "", "POST", "/roas/publish", add24)
	c.serial(2)
	overtaken, other = false, "2001:db8:1::/48"
	c.want(400, "read it again", "POST", "/roas/publish", `{"deleted":[`+roa24+`]}`, "If-Match", `"2"`)
	c.serial(3)
	c.want(200, roa24[:len(roa24)-1], "GET", "/roas", "")
}

func TestEmptyAnnouncements(t *testing.T) {
	c := newClient(t)
	c.registry.Known = nil
	c.want(200, `{"emptyAnnouncementsReason":"no-ris-updates"}`, "GET", "/announcements/extended", "")
	c.registry.Known = []routes.Announcement{membertest.Route("203.0.113.0/24", 3333)}
	c.want(200, `"no-overlap-with-ris"`, "GET", "/announcements/extended", "")
}

func FuzzBodies(f *testing.F) {
	for _, body := range []string{add24, foreign, "[" + roa24 + "]", `{"ifMatch":"0","aspaConfigurations":[{"customerAsn":"AS3333","providers":["AS1"]}]}`, `[{"asn":"AS1","prefix":"::/0"}]`, `{"asn":4294967296}`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		c := newClient(t)
		for _, at := range []string{"POST /roas/publish", "POST /roas/stage", "POST /roas/affecting", "POST /announcements/affected", "PUT /aspa", "POST /alerts/suppress"} {
			method, path, _ := strings.Cut(at, " ")
			before := c.registry.Serial("ORG-A")
			w := c.call(method, path, body)
			if after := c.registry.Serial("ORG-A"); w.Code >= 500 || w.Code >= 400 && after != before {
				t.Error(fmt.Sprint(at, " answers ", w.Code, w.Body, " and the intents went from ", before, " to ", after))
			}
		}
	})
}
