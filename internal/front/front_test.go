package front

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// street is a network for tests whose clients say from where they call. Its time is that of the test's bubble.
type street struct {
	calls chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newStreet() *street { return &street{calls: make(chan net.Conn), done: make(chan struct{})} }

func (s *street) Accept() (net.Conn, error) {
	select {
	case c := <-s.calls:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}
func (s *street) Close() error   { s.once.Do(func() { close(s.done) }); return nil }
func (s *street) Addr() net.Addr { return &net.UnixAddr{Name: "street"} }

type placed struct {
	net.Conn
	from netip.AddrPort
}

func (p placed) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(p.from) }

// dial calls from an address.
func (s *street) dial(from string) net.Conn {
	here, there := net.Pipe()
	s.calls <- placed{there, netip.AddrPortFrom(netip.MustParseAddr(from), 1000)}
	return here
}

const length = 16 << 20 // of the long answer

// site answers: short at once, long with more than any buffer has, echo with the body.
func site() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /short", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "short") })
	mux.HandleFunc("GET /long", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.Copy(w, bytes.NewReader(make([]byte, length)))
	})
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "it did not come whole", http.StatusRequestTimeout)
			return
		}
		_, _ = w.Write(got)
	})
	return mux
}

// serve serves the site until the test ends.
func serve(t *testing.T, limits Limits, config *tls.Config) (*street, *Server) {
	s, server := newStreet(), New(site(), limits, slog.New(slog.DiscardHandler))
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(s, config) }()
	t.Cleanup(func() {
		now, cancel := context.WithCancel(t.Context())
		cancel()
		server.Shutdown(now)
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("it ended with %v", err)
		}
	})
	return s, server
}

// get makes a call on a connection of its own.
func get(t *testing.T, s *street, from, path string) (status int, size int64, err error) {
	t.Helper()
	c := s.dial(from)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) { return c, nil }}}
	answer, err := client.Get("http://localhost" + path)
	if err != nil {
		return 0, 0, err
	}
	defer answer.Body.Close() //nolint:errcheck // it was read
	size, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, size, err
}

// TestBodyNeverComes: a body that is announced and does not come ends its connection, and holds up no answer that does not need it.
func TestBodyNeverComes(t *testing.T) {
	for _, c := range []struct {
		request, answer string
		within          time.Duration
	}{
		{"GET /short HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n", "HTTP/1.1 200", time.Second},
		{"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 404", time.Second},
		{"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n", "HTTP/1.1 404", time.Second},
		{"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n", "HTTP/1.1 404", 6 * time.Second},
		{"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf", "HTTP/1.1 408", 31 * time.Second},
		{"POST /echo HTTP/1.1\r\nHost: localhost\r\n", "", 11 * time.Second}, // a header that never ends
		{"", "", 11 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, _ := serve(t, Limits{}, nil)
			begun, conn := time.Now(), s.dial("192.0.2.1")
			if _, err := io.WriteString(conn, c.request); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(got), c.answer) || c.answer == "" && len(got) > 0 && !strings.HasPrefix(string(got), "HTTP/1.1 408") {
				t.Errorf("%q is answered with %.40q, %v", c.request, got, err)
			}
			if took := time.Since(begun); took > c.within {
				t.Errorf("%q held its connection for %s", c.request, took)
			}
		})
	}
}

// TestSlowBody: bytes that trickle in are no progress for ever; a body at a pace that is slow and sufficient comes through.
func TestSlowBody(t *testing.T) {
	for _, c := range []struct {
		length, piece int
		every         time.Duration
		answer        string
	}{
		{1 << 20, 1, 10 * time.Second, "HTTP/1.1 408"},
		{2 << 20, 40 << 10, time.Second, "HTTP/1.1 200"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, _ := serve(t, Limits{}, nil)
			begun, conn := time.Now(), s.dial("192.0.2.1")
			var sending sync.WaitGroup
			sending.Go(func() {
				_, err := fmt.Fprintf(conn, "POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", c.length)
				for sent := 0; sent < c.length && err == nil; sent += c.piece {
					time.Sleep(c.every)
					_, err = conn.Write(bytes.Repeat([]byte("x"), min(c.piece, c.length-sent)))
				}
			})
			got, _ := io.ReadAll(conn)
			if !bytes.HasPrefix(got, []byte(c.answer)) || time.Since(begun) > 2*time.Minute {
				t.Errorf("%d bytes every %s are answered after %s with %.40q", c.piece, c.every, time.Since(begun), got)
			}
			_ = conn.Close()
			sending.Wait()
		})
	}
}

