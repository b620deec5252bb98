package federation

import (
	"strings"

	"cadastre/holdings"
	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/peer"
	"cadastre/internal/setup"
)

// maxDepth is how many organisations may be above one with a delegated CA. Validators in use follow chains of at least 20
// certificates, and the chain goes on below a delegated CA, where we do not see it.
const maxDepth = 12

// WireHandle is an organisation's handle as messages have it, where '.' may not stand (RFC 8183, section 5.1) and '/'
// would part a path.
func WireHandle(handle string) string { return strings.NewReplacer(".", "_", "/", "-").Replace(handle) }

// AddChild makes the CA that sent a child_request (RFC 8183, section 5.2.1) the delegated CA of an organisation, and returns the
// parent_response. The organisation's authority here stays as long as the organisation has intents here, or others below it.
func (f *Federation) AddChild(by holdings.By, holder string, request []byte) ([]byte, error) {
	q, err := setup.ParseChildRequest(request)
	if err != nil {
		return nil, err
	}
	return f.OfferChild(by, holder, q.TrustAnchor)
}

// OfferChild makes the CA with an identity, DER, the delegated CA of an organisation, and returns the parent_response. It is for a CA
// whose identity is known already, since its holder comes here by a transfer.
func (f *Federation) OfferChild(by holdings.By, holder string, trustAnchor []byte) ([]byte, error) {
	if err := checkTrust(trustAnchor); err != nil {
		return nil, err
	}
	holder = holdings.Fold(holder)
	err := f.host.Change(func(tx *Tx) error {
		o, ok := tx.Ledger.Organisation(holder)
		handle := WireHandle(holder)
		other, taken := "", false
		if c := f.Peers.ChildByHandle(handle); c != nil {
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
		case tx.Ledger.Depth(holder) > maxDepth:
			return fault.New(fault.BadInput, "%s is %d organisations below the root; a delegated CA may be at most %d below", holder, tx.Ledger.Depth(holder), maxDepth)
		}
		if err := f.noteMet(tx, PeerName("child", holder)); err != nil {
			return err
		}
		return tx.PutChild(&Child{Holder: holder, Handle: handle, TrustAnchor: trustAnchor, Added: by.Time.UTC()})
	})
	if err != nil {
		return nil, err
	}
	f.log.Info("an organisation has a delegated CA", "organisation", holder, "actor", by.Who, "reason", by.Reason)
	return f.ChildResponse(holder)
}

func checkTrust(certificate []byte) error {
	_, err := envelope.ParseTrust(certificate)
	return fault.Wrap(err, "the identity in the request cannot be used")
}

// UpdateChild gives a delegated CA the identity of a new child_request. What it was certified stays.
func (f *Federation) UpdateChild(by holdings.By, holder string, request []byte) ([]byte, error) {
	q, err := setup.ParseChildRequest(request)
	if err == nil {
		err = checkTrust(q.TrustAnchor)
	}
	if err != nil {
		return nil, err
	}
	err = f.changeChild(holder, func(c *Child) { c.TrustAnchor = q.TrustAnchor })
	if err != nil {
		return nil, err
	}
	f.log.Info("a delegated CA has a new identity", "organisation", holder, "actor", by.Who, "reason", by.Reason)
	return f.ChildResponse(holder)
}

// ResetChild forgets when a delegated CA signed its last message. It is for a CA whose clock was ahead: its messages are taken again.
func (f *Federation) ResetChild(by holdings.By, holder string) error {
	err := f.changeChild(holder, func(c *Child) { c.Heard = peer.Heard{} })
	if err == nil {
		f.log.Info("older messages of a delegated CA are taken again", "organisation", holder, "actor", by.Who, "reason", by.Reason)
	}
	return err
}

// changeChild replaces a child's record.
func (f *Federation) changeChild(holder string, change func(*Child)) error {
	return f.host.Change(func(tx *Tx) error {
		was, err := f.child(holder)
		if err != nil {
			return err
		}
		c := *was
		change(&c)
		return tx.PutChild(&c)
	})
}

// child is the delegated CA of an organisation.
func (f *Federation) child(holder string) (*Child, error) {
	if c := f.Peers.Child(holdings.Fold(holder)); c != nil {
		return c, nil
	}
	return nil, fault.New(fault.NotFound, "%q has no delegated CA; 'cadastre children list' shows those that there are", holder)
}

// RemoveChild ends a delegated CA. Its certificates are revoked, and the organisation has an authority here again.
func (f *Federation) RemoveChild(by holdings.By, holder string) error {
	err := f.host.Change(func(tx *Tx) error {
		c, err := f.child(holder)
		if err != nil {
			return err
		}
		if err := tx.DeleteChild(c); err != nil {
			return err
		}
		return tx.SetKnows(PeerName("child", c.Holder), false)
	})
	if err == nil {
		f.log.Info("a delegated CA is ended", "organisation", holder, "actor", by.Who, "reason", by.Reason)
	}
	return err
}

// ChildResponse is the parent_response for a delegated CA (RFC 8183, section 5.2.2). It offers the CA to publish here, too.
func (f *Federation) ChildResponse(holder string) ([]byte, error) {
	id, err := f.introduction()
	if err != nil {
		return nil, err
	}
	c, err := f.child(holder)
	if err != nil {
		return nil, err
	}
	return (&setup.ParentResponse{
		ServiceURI: f.config.ServiceBase + "rfc6492/" + c.Handle, ChildHandle: c.Handle, ParentHandle: f.above(c.Holder),
		TrustAnchor: id.Certificate, Offer: true,
	}).XML(), nil
}
