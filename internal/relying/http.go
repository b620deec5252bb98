package relying

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"cadastre/internal/fault"
)

// maxRedirects is how many redirects within one origin are followed.
const maxRedirects = 10

var (
	errTooLarge = errors.New("it is larger than the limit")
	errStalled  = errors.New("no byte came for too long")
)

// fetcher fetches files over HTTPS within limits.
type fetcher struct {
	client *http.Client
	limits Limits
}

// newFetcher makes a fetcher that trusts the system's TLS authorities and those of the PEM file roots, "" for none.
func newFetcher(roots string, limits Limits) (*fetcher, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if roots != "" {
		pem, err := os.ReadFile(roots)
		if err != nil {
			return nil, fault.Wrap(err, "the TLS authorities cannot be read")
		}
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			config.RootCAs = x509.NewCertPool()
		}
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fault.New(fault.BadInput, "%s holds no certificate in PEM: name the file of the TLS authority", roots)
		}
	}
	dialer := &net.Dialer{Timeout: limits.Connect}
	return &fetcher{
		limits: limits,
		client: &http.Client{
			Transport: &http.Transport{
				Proxy:                 http.ProxyFromEnvironment,
				DialContext:           dialer.DialContext,
				TLSClientConfig:       config,
				TLSHandshakeTimeout:   limits.Connect,
				ResponseHeaderTimeout: limits.Stall,
				IdleConnTimeout:       limits.Stall,
				ForceAttemptHTTP2:     true,
			},
			CheckRedirect: sameOriginRedirect,
		},
	}, nil
}

// sameOriginRedirect follows a redirect only within the origin that was asked first (RFC 9674, section 3).
func sameOriginRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return errors.New("it redirects too often")
	case !sameOrigin(req.URL.String(), via[0].URL.String()):
		return errors.New("it redirects to another origin, " + req.URL.Host)
	}
	return nil
}

// sameOrigin tells whether two URIs have the same scheme, host and port (RFC 6454, section 4).
func sameOrigin(a, b string) bool {
	ua, errA := url.Parse(a)
	ub, errB := url.Parse(b)
	return errA == nil && errB == nil && ua.Scheme == ub.Scheme && ua.Hostname() == ub.Hostname() && port(ua) == port(ub) &&
		ua.User == nil && ub.User == nil
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" || u.Scheme != "https" {
		return p
	}
	return "443"
}

// validators are what a conditional request repeats from the last answer (RFC 9110, section 13.1).
type validators struct {
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
}

// get fetches uri and gives its body, unpacked and at most max bytes, to consume. It is false, and consume not called,
// where the server says that nothing changed since the answer with the validators in since. A failure on the way is
// Unreachable; the error of consume is returned as it is.
func (f *fetcher) get(ctx context.Context, uri string, since validators, max int64, consume func(io.Reader) error) (bool, validators, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return false, validators{}, fault.New(fault.Invalid, "%.120q is no URI to fetch: %w", uri, err)
	}
	req.Header.Set("User-Agent", "cadastre")
	if since.ETag != "" {
		req.Header.Set("If-None-Match", since.ETag)
	}
	if since.LastModified != "" {
		req.Header.Set("If-Modified-Since", since.LastModified)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return false, validators{}, fault.New(fault.Unreachable, "%s cannot be fetched: %w", uri, errors.Unwrap(err))
	}
	defer func() { _ = resp.Body.Close() }()
	conditional := since != validators{}
	switch {
	case resp.StatusCode == http.StatusNotModified && conditional:
		return false, since, nil
	case resp.StatusCode != http.StatusOK:
		return false, validators{}, fault.New(fault.Unreachable, "%s cannot be fetched: the server answers %s", uri, resp.Status)
	}
	body := guard(resp.Body, max, f.limits.Stall, func() { cancel(errStalled) })
	defer body.timer.Stop()
	err = consume(body)
	switch {
	case errors.Is(context.Cause(ctx), errStalled):
		err = fault.New(fault.Unreachable, "%s cannot be fetched: %w", uri, errStalled)
	case body.failed != nil:
		err = fault.New(fault.Unreachable, "%s cannot be fetched: %w", uri, body.failed)
	}
	return err == nil, validators{resp.Header.Get("ETag"), resp.Header.Get("Last-Modified")}, err
}

// guarded is a body that ends in an error when it is too large or stalls. It remembers the first failure, for a
// consumer in between may wrap it beyond recognition.
type guarded struct {
	body   io.Reader
	left   int64
	stall  time.Duration
	timer  *time.Timer
	failed error
}

// guard makes a body of at most max bytes that calls stalled when none came for some time. The timer must be stopped.
func guard(body io.Reader, max int64, stall time.Duration, stalled func()) *guarded {
	return &guarded{body: body, left: max, stall: stall, timer: time.AfterFunc(stall, stalled)}
}

func (g *guarded) Read(p []byte) (int, error) {
	n, err := g.body.Read(p)
	if n > 0 {
		g.timer.Reset(g.stall)
	}
	if g.left -= int64(n); g.left < 0 {
		err = errTooLarge
	}
	if err != nil && err != io.EOF {
		g.failed = err
	}
	return n, err
}

// small fetches a file of at most max bytes into memory.
func (f *fetcher) small(ctx context.Context, uri string, max int64) ([]byte, error) {
	var data []byte
	_, _, err := f.get(ctx, uri, validators{}, max, func(r io.Reader) (err error) {
		data, err = io.ReadAll(r)
		return err
	})
	return data, err
}
