package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/api"
	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/principal"
	"cadastre/internal/slowtest"
	"cadastre/internal/store"
	"cadastre/moves"
	"cadastre/rrdp/publisher"
)

const delegated = `2|north|20261101|3|20040101|20261101|+0000
north|*|asn|*|1|summary
north|*|ipv4|*|2|summary
north|ZA|asn|37100|1|20100301|allocated|baobab
north|ZA|ipv4|102.16.0.0|4096|20170301|allocated|baobab
north|KE|ipv4|102.32.0.0|1024|20170401|allocated|acacia
`

// newHandler is the API of a small registry that has not begun to sign.
func newHandler(t *testing.T) http.Handler {
	t.Helper()
	dir := t.TempDir()
	policy := ca.DefaultPolicy()
	policy.Algorithm = object.P256
	policy.RsyncBase, policy.RRDPBase, policy.AnchorURL = "rsync://rpki.example/", "https://rpki.example/rrdp/", "https://rpki.example/ta/ta.cer"
	tree, err := holdings.ParseTree([]byte("[[organisation]]\nhandle = \"iana\"\nkind = \"root\"\n[[organisation]]\nhandle = \"north\"\nkind = \"rir\"\nparent = \"iana\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(filepath.Join(dir, "store.db"), store.Options{Create: true, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	if err := ca.Init(st, dir, policy, tree, []byte("of the tests"), []byte("of the tests"), principal.Principal{Name: "founder"}); err != nil {
		t.Fatal(err)
	}
	e, err := ca.Open(st, dir, policy, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return api.New(e, moves.New(e, dir, slog.New(slog.DiscardHandler)), dir, api.NewRoom(0))
}

// transports are the two ways to a handler: in the same process, and through a Unix socket.
func transports(t *testing.T, h http.Handler) map[string]*api.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: api.AtSocket(h, slog.New(slog.DiscardHandler))}
	server.Start()
	t.Cleanup(server.Close)
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return map[string]*api.Client{
		"in process": {HTTP: &http.Client{Transport: api.InProcess(h, operator)}},
		"socket":     {HTTP: &http.Client{Transport: transport}},
	}
}

func set(text string) inr.Set {
	s, err := inr.Parse(text)
	if err != nil {
		panic(err)
	}
	return s
}

var why = api.Why{Reason: "to see"}

// operator is who asks in the same process.
var operator = principal.Operator("tester", principal.Command)

// fill gives a registry something to ask about.
func fill(t *testing.T, c *api.Client) {
	t.Helper()
	f, err := api.Call[api.HoldingsImport, *ca.Effect](t.Context(), c, "/holdings/import", api.HoldingsImport{Why: why, Files: []api.Upload{{Name: "delegated-north", Data: []byte(delegated)}}})
	if err != nil || f.Decision == 0 {
		t.Fatal(f, err)
	}
	csv := []byte("102.16.0.0/20,AS37100\n102.32.0.0/22,AS37200\n")
	if _, err := api.Call[api.ROAImport, *ca.Effect](t.Context(), c, "/roas/import", api.ROAImport{Why: why, Files: []api.Upload{{Name: "roas.csv", Data: csv}}}); err != nil {
		t.Fatal(err)
	}
}

// answer is what a call came to, comparable.
type answer struct {
	json, text string
	kind       fault.Kind
	failed     bool
}

func call[Request, Answer any](path string, q Request) func(context.Context, *api.Client) answer {
	return func(ctx context.Context, c *api.Client) answer {
		got, err := api.Call[Request, Answer](ctx, c, path, q)
		text, _ := json.Marshal(got)
		if err != nil {
			return answer{string(text), err.Error(), fault.KindOf(err), true}
		}
		return answer{json: string(text)}
	}
}

