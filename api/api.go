// Package api is the engine's door: one HTTP handler, behind the daemon's Unix socket, or called in-process by a command
// when no daemon runs. The client half stands beside it, so that requests and answers have one definition.
//
// It is trusted as far as the socket's file mode says: whoever can open the socket is an operator.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"cadastre/internal/fault"
	"cadastre/internal/printable"
)

// LargestRequest is how many octets a request may have; the largest are registries' files, of some 30 MB, in base64.
const LargestRequest = 128 << 20

// smallRequest is how many octets a request may have that waits for no other. All but files are smaller.
const smallRequest = 64 << 10

// Room is memory for the large requests of operators. They wait for one another, and what is small waits for none of them.
type Room struct {
	octets *semaphore.Weighted
	held   atomic.Int64
	size   int64
}

// NewRoom makes a room of so many octets, LargestRequest at least; 0: twice that.
func NewRoom(size int64) *Room {
	if size == 0 {
		size = 2 * LargestRequest
	}
	return &Room{octets: semaphore.NewWeighted(size), size: size}
}

// Held is how many octets large requests have now, and Size how many they may have.
func (r *Room) Held() int64 { return r.held.Load() }

// Size is how many octets large requests may have.
func (r *Room) Size() int64 { return r.size }

// enter waits until there is room for a request, unless it is small, and takes it until leave is called. A request of which the length is
// not known counts as the largest when it turns out not to be small.
func (r *Room) enter(ctx context.Context, octets int64) (leave func(), err error) {
	if octets <= smallRequest {
		return func() {}, nil
	}
	if err := r.octets.Acquire(ctx, octets); err != nil {
		return nil, fault.New(fault.Busy, "other large requests took all the memory for them, and this one was given up: send it again")
	}
	r.held.Add(octets)
	return func() { r.held.Add(-octets); r.octets.Release(octets) }, nil
}

// body is what there is of a request's body, once there is room for all of it.
func (r *Room) body(w http.ResponseWriter, q *http.Request) (body io.Reader, leave func(), err error) {
	from := http.MaxBytesReader(w, q.Body, LargestRequest)
	octets, start := q.ContentLength, []byte(nil)
	if octets < 0 {
		start = make([]byte, smallRequest+1)
		n, err := io.ReadFull(from, start)
		if start = start[:n]; err == nil {
			octets = LargestRequest
		}
	}
	leave, err = r.enter(q.Context(), octets)
	return io.MultiReader(bytes.NewReader(start), from), leave, err
}

// Problem is an error on the wire (RFC 9457).
type Problem struct {
	Type   string          `json:"type"` // the kind's name
	Title  string          `json:"title"`
	Status int             `json:"status"`
	Detail string          `json:"detail"`
	Effect json.RawMessage `json:"effect,omitempty"` // of a decision that the brake holds
}

// router is where requests go, and the memory that they may take.
type router struct {
	*http.ServeMux
	room *Room
}

// handle serves one request type at one pattern. A function may return an answer together with an error of kind
// Refused: the answer then travels in the problem.
func handle[Request, Answer any](mux *router, pattern string, fn func(context.Context, Request) (Answer, error)) {
	mux.HandleFunc("POST "+pattern, func(w http.ResponseWriter, r *http.Request) {
		var request Request
		if r.ContentLength > LargestRequest {
			fail(w, fault.New(fault.BadInput, "the request has %d bytes, which is too large; at most %d are taken", r.ContentLength, LargestRequest), nil)
			return
		}
		body, leave, err := mux.room.body(w, r)
		if err != nil {
			fail(w, err, nil)
			return
		}
		defer leave()
		decoder := json.NewDecoder(body)
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&request); err != nil {
			fail(w, fault.New(fault.BadInput, "couldn't read the request: %w", err), nil)
			return
		}
		if text, odd, found := printable.Odd(&request); found {
			fail(w, fault.New(fault.BadInput, "%.100q has a character that does not print, U+%04X: leave it out", text, odd), nil)
			return
		}
		answer, err := fn(r.Context(), request)
		if err != nil {
			fail(w, err, answer)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	})
}

func fail(w http.ResponseWriter, err error, answer any) {
	kind := fault.KindOf(err)
	p := Problem{Type: kind.String(), Title: kind.Meaning(), Status: kind.HTTP(), Detail: err.Error()}
	if kind == fault.Refused && answer != nil {
		p.Effect, _ = json.Marshal(answer)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// Client calls the API through a transport: a Unix socket's, or a handler in the same process.
type Client struct{ HTTP *http.Client }

// Call sends a request and reads the answer. An error has the kind that it had on the other side; of one that the brake
// holds, answer is filled in too.
func Call[Request, Answer any](ctx context.Context, c *Client, path string, request Request) (answer Answer, err error) {
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(json.NewEncoder(writer).Encode(request)) }()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://cadastre"+path, reader)
	if err != nil {
		return answer, err
	}
	response, err := c.HTTP.Do(r)
	if err != nil {
		return answer, fault.New(fault.Unreachable, "couldn't talk to the daemon: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		var p Problem
		if err := json.NewDecoder(response.Body).Decode(&p); err != nil {
			return answer, fault.New(fault.Internal, "the daemon answered %s", response.Status)
		}
		if p.Effect != nil {
			_ = json.Unmarshal(p.Effect, &answer)
		}
		return answer, &fault.Error{Kind: fault.Named(p.Type), Text: p.Detail, Err: errors.New(p.Detail)}
	}
	err = json.NewDecoder(response.Body).Decode(&answer)
	return answer, err
}

// InProcess is a transport that calls a handler directly.
func InProcess(h http.Handler) http.RoundTripper { return inProcess{h} }

type inProcess struct{ handler http.Handler }

func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	reader, writer := io.Pipe()
	answer := &pipedAnswer{header: http.Header{}, body: writer, started: make(chan int, 1)}
	go func() {
		t.handler.ServeHTTP(answer, r)
		answer.WriteHeader(http.StatusOK)
		_ = writer.Close()
	}()
	status := <-answer.started
	return &http.Response{
		Status: http.StatusText(status), StatusCode: status, Header: answer.header, Body: reader,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1, Request: r,
	}, nil
}

// pipedAnswer is a ResponseWriter whose status and body the caller reads while the handler writes them.
type pipedAnswer struct {
	header  http.Header
	body    io.Writer
	started chan int
	begun   bool
}

func (a *pipedAnswer) Header() http.Header { return a.header }

func (a *pipedAnswer) WriteHeader(status int) {
	if !a.begun {
		a.begun = true
		a.started <- status
	}
}

func (a *pipedAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}
