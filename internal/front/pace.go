package front

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Pace is how fast a client has to send its request's body, and to take its answer. The zero value of a field means its
// default.
type Pace struct {
	Stall   time.Duration // the longest time without progress; 30 seconds
	Slowest int64         // bytes a second that a body or an answer has to make on average, after a first Stall; 32 KiB
}

// chunk is how much is written under one deadline.
const chunk = 64 << 10

// A short body that a handler does not read is skipped, so that its connection can be kept. It has to come soon.
const (
	unreadMost = 64 << 10
	skipTime   = 5 * time.Second
)

func (p Pace) orDefault() Pace {
	if p.Stall == 0 {
		p.Stall = 30 * time.Second
	}
	if p.Slowest == 0 {
		p.Slowest = 32 << 10
	}
	return p
}

// deadline is when the next progress has to come of what began at a time and has come to some bytes.
func (p Pace) deadline(begun time.Time, bytes int64) time.Time {
	stalled := time.Now().Add(p.Stall)
	slow := begun.Add(p.Stall + time.Duration(float64(bytes)/float64(p.Slowest)*float64(time.Second)))
	if slow.Before(stalled) {
		return slow
	}
	return stalled
}

// Paced has clients of a handler keep a pace. Where a handler does not read its request's body, and that is
// long or has no business there, the answer goes out at once and the connection ends with it. For a short body the answer waits,
// skipTime at most, so that the connection can be kept.
func Paced(handler http.Handler, pace Pace) http.Handler {
	pace = pace.orDefault()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := time.Now()
		at := connOf(r.Context())
		at.begin()
		defer at.end()
		control := http.NewResponseController(w)
		answer := &writer{ResponseWriter: w, control: control, conn: at, pace: pace, begun: now}
		if r.Body != nil && r.Body != http.NoBody {
			message := &body{ReadCloser: r.Body, control: control, conn: at, pace: pace, begun: now}
			message.expect()
			answer.unread = r.ProtoMajor == 1 && (r.Method == http.MethodGet || r.Method == http.MethodHead || r.ContentLength < 0 || r.ContentLength > unreadMost)
			answer.request = message
			r.Body = message
			defer message.leave()
		}
		handler.ServeHTTP(answer, r)
		answer.expect() // what is still in buffers is written now
		answer.skip()
	})
}

// ErrAbandoned is what the Read of a body gives after Abandon.
var ErrAbandoned = errors.New("the request's body is not wanted any more")

// Abandon ends the reading of a request's body from another goroutine: a Read that waits fails, and so does every later one.
// It does nothing where the handler was not made by Paced, or has returned.
func Abandon(r *http.Request) {
	b, ok := r.Body.(*body)
	if !ok {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.left {
		b.abandoned = true
		_ = b.control.SetReadDeadline(time.Unix(1, 0))
	}
}

// body is a request's body.
type body struct {
	io.ReadCloser
	control *http.ResponseController
	conn    *conn
	pace    Pace
	begun   time.Time
	bytes   int64
	ended   bool

	mu        sync.Mutex // guards the rest, and control's deadline for reading until the handler has returned
	abandoned bool
	left      bool // the handler has returned
}

func (b *body) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = true
}

// expect sets the deadline of the next Read, and tells whether there may be one.
func (b *body) expect() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended && !b.abandoned {
		_ = b.control.SetReadDeadline(b.pace.deadline(b.begun, b.bytes)) // recorders of tests have none
	}
	return !b.abandoned
}

func (b *body) Read(p []byte) (int, error) {
	if !b.expect() {
		return 0, ErrAbandoned
	}
	b.conn.end()
	n, err := b.ReadCloser.Read(p)
	b.conn.begin()
	b.bytes += int64(n)
	if err != nil && !b.ended {
		b.ended = true
		if err == io.EOF {
			_ = b.control.SetReadDeadline(time.Time{}) // else the connection, and with it the request, would end at that time
		}
	}
	return n, err
}

// writer is an answer.
type writer struct {
	http.ResponseWriter
	control *http.ResponseController
	conn    *conn
	pace    Pace
	begun   time.Time // of the first byte; until then of the request
	bytes   int64
	request *body // nil where there is none
	unread  bool  // a body that is not read to its end when the answer begins ends the connection
	headed  bool
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) expect() { _ = w.control.SetWriteDeadline(w.pace.deadline(w.begun, w.bytes)) }

// WriteHeader implements http.ResponseWriter.
func (w *writer) WriteHeader(status int) {
	if !w.headed && status >= http.StatusOK {
		w.headed, w.begun = true, time.Now()
		if w.unread && !w.request.ended {
			w.Header().Set("Connection", "close")
		} else {
			w.skip()
		}
	}
	w.expect()
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *writer) Write(p []byte) (written int, err error) {
	if !w.headed {
		w.WriteHeader(http.StatusOK)
	}
	for first := true; err == nil && (first || len(p) > 0); first = false {
		n := min(len(p), chunk)
		w.expect()
		w.conn.end()
		n, err = w.ResponseWriter.Write(p[:n])
		w.conn.begin()
		w.bytes += int64(n)
		written += n
		p = p[n:]
	}
	return written, err
}

// skip bounds how long net/http waits for what is left of the body of a request that is answered: it does not wait where the
// connection ends anyway.
func (w *writer) skip() {
	if w.request == nil || w.request.ended {
		return
	}
	wait := skipTime
	if w.unread {
		wait = 0
	}
	_ = w.control.SetReadDeadline(time.Now().Add(wait))
}

type connKey struct{}

// withConn puts a connection where its requests find it.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if secured, ok := c.(*tls.Conn); ok {
		c = secured.NetConn()
	}
	if counted, ok := c.(*conn); ok {
		return context.WithValue(ctx, connKey{}, counted)
	}
	return ctx
}

// connOf is the connection of a request; nil for one that came by no connection of a gate.
func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}