// TestTransportsAgree asks the same through both: answers and errors may not tell which it was.
func TestTransportsAgree(t *testing.T) {
	h := newHandler(t)
	clients := transports(t, h)
	fill(t, clients["socket"])
	dry := ca.Consent{DryRun: true}
	for name, c := range map[string]struct {
		ask  func(context.Context, *api.Client) answer
		want fault.Kind
		says string // in the answer, or in the error
	}{
		"status":    {call[api.Nothing, *ca.Status]("/status", api.Nothing{}), 0, `"intents":2`},
		"tal":       {call[api.Nothing, api.Text]("/tal", api.Nothing{}), 0, "https://rpki.example/ta/ta.cer"},
		"vrps":      {call[api.Nothing, api.VRPs]("/vrps", api.Nothing{}), 0, `"lines"`},
		"decisions": {call[api.DecisionsList, []holdings.Told]("/decisions", api.DecisionsList{From: 2}), 0, `"to see"`},
		"list":      {call[api.HoldingsList, []api.Holding]("/holdings/list", api.HoldingsList{}), 0, "north/acacia"},
		"list one":  {call[api.HoldingsList, []api.Holding]("/holdings/list", api.HoldingsList{Holder: "NORTH/baobab"}), 0, "102.16.0.0/20"},
		"list none": {call[api.HoldingsList, []api.Holding]("/holdings/list", api.HoldingsList{Holder: "nobody"}), fault.NotFound, "nobody"},
		"list held": {call[api.HoldingsList, []api.Holding]("/holdings/list", api.HoldingsList{Resources: set("102.16.0.0/24")}), 0, "north/baobab"},
		"intents":   {call[api.ROAList, []api.ROAIntent]("/roas/list", api.ROAList{}), 0, `"pending"`},
		"no intents": {
			call[api.ROAList, []api.ROAIntent]("/roas/list", api.ROAList{Parked: true}), 0, "[]",
		},
		"add tried":  {call[api.ROAChange, *ca.Effect]("/roas/add", api.ROAChange{Why: why, Consent: dry, Intents: [][]string{{"102.16.0.0/22", "AS37100", "24"}}}), 0, `"max_length":24`},
		"add wrong":  {call[api.ROAChange, *ca.Effect]("/roas/add", api.ROAChange{Why: why, Intents: [][]string{{"102.16.0.0/22", "ASx"}}}), fault.BadInput, "ASx"},
		"add afar":   {call[api.ROAChange, *ca.Effect]("/roas/add", api.ROAChange{Why: why, Intents: [][]string{{"8.8.8.0/24", "AS1"}}}), fault.NotHeld, "8.8.8.0/24"},
		"remove":     {call[api.ROAChange, *ca.Effect]("/roas/remove", api.ROAChange{Why: why, Intents: [][]string{{"102.16.0.0/22", "AS1"}}}), fault.NotFound, "102.16.0.0/22,22,AS1"},
		"return":     {call[api.HoldingsTake, *ca.Effect]("/holdings/return", api.HoldingsTake{Why: why, Consent: dry, Holder: "north/baobab", Resources: set("102.16.0.0/24")}), 0, `"vrps_lost":[{`},
		"brake":      {call[api.HoldingsTake, *ca.Effect]("/holdings/revoke", api.HoldingsTake{Why: why, Holder: "north/baobab"}), fault.Refused, "the brake holds this"},
		"other code": {call[api.HoldingsTake, *ca.Effect]("/holdings/revoke", api.HoldingsTake{Why: why, Consent: ca.Consent{Code: "x"}, Holder: "north/baobab"}), fault.Refused, "another plan"},
		"delegate to a newcomer": {call[api.HoldingsDelegate, *ca.Effect]("/holdings/delegate", api.HoldingsDelegate{Why: why, Consent: dry, From: "north/baobab", To: "shop",
			Resources: set("102.16.8.0/24"), Status: holdings.Assigned, Ground: "x"}), 0, `"holders":{"new":1`},
		"delegate what is another's": {call[api.HoldingsDelegate, *ca.Effect]("/holdings/delegate", api.HoldingsDelegate{Why: why, From: "north/baobab", To: "shop",
			Resources: set("102.32.0.0/24"), Status: holdings.Assigned, Ground: "x"}), fault.NotHeld, "north/acacia"},
		"malformed file":    {call[api.HoldingsImport, *ca.Effect]("/holdings/import", api.HoldingsImport{Why: why, Files: []api.Upload{{Name: "f", Data: []byte("x")}}}), fault.BadInput, "f:1: "},
		"malformed csv":     {call[api.ROAImport, *ca.Effect]("/roas/import", api.ROAImport{Why: why, Files: []api.Upload{{Name: "f", Data: []byte("a,b\nc,d\n")}}}), fault.BadInput, "f:"},
		"wait":              {call[api.Nothing, *ca.Status]("/wait", api.Nothing{}), fault.Unreachable, "no daemon runs on /"},
		"history":           {call[holdings.HistoryQuery, []holdings.Tenure]("/holdings/history", holdings.HistoryQuery{Resources: set("102.16.0.0/24")}), 0, `"holder":"north/baobab"`},
		"no history":        {call[holdings.HistoryQuery, []holdings.Tenure]("/holdings/history", holdings.HistoryQuery{Holder: "nobody"}), fault.NotFound, "nobody"},
		"transfer log":      {call[api.TransferLog, json.RawMessage]("/holdings/transfers", api.TransferLog{Format: "4.1"}), 0, `"transfers_in_progress":[]`},
		"no transfer log":   {call[api.TransferLog, json.RawMessage]("/holdings/transfers", api.TransferLog{Format: "6.0"}), fault.BadInput, "6.0"},
		"policies":          {call[api.PolicyShow, []holdings.Policy]("/policy/show", api.PolicyShow{}), 0, `"registry":"north"`},
		"no policy":         {call[api.PolicyShow, []holdings.Policy]("/policy/show", api.PolicyShow{Registry: "iana"}), fault.NotFound, "iana"},
		"free policy":       {call[api.PolicySet, *ca.Effect]("/policy/set", api.PolicySet{Why: why, Policy: holdings.DefaultPolicy("north", "free")}), fault.BadInput, "free"},
		"no children":       {call[api.Nothing, []ca.ChildStatus]("/children/list", api.Nothing{}), 0, "[]"},
		"no such child":     {call[api.Holder, *ca.ChildStatus]("/children/show", api.Holder{Holder: "north/baobab"}), fault.NotFound, "north/baobab"},
		"no parents":        {call[api.ParentsList, []ca.ParentStatus]("/parents/list", api.ParentsList{}), 0, "[]"},
		"no publishers":     {call[api.Nothing, []publisher.Info]("/publishers/list", api.Nothing{}), 0, "[]"},
		"no such publisher": {call[api.Publisher, *publisher.Info]("/publishers/show", api.Publisher{Handle: "alice"}), fault.NotFound, "alice"},
		"no remotes":        {call[api.RepositoryShow, []ca.RemoteStatus]("/repository/show", api.RepositoryShow{}), 0, "[]"},
		"update of nothing": {call[api.ChildrenUpdate, api.XML]("/children/update", api.ChildrenUpdate{Why: why, Holder: "north/baobab"}), fault.BadInput, "either"},
		"update of both": {call[api.PublishersUpdate, api.XML]("/publishers/update", api.PublishersUpdate{Handle: "alice",
			Update: api.Update{Request: "<publisher_request/>", ResetReplay: true}}), fault.BadInput, "either"},
		"soak":  {call[api.KeysRoll, api.Nothing]("/keys/roll", api.KeysRoll{Why: why, Holder: "north/baobab", Soak: "-1h"}), fault.BadInput, "-1h"},
		"enrol": {call[api.Enrol, *ca.Effect]("/organisations/enrol", api.Enrol{Why: why, Organisation: holdings.Organisation{Handle: "x", Parent: "nobody", Kind: holdings.LIR}}), fault.NotFound, "nobody"},
	} {
		t.Run(name, func(t *testing.T) {
			got := map[string]answer{}
			for transport, client := range clients {
				got[transport] = c.ask(t.Context(), client)
			}
			a := got["socket"]
			if !reflect.DeepEqual(a, got["in process"]) {
				t.Errorf("the socket says %+v, and in process it is %+v", a, got["in process"])
			}
			if a.kind != c.want || a.failed != (c.want != 0) || !strings.Contains(a.json+a.text, c.says) {
				t.Errorf("it says (%s) %s %s", a.kind, a.text, a.json)
			}
		})
	}
	// what the brake holds comes with its effect, and the code in it is the one that the sentence names
	for transport, client := range clients {
		f, err := api.Call[api.HoldingsTake, *ca.Effect](t.Context(), client, "/holdings/revoke", api.HoldingsTake{Why: why, Holder: "north/baobab"})
		if f == nil || f.Code == "" || err == nil || !strings.Contains(err.Error(), f.Code) {
			t.Errorf("%s: %+v, %v", transport, f, err)
		}
	}
}

