package ca

import (
	"context"
	"maps"
	"net/http"

	"cadastre/ca/issued"
	"cadastre/federation"
	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/peer"
	"cadastre/internal/publication"
	"cadastre/internal/setup"
	"cadastre/internal/shares"
	"cadastre/internal/store"
	"cadastre/internal/updown"
	"cadastre/rrdp"
	"cadastre/rrdp/publisher"
)

// What a message may have, in octets: a request of RFC 6492 is a certificate request and a few lists of resources, a query
// of RFC 8181 all that a CA publishes.
const (
	maxUpDown      = 4 << 20
	maxPublication = 64 << 20
)

// Doors answers the messages of delegated CAs, at /rfc6492/ and their handles, and of publishers, at /rfc8181/ and theirs.
// The engine has to be unsealed. Refused is told of each message that is not answered, may be nil.
func (e *Engine) Doors(trace *peer.Tracer, refused func(handle, why string)) (http.Handler, error) {
	if e.vault == nil {
		return nil, fault.New(fault.Internal, "the doors are opened before the keys are")
	}
	children := &peer.Door{
		ContentType: updown.ContentType, MaxBody: maxUpDown, Find: e.findChild, Answer: e.AnswerUpDown,
		Serial: true, Busy: busyAnswer, Trace: trace, Log: e.log, Refused: refused,
		Memory: e.Shares.Memory, Shares: e.Shares.Ledger, Kind: shares.Child,
	}
	publishers := &peer.Door{
		ContentType: publication.ContentType, MaxBody: maxPublication, Find: e.findPublisher, Answer: e.answerPublication,
		Trace: trace, Log: e.log, Refused: refused,
		Memory: e.Shares.Memory, Shares: e.Shares.Ledger, Kind: shares.Publisher,
	}
	e.publishers.Shares = e.Shares
	mux := http.NewServeMux()
	children.Mount(mux, "/rfc6492/")
	publishers.Mount(mux, "/rfc8181/")
	return mux, nil
}

func (e *Engine) findChild(handle string) (*peer.Caller, bool) {
	e.mu.RLock()
	c := e.peers.ChildByHandle(handle)
	e.mu.RUnlock()
	if c == nil {
		return nil, false
	}
	trust, err := envelope.ParseTrust(c.TrustAnchor)
	if err != nil {
		return nil, false
	}
	return &peer.Caller{Handle: handle, Trust: trust, Heard: c.Heard, Self: e.signers(federation.PeerName("child", c.Holder))[0]}, true
}

func (e *Engine) findPublisher(handle string) (*peer.Caller, bool) {
	caller, known := e.publishers.Find(handle)
	if known {
		caller.Self = e.signers(federation.PeerName("publisher", handle))[0]
	}
	return caller, known
}

// busyAnswer says that the message before is still being processed (RFC 6492, section 3.6).
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

// The publication server is a door of its own to the repositories of the registries.

func (e *Engine) openPublishers() (err error) {
	e.publishers, err = publisher.Open(e.store, e.repositories, e.publisherBase, e, publisher.Limits{})
	if err == nil {
		e.publishers.Log, e.publishers.Suites = e.log, e.suites()
	}
	return err
}

// publisherBase is where a publisher publishes: a folder with a name that says nothing, below its registry's module.
func (e *Engine) publisherBase(registry, handle string) (siaBase, notify string) {
	return e.policy.RsyncBase + registry + "/" + issued.PathOf(e.installation, "publisher "+handle) + "/", e.policy.Notify(registry)
}

func (e *Engine) answerPublication(ctx context.Context, handle string, content []byte, stamp peer.Stamp) ([]byte, error) {
	if err := e.frozen.err(); err != nil {
		return nil, fault.New(fault.Clock, "the server publishes nothing for now; come again")
	}
	return e.publishers.Answer(ctx, handle, content, stamp)
}

// CommitObjects makes changes of registries' repositories durable, in one transaction with what extra writes, and has them
// published with the next serial. It is the door of the publication server; hosted authorities have the same, in commit.
func (e *Engine) CommitObjects(changes map[string][]rrdp.Change, extra func(store.Writer) error) error {
	e.writing.Lock()
	defer e.writing.Unlock()
	changes = maps.Clone(changes)
	maps.DeleteFunc(changes, func(_ string, of []rrdp.Change) bool { return len(of) == 0 })
	prepared, err := e.prepareChanges(changes, false)
	if err != nil {
		return err
	}
	if err := e.commitBatches(prepared, extra); err != nil {
		return err
	}
	if len(prepared) > 0 {
		e.poke()
	}
	return nil
}

// AddPublisher registers who sent this publisher_request (RFC 8183, section 5.2.3), under a handle of ours, in the
// repository of a registry: the root's where none is named. It returns the repository_response.
func (e *Engine) AddPublisher(ctx context.Context, handle, registry string, request []byte) ([]byte, error) {
	q, err := setup.ParsePublisherRequest(request)
	if err != nil {
		return nil, err
	}
	if handle == "" {
		handle = q.PublisherHandle
	}
	if registry == "" {
		e.mu.RLock()
		registry = e.ledger.Root()
		e.mu.RUnlock()
	}
	if e.repositories[registry] == nil {
		return nil, fault.New(fault.NotFound, "%q is no registry, so it has no repository", registry)
	}
	if _, err := e.publishers.Add(ctx, publisher.Registration{Handle: handle, Registry: registry, TrustAnchor: q.TrustAnchor}); err != nil {
		return nil, err
	}
	if err := e.changePeers(func(w *federation.Tx) error { return e.met(w, federation.PeerName("publisher", handle)) }); err != nil {
		return nil, err
	}
	return e.PublisherResponse(handle)
}

// UpdatePublisher gives a publisher the identity of a new publisher_request.
func (e *Engine) UpdatePublisher(ctx context.Context, handle string, request []byte) ([]byte, error) {
	q, err := setup.ParsePublisherRequest(request)
	if err != nil {
		return nil, err
	}
	if err := e.publishers.Update(ctx, handle, q.TrustAnchor); err != nil {
		return nil, err
	}
	return e.PublisherResponse(handle)
}

// PublisherResponse is the repository_response for a publisher (RFC 8183, section 5.2.4).
func (e *Engine) PublisherResponse(handle string) ([]byte, error) {
	info, err := e.publishers.Publisher(handle)
	if err != nil {
		return nil, err
	}
	id, err := e.introduction()
	if err != nil {
		return nil, err
	}
	return (&setup.RepositoryResponse{
		ServiceURI: e.policy.ServiceBase + "rfc8181/" + info.Handle, PublisherHandle: info.Handle, SIABase: info.Base,
		RRDPNotificationURI: info.Notification, TrustAnchor: id.Certificate,
	}).XML(), nil
}

// ResetPublisher forgets when a publisher signed its last message, so that one whose clock was wrong is heard again.
func (e *Engine) ResetPublisher(ctx context.Context, handle string) error {
	return e.publishers.ResetReplay(ctx, handle)
}

// RemovePublisher ends a publisher, and withdraws all that it published.
func (e *Engine) RemovePublisher(ctx context.Context, handle string) error {
	if err := e.publishers.Remove(ctx, handle); err != nil {
		return err
	}
	return e.changePeers(func(w *federation.Tx) error { return w.SetKnows(federation.PeerName("publisher", handle), false) })
}

// Publishers lists who publishes here.
func (e *Engine) Publishers() ([]publisher.Info, error) { return e.publishers.Publishers(), nil }
