package ca

import (
	"slices"

	"cadastre/federation"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/setup"
	"cadastre/rrdp"
	"cadastre/rrdp/publisher"
)

// OutletRequest is the publisher_request of an organisation, for a publication server elsewhere (RFC 8183, section 5.2.3).
func (e *Engine) OutletRequest(holder string) ([]byte, error) {
	id, o, err := e.introduced(holder)
	if err != nil {
		return nil, err
	}
	return (&setup.PublisherRequest{PublisherHandle: wireHandle(o.Handle), TrustAnchor: id.Certificate}).XML(), nil
}

// ConfigureOutlet has an organisation's authorities publish at the server that sent this repository_response (RFC 8183,
// section 5.2.4). Those that there are move: a next generation is made that publishes there, takes over when all is there,
// and what was published before is withdrawn after the soak.
func (e *Engine) ConfigureOutlet(by holdings.By, holder string, response []byte) error {
	r, err := setup.ParseRepositoryResponse(response)
	if err == nil {
		err = checkTrust(r.TrustAnchor)
	}
	if err != nil {
		return err
	}
	if setup.SamePlace(r.SIABase, e.policy.RsyncBase) && !e.isOwnAnswer(r) {
		return fault.New(fault.BadInput, "the sia_base %s is among this installation's own repositories, at %s: a server elsewhere has to give a place of its own", r.SIABase, e.policy.RsyncBase)
	}
	holder = holdings.Fold(holder)
	o := &federation.Remote{
		Name: mirrorName(r.SIABase), Holder: holder, ServiceURI: r.ServiceURI, PublisherHandle: r.PublisherHandle, Base: r.SIABase,
		Notify: r.RRDPNotificationURI, TrustAnchor: r.TrustAnchor, Current: true,
	}
	err = e.changePeers(func(w *federation.Tx) error {
		was := e.peers.Remote(o.Name)
		switch _, ok := e.ledger.Organisation(holder); {
		case !ok:
			return fault.New(fault.NotFound, "there is no organisation %q", holder)
		case was != nil && was.Holder != holder:
			return fault.New(fault.Conflict, "%s publishes at %s already; two cannot have one place", was.Holder, o.Base)
		case was != nil && was.Current:
			o.Heard = was.Heard
			return w.PutRemote(o) // a new identity or address of the same place
		case was == nil:
			if err := rrdp.Create(w, mirrorConfig(e.dir, o.Name)); err != nil {
				return err
			}
		}
		return e.moveTo(w, holder, o)
	})
	if err != nil {
		return err
	}
	if e.mirrors.repository(o.Name) == nil {
		if err := e.mirrors.open(e.store, e.dir, o, e.log); err != nil {
			return err
		}
	}
	e.log.Info("an organisation publishes elsewhere", "organisation", holder, "base", o.Base, "actor", by.Actor, "reason", by.Reason)
	e.sendSoon()
	e.askSoon()
	return nil
}

// isOwnAnswer tells whether a repository_response is one that this installation gave to a publisher of its own: an organisation may
// publish here by RFC 8181, too.
func (e *Engine) isOwnAnswer(r *setup.RepositoryResponse) bool {
	return slices.ContainsFunc(e.publishers.Publishers(), func(p publisher.Info) bool {
		return r.SIABase == p.Base && r.PublisherHandle == p.Handle && r.ServiceURI == e.policy.ServiceBase+"rfc8181/"+p.Handle
	})
}

// LocalOutlet has an organisation's authorities publish in the repository of their registry again.
func (e *Engine) LocalOutlet(by holdings.By, holder string) error {
	holder = holdings.Fold(holder)
	err := e.changePeers(func(w *federation.Tx) error {
		if e.peers.RemoteOf(holder) == nil {
			return fault.New(fault.NotFound, "%q does not publish elsewhere; 'cadastre repository show' lists who does", holder)
		}
		return e.moveTo(w, holder, nil)
	})
	if err == nil {
		e.log.Info("an organisation publishes here again", "organisation", holder, "actor", by.Actor, "reason", by.Reason)
		e.askSoon()
	}
	return err
}

// moveTo has new authorities of an organisation publish at an outlet, or here where it is nil, and begins to move those that
// there are. It is used within changePeers.
func (e *Engine) moveTo(w *federation.Tx, holder string, to *federation.Remote) error {
	if was := e.peers.RemoteOf(holder); was != nil {
		left := *was
		left.Current = false
		if err := w.PutRemote(&left); err != nil {
			return err
		}
	}
	if to != nil {
		if err := w.PutRemote(to); err != nil {
			return err
		}
	}
	return e.rollLines(w, holder, 0, true)
}