// post sends bytes as they are, past the client.
func post(t *testing.T, h http.Handler, method, path string, body io.Reader) (*httptest.ResponseRecorder, api.Problem) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(principal.In(t.Context(), operator), method, "http://cadastre"+path, body))
	var p api.Problem
	_ = json.Unmarshal(w.Body.Bytes(), &p)
	return w, p
}

func TestRequests(t *testing.T) {
	h := newHandler(t)
	for name, c := range map[string]struct {
		path, body, says string
		status           int
	}{
		"nothing":          {"/status", "", "couldn't read the request", http.StatusBadRequest},
		"no JSON":          {"/status", "prefix=192.0.2.0/24", "couldn't read the request", http.StatusBadRequest},
		"an unknown field": {"/roas/list", `{"holder": "north", "colour": "green"}`, "colour", http.StatusBadRequest},
		"another type":     {"/roas/list", `{"holder": 7}`, "couldn't read the request", http.StatusBadRequest},
		"not resources":    {"/holdings/list", `{"resources": "everything"}`, "everything", http.StatusBadRequest},
		"cut short":        {"/roas/list", `{"holder": "nor`, "couldn't read the request", http.StatusBadRequest},
		"what is right":    {"/roas/list", `{}`, "", http.StatusOK},
	} {
		w, p := post(t, h, http.MethodPost, c.path, strings.NewReader(c.body))
		if w.Code != c.status || !strings.Contains(p.Detail, c.says) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if c.status != http.StatusOK && (p.Type != fault.BadInput.String() || p.Status != w.Code || p.Title == "" || w.Header().Get("Content-Type") != "application/problem+json") {
			t.Errorf("%s: it is no problem of RFC 9457: %s", name, w.Body)
		}
	}
	if w, _ := post(t, h, http.MethodGet, "/status", nil); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", w.Code)
	}
	if w, _ := post(t, h, http.MethodPost, "/nowhere", strings.NewReader("{}")); w.Code != http.StatusNotFound {
		t.Errorf("nowhere: %d", w.Code)
	}
}

