package peer

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"cadastre/internal/envelope"
	"cadastre/internal/envelopetest"
	"cadastre/internal/front"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// someone is an identity of a test, both halves of it.
type someone struct {
	*envelope.Signer
	trust *envelope.Trust
}

func newSomeone() *someone {
	key, certificate, err := envelopetest.NewIdentity(time.Now())
	if err != nil {
		panic(err)
	}
	return &someone{must(envelope.NewSigner(key, certificate)), must(envelope.ParseTrust(certificate))}
}

// Making keys costs time: the tests share these identities. Time in a test's bubble begins in 2000, and so each makes
// a one-time key anew when a test in a bubble follows one outside.
var (
	ours     = sync.OnceValue(newSomeone)
	theirs   = sync.OnceValue(newSomeone)
	stranger = sync.OnceValue(newSomeone)
)

// testDoor is a door and what is behind it.
type testDoor struct {
	*Door
	t *testing.T

	mu       sync.Mutex
	callers  map[string]*Caller
	answered []string // contents
	reasons  []string // of refusals
}

// newTestDoor has one registered peer, "theirs", and answers each message with "reply to " and its content.
func newTestDoor(t *testing.T) *testDoor {
	h := &testDoor{t: t, callers: map[string]*Caller{"theirs": {Handle: "theirs", Trust: theirs().trust, Self: ours().Signer}}}
	h.Door = &Door{
		ContentType: "application/rpki-updown",
		MaxBody:     100_000,
		Find: func(handle string) (*Caller, bool) {
			h.mu.Lock()
			defer h.mu.Unlock()
			caller, ok := h.callers[handle]
			if !ok {
				return nil, false
			}
			now := *caller
			return &now, true
		},
		Answer: func(_ context.Context, handle string, content []byte, stamp Stamp) ([]byte, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.callers[handle].Again(stamp) && !bytes.HasPrefix(content, []byte("<list")) {
				return nil, ErrAgain
			}
			h.callers[handle].Heard = h.callers[handle].With(stamp)
			h.answered = append(h.answered, string(content))
			return append([]byte("reply to "), content...), nil
		},
		Refused: func(handle, why string) {
			h.mu.Lock()
			defer h.mu.Unlock()
			if !slices.Contains(Reasons, why) {
				t.Errorf("the reason %q is not one of Reasons", why)
			}
			if handle != "" && h.callers[handle] == nil {
				t.Errorf("%q is named in a metric, and is not registered", handle)
			}
			h.reasons = append(h.reasons, why)
		},
	}
	return h
}

// request is a call as the server hands it to the door.
func request(handle string, body []byte) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/rfc6492/"+handle, bytes.NewReader(body))
	r.SetPathValue("handle", handle)
	return r
}

// call makes one call without a network.
func (h *testDoor) call(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func (h *testDoor) send(body []byte) *httptest.ResponseRecorder {
	return h.call(request("theirs", body))
}

// wantRefusal checks status and reason of the last call.
func (h *testDoor) wantRefusal(w *httptest.ResponseRecorder, status int, why string) {
	h.t.Helper()
	last := ""
	if len(h.reasons) > 0 {
		last = h.reasons[len(h.reasons)-1]
	}
	if w.Code != status || last != why {
		h.t.Errorf("the answer is %d for %q, not %d for %q: %s", w.Code, last, status, why, w.Body)
	}
}

// wantReply opens a reply.
func (h *testDoor) wantReply(w *httptest.ResponseRecorder, content string) {
	h.t.Helper()
	if w.Code != http.StatusOK {
		h.t.Fatalf("the answer is %d: %s", w.Code, w.Body)
	}
	m, err := ours().trust.Open(w.Body.Bytes(), time.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	if string(m.Content) != content {
		h.t.Errorf("the reply is %q, not %q", m.Content, content)
	}
}

func signedNow(by *someone, content string) []byte {
	return must(by.Sign([]byte(content), time.Now()))
}

// wire is a network in memory, on which time can be a test's.
type wire struct {
	calls chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newWire() *wire { return &wire{calls: make(chan net.Conn), done: make(chan struct{})} }

func (l *wire) Accept() (net.Conn, error) {
	select {
	case c := <-l.calls:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *wire) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *wire) Addr() net.Addr { return &net.UnixAddr{Name: "wire"} }

func (l *wire) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.calls <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.done:
		return nil, fmt.Errorf("nobody listens: %w", net.ErrClosed)
	}
}

// stall is how long a client may make no progress.
const stall = 30 * time.Second

// serve serves a handler on a wire until the test ends, and gives a way to call it.
func serve(t *testing.T, handler http.Handler) (*wire, *http.Client) {
	l := newWire()
	server := &http.Server{Handler: front.Paced(handler, front.Pace{Stall: stall}), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Hour}
	go func() { _ = server.Serve(l) }()
	transport := &http.Transport{DialContext: l.dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
	})
	return l, &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (h *testDoor) mux() *http.ServeMux {
	mux := http.NewServeMux()
	h.Mount(mux, "/rfc6492/")
	return mux
}

// client is theirs, calling at this door.
func (h *testDoor) client(http *http.Client) *Client {
	return &Client{URL: "http://localhost/rfc6492/theirs", ContentType: h.ContentType, Self: theirs().Signer, Peer: ours().trust, Name: "ours", HTTP: http}
}
