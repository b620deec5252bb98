package ca

import (
	"regexp"

	"cadastre/ca/issued"
	"cadastre/federation"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/peer"
	"cadastre/internal/setup"
)

var parentPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// ParentRequest is the child_request of an organisation, for a CA that is to be its parent (RFC 8183, section 5.2.1).
func (e *Engine) ParentRequest(holder string) ([]byte, error) {
	id, o, err := e.introduced(holder)
	if err != nil {
		return nil, err
	}
	return (&setup.ChildRequest{ChildHandle: wireHandle(o.Handle), TrustAnchor: id.Certificate}).XML(), nil
}

// introduced is our identity, for a message about an organisation.
func (e *Engine) introduced(holder string) (*identity, holdings.Organisation, error) {
	o, ok, err := e.Organisation(holder)
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "there is no organisation %q", holder)
	}
	if err != nil {
		return nil, o, err
	}
	id, err := e.introduction()
	return id, o, err
}

// AddParent puts an organisation under a CA outside the tree, which sent this parent_response (RFC 8183, section 5.2.2). What
// it certifies is held by the organisation from then on, beside what it holds in the tree.
func (e *Engine) AddParent(by holdings.By, holder, called string, response []byte) error {
	r, err := setup.ParseParentResponse(response)
	if err == nil {
		err = checkTrust(r.TrustAnchor)
	}
	if err != nil {
		return err
	}
	holder = holdings.Fold(holder)
	err = e.changePeers(func(w *federation.Tx) error {
		o, ok := e.ledger.Organisation(holder)
		switch {
		case !ok:
			return fault.New(fault.NotFound, "there is no organisation %q", holder)
		case o.Kind == holdings.Root:
			return fault.New(fault.BadInput, "%s is the root, which has no parent", holder)
		case !parentPattern.MatchString(called):
			return fault.New(fault.BadInput, "%q is no name for a parent: use up to 40 small letters, digits and -", called)
		case e.peers.Parent(called) != nil:
			return fault.New(fault.Conflict, "there is a parent %s already, of %s; choose another name", called, e.peers.Parent(called).Holder)
		}
		return w.PutParent(&federation.Parent{
			Name: called, Holder: holder, ServiceURI: r.ServiceURI, ParentHandle: r.ParentHandle, ChildHandle: r.ChildHandle,
			TrustAnchor: r.TrustAnchor, Classes: map[string]*federation.Class{},
		})
	})
	if err == nil {
		e.log.Info("an organisation has a parent outside the tree", "organisation", holder, "parent", called, "actor", by.Actor, "reason", by.Reason)
		e.askSoon()
	}
	return err
}

// UpdateParent takes another parent_response of a parent: a new identity, or another address.
func (e *Engine) UpdateParent(by holdings.By, holder, called string, response []byte) error {
	r, err := setup.ParseParentResponse(response)
	if err == nil {
		err = checkTrust(r.TrustAnchor)
	}
	if err != nil {
		return err
	}
	err = e.changeParent(holder, called, func(p *federation.Parent) {
		p.ServiceURI, p.ParentHandle, p.ChildHandle, p.TrustAnchor = r.ServiceURI, r.ParentHandle, r.ChildHandle, r.TrustAnchor
		p.Heard = peer.Heard{}
	})
	if err == nil {
		e.log.Info("a parent outside the tree is known anew", "parent", called, "actor", by.Actor, "reason", by.Reason)
		e.askSoon()
	}
	return err
}

// RemoveParent ends that an organisation is under a CA outside the tree: what it held from there is gone, what rested on
// that is withdrawn, and then the parent is asked to revoke its certificates.
func (e *Engine) RemoveParent(by holdings.By, holder, called string) error {
	var sources []string
	err := e.changeParent(holder, called, func(p *federation.Parent) {
		p.Removed = true
		for source, class := range p.Classes {
			class.Entitled = inr.Set{}
			sources = append(sources, source)
		}
	})
	if err != nil {
		return err
	}
	for _, source := range sources {
		if err := e.receive(by, holder, source); err != nil {
			return err
		}
	}
	e.askSoon()
	return e.forgetParent(called) // at once, where it never certified anything
}

// changeParent replaces a parent's record, and has its organisation planned for. The classes are the new record's own.
func (e *Engine) changeParent(holder, called string, change func(*federation.Parent)) error {
	return e.noteParent(holder, called, func(p *federation.Parent) bool {
		change(p)
		return true
	})
}

// noteParent replaces a parent's record. Where change says that something follows from it, its organisation is planned for.
func (e *Engine) noteParent(holder, called string, change func(*federation.Parent) bool) error {
	return e.changePeers(func(w *federation.Tx) error {
		was := e.peers.Parent(called)
		if was == nil || holder != "" && was.Holder != holdings.Fold(holder) {
			return fault.New(fault.NotFound, "%s has no parent %q; 'cadastre parents list' shows those that there are", holdings.Fold(holder), called)
		}
		p := was.Clone()
		if change(p) {
			w.Touch(p.Holder)
		}
		return w.PutParent(p)
	})
}

// receive makes the ledger say what an organisation holds from a source: what the parent says, as far as it has certified
// it to the key that issues.
func (e *Engine) receive(by holdings.By, holder, source string) error {
	e.mu.RLock()
	line := e.active(issued.Name{Holder: holdings.Fold(holder), Source: source})
	p := e.peers.ParentOf(source)
	var held inr.Set
	if p != nil && p.Classes[source] != nil {
		if got := p.Classes[source].Keys[line]; got != nil {
			held = got.Resources.Intersect(p.Classes[source].Entitled)
		}
	}
	e.mu.RUnlock()
	effect, err := e.Decide(Consent{Unbraked: true}, OfLedger(func(l *holdings.Ledger) (*holdings.Outcome, error) {
		return l.Receive(by, holder, source, held)
	}))
	if err == nil && len(effect.Lost) > 0 {
		e.log.Warn("a parent outside the tree took resources away", "organisation", holder, "source", source, "vrps_lost", len(effect.Lost))
	}
	return err
}
