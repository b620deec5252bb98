// Package api is the interface of the engine for commands: one HTTP handler, behind the daemon's Unix socket, or called in-process by a
// command if no daemon runs. The client is in the same package, so that requests and answers have one definition.
//
// Who asks is in the context of each request (internal/principal), put there by the door that it comes by: at the socket the kernel names the
// account at the other end. The file mode of the socket decides who may use it: whoever can open the socket is an operator.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"cadastre/internal/fault"
	"cadastre/internal/principal"
	"cadastre/internal/printable"
)

// LargestRequest is how many octets a request may have; the largest are registries' files, of some 30 MB, in base64.
const LargestRequest = 128 << 20

// smallRequest is the longest request, in octets, that waits for no other. Only requests with files are longer.
const smallRequest = 64 << 10

// Room is memory for the large requests of operators. A large request waits until there is room for it; small ones do not wait.
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

// Held is how many octets large requests take now.
func (r *Room) Held() int64 { return r.held.Load() }

// Size is how many octets large requests may take together.
func (r *Room) Size() int64 { return r.size }

// enter waits until there is room for a request, unless it is small. The request has the room until leave is called. If its length is not
// known, and it turns out not to be small, it counts as the largest.
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

// body is a request's body, once there is room for all of it.
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

// router has the handlers of requests, the rights that each needs, and the room for large ones.
type router struct {
	*http.ServeMux
	room  *Room
	needs map[string]principal.Rights // by pattern
}

// handle serves one request type at one pattern, to those who have the rights that it needs. If fn returns an answer together with an error of
// kind Refused, the answer is part of the problem.
func handle[Request, Answer any](mux *router, needs principal.Rights, pattern string, fn func(context.Context, Request) (Answer, error)) {
	mux.needs[pattern] = needs
	mux.HandleFunc("POST "+pattern, func(w http.ResponseWriter, r *http.Request) {
		var request Request
		ctx, err := asking(r, needs)
		if err != nil {
			fail(w, err, nil)
			return
		}
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
		answer, err := fn(ctx, request)
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
type Client struct {
	HTTP *http.Client
	For  string // on whose behalf the requests are made; empty: on that of the account that makes them
}

// Call sends a request and reads the answer. An error has the kind that it had on the other side. If the brake holds a decision, answer is
// its effect.
func Call[Request, Answer any](ctx context.Context, c *Client, path string, request Request) (answer Answer, err error) {
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(json.NewEncoder(writer).Encode(request)) }()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://cadastre"+path, reader)
	if err != nil {
		return answer, err
	}
	if c.For != "" {
		r.Header.Set(behalf, url.PathEscape(c.For))
	}
	response, err := c.HTTP.Do(r)
	switch {
	case err != nil && ctx.Err() != nil:
		return answer, fault.New(fault.Unreachable, "interrupted before the daemon answered; a decision that was sent may be taken all the same")
	case err != nil:
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

// InProcess is a transport that calls a handler directly, in the name of who.
func InProcess(h http.Handler, who principal.Principal) http.RoundTripper { return inProcess{h, who} }

type inProcess struct {
	handler http.Handler
	who     principal.Principal
}

func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	reader, writer := io.Pipe()
	answer := &pipedAnswer{header: http.Header{}, body: writer, started: make(chan int, 1)}
	go func() {
		t.handler.ServeHTTP(answer, r.WithContext(principal.In(r.Context(), t.who)))
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
