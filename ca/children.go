package ca

import (
	"strings"

	"cadastre/federation"
	"cadastre/holdings"
	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/peer"
	"cadastre/internal/setup"
)

// maxDepth is how many organisations may be above one with a delegated CA. Relying parties follow chains of at least 20
// certificates, and what a delegated CA delegates on is longer than we can see.
const maxDepth = 12

// wireHandle is an organisation's handle as messages have it, where '.' may not stand (RFC 8183, section 5.1) and '/'
// would part a path.
func wireHandle(handle string) string { return strings.NewReplacer(".", "_", "/", "-").Replace(handle) }

// AddChild lets an organisation have its CA elsewhere: one that sent this child_request (RFC 8183, section 5.2.1). It
// returns the parent_response. What the organisation has here stays as long as it has intents, or others below it.
func (e *Engine) AddChild(by holdings.By, holder string, request []byte) ([]byte, error) {
	q, err := setup.ParseChildRequest(request)
	if err != nil {
		return nil, err
	}
	return e.OfferChild(by, holder, q.TrustAnchor)
}

// OfferChild lets an organisation have its CA elsewhere: the one of an identity that is known from elsewhere, as of a CA that
// moves here with its holder. It returns the parent_response for it.
func (e *Engine) OfferChild(by holdings.By, holder string, trustAnchor []byte) ([]byte, error) {
	if err := checkTrust(trustAnchor); err != nil {
		return nil, err
	}
	holder = holdings.Fold(holder)
	err := e.changePeers(func(w *federation.Tx) error {
		o, ok := e.ledger.Organisation(holder)
		handle := wireHandle(holder)
		other, taken := "", false
		if c := e.peers.ChildByHandle(handle); c != nil {
			other, taken = c.Holder, true
		}
		switch {
		case !ok:
			return fault.New(fault.NotFound, "there is no organisation %q", holder)
		case o.Kind == holdings.Root:
			return fault.New(fault.BadInput, "%s is the root: nobody is above it", holder)
		case taken && other == holder:
			return fault.New(fault.Conflict, "%s has a delegated CA already; give it a new identity with 'cadastre children update %s --request FILE'", holder, holder)
		case taken:
			return fault.New(fault.Conflict, "the handle of %s would be %s in messages, which is that of %s", holder, handle, other)
		case e.ledger.Depth(holder) > maxDepth:
			return fault.New(fault.BadInput, "%s is %d organisations below the root; a delegated CA may be at most %d below", holder, e.ledger.Depth(holder), maxDepth)
		}
		if err := e.met(w, federation.PeerName("child", holder)); err != nil {
			return err
		}
		return w.PutChild(&federation.Child{Holder: holder, Handle: handle, TrustAnchor: trustAnchor, Added: by.Time.UTC()})
	})
	if err != nil {
		return nil, err
	}
	e.log.Info("an organisation has a delegated CA", "organisation", holder, "actor", by.Actor, "reason", by.Reason)
	return e.ChildResponse(holder)
}

func checkTrust(certificate []byte) error {
	_, err := envelope.ParseTrust(certificate)
	return fault.Wrap(err, "the identity in the request cannot be used")
}

// UpdateChild gives a delegated CA the identity of a new child_request. What it was certified stays.
func (e *Engine) UpdateChild(by holdings.By, holder string, request []byte) ([]byte, error) {
	q, err := setup.ParseChildRequest(request)
	if err == nil {
		err = checkTrust(q.TrustAnchor)
	}
	if err != nil {
		return nil, err
	}
	err = e.changeChild(holder, func(c *federation.Child) { c.TrustAnchor = q.TrustAnchor })
	if err != nil {
		return nil, err
	}
	e.log.Info("a delegated CA has a new identity", "organisation", holder, "actor", by.Actor, "reason", by.Reason)
	return e.ChildResponse(holder)
}

// ResetChild forgets when a delegated CA signed its last message, so that one whose clock was wrong is heard again.
func (e *Engine) ResetChild(_ holdings.By, holder string) error {
	return e.changeChild(holder, func(c *federation.Child) { c.Heard = peer.Heard{} })
}

// changeChild replaces a child's record.
func (e *Engine) changeChild(holder string, change func(*federation.Child)) error {
	return e.changePeers(func(w *federation.Tx) error {
		was, err := e.child(holder)
		if err != nil {
			return err
		}
		c := *was
		change(&c)
		return w.PutChild(&c)
	})
}

// child is the delegated CA of an organisation. The engine's mu is held.
func (e *Engine) child(holder string) (*federation.Child, error) {
	if c := e.peers.Child(holdings.Fold(holder)); c != nil {
		return c, nil
	}
	return nil, fault.New(fault.NotFound, "%q has no delegated CA; 'cadastre children list' shows those that there are", holder)
}

// RemoveChild ends a delegated CA: its certificates are revoked, and the organisation's authorities are here again.
func (e *Engine) RemoveChild(by holdings.By, holder string) error {
	err := e.changePeers(func(w *federation.Tx) error {
		c, err := e.child(holder)
		if err != nil {
			return err
		}
		if err := w.DeleteChild(c); err != nil {
			return err
		}
		return w.SetKnows(federation.PeerName("child", c.Holder), false)
	})
	if err == nil {
		e.log.Info("a delegated CA is ended", "organisation", holder, "actor", by.Actor, "reason", by.Reason)
	}
	return err
}

// ChildResponse is the parent_response for a delegated CA (RFC 8183, section 5.2.2). It may publish here too, which is
// offered.
func (e *Engine) ChildResponse(holder string) ([]byte, error) {
	id, err := e.introduction()
	if err != nil {
		return nil, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	c, err := e.child(holder)
	if err != nil {
		return nil, err
	}
	return (&setup.ParentResponse{
		ServiceURI: e.policy.ServiceBase + "rfc6492/" + c.Handle, ChildHandle: c.Handle, ParentHandle: wireHandle(e.above(c.Holder)),
		TrustAnchor: id.Certificate, Offer: true,
	}).XML(), nil
}

// changePeers makes a change of what is kept of peers, in one transaction, and wakes the engine.
func (e *Engine) changePeers(change func(w *federation.Tx) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	touched, err := e.peers.Change(e.store, e.ledger, change)
	if err != nil {
		return err
	}
	for _, holder := range touched {
		e.touch(holder)
	}
	e.poke()
	return nil
}
