package api

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"cadastre/internal/fault"
	"cadastre/internal/principal"
)

// reading is every call that changes nothing; all others need the right to change.
var reading = strings.Fields(`
/aspas /aspas/list /children/list /children/response /children/show /decisions /escrow/signer /handoffs/plan /handoffs/status
/holdings/history /holdings/list /holdings/transfers /identity/show /keys/show /organisations/list /parents/list /parents/request
/policy/show /publishers/list /publishers/response /publishers/show /registries/introduce /registries/list /registries/show
/repository/request /repository/show /roas/list /roas/suggest /routes/ignored /routes/show /routes/status /status /tal /transfers/evidence /transfers/list /transfers/offer /transfers/show
/vrps /wait`)

// TestRights asks every call as somebody with each set of rights. A request that passes is refused for its body, which is no JSON.
func TestRights(t *testing.T) {
	mux := server{}.routes(NewRoom(0))
	if len(mux.needs) < len(reading)+40 {
		t.Fatalf("only %d calls were found", len(mux.needs))
	}
	auditor := principal.Principal{Name: "auditor", Door: principal.Socket, Rights: principal.Read}
	for path := range mux.needs {
		reads := slices.Contains(reading, path)
		for _, c := range []struct {
			who principal.Principal
			may bool
		}{
			{principal.Principal{}, false},
			{principal.Principal{Rights: principal.Read | principal.Change}, false}, // nobody is named
			{principal.OfPeer("child"), false},
			{auditor, reads},
			{principal.Operator("root", principal.Socket), true},
		} {
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequestWithContext(principal.In(t.Context(), c.who), http.MethodPost, path, strings.NewReader("{")))
			want := fault.Forbidden.HTTP()
			if c.may {
				want = fault.BadInput.HTTP()
			}
			if w.Code != want {
				t.Errorf("%s by %+v: %d %s", path, c.who, w.Code, w.Body)
			}
		}
	}
}

// TestOnBehalf has an operator say on whose behalf he asks.
func TestOnBehalf(t *testing.T) {
	for name, c := range map[string]struct {
		header, want string
		kind         fault.Kind
	}{
		"his own":       {"", "root", fault.Internal},
		"another's":     {"ann", "root for ann", fault.Internal},
		"any script":    {url.PathEscape("Áine Ní, 100 %"), "root for Áine Ní, 100 %", fault.Internal},
		"no encoding":   {"100 %", "", fault.BadInput},
		"no characters": {"a%1b[31m", "", fault.BadInput},
		"a second line": {"a%0ab", "", fault.BadInput},
		"too long":      {strings.Repeat("x", 257), "", fault.BadInput},
		"long":          {strings.Repeat("x", 256), "root for " + strings.Repeat("x", 256), fault.Internal},
	} {
		r := httptest.NewRequestWithContext(principal.In(t.Context(), principal.Operator("root", principal.Socket)), http.MethodPost, "/", nil)
		r.Header.Set(behalf, c.header)
		ctx, err := asking(r, principal.Change)
		if fault.KindOf(err) != c.kind {
			t.Errorf("%s: (%s) %v", name, fault.KindOf(err), err)
		}
		if err == nil && principal.Of(ctx).String() != c.want {
			t.Errorf("%s: %s", name, principal.Of(ctx))
		}
	}
}

// TestSocketNeedsTheKernel: where the kernel names no account, as behind TCP, nobody may do anything.
func TestSocketNeedsTheKernel(t *testing.T) {
	s := httptest.NewUnstartedServer(nil)
	at := AtSocket(server{}.routes(NewRoom(0)), slog.New(slog.DiscardHandler))
	s.Config.Handler, s.Config.ConnContext = at.Handler, at.ConnContext
	s.Start()
	defer s.Close()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", s.Listener.Addr().String())
	}}
	defer transport.CloseIdleConnections()
	_, err := Call[Nothing, Text](t.Context(), &Client{HTTP: &http.Client{Transport: transport}}, "/tal", Nothing{})
	if fault.KindOf(err) != fault.Internal || !strings.Contains(err.Error(), "names no account") {
		t.Errorf("(%s) %v", fault.KindOf(err), err)
	}
}
