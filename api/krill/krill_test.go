package krill_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cadastre/api/krill"
	"cadastre/api/membertest"
)

func newRegistry() (*membertest.Registry, http.Handler) {
	r := membertest.New(map[string]string{"ORG-A": "192.0.2.0/24, 2001:db8::/32, AS3333", "ORG-B": "198.51.100.0/24"})
	return r, krill.New(r, r.Keys)
}

func call(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/api/v1/"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer key of ORG-A")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func want(t *testing.T, h http.Handler, status int, within, method, path, body string) string {
	t.Helper()
	w := call(h, method, path, body)
	if w.Code != status || !strings.Contains(w.Body.String(), within) {
		t.Errorf("%s %s answers %d %s, not %d with %s", method, path, w.Code, w.Body, status, within)
	}
	return w.Body.String()
}

// TestKrill01Krillc is the part of the case that is about ROAs and ASPAs, by krillc as Krill ships it.
func TestKrill01Krillc(t *testing.T) {
	const krillc = "/opt/rp/krillc"
	if _, err := os.Stat(krillc); err != nil {
		t.Skip("krillc is not installed at " + krillc)
	}
	_, h := newRegistry()
	server := httptest.NewServer(h)
	defer server.Close()
	delta := filepath.Join(t.TempDir(), "delta")
	if err := os.WriteFile(delta, []byte("A: 2001:db8::/32-48 => 3333 # six\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, within string }{
		{"list", "ORG-A"},
		{"roas update --ca ORG-A --add 192.0.2.0/24=>3333", ""},
		{"roas update --ca ORG-A --delta " + delta, ""},
		{"roas list --ca ORG-A", "192.0.2.0/24-24 => 3333"},
		{"roas list --ca ORG-A", "2001:db8::/32-48 => 3333 # six"},
		{"aspas list --ca ORG-A", ""},
	} {
		args := append([]string{"-s", server.URL + "/", "-t", "key of ORG-A"}, strings.Split(strings.ReplaceAll(c.args, "=>", "\x00"), " ")...)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "\x00", " => ")
		}
		out, err := exec.Command(krillc, args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), c.within) {
			t.Errorf("krillc %s: %v %s", c.args, err, out)
		}
	}
}

func TestKrill03NumbersAsText(t *testing.T) {
	_, h := newRegistry()
	want(t, h, 200, "", "POST", "cas/ORG-A/routes", `{"added":[{"asn":"AS3333","prefix":"192.0.2.0/24"}],"removed":[]}`)
	want(t, h, 200, `{"asn":3333,"prefix":"192.0.2.0/24","max_length":24,"roa_objects":[]}`, "GET", "cas/ORG-A/routes", "")
}

func TestKrill04EmptyBody(t *testing.T) {
	_, h := newRegistry()
	for _, body := range []string{
		want(t, h, 200, "", "GET", "authorized", ""),
		want(t, h, 200, "", "POST", "cas/ORG-A/routes", `{"added":[{"asn":3333,"prefix":"192.0.2.0/24","max_length":24}],"removed":[]}`),
		want(t, h, 200, "", "POST", "cas/ORG-A/aspas", `{"add_or_replace":[{"customer":"AS3333","providers":["AS1103"]}],"remove":[]}`),
	} {
		if body != "" {
			t.Errorf("success has the body %s", body)
		}
	}
	want(t, h, 200, `[{"customer":"AS3333","providers":["AS1103"]}]`, "GET", "cas/ORG-A/aspas", "")
	want(t, h, 501, `"sys-not-implemented"`, "GET", "cas/ORG-A/bgpsec", "")
}

func TestKrill06UnknownCA(t *testing.T) {
	_, h := newRegistry()
	other := want(t, h, 404, `"ca-unknown"`, "GET", "cas/ORG-B/routes", "")
	none := want(t, h, 404, `"ca-unknown"`, "GET", "cas/ORG-C/routes", "")
	if strings.ReplaceAll(other, "ORG-B", "ORG-C") != none {
		t.Errorf("another's is answered with %s, and nobody's with %s", other, none)
	}
}

func TestKrill07DeltaError(t *testing.T) {
	r, h := newRegistry()
	want(t, h, 200, "", "POST", "cas/ORG-A/routes", `{"added":[{"asn":3333,"prefix":"192.0.2.0/24"}]}`)
	want(t, h, 400, `"delta_error":{"duplicates":[{"asn":3333,"prefix":"192.0.2.0/24"}],"notheld":[{"asn":3333,"prefix":"198.51.100.0/24"}],"unknowns":[{"asn":1103,"prefix":"192.0.2.0/25"}],"invalid_length":[{"asn":3333,"prefix":"2001:db8::/32","max_length":16}]}`,
		"POST", "cas/ORG-A/routes", `{"added":[{"asn":3333,"prefix":"2001:db8::/48"},{"asn":3333,"prefix":"192.0.2.0/24"},{"asn":3333,"prefix":"198.51.100.0/24"},{"asn":3333,"prefix":"2001:db8::/32","max_length":16}],"removed":[{"asn":1103,"prefix":"192.0.2.0/25"}]}`)
	if r.Serial("ORG-A") != 1 {
		t.Error("a part was applied")
	}
}

func FuzzBodies(f *testing.F) {
	f.Add(`{"added":[{"asn":3333,"prefix":"192.0.2.0/24"}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		_, h := newRegistry()
		for _, path := range []string{"cas/ORG-A/routes", "cas/ORG-A/aspas"} {
			if w := call(h, "POST", path, body); w.Code >= 500 {
				t.Errorf("%s answers %d %s", path, w.Code, w.Body)
			}
		}
	})
}