// spaces is white space without end, which JSON allows before a value.
type spaces struct{ given int }

func (s *spaces) Read(p []byte) (int, error) {
	copy(p, bytes.Repeat([]byte{' '}, len(p)))
	s.given += len(p)
	return len(p), nil
}

// TestOversized has a request that is too large: one that says so is not read at all, another not beyond the bound.
func TestOversized(t *testing.T) {
	h := newHandler(t)
	body := &spaces{}
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(principal.In(t.Context(), operator), http.MethodPost, "http://cadastre/status", body)
	r.ContentLength = 1 << 40
	h.ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "too large") || body.given > 0 {
		t.Errorf("after %d bytes: %d %s", body.given, w.Code, w.Body)
	}
	if _, slow := slowtest.Share(t); !slow {
		t.Skip("a quarter of a gigabyte is read only with CADASTRE_SLOW=1")
	}
	w, p := post(t, h, http.MethodPost, "/status", body)
	if w.Code != http.StatusBadRequest || !strings.Contains(p.Detail, "too large") || body.given > 600<<20 {
		t.Errorf("after %d bytes: %d %s", body.given, w.Code, w.Body)
	}
}

func TestUnreachable(t *testing.T) {
	gone := &api.Client{HTTP: &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: fmt.Errorf("no such socket")}
	}}}}
	if _, err := api.Call[api.Nothing, *ca.Status](t.Context(), gone, "/status", api.Nothing{}); fault.KindOf(err) != fault.Unreachable {
		t.Errorf("without a daemon: (%s) %v", fault.KindOf(err), err)
	}
	// something that answers and is no daemon of ours
	other := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "go away", http.StatusTeapot) })
	client := &api.Client{HTTP: &http.Client{Transport: api.InProcess(other, operator)}}
	if _, err := api.Call[api.Nothing, *ca.Status](t.Context(), client, "/status", api.Nothing{}); err == nil || !strings.Contains(err.Error(), "418") && !strings.Contains(err.Error(), "teapot") {
		t.Errorf("it says %v", err)
	}
}

// TestLargeRequestsWait: large requests of operators wait for one another, whether or not they say how long they are, and small ones
// wait for none.
func TestLargeRequestsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := api.New(nil, nil, "", api.NewRoom(api.LargestRequest))
		call := func(ctx context.Context, body io.Reader, length int64) *httptest.ResponseRecorder {
			w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(principal.In(ctx, operator), http.MethodPost, "/roas/import", body)
			r.ContentLength = length
			h.ServeHTTP(w, r)
			return w
		}
		body, sends := io.Pipe()
		done := make(chan int)
		go func() { done <- call(t.Context(), body, -1).Code }()
		_, _ = sends.Write(bytes.Repeat([]byte(" "), 100<<10)) // it is large, as it turns out
		if w := call(t.Context(), strings.NewReader("{"), 1); w.Code != http.StatusBadRequest {
			t.Error("a small request beside a large one:", w.Code)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if w := call(ctx, strings.NewReader(strings.Repeat(" ", 100<<10)), 100<<10); w.Code != fault.Busy.HTTP() {
			t.Error("a large request beside a large one:", w.Code)
		}
		_ = sends.Close()
		if code := <-done; code != http.StatusBadRequest {
			t.Error("the large one:", code)
		}
		if w := call(t.Context(), strings.NewReader(strings.Repeat(" ", 100<<10)), 100<<10); w.Code != http.StatusBadRequest {
			t.Error("when the large one has ended:", w.Code)
		}
	})
}
