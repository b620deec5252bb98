package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cadastre/internal/publication"
	"cadastre/internal/updown"
)

// hold is a connection of a stranger's that waits for something that never comes.
type hold struct {
	what   string
	closed chan struct{} // by the server
	conn   net.Conn
}

// holdTLS opens a connection from 127.n.0.1, sends some octets, and then reads until the server closes it.
func (h *installation) holdTLS(ctx context.Context, n int, what, octets string) (*hold, error) {
	raw, err := h.dial(ctx, n)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) //nolint:gosec // of a server of this run
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	_, err = io.WriteString(conn, octets)
	_ = conn.SetDeadline(time.Time{})
	return reading(what, conn), err
}

func (h *installation) dial(ctx context.Context, n int) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, byte(n), 0, 1)}}
	return dialer.DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", h.https))
}

func reading(what string, conn net.Conn) *hold {
	held := &hold{what, make(chan struct{}), conn}
	go func() {
		_, _ = io.Copy(io.Discard, conn)
		close(held.closed)
	}()
	return held
}

// allClosed waits until the server has closed all of them.
func allClosed(ctx context.Context, holds []*hold, most time.Duration) error {
	deadline := time.After(most)
	var open []string
	for _, h := range holds {
		select {
		case <-h.closed:
			continue
		default:
		}
		select {
		case <-h.closed:
		case <-deadline:
			for _, other := range holds {
				select {
				case <-other.closed:
				default:
					open = append(open, other.what)
				}
			}
			return fmt.Errorf("after %s the daemon still holds %d of %d connections, such as %s", most, len(open), len(holds), open[0])
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func closeAll(holds []*hold) {
	for _, h := range holds {
		_ = h.conn.Close()
	}
}

// heldFor is how long a connection may wait for what does not come.
const heldFor = 40 * time.Second

// holding opens connections of each kind that never end by themselves: nothing comes, or nothing is read.
func holding(ctx context.Context, s *stage) (string, error) {
	kinds := []struct{ what, octets string }{
		{"a body to nobody's handle", "POST /rfc6492/nobody HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"},
		{"a body to somebody's handle", "POST /rfc6492/north/kamba HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/rpki-updown\r\nContent-Length: 100\r\n\r\nx"},
		{"a body to the trust anchor", "GET /ta/ta.cer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"},
		{"a body to a notification", "GET /rrdp/north/notification.xml HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"},
		{"half a header", "GET /ta/ta.cer HTTP/1.1\r\nHost: local"},
		{"a chunk", "POST /transfers/0123456789012345678901234567890123456789 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nx"},
	}
	var holds []*hold
	defer func() { closeAll(holds) }()
	for i := range 60 {
		kind := kinds[i%len(kinds)]
		held, err := s.holdTLS(ctx, 2+i%20, kind.what, kind.octets)
		if err != nil {
			return "", err
		}
		holds = append(holds, held)
	}
	for i := range 20 { // no handshake at all
		conn, err := s.dial(ctx, 2+i)
		if err != nil {
			return "", err
		}
		holds = append(holds, reading("a handshake", conn))
	}
	stalled, err := s.stall(ctx, 20)
	if err != nil {
		return "", err
	}
	defer func() {
		for _, c := range stalled {
			_ = c.Close()
		}
	}()
	began := time.Now()
	err = allClosed(ctx, holds, heldFor)
	bodies := time.Since(began)
	for err == nil {
		// who reads nothing does not see the end; the kernel does
		open, err := connectionsFrom(s.https, firstStalled, firstStalled+len(stalled))
		if err != nil {
			return "", err
		}
		if open == 0 {
			break
		}
		if time.Since(began) > heldFor+5*time.Second {
			return "", fmt.Errorf("after %.0f s the daemon still holds %d of %d connections whose readers do not read", time.Since(began).Seconds(), open, len(stalled))
		}
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return "", err
		}
	}
	figures := fmt.Sprintf("%d connections that bring nothing, closed within %.0f s; %d readers that take nothing, within %.0f s", len(holds), bodies.Seconds(), len(stalled), time.Since(began).Seconds())
	return figures, errors.Join(err, s.tell(ctx, "publishers", "remove", "large"))
}

const firstStalled = 30 // 127.30.0.1

// stall asks for a large answer, a snapshot, as often as is said, and does not read it.
func (s *stage) stall(ctx context.Context, n int) (conns []net.Conn, err error) {
	p, err := s.register(ctx, "large")
	if err != nil {
		return nil, err
	}
	for i := range 5 { // more than the kernel keeps for a connection
		if _, err := p.ask(ctx, &publication.Query{PDUs: []publication.PDU{{URI: fmt.Sprintf("%s%d.roa", p.base, i), Object: randomOctets(2 << 20)}}}); err != nil {
			return nil, err
		}
	}
	if err := pause(ctx, 3*time.Second); err != nil { // a serial is closed once a second
		return nil, err
	}
	uri, err := s.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	path, ours := strings.CutPrefix(uri, s.url(""))
	if !ours {
		return nil, fmt.Errorf("the snapshot is at %s", uri)
	}
	for i := range n {
		raw, err := s.dial(ctx, firstStalled+i)
		if err != nil {
			return conns, err
		}
		if tcp, ok := raw.(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(4 << 10)
		}
		conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) //nolint:gosec // of a server of this run
		conns = append(conns, conn)
		if _, err := io.WriteString(conn, "GET /"+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			return conns, err
		}
	}
	return conns, nil
}

// snapshot is where the notification says that the snapshot is.
func (h *installation) snapshot(ctx context.Context) (string, error) {
	a, err := get(ctx, h.tls.Client, h.url("rrdp/north/notification.xml"))
	if err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(string(a.body), `<snapshot uri="`)
	uri, _, found := strings.Cut(rest, `"`)
	if !found {
		return "", fmt.Errorf("the notification names no snapshot: %.200s", a.body)
	}
	return uri, nil
}

// knocking calls at handles that nobody has, with messages that are well formed.
func knocking(ctx context.Context, s *stage) (string, error) {
	const (
		calls  = 600
		rounds = 4
		most   = 3                      // times what a call costs at a path that is none; a new TLS handshake for each is five
		slack  = 100 * time.Millisecond // of all calls together: the daemon may have signed something meanwhile
	)
	id, err := newIdentity()
	if err != nil {
		return "", err
	}
	message, err := id.signer.Sign((&publication.Query{List: true}).XML(), time.Now())
	if err != nil {
		return "", err
	}
	var taken atomic.Int64
	// knock calls so often at paths, and tells what that cost the daemon
	knock := func(paths ...string) (time.Duration, error) {
		before := s.daemon.CPU()
		err := crowd(ctx, 8, calls/rounds, func(i int, client *http.Client) error {
			a, err := post(ctx, client, s.url(fmt.Sprintf(paths[i%len(paths)], i)), publication.ContentType, message)
			if err == nil && a.status < 400 {
				taken.Add(1)
			}
			return err
		})
		return s.daemon.CPU() - before, err
	}
	// in turns, so that what the machine and honest clients are about meanwhile falls on both
	var nowhere, unknown time.Duration
	for range rounds {
		none, err1 := knock("nowhere/stranger-%d")
		doors, err2 := knock("rfc6492/stranger-%d", "rfc8181/stranger-%d", "rfc6492/north/stranger%d", "transfers/%040x")
		if err := errors.Join(err1, err2); err != nil {
			return "", err
		}
		nowhere, unknown = nowhere+none, unknown+doors
	}
	each := func(all time.Duration) float64 { return all.Seconds() * 1000 / calls }
	figures := fmt.Sprintf("%d calls, %.2f ms of CPU each, and %.2f ms where there is no door, what honest clients cost included", calls, each(unknown), each(nowhere))
	switch {
	case unknown == 0:
		s.r.unlooked = append(s.r.unlooked, "the daemon's CPU cannot be read here: there is no /proc/PID/task/*/schedstat")
	case unknown > most*nowhere+slack:
		err = fmt.Errorf("%s: more than %d times as much", figures, most)
	}
	if taken.Load() > 0 {
		err = errors.Join(err, fmt.Errorf("%d were answered as if they were known", taken.Load()))
	}
	return figures, err
}

// crowd makes calls from as many addresses, each from one connection after the other.
func crowd(ctx context.Context, addresses, calls int, call func(i int, client *http.Client) error) error {
	var next atomic.Int64
	var all sync.WaitGroup
	errs := make([]error, addresses)
	for n := range addresses {
		all.Go(func() {
			client := from(60 + n)
			defer client.CloseIdleConnections()
			for errs[n] == nil && ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= calls {
					return
				}
				errs[n] = call(i, client)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// squatting sends bodies that do not end to handles that are known: one child's, so that another waits, and publishers'.
func squatting(ctx context.Context, s *stage) (string, error) {
	other, p, err := s.guest(ctx, "eve")
	if err != nil {
		return "", err
	}
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	unfinished := func(url string, size, n int) {
		all.Go(func() {
			body := io.MultiReader(bytes.NewReader(bytes.Repeat([]byte("?"), size)), blocked{stop})
			request, err := http.NewRequestWithContext(stop, http.MethodPost, url, body)
			if err != nil {
				return
			}
			request.ContentLength = int64(size) + 1000
			if response, err := from(n).Do(request); err == nil {
				_ = response.Body.Close()
			}
		})
	}
	for i := range 9 {
		unfinished(other.url, 3<<20, 2+i)
		unfinished(p.url, 60<<20, 12+i)
	}
	// those who know a handle keep neither its owner nor others out, from however many addresses
	junk := 0
	for range 5 {
		for i := range 90 {
			a, err := post(ctx, from(30+i), s.authority.url, updown.ContentType, []byte("this is no message"))
			if err != nil && ctx.Err() != nil {
				return "", err
			}
			if err == nil && a.status == http.StatusOK {
				return "", errors.New("what is no message was answered")
			}
			junk++
		}
	}
	err = pause(ctx, 5*time.Second)
	cancel()
	all.Wait()
	return fmt.Sprintf("18 bodies of 3 and 60 MiB that do not end, %d calls from 90 addresses at a child's handle", junk), errors.Join(err, s.leave(ctx, "eve"))
}

// blocked is a reader from which nothing comes until its context ends.
type blocked struct{ ctx context.Context }

func (b blocked) Read([]byte) (int, error) {
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}

// straying asks for paths that are none, by methods that are none.
func straying(ctx context.Context, s *stage) (string, error) {
	calls := 0
	for _, path := range []string{
		"../store.db", "rrdp/../../config.toml", "rrdp/north/../../../store.db", "rrdp/%2e%2e/%2e%2e/config.toml", "rrdp/north/%2fetc%2fpasswd", "ta/../config.toml",
		"rrdp/north/notification.xml/../../../store.db", "rrdp//north//snapshot.xml", "transfers/../store.db", "transfers/north/../../store.db", "rfc6492/../../config.toml",
		"rrdp/north/999999999999999999999999/snapshot.xml", "rfc8181/" + strings.Repeat("a/", 2000), "rrdp/north/" + strings.Repeat("%00", 500), "metrics", "cadastre.sock", "debug/pprof/",
	} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "TRACE", "PROPFIND", "X"} {
			conn, err := s.dial(ctx, 5)
			if err != nil {
				return "", err
			}
			secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) //nolint:gosec // of a server of this run
			_ = secure.SetDeadline(time.Now().Add(5 * time.Second))
			_, err = fmt.Fprintf(secure, "%s /%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", method, path)
			if err != nil {
				return "", err
			}
			text, _ := io.ReadAll(io.LimitReader(secure, 1<<20))
			_ = secure.Close()
			calls++
			for _, secret := range []string{"rrdp_base", "root:", "goroutine", "SQLite", passphrase} {
				if bytes.Contains(text, []byte(secret)) {
					return "", fmt.Errorf("%s /%s is answered with %.200q", method, path, text)
				}
			}
			if bytes.HasPrefix(text, []byte("HTTP/1.1 5")) && !bytes.HasPrefix(text, []byte("HTTP/1.1 501")) {
				return "", fmt.Errorf("%s /%.60s is answered with %.100q", method, path, text)
			}
		}
	}
	return fmt.Sprintf("%d calls", calls), nil
}

// forging sends a child's and a publisher's handle messages that are nearly right.
func forging(ctx context.Context, s *stage) (string, error) {
	id, err := newIdentity()
	if err != nil {
		return "", err
	}
	c := *s.authority.child
	genuine, err := c.message(&updown.List{}, time.Now())
	if err != nil {
		return "", err
	}
	c.identity = id
	foreign, err := c.message(&updown.List{}, time.Now())
	if err != nil {
		return "", err
	}
	messages := [][]byte{foreign, genuine[:len(genuine)/2], append(bytes.Clone(genuine), genuine...), bytes.Repeat([]byte{0x30, 0x80}, 1<<15), []byte("MIAGCSqGSIb3DQEHAqCA"), {}}
	for range 60 {
		flipped := bytes.Clone(genuine)
		flipped[s.r.chance.IntN(len(flipped))] ^= 1 << s.r.chance.IntN(8)
		messages = append(messages, flipped)
	}
	// a bomb in XML, signed as it should be
	bomb := []byte(`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaaaaaaaaaaaa">` + strings.Repeat(`<!ENTITY b "&a;&a;&a;&a;">`, 20) + `]><message xmlns="http://www.apnic.net/specs/rescerts/up-down/" version="1" sender="&b;" recipient="x" type="list"/>`)
	signed, err := s.authority.signer.Sign(bomb, time.Now())
	if err != nil {
		return "", err
	}
	messages = append(messages, signed)
	answered := 0
	for i, message := range messages {
		a, err := post(ctx, from(80), s.authority.url, updown.ContentType, message)
		if err != nil {
			return "", err
		}
		if a.status == http.StatusOK {
			// a flipped bit in what no signature covers, such as an unused attribute, changes nothing
			opened, err := c.server.Open(a.body, time.Now())
			if err != nil {
				return "", err
			}
			m, err := updown.Parse(opened.Content)
			if err != nil {
				return "", err
			}
			if _, refusal := m.Body.(*updown.Error); !refusal && (i < 6 || i == len(messages)-1) {
				return "", fmt.Errorf("message %d was answered with %T: %s", i, m.Body, base64.StdEncoding.EncodeToString(message[:min(60, len(message))]))
			}
			answered++
		}
		if err := pause(ctx, 60*time.Millisecond); err != nil { // a handle has a rate
			return "", err
		}
	}
	return fmt.Sprintf("%d messages, %d of them answered, as what was flipped says nothing", len(messages), answered), nil
}

// connectionsFrom is how many connections the kernel has open at a local port with callers from 127.first.0.1 to 127.last.0.1.
func connectionsFrom(port, first, last int) (n int, err error) {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		var local, address uint32
		var localPort, remotePort, state int
		if len(fields) < 4 {
			continue
		}
		if _, err := fmt.Sscanf(fields[1]+" "+fields[2]+" "+fields[3], "%x:%x %x:%x %x", &local, &localPort, &address, &remotePort, &state); err != nil {
			continue // the heading
		}
		const established, closeWait = 1, 8
		if at := int(address >> 8 & 0xff); localPort == port && at >= first && at < last && (state == established || state == closeWait) {
			n++
		}
	}
	return n, nil
}

// randomOctets is what no compression makes smaller.
func randomOctets(n int) []byte {
	octets := make([]byte, n)
	_, _ = rand.Read(octets) // never fails
	return octets
}
