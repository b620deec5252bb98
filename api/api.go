// Package api is the engine's door: one HTTP handler, behind the daemon's Unix socket, or called in-process by a command
// when no daemon runs. The client half stands beside it, so that requests and answers have one definition.
//
// It is trusted as far as the socket's file mode says: whoever can open the socket is an operator.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"cadastre/internal/fault"
	"cadastre/internal/printable"
)

// maxRequest bounds a request; the largest are registries' files, of some 30 MB, in base64.
const maxRequest = 128 << 20

// Problem is an error on the wire (RFC 9457).
type Problem struct {
	Type   string          `json:"type"` // the kind's name
	Title  string          `json:"title"`
	Status int             `json:"status"`
	Detail string          `json:"detail"`
	Effect json.RawMessage `json:"effect,omitempty"` // of a decision that the brake holds
}

// handle serves one request type at one pattern. A function may return an answer together with an error of kind
// Refused: the answer then travels in the problem.
func handle[Request, Answer any](mux *http.ServeMux, pattern string, fn func(context.Context, Request) (Answer, error)) {
	mux.HandleFunc("POST "+pattern, func(w http.ResponseWriter, r *http.Request) {
		var request Request
		if r.ContentLength > maxRequest {
			fail(w, fault.New(fault.BadInput, "the request has %d bytes, which is too large; at most %d are taken", r.ContentLength, maxRequest), nil)
			return
		}
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
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