// TestStalledReader: who does not take its answer loses it, and its connection.
func TestStalledReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, server := serve(t, Limits{}, nil)
		conn := s.dial("192.0.2.1")
		if _, err := io.WriteString(conn, "GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(29 * time.Second)
		synctest.Wait()
		if open := server.Stats().Open; open != 1 {
			t.Fatalf("%d connections are open while there is time", open)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if open := server.Stats().Open; open != 0 {
			t.Errorf("%d connections are open", open)
		}
	})
}

// slowly reads so many bytes at each interval.
func slowly(r io.Reader, piece int, every time.Duration) (n int64, err error) {
	buffer := make([]byte, piece)
	for {
		time.Sleep(every)
		got, err := io.ReadFull(r, buffer)
		n += int64(got)
		if err != nil {
			return n, err
		}
	}
}

// TestSlowReader: a reader that goes on too slowly is given up, one that is slow and fast enough gets all.
func TestSlowReader(t *testing.T) {
	for piece, whole := range map[int]bool{10_000: false, 100_000: true} {
		synctest.Test(t, func(t *testing.T) {
			s, _ := serve(t, Limits{}, nil)
			conn := s.dial("192.0.2.1")
			if _, err := io.WriteString(conn, "GET /long HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			got, _ := slowly(conn, piece, time.Second)
			if (got >= length) != whole {
				t.Errorf("at %d bytes a second it got %d of %d", piece, got, length)
			}
		})
	}
}

// secured makes a TLS configuration of a server that speaks HTTP/2.
func secured(t *testing.T) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}
}

// second is a client of HTTP/2 from one address.
func second(t *testing.T, s *street, from string) *http.Client {
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}, //nolint:gosec // a test's own server
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return s.dial(from), nil },
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestSecondBody: HTTP/2 has the same deadline for a body that does not come, and its connection lives on.
func TestSecondBody(t *testing.T) {
	config := secured(t)
	synctest.Test(t, func(t *testing.T) {
		s, server := serve(t, Limits{}, config)
		client := second(t, s, "192.0.2.1")
		never, hold := io.Pipe()
		defer hold.Close() //nolint:errcheck // a pipe's end
		begun := time.Now()
		answer, err := client.Post("https://localhost/echo", "text/plain", never)
		if err == nil {
			if answer.StatusCode != http.StatusRequestTimeout || answer.ProtoMajor != 2 {
				t.Errorf("the answer is %s %s", answer.Proto, answer.Status)
			}
			_ = answer.Body.Close()
		}
		if took := time.Since(begun); took < 25*time.Second || took > 31*time.Second {
			t.Errorf("it took %s: %v", took, err)
		}
		again, err := client.Get("https://localhost/short")
		if err != nil {
			t.Fatal(err)
		}
		_ = again.Body.Close()
		if open := server.Stats().Open; open != 1 {
			t.Errorf("%d connections are open", open)
		}
	})
}

// TestSecondReader: HTTP/2 has the same deadline for an answer that is not taken.
func TestSecondReader(t *testing.T) {
	config := secured(t)
	synctest.Test(t, func(t *testing.T) {
		s, server := serve(t, Limits{}, config)
		client := second(t, s, "192.0.2.1")
		answer, err := client.Get("https://localhost/long")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close() //nolint:errcheck // it fails
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if n, err := io.Copy(io.Discard, answer.Body); err == nil || n >= length {
			t.Errorf("%d bytes came after half a minute, %v", n, err)
		}
		time.Sleep(idleTime + time.Second) // nothing is under way on the connection
		synctest.Wait()
		if open := server.Stats().Open; open != 0 {
			t.Errorf("%d connections are open", open)
		}
	})
}

