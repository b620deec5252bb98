package daemon

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestDoorway: peers are asked to come again until the keys are open, and nothing that they send is read.
func TestDoorway(t *testing.T) {
	d := &doorway{}
	mux := http.NewServeMux()
	d.mount(mux)
	post := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader("message")))
		return w
	}
	paths := []string{"/rfc6492/acme", "/rfc6492/acme/", "/rfc8181/acme", "/rfc8181/acme/", "/transfers/acme", "/transfers/acme/"}
	for _, path := range paths {
		if w := post(path); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	d.open(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s is answered", r.URL.Path) }))
	for _, path := range paths {
		if w := post(path); w.Code != http.StatusOK || w.Body.String() != path+" is answered" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if w := post("/rfc3779/acme"); w.Code != http.StatusNotFound {
		t.Errorf("another path: %d", w.Code)
	}
}
