package federation

import (
	"bytes"
	"context"
	"net/http"

	"cadastre/holdings"
	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/peer"
	"cadastre/internal/principal"
	"cadastre/internal/publication"
	"cadastre/internal/setup"
	"cadastre/internal/shares"
	"cadastre/internal/updown"
	"cadastre/roa"
	"cadastre/rrdp/publisher"
)

// The longest message, in octets. A request of RFC 6492 has a certificate request and a few lists of resources; a query of RFC 8181
// may have all that a CA publishes.
const (
	maxUpDown      = 4 << 20
	maxPublication = 64 << 20
)

// Doors is the HTTP handler for messages of delegated CAs, at /rfc6492/HANDLE, and of publishers, at /rfc8181/HANDLE. It fails with
// Internal before the keys are open. Refused, which may be nil, is called for each message that is not answered.
func (f *Federation) Doors(trace *peer.Tracer, refused func(handle, why string)) (http.Handler, error) {
	if f.opened() == nil {
		return nil, fault.New(fault.Internal, "the doors are opened before the keys are")
	}
	children := &peer.Door{
		ContentType: updown.ContentType, MaxBody: maxUpDown, Find: f.findChild, Answer: f.AnswerUpDown,
		Serial: true, Busy: busyAnswer, Trace: trace, Log: f.log, Refused: refused,
		Memory: f.Shares.Memory, Shares: f.Shares.Ledger, Kind: shares.Child,
	}
	publishers := &peer.Door{
		ContentType: publication.ContentType, MaxBody: maxPublication, Find: f.findPublisher, Answer: f.answerPublication,
		Trace: trace, Log: f.log, Refused: refused,
		Memory: f.Shares.Memory, Shares: f.Shares.Ledger, Kind: shares.Publisher,
	}
	f.publishers.Shares = f.Shares
	mux := http.NewServeMux()
	children.Mount(mux, "/rfc6492/")
	publishers.Mount(mux, "/rfc8181/")
	return mux, nil
}

func (f *Federation) findChild(handle string) (*peer.Caller, bool) {
	c := f.Peers.ChildByHandle(handle)
	if c == nil {
		f.childTrust.Delete(handle)
		return nil, false
	}
	trust, err := f.trustOf(handle, c.TrustAnchor)
	if err != nil {
		return nil, false
	}
	return &peer.Caller{Handle: handle, Trust: trust, Heard: c.Heard, Self: f.signers(PeerName("child", c.Holder))[0]}, true
}

// trustOf reads a child's identity when it is another than before. Most calls are of the same.
func (f *Federation) trustOf(handle string, identity []byte) (*envelope.Trust, error) {
	if known, is := f.childTrust.Load(handle); is && bytes.Equal(known.(*envelope.Trust).Certificate(), identity) {
		return known.(*envelope.Trust), nil
	}
	trust, err := envelope.ParseTrust(identity)
	if err == nil {
		f.childTrust.Store(handle, trust)
	}
	return trust, err
}

func (f *Federation) findPublisher(handle string) (*peer.Caller, bool) {
	caller, known := f.publishers.Find(handle)
	if known {
		caller.Self = f.signers(PeerName("publisher", handle))[0]
	}
	return caller, known
}

// busyAnswer is the error 1101: the child's message before is still being processed (RFC 6492, section 3.6).
func busyAnswer(_ string, content []byte) []byte {
	q, err := updown.Parse(content)
	if err != nil {
		return nil
	}
	text, err := (&updown.Message{Sender: q.Recipient, Recipient: q.Sender, Body: &updown.Error{Status: updown.StatusAlreadyProcessing}}).XML()
	if err != nil {
		return nil
	}
	return text
}

func (f *Federation) answerPublication(ctx context.Context, handle string, content []byte, stamp peer.Stamp) ([]byte, error) {
	if err := f.host.Frozen(); err != nil {
		return nil, fault.New(fault.Clock, "the server publishes nothing for now; come again")
	}
	return f.publishers.Answer(ctx, handle, content, stamp)
}

// AddPublisher registers the sender of a publisher_request (RFC 8183, section 5.2.3) in the repository of a registry, and returns the
// repository_response. Without a handle it has that of the request; without a registry it publishes in the root's repository.
func (f *Federation) AddPublisher(ctx context.Context, handle, registry string, request []byte) ([]byte, error) {
	q, err := setup.ParsePublisherRequest(request)
	if err != nil {
		return nil, err
	}
	if handle == "" {
		handle = q.PublisherHandle
	}
	if registry == "" {
		_ = f.host.Read(func(l *holdings.Ledger, _ *roa.Book) error {
			registry = l.Root()
			return nil
		})
	}
	if f.config.Repositories[registry] == nil {
		return nil, fault.New(fault.NotFound, "%q is no registry, so it has no repository", registry)
	}
	if _, err := f.publishers.Add(ctx, publisher.Registration{Handle: handle, Registry: registry, TrustAnchor: q.TrustAnchor}); err != nil {
		return nil, err
	}
	if err := f.host.Change(func(tx *Tx) error { return f.noteMet(tx, PeerName("publisher", handle)) }); err != nil {
		return nil, err
	}
	f.log.Info("a publisher is registered", "publisher", handle, "actor", principal.Of(ctx))
	return f.PublisherResponse(handle)
}

// UpdatePublisher gives a publisher the identity of a new publisher_request.
func (f *Federation) UpdatePublisher(ctx context.Context, handle string, request []byte) ([]byte, error) {
	q, err := setup.ParsePublisherRequest(request)
	if err != nil {
		return nil, err
	}
	if err := f.publishers.Update(ctx, handle, q.TrustAnchor); err != nil {
		return nil, err
	}
	f.log.Info("a publisher has a new identity", "publisher", handle, "actor", principal.Of(ctx))
	return f.PublisherResponse(handle)
}

// PublisherResponse is the repository_response for a publisher (RFC 8183, section 5.2.4).
func (f *Federation) PublisherResponse(handle string) ([]byte, error) {
	info, err := f.publishers.Publisher(handle)
	if err != nil {
		return nil, err
	}
	id, err := f.introduction()
	if err != nil {
		return nil, err
	}
	return (&setup.RepositoryResponse{
		ServiceURI: f.config.ServiceBase + "rfc8181/" + info.Handle, PublisherHandle: info.Handle, SIABase: info.Base,
		RRDPNotificationURI: info.Notification, TrustAnchor: id.Certificate,
	}).XML(), nil
}

// ResetPublisher forgets when a publisher signed its last message. It is for a publisher whose clock was ahead: its messages are taken
// again.
func (f *Federation) ResetPublisher(ctx context.Context, handle string) error {
	if err := f.publishers.ResetReplay(ctx, handle); err != nil {
		return err
	}
	f.log.Info("older messages of a publisher are taken again", "publisher", handle, "actor", principal.Of(ctx))
	return nil
}

// RemovePublisher removes a publisher, and withdraws all that it published.
func (f *Federation) RemovePublisher(ctx context.Context, handle string) error {
	if err := f.publishers.Remove(ctx, handle); err != nil {
		return err
	}
	f.log.Info("a publisher is removed", "publisher", handle, "actor", principal.Of(ctx))
	return f.host.Change(func(tx *Tx) error { return tx.SetKnows(PeerName("publisher", handle), false) })
}

// Publishers lists who publishes here.
func (f *Federation) Publishers() []publisher.Info { return f.publishers.Publishers() }

// IsPublisher tells whether somebody publishes here under a handle.
func (f *Federation) IsPublisher(handle string) bool {
	_, known := f.publishers.Find(handle)
	return known
}