// TestLongAnswer: the deadlines are the client's, not ours: an answer that takes long to make comes.
func TestLongAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreet()
		server := New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			time.Sleep(10 * time.Minute)
			if r.Context().Err() != nil {
				t.Error("the request was given up")
			}
			_, _ = io.WriteString(w, "at last")
		}), Limits{Connections: 1}, slog.New(slog.DiscardHandler))
		go func() { _ = server.Serve(s, nil) }()
		defer server.Shutdown(t.Context())
		c := s.dial("192.0.2.1")
		defer c.Close() //nolint:errcheck // a pipe's end
		go func() {
			_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody")
		}()
		time.Sleep(time.Minute)
		// one who waits for us is not displaced
		if got, err := io.ReadAll(s.dial("198.51.100.1")); err != nil || len(got) > 0 {
			t.Errorf("another got %q, %v", got, err)
		}
		if stats := server.Stats(); stats.Refused != 1 || stats.Displaced != 0 {
			t.Errorf("%+v", stats)
		}
		got, err := io.ReadAll(c)
		if err != nil || !strings.HasSuffix(string(got), "at last") {
			t.Errorf("the answer is %q, %v", got, err)
		}
	})
}

// TestFull: whoever holds all connections, from one network or from many, does not keep another from being answered.
func TestFull(t *testing.T) {
	for name, c := range map[string]struct {
		from func(i int) string
		last string
	}{
		"one network, and its neighbour": {func(int) string { return "192.0.2.7" }, "192.0.2.8"},
		"one network":                    {func(int) string { return "192.0.2.7" }, "198.51.100.1"},
		"loopback":                       {func(int) string { return "127.0.0.1" }, "127.0.0.1"},
		"many networks":                  {func(i int) string { return fmt.Sprintf("10.0.%d.1", i) }, "198.51.100.1"},
		"many networks of IPv6":          {func(i int) string { return fmt.Sprintf("2001:db8:%x::1", i) }, "2001:db8:ffff::1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, server := serve(t, Limits{Connections: 16}, nil)
				for i := range 45 {
					conn := s.dial(c.from(i))
					defer conn.Close() //nolint:errcheck // a pipe's end
					go func() {
						_, _ = io.WriteString(conn, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n")
					}()
					time.Sleep(time.Millisecond)
				}
				for range 20 {
					if status, size, err := get(t, s, c.last, "/long"); status != 200 || size != length || err != nil {
						t.Fatalf("status %d, %d bytes, %v", status, size, err)
					}
				}
				if stats := server.Stats(); stats.Open > 16 || stats.Refused > 0 || stats.Displaced == 0 {
					t.Errorf("%+v", stats)
				}
			})
		})
	}
}

// TestPerNetwork: no network has more than its part, but for loopback, where a proxy may be.
func TestPerNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, server := serve(t, Limits{Connections: 100, PerNetwork: 5}, nil)
		hold := func(from string) {
			conn := s.dial(from)
			t.Cleanup(func() { _ = conn.Close() })
		}
		for i := range 20 {
			hold(fmt.Sprintf("192.0.2.%d", i))
			hold(fmt.Sprintf("2001:db8:1:%x::", i))
		}
		synctest.Wait()
		if stats := server.Stats(); stats.Open != 10 || stats.Networks != 2 {
			t.Errorf("%+v", stats)
		}
		for range 20 {
			hold("127.0.0.1")
		}
		synctest.Wait()
		if stats := server.Stats(); stats.Open != 30 || stats.Limit != 100 {
			t.Errorf("%+v", stats)
		}
	})
}

func TestNetworkOf(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.77:1234": "192.0.2.0/24", "192.0.2.77": "192.0.2.0/24", "[::ffff:192.0.2.77]:1": "192.0.2.0/24",
		"[2001:db8:1:2::3]:80": "2001:db8:1::/48", "[fe80::1%eth0]:80": "fe80::/48", "127.0.0.1:1": "127.0.0.0/24",
		"pipe": "invalid Prefix", "": "invalid Prefix", "@": "invalid Prefix",
	} {
		if got := NetworkOf(address).String(); got != want {
			t.Errorf("%q is of %s, not %s", address, got, want)
		}
	}
}

// TestRoom: open files are counted, and there is room in any case.
func TestRoom(t *testing.T) {
	if Room() < fewest || openFiles() < 3 {
		t.Errorf("room for %d beside %d", Room(), openFiles())
	}
}
