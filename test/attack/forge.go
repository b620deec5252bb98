package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"cadastre/internal/envelope"
	"cadastre/internal/envelopetest"
	"cadastre/internal/object"
	"cadastre/internal/publication"
	"cadastre/internal/setup"
	"cadastre/internal/updown"
)

// identity is somebody of the business PKI.
type identity struct {
	signer      *envelope.Signer
	certificate []byte
}

func newIdentity() (*identity, error) {
	key, certificate, err := envelopetest.NewIdentity(time.Now())
	if err != nil {
		return nil, err
	}
	signer, err := envelope.NewSigner(key, certificate)
	return &identity{signer, certificate}, err
}

// from is an HTTP client that calls from an address of loopback in a network of its own, 127.n.0.1. Honest clients call from
// 127.0.0.1. Nothing in it waits longer than a minute.
func from(n int) *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, byte(n), 0, 1)}}
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DialContext: dialer.DialContext, MaxIdleConnsPerHost: 32,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, //nolint:gosec // of a server of this run
	}}
}

// answer is what came back for a call.
type answer struct {
	status int
	body   []byte
}

// post sends octets and reads the answer, whatever it is.
func post(ctx context.Context, client *http.Client, url, contentType string, octets []byte) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(octets))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", contentType)
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	return answer{response.StatusCode, body}, err
}

// get fetches something, whatever it is.
func get(ctx context.Context, client *http.Client, url string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return answer{}, err
	}
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	return answer{response.StatusCode, body}, err
}

// errTurnedAway is that a call was answered by no signed reply.
var errTurnedAway = errors.New("turned away")

// party is one side of a registered relation with the daemon: a delegated CA or a publisher.
type party struct {
	*identity
	url         string
	contentType string
	server      *envelope.Trust
	client      *http.Client
}

// sends sends a message as it is and gives the content of the signed reply.
func (p *party) sends(ctx context.Context, message []byte) ([]byte, error) {
	a, err := post(ctx, p.client, p.url, p.contentType, message)
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusOK {
		return nil, fmt.Errorf("%w with %d: %.200s", errTurnedAway, a.status, a.body)
	}
	opened, err := p.server.Open(a.body, time.Now())
	if err != nil {
		return nil, err
	}
	return opened.Content, nil
}

// child is a delegated CA, to its parent.
type child struct {
	party
	handle, parent string
}

// delegate has an organisation's CA be ours.
func (h *installation) delegate(ctx context.Context, holder string) (*child, error) {
	id, err := newIdentity()
	if err != nil {
		return nil, err
	}
	response, err := h.introduce(ctx, "child", (&setup.ChildRequest{ChildHandle: "child", TrustAnchor: id.certificate}).XML(), "children", "add", holder)
	if err != nil {
		return nil, err
	}
	r, err := setup.ParseParentResponse(response)
	if err != nil {
		return nil, err
	}
	trust, err := envelope.ParseTrust(r.TrustAnchor)
	return &child{party{id, r.ServiceURI, updown.ContentType, trust, from(0)}, r.ChildHandle, r.ParentHandle}, err
}

// introduce hands a request to a command and returns the response that it prints.
func (h *installation) introduce(ctx context.Context, name string, request []byte, args ...string) ([]byte, error) {
	file, err := os.CreateTemp(h.dir, name+"-*.xml")
	if err != nil {
		return nil, err
	}
	_, err = file.Write(request)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return h.ask(ctx, append(args, "--request", file.Name())...)
}

// message is a request of the child, signed at some time.
func (c *child) message(body updown.Body, at time.Time) ([]byte, error) {
	text, err := (&updown.Message{Sender: c.handle, Recipient: c.parent, Body: body}).XML()
	if err != nil {
		return nil, err
	}
	return c.signer.Sign(text, at)
}

// ask sends a request and reads the answer; an error_response is an error.
func (c *child) ask(ctx context.Context, body updown.Body) (updown.Body, error) {
	message, err := c.message(body, time.Now())
	if err != nil {
		return nil, err
	}
	return c.sendsRequest(ctx, message)
}

func (c *child) sendsRequest(ctx context.Context, message []byte) (updown.Body, error) {
	reply, err := c.sends(ctx, message)
	if err != nil {
		return nil, err
	}
	m, err := updown.Parse(reply)
	if err != nil {
		return nil, err
	}
	if wrong, ok := m.Body.(*updown.Error); ok {
		return nil, wrong
	}
	return m.Body, nil
}

// list is the classes of the child.
func (c *child) list(ctx context.Context) ([]updown.Class, error) {
	body, err := c.ask(ctx, &updown.List{})
	if err != nil {
		return nil, err
	}
	list, ok := body.(*updown.ListResponse)
	if !ok {
		return nil, fmt.Errorf("a list is answered with %T", body)
	}
	return list.Classes, nil
}

// issue is a request for a key to be certified, which publishes at some places.
func issue(key crypto.Signer, repository, manifest, notify string) (*updown.Issue, error) {
	public, err := object.PublicKeyOf(key)
	if err != nil {
		return nil, err
	}
	request, err := (&object.CertificateRequest{Key: public, Repository: repository, Manifest: manifest, Notify: notify}).Sign(key)
	return &updown.Issue{Class: "default", Request: request}, err
}

// publisher is a CA that publishes with the daemon.
type publisher struct {
	party
	base, notify string
}

// register has a publisher be ours.
func (h *installation) register(ctx context.Context, handle string) (*publisher, error) {
	id, err := newIdentity()
	if err != nil {
		return nil, err
	}
	response, err := h.introduce(ctx, "publisher", (&setup.PublisherRequest{PublisherHandle: handle, TrustAnchor: id.certificate}).XML(), "publishers", "add", handle, "--repository", "north")
	if err != nil {
		return nil, err
	}
	r, err := setup.ParseRepositoryResponse(response)
	if err != nil {
		return nil, err
	}
	trust, err := envelope.ParseTrust(r.TrustAnchor)
	return &publisher{party{id, r.ServiceURI, publication.ContentType, trust, from(0)}, r.SIABase, r.RRDPNotificationURI}, err
}

// ask sends a query; errors that are reported are an error.
func (p *publisher) ask(ctx context.Context, q *publication.Query) (*publication.Reply, error) {
	message, err := p.signer.Sign(q.XML(), time.Now())
	if err != nil {
		return nil, err
	}
	return p.sendsQuery(ctx, message)
}

func (p *publisher) sendsQuery(ctx context.Context, message []byte) (*publication.Reply, error) {
	content, err := p.sends(ctx, message)
	if err != nil {
		return nil, err
	}
	reply, err := publication.ParseReply(content)
	if err == nil && len(reply.Errors) > 0 {
		return reply, fmt.Errorf("%s: %s", reply.Errors[0].Code, reply.Errors[0].Text)
	}
	return reply, err
}
