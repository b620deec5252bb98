package relying

import (
	"compress/gzip"
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

// maxHeader is how many octets of headers an answer may have.
const maxHeader = 64 << 10

// maxRedirects is how many redirects within one origin are followed.
const maxRedirects = 10

var (
	errTooLarge = errors.New("it is larger than the limit")
	errStalled  = errors.New("no byte came for too long")
	errSlow     = errors.New("it takes longer than the limit")
)

// fetcher fetches files over HTTPS within limits.
type fetcher struct {
	client   *http.Client
	limits   Limits
	accounts *accounts
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
		limits: limits, accounts: newAccounts(limits),
		client: &http.Client{
			Transport: &http.Transport{
				Proxy:                 http.ProxyFromEnvironment,
				DialContext:           dialer.DialContext,
				TLSClientConfig:       config,
				TLSHandshakeTimeout:   limits.Connect,
				ResponseHeaderTimeout: limits.Stall,
				IdleConnTimeout:       limits.Stall,
				ForceAttemptHTTP2:     true,
				DisableCompression:    true, // get unpacks, to count both sides of it

				MaxResponseHeaderBytes: maxHeader,
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

// sameOrigin tells whether two URIs have the same scheme, host and port (RFC 6454, section 4), and neither names a user.
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

// get fetches uri for an account and gives its body, unpacked and at most max bytes, to consume. It is false, and consume not called,
// where the server says that nothing changed since the answer with the validators in since. A failure on the way is
// Unreachable, and a URI that is none Invalid; the error of consume is returned as it is.
func (f *fetcher) get(ctx context.Context, who account, uri string, since validators, max int64, consume func(io.Reader) error) (bool, validators, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return false, validators{}, fault.New(fault.Invalid, "%.120q is no URI to fetch: %w", uri, err)
	}
	req.Header.Set("User-Agent", "cadastre")
	req.Header.Set("Accept-Encoding", "gzip")
	if since.ETag != "" {
		req.Header.Set("If-None-Match", since.ETag)
	}
	if since.LastModified != "" {
		req.Header.Set("If-Modified-Since", since.LastModified)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		err = errors.Unwrap(err)
		if errors.Is(context.Cause(ctx), errSlow) {
			err = errSlow
		}
		return false, validators{}, fault.New(fault.Unreachable, "%s cannot be fetched: %w", uri, err)
	}
	defer func() { _ = resp.Body.Close() }()
	conditional := since != validators{}
	switch {
	case resp.StatusCode == http.StatusNotModified && conditional:
		return false, since, nil
	case resp.StatusCode != http.StatusOK:
		return false, validators{}, fault.New(fault.Unreachable, "%s cannot be fetched: the server answers %s", uri, resp.Status)
	}
	packed := &counted{body: resp.Body, charge: func(n int64) error { return f.accounts.charge(who, Share{Fetched: n}) }}
	unpacked := &counted{body: packed, charge: func(n int64) error { return f.accounts.charge(who, Share{Unpacked: n}) }}
	switch coding := resp.Header.Get("Content-Encoding"); coding {
	case "", "identity":
	case "gzip":
		unpacked.body = &unzipped{packed: packed}
	default:
		return false, validators{}, fault.New(fault.Unreachable, "%s cannot be fetched: it is packed by %.40q, and gzip was asked for", uri, coding)
	}
	body := guard(unpacked, max, f.limits.Stall, func() { cancel(errStalled) })
	defer body.timer.Stop()
	packed.came = func() { body.timer.Reset(f.limits.Stall) }
	err = consume(body)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errStalled) || errors.Is(cause, errSlow):
		err = fault.New(fault.Unreachable, "%s cannot be fetched: %w", uri, cause)
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
func (f *fetcher) small(ctx context.Context, who account, uri string, max int64) ([]byte, error) {
	var data []byte
	_, _, err := f.get(ctx, who, uri, validators{}, max, func(r io.Reader) (err error) {
		data, err = io.ReadAll(r)
		return err
	})
	return data, err
}

// counted is a body whose octets are charged as they come.
type counted struct {
	body   io.Reader
	charge func(int64) error
	came   func()
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.body.Read(p)
	if n == 0 {
		return 0, err
	}
	if c.came != nil {
		c.came()
	}
	if over := c.charge(int64(n)); over != nil {
		return 0, over
	}
	return n, err
}

// unzipped unpacks gzip from the first Read on.
type unzipped struct {
	packed io.Reader
	gzip   *gzip.Reader
}

func (u *unzipped) Read(p []byte) (n int, err error) {
	if u.gzip == nil {
		if u.gzip, err = gzip.NewReader(u.packed); err != nil {
			return 0, err
		}
	}
	return u.gzip.Read(p)
}
