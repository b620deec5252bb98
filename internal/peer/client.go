package peer

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/shares"
)

// Client sends messages to one peer and opens its replies. It makes one call at a time, as RFC 6492 wants it: it is not
// safe for concurrent use.
type Client struct {
	URL         string // the peer's service_uri, http or https
	ByKey       bool   // the peer calls us by our key: its identifier in hexadecimal follows the URL
	ContentType string // as a Door's
	Self        *envelope.Signer
	Peer        *envelope.Trust
	Heard                     // what was heard of the peer: its replies; Call updates it, and whoever owns the Client keeps it
	Stamp       Stamp         // of the last reply; Call sets it
	Sent, Got   []byte        // the CMS of the last call and of its reply, for who keeps them as evidence; Call sets them
	Trace       *Tracer       // nil: none
	Name        string        // of the peer, in errors and traces
	Timeout     time.Duration // of a call; zero: two minutes
	MaxReply    int64         // octets of a reply; zero: 4 MiB
	HTTP        *http.Client  // nil: one that does not verify TLS and follows no redirects

	Memory *shares.Pool     // for replies while they are read and opened, shared with Doors; nil: room for one
	Shares *shares.Ledger   // of which the peer uses up requests and processor time; nil: no limits
	Who    shares.Principal // the peer, in Shares
}

// ErrRefused is in the error of a call that was answered with an HTTP status other than 200, as by a peer that does not know our
// signature.
var ErrRefused = errors.New("the message was refused")

const (
	callTimeout = 2 * time.Minute
	maxReply    = 4 << 20
	maxExcuse   = 4 << 10 // octets that are read of an answer that is no reply
)

// plainHTTP does not verify TLS. Nothing is lost: who answers is proven by the signature of the reply, what is sent is
// signed, and neither is secret (RFC 6492, section 3.1; RFC 8181, section 2). And nothing could be gained: service URIs
// of peers in use name servers whose certificates are self-signed, Krill's among them.
//
// It follows no redirects: where the peer is, is what was registered.
var plainHTTP = &http.Client{
	Transport: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 15 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, //nolint:gosec // see above
		TLSHandshakeTimeout:    15 * time.Second,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        30 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: 64 << 10,
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Call sends XML in a signed message, and returns the XML of the reply. It fails with Unreachable where there is no reply, BadInput where what
// came is no message, Secret where the reply is not signed by the peer or is a replay, and Busy where the peer has used up its share or there is
// no memory for its reply: then try again later. Errors of the protocol are replies, which the caller has to read.
func (c *Client) Call(ctx context.Context, content []byte) (reply []byte, err error) {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = callTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := c.Shares.Owing(c.Who, shares.CPU); err != nil {
		return nil, err
	}
	if err := c.Shares.Spend(c.Who, shares.Requests, 1); err != nil {
		return nil, err
	}
	begun := time.Now()
	message, err := c.Self.Sign(content, begun)
	if err != nil {
		return nil, err
	}
	c.Trace.write(out, c.ContentType, c.Name, content)
	got, err := c.post(ctx, cancel, message)
	if err != nil {
		return nil, err
	}
	defer got.release()
	octets, now := got.octets, time.Now()
	var opened *envelope.Message
	took := shares.Measure(func() { opened, err = c.Peer.Open(octets, now) })
	c.Shares.Charge(c.Who, shares.CPU, took.Seconds())
	if err != nil {
		return nil, fault.Wrap(err, "the reply of %s cannot be used", c.Name)
	}
	stamp := StampOf(opened)
	if err := c.checkReply(stamp, begun, now, c.Name); err != nil {
		return nil, err
	}
	c.Heard, c.Stamp, c.Sent, c.Got = c.With(stamp), stamp, message, octets
	c.Trace.write(in, c.ContentType, c.Name, opened.Content)
	return opened.Content, nil
}

// post sends a message and reads what comes back, which has to be of status 200.
func (c *Client) post(ctx context.Context, cancel func(), message []byte) (*body, error) {
	url := c.URL
	if c.ByKey {
		url += hex.EncodeToString(c.Self.KeyID())
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(message))
	if err != nil {
		return nil, fault.New(fault.BadInput, "the service URI %q of %s is none: register the peer's response anew", c.URL, c.Name)
	}
	request.Header.Set("Content-Type", c.ContentType)
	request.Header.Set("Accept", c.ContentType)
	request.Header.Set("User-Agent", "cadastre")
	client := c.HTTP
	if client == nil {
		client = plainHTTP
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer func() { _ = response.Body.Close() }() // it was read as far as it is of use
	if response.StatusCode != http.StatusOK {
		excuse, _ := io.ReadAll(io.LimitReader(response.Body, maxExcuse))
		moved := ""
		if location := response.Header.Get("Location"); location != "" {
			moved = " and points to " + oneLine(location)
		}
		text := fmt.Sprintf("%s at %s answers with HTTP status %d%s: %s", c.Name, c.URL, response.StatusCode, moved, oneLine(string(excuse)))
		return nil, &fault.Error{Kind: fault.Unreachable, Text: text, Err: ErrRefused}
	}
	most := c.MaxReply
	if most == 0 {
		most = maxReply
	}
	if response.ContentLength > most {
		return nil, c.tooLong(most)
	}
	memory := c.Memory
	if memory == nil {
		memory = shares.NewPool(8 * most)
	}
	b := &body{holding: memory.Open(shares.Owner{Handle: c.Who.String(), Known: true}, cancel)}
	err = b.fill(io.LimitReader(response.Body, most+1), response.ContentLength)
	switch {
	case err == nil && int64(len(b.octets)) <= most:
		return b, nil
	case err == nil:
		err = c.tooLong(most)
	case b.holding.Whole() != nil:
		err = fault.Wrap(shares.ErrDisplaced, "the reply of %s", c.Name)
	default:
		err = c.unreachable(err)
	}
	b.release()
	return nil, err
}

func (c *Client) tooLong(most int64) error {
	return fault.New(fault.BadInput, "the reply of %s at %s has more than %d octets", c.Name, c.URL, most)
}

// unreachable is the error of a call that came to nothing. errors.Is finds the cause in it, such as why the caller gave it up.
func (c *Client) unreachable(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.New(fault.Unreachable, "%s at %s did not answer in time: %w", c.Name, c.URL, err)
	}
	return fault.New(fault.Unreachable, "%s cannot be reached: %w", c.Name, err)
}

// oneLine is a peer's text as it can stand in a sentence and in a log: short, printable and on one line.
func oneLine(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }), " ")
	if text == "" {
		return "no reason given"
	}
	return text[:min(len(text), 300)]
}
