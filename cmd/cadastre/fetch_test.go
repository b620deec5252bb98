package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
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
	client := http.Client{Transport: transport, Timeout: time.Minute}
	answer, err := client.Get(url)
	if err != nil {
		return nil, 0, err
	}
	defer answer.Body.Close() //nolint:errcheck // it was read
	body, err = io.ReadAll(answer.Body)
	return body, answer.StatusCode, err
}
