package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// doFetch gets what the daemon serves, by path, or the metrics at "metrics", and prints it. '! fetch' wants it to fail.
func doFetch(ts *testscript.TestScript, neg bool, args []string) {
	url := "https://localhost:" + ts.Getenv("HTTPS") + args[0]
	if args[0] == "metrics" {
		url = "http://127.0.0.1:" + ts.Getenv("METRICS") + "/metrics"
	}
	pem, err := os.ReadFile(filepath.Join(ts.Getenv("CADASTRE_DATA"), "tls", "ca.pem"))
	ts.Check(err)
	body, status, err := get(url, pem)
	if ok := err == nil && status == http.StatusOK; ok == neg {
		ts.Fatalf("fetching %s: status %d, %v", url, status, err)
	}
	_, err = ts.Stdout().Write(body)
	ts.Check(err)
}

// get gets a URL, trusting one private TLS authority.
func get(url string, authority []byte) (body []byte, status int, err error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: 10 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		return nil, 0, err
	}
	defer answer.Body.Close() //nolint:errcheck // it was read
	body, err = io.ReadAll(answer.Body)
	return body, answer.StatusCode, err
}

// doCall asks the daemon of the data directory what no command asks for, and prints the answer: call /transfers/show '{"id":1}'.
// With an expression it asks until the answer matches.
func doCall(ts *testscript.TestScript, neg bool, args []string) {
	socket := filepath.Join(ts.Getenv("CADASTRE_DATA"), "cadastre.sock")
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: 10 * time.Second}
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		answer, err := client.Post("http://cadastre"+args[0], "application/json", strings.NewReader(args[1]))
		ts.Check(err)
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		ts.Check(err)
		if len(args) > 2 && !regexp.MustCompile(args[2]).Match(body) && time.Now().Before(deadline) {
			continue
		}
		_, err = ts.Stdout().Write(body)
		ts.Check(err)
		if ok := answer.StatusCode == http.StatusOK; ok == neg || len(args) > 2 && !regexp.MustCompile(args[2]).Match(body) {
			ts.Fatalf("%s %s is answered with %d: %s", args[0], args[1], answer.StatusCode, body)
		}
		return
	}
}
