package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"cadastre/internal/envelope"
	"cadastre/internal/envelopetest"
	"cadastre/internal/publication"
	"cadastre/internal/setup"
)

// atOnce is how many calls are under way, unless it is said otherwise.
const atOnce = 32

// crowd is publishers of one server, all of one identity: what is measured is the server, and a thousand identities would
// only take time to make.
type crowd struct {
	signer  *envelope.Signer
	self    []byte // certificate of the identity
	client  *http.Client
	members []*member
	atOnce  int // calls under way
}

// member is one of them with what it has published.
type member struct {
	uri, base string
	server    *envelope.Trust
	objects   []publication.PDU
}

func newCrowd() (*crowd, error) {
	key, certificate, err := envelopetest.NewIdentity(time.Now())
	if err != nil {
		return nil, err
	}
	signer, err := envelope.NewSigner(key, certificate)
	return &crowd{signer: signer, self: certificate, client: insecureClient(false), atOnce: atOnce}, err
}

// insecureClient is one for servers whose certificates nobody vouches for. With fresh it makes a connection for each call.
func insecureClient(fresh bool) *http.Client {
	return &http.Client{Timeout: 5 * time.Minute, Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, //nolint:gosec // of a server of this run
		MaxIdleConnsPerHost: atOnce, DisableKeepAlives: fresh,
	}}
}

// join has so many publishers registered by a server, which is given a handle and a publisher_request.
func (c *crowd) join(n int, register func(handle string, request []byte) ([]byte, error)) error {
	for range n {
		handle := fmt.Sprintf("p%d", len(c.members))
		response, err := register(handle, (&setup.PublisherRequest{PublisherHandle: handle, TrustAnchor: c.self}).XML())
		if err != nil {
			return err
		}
		r, err := setup.ParseRepositoryResponse(response)
		if err != nil {
			return err
		}
		trust, err := envelope.ParseTrust(r.TrustAnchor)
		if err != nil {
			return err
		}
		c.members = append(c.members, &member{uri: r.ServiceURI, base: r.SIABase, server: trust})
	}
	return nil
}

// made is an object of the size of a ROA.
func made() []byte {
	object := make([]byte, 1900)
	_, _ = rand.Read(object) // never fails
	return object
}

// adds is a query that publishes so many new objects.
func (m *member) adds(n int) *publication.Query {
	q := &publication.Query{}
	for range n {
		pdu := publication.PDU{URI: fmt.Sprintf("%s%040x.roa", m.base, len(m.objects)), Object: made()}
		m.objects, q.PDUs = append(m.objects, pdu), append(q.PDUs, pdu)
	}
	return q
}

// changes is a query that replaces one object.
func (m *member) changes(i int) *publication.Query {
	pdu := &m.objects[i%len(m.objects)]
	hash := sha256.Sum256(pdu.Object)
	pdu.Hash, pdu.Object = &hash, made()
	return &publication.Query{PDUs: []publication.PDU{*pdu}}
}

// round has each member send one query, all signed before the first is sent, and tells how long it took until all were
// answered.
func (c *crowd) round(ctx context.Context, members []*member, query func(*member) *publication.Query) (time.Duration, error) {
	messages := make([][]byte, len(members))
	for i, m := range members {
		var err error
		if messages[i], err = c.signer.Sign(query(m).XML(), time.Now()); err != nil {
			return 0, err
		}
	}
	replies := make([][]byte, len(members))
	begun := time.Now()
	err := crowded(c.atOnce, len(members), func(i int) (err error) {
		replies[i], err = c.post(ctx, members[i].uri, messages[i])
		return err
	})
	took := time.Since(begun)
	if err != nil {
		return 0, err
	}
	for i, m := range members {
		opened, err := m.server.Open(replies[i], time.Now())
		if err != nil {
			return 0, err
		}
		reply, err := publication.ParseReply(opened.Content)
		if err != nil {
			return 0, err
		}
		if !reply.Success {
			return 0, fmt.Errorf("a query was not taken: %s", opened.Content)
		}
	}
	return took, nil
}

// crowded calls do for 0 to n-1, so many at once, and gives the first errors.
func crowded(atOnce, n int, do func(i int) error) error {
	var next atomic.Int64
	var workers sync.WaitGroup
	errs := make([]error, atOnce)
	for w := range atOnce {
		workers.Go(func() {
			for errs[w] == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				errs[w] = do(i)
			}
		})
	}
	workers.Wait()
	return errors.Join(errs...)
}

// post sends a message and gives its reply.
func (c *crowd) post(ctx context.Context, uri string, message []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, uri, bytes.NewReader(message))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", publication.ContentType)
	answer, err := c.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.200s", uri, answer.Status, body)
	}
	return body, err
}
