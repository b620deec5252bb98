package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"cadastre/test/internal/localtls"
)

// front is an HTTP proxy between one reader and the repositories, which it can withhold from it one by one: a repository
// that is withheld shows the notification that it had at that moment, as an old cache on the way would.
//
// One that is patient gives whole answers or none, and waits for a daemon that is being started again, as the caches of
// those do who publish for many.
type front struct {
	patient  bool
	listener net.Listener
	tls      *tls.Config
	client   *http.Client

	mu   sync.Mutex
	held map[string][]byte // notifications by URL
	lost map[string]bool   // servers, by the beginning of their URLs, that nobody waits for any more
}

func (r *run) newFront(patient bool) (*front, error) {
	pair, err := tls.X509KeyPair(r.tls.Certificate, r.tls.Key)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") // it is there at once
	if err != nil {
		return nil, err
	}
	f := &front{
		patient: patient, listener: listener, client: r.tls.Client, held: map[string][]byte{}, lost: map[string]bool{},
		tls: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}},
	}
	go f.serve()
	return f, nil
}

func (f *front) url() string { return "http://" + f.listener.Addr().String() }
func (f *front) close()      { _ = f.listener.Close() }

// hold withholds what changes in a repository from now on.
func (f *front) hold(ctx context.Context, notify string) error {
	body, err := (&localtls.Authority{Client: f.client}).Fetch(ctx, notify)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held[notify] = body
	return nil
}

func (f *front) release(notify string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.held, notify)
}

// lose has a server be gone for good.
func (f *front) lose(base string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost[base] = true
}

func (f *front) isLost(base string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost[base]
}

func (f *front) serve() {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return // it is closed
		}
		go func() {
			defer func() { _ = c.Close() }()
			f.tunnel(c)
		}()
	}
}

// tunnel answers CONNECT, and then is the server itself.
func (f *front) tunnel(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	request, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil || request.Method != http.MethodConnect {
		return
	}
	if _, err := io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	inner := tls.Server(c, f.tls)
	defer func() { _ = inner.Close() }()
	reader := bufio.NewReader(inner)
	for {
		q, err := http.ReadRequest(reader)
		if err != nil || !f.answer(inner, "https://"+request.Host, q) {
			return
		}
	}
}

// answer answers one request, and tells whether there may be another.
func (f *front) answer(c net.Conn, base string, q *http.Request) bool {
	url := base + q.URL.Path
	f.mu.Lock()
	body := f.held[url]
	f.mu.Unlock()
	if body != nil {
		answer := &http.Response{
			StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Request: q, Header: http.Header{"Content-Type": {"application/xml"}},
			Body: io.NopCloser(strings.NewReader(string(body))), ContentLength: int64(len(body)),
		}
		return answer.Write(c) == nil
	}
	for begun := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		answer, err := f.ask(q, url)
		if err == nil {
			defer func() { _ = answer.Body.Close() }()
			return answer.Write(c) == nil
		}
		if !f.patient || f.isLost(base) || time.Since(begun) > patience {
			return false // as if the server were down, which it is
		}
	}
}

// patience is how long a patient front waits for a daemon.
const patience = time.Minute

// ask has the daemon answer, to the last byte.
func (f *front) ask(q *http.Request, url string) (*http.Response, error) {
	up, err := http.NewRequestWithContext(context.Background(), q.Method, url, nil) //nolint:gosec // it is a proxy
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"If-None-Match", "If-Modified-Since", "Accept-Encoding", "User-Agent"} {
		if v := q.Header.Get(name); v != "" {
			up.Header.Set(name, v)
		}
	}
	answer, err := f.client.Do(up) //nolint:gosec // it is a proxy
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	answer.Body, answer.ContentLength, answer.TransferEncoding, answer.Close = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil, false
	return answer, nil
}
