package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"cadastre/internal/object"
)

// swelling is a repository whose snapshot is small until it is unpacked.
type swelling struct {
	url      string
	snapshot []byte // gzip
	hash     [32]byte
	calls    atomic.Int64
}

const swollenSession = "9df4b597-af9e-4dca-bdda-719cce2c4e28"

func newSwelling(url string, objects int) (*swelling, error) {
	s := &swelling{url: url}
	var packed bytes.Buffer
	squeezed, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	out := io.MultiWriter(squeezed, sum)
	nothing := bytes.Repeat([]byte("AAAA"), 7_900_000/3)
	_, err = fmt.Fprintf(out, `<snapshot xmlns="http://www.ripe.net/rpki/rrdp" version="1" session_id="%s" serial="1">`, swollenSession)
	for i := range objects {
		_, err1 := fmt.Fprintf(out, `<publish uri="rsync://localhost:1/swelling/%d.roa">`, i)
		_, err2 := out.Write(nothing)
		_, err3 := io.WriteString(out, "</publish>")
		err = errors.Join(err, err1, err2, err3)
	}
	_, err1 := io.WriteString(out, "</snapshot>")
	if err := errors.Join(err, err1, squeezed.Close()); err != nil {
		return nil, err
	}
	s.snapshot, s.hash = packed.Bytes(), [32]byte(sum.Sum(nil))
	return s, nil
}

func (s *swelling) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.calls.Add(1)
	if strings.HasSuffix(r.URL.Path, "snapshot.xml") {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(s.snapshot)
		return
	}
	//nolint:gosec // what asks is no browser
	fmt.Fprintf(w, `<notification xmlns="http://www.ripe.net/rpki/rrdp" version="1" session_id="%s" serial="1"><snapshot uri="%s%s/snapshot.xml" hash="%x"/></notification>`,
		swollenSession, s.url, strings.Trim(r.URL.Path, "/"), s.hash)
}

// unpacking is the daily look at CAs elsewhere, of which some publish at a server that means no good.
func unpacking(ctx context.Context, r *run, dir string) (string, error) {
	h, err := r.found(ctx, dir, p256)
	if err != nil {
		return "", err
	}
	h.env = []string{"SSL_CERT_FILE=" + r.tls.Roots} // the server has a certificate that is good
	if err := errors.Join(h.serve(ctx), h.settle(ctx)); err != nil {
		return "", err
	}
	pair, err := tls.X509KeyPair(r.tls.Certificate, r.tls.Key)
	if err != nil {
		return "", err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	bad, err := newSwelling(fmt.Sprintf("https://localhost:%d/", listener.Addr().(*net.TCPAddr).Port), 60)
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: bad, ReadHeaderTimeout: 10 * time.Second, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	defer func() { _ = server.Close() }()
	c, err := h.delegate(ctx, "north/mallory")
	if err != nil {
		return "", err
	}
	for i := range 4 {
		key, err := object.P256.Generate()
		if err != nil {
			return "", err
		}
		at := fmt.Sprintf("rsync://localhost:1/swelling%d/", i)
		request, err := issue(key, at, at+"x.mft", fmt.Sprintf("%sn%d", bad.url, i))
		if err == nil {
			_, err = c.ask(ctx, request)
		}
		if err != nil {
			return "", err
		}
	}
	clock, err := h.clockOf()
	if err != nil {
		return "", err
	}
	defer clock.close()
	memory, size := h.daemon.Memory(), h.size()
	// the first look is ten minutes after the start
	if err := clock.pass(12 * time.Minute); err != nil {
		return "", err
	}
	var most, mostSize int64
	for began := time.Now(); time.Since(began) < 20*time.Second; {
		most, mostSize = max(most, int64(h.daemon.Memory())), max(mostSize, h.size())
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return "", err
		}
		if bad.calls.Load() == 0 && time.Since(began) > 15*time.Second {
			return "", errors.New("nobody looked at the repository")
		}
	}
	figures := fmt.Sprintf("%d calls at it; the daemon from %d to %d MB, DATA from %d to %d MB", bad.calls.Load(), memory>>20, most>>20, size>>20, mostSize>>20)
	if most > int64(memory)+memoryFloor || mostSize > size+1152<<20 { // one host may unpack 1 GiB, of 1.9 that are there
		return "", errors.New(figures)
	}
	return figures, h.tell(ctx, "roa", "add", "102.16.1.0/24", "AS37100", "24")
}
