package federation

import (
	"slices"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/setup"
	"cadastre/rrdp"
	"cadastre/rrdp/publisher"
)

// RemoteRequest is the publisher_request of an organisation, for a publication server elsewhere (RFC 8183, section 5.2.3).
func (f *Federation) RemoteRequest(holder string) ([]byte, error) {
	id, o, err := f.introduced(holder)
	if err != nil {
		return nil, err
	}
	return (&setup.PublisherRequest{PublisherHandle: WireHandle(o.Handle), TrustAnchor: id.Certificate}).XML(), nil
}

// ConfigureRemote has an organisation's authorities publish at the server that sent a repository_response (RFC 8183, section 5.2.4).
// Each authority that there is moves by a key roll: its next generation publishes at the server, and takes over when all is there. What
// was published before is withdrawn after the soak.
func (f *Federation) ConfigureRemote(by holdings.By, holder string, response []byte) error {
	r, err := setup.ParseRepositoryResponse(response)
	if err == nil {
		err = checkTrust(r.TrustAnchor)
	}
	if err != nil {
		return err
	}
	if setup.SamePlace(r.SIABase, f.config.RsyncBase) && !f.isOwnAnswer(r) {
		return fault.New(fault.BadInput, "the sia_base %s is among this installation's own repositories, at %s: a server elsewhere has to give a place of its own", r.SIABase, f.config.RsyncBase)
	}
	holder = holdings.Fold(holder)
	o := &Remote{
		Name: mirrorName(r.SIABase), Holder: holder, ServiceURI: r.ServiceURI, PublisherHandle: r.PublisherHandle, Base: r.SIABase,
		Notify: r.RRDPNotificationURI, TrustAnchor: r.TrustAnchor, Current: true,
	}
	err = f.host.Change(func(tx *Tx) error {
		was := f.Peers.Remote(o.Name)
		switch _, ok := tx.Ledger.Organisation(holder); {
		case !ok:
			return fault.New(fault.NotFound, "there is no organisation %q", holder)
		case was != nil && was.Holder != holder:
			return fault.New(fault.Conflict, "%s publishes at %s already; two cannot have one place", was.Holder, o.Base)
		case was != nil && was.Current:
			o.Heard = was.Heard
			return tx.PutRemote(o) // a new identity or address of the same place
		case was == nil:
			if err := rrdp.Create(tx, mirrorConfig(f.dir, o.Name)); err != nil {
				return err
			}
		}
		return f.moveTo(tx, holder, o)
	})
	if err != nil {
		return err
	}
	if f.mirrors.repository(o.Name) == nil {
		if err := f.mirrors.open(f.store, f.dir, o, f.log); err != nil {
			return err
		}
	}
	f.log.Info("an organisation publishes elsewhere", "organisation", holder, "base", o.Base, "actor", by.Who, "reason", by.Reason)
	f.SendSoon()
	f.AskSoon()
	return nil
}

// isOwnAnswer tells whether this installation made a repository_response, for a publisher of its own. It is valid here: an organisation
// may publish at its own installation by RFC 8181.
func (f *Federation) isOwnAnswer(r *setup.RepositoryResponse) bool {
	return slices.ContainsFunc(f.publishers.Publishers(), func(p publisher.Info) bool {
		return r.SIABase == p.Base && r.PublisherHandle == p.Handle && r.ServiceURI == f.config.ServiceBase+"rfc8181/"+p.Handle
	})
}

// LeaveRemote has an organisation's authorities publish in the repository of their registry again.
func (f *Federation) LeaveRemote(by holdings.By, holder string) error {
	holder = holdings.Fold(holder)
	err := f.host.Change(func(tx *Tx) error {
		if f.Peers.RemoteOf(holder) == nil {
			return fault.New(fault.NotFound, "%q does not publish elsewhere; 'cadastre repository show' lists who does", holder)
		}
		return f.moveTo(tx, holder, nil)
	})
	if err == nil {
		f.log.Info("an organisation publishes here again", "organisation", holder, "actor", by.Who, "reason", by.Reason)
		f.AskSoon()
	}
	return err
}

// moveTo has new authorities of an organisation publish at a remote repository, or here if to is nil, and begins to move the
// authorities that there are. It is used within Change.
func (f *Federation) moveTo(tx *Tx, holder string, to *Remote) error {
	if was := f.Peers.RemoteOf(holder); was != nil {
		left := *was
		left.Current = false
		if err := tx.PutRemote(&left); err != nil {
			return err
		}
	}
	if to != nil {
		if err := tx.PutRemote(to); err != nil {
			return err
		}
	}
	return f.host.Roll(tx, holder)
}
