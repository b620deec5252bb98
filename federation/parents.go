package federation

import (
	"regexp"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/peer"
	"cadastre/internal/setup"
)

var parentPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// ParentRequest is the child_request of an organisation, for a CA that is to be its parent (RFC 8183, section 5.2.1).
func (f *Federation) ParentRequest(holder string) ([]byte, error) {
	id, o, err := f.introduced(holder)
	if err != nil {
		return nil, err
	}
	return (&setup.ChildRequest{ChildHandle: WireHandle(o.Handle), TrustAnchor: id.Certificate}).XML(), nil
}

// introduced returns an organisation, and our identity for a file about it.
func (f *Federation) introduced(holder string) (*Identity, holdings.Organisation, error) {
	o, ok := f.organisation(holdings.Fold(holder))
	if !ok {
		return nil, o, fault.New(fault.NotFound, "there is no organisation %q", holder)
	}
	id, err := f.introduction()
	return id, o, err
}

// AddParent makes the CA that sent a parent_response (RFC 8183, section 5.2.2) a parent of an organisation. From then on the
// organisation holds what this parent certifies, beside what it holds in the tree.
func (f *Federation) AddParent(by holdings.By, holder, called string, response []byte) error {
	r, err := setup.ParseParentResponse(response)
	if err == nil {
		err = checkTrust(r.TrustAnchor)
	}
	if err != nil {
		return err
	}
	holder = holdings.Fold(holder)
	err = f.host.Change(func(tx *Tx) error {
		o, ok := tx.Ledger.Organisation(holder)
		switch {
		case !ok:
			return fault.New(fault.NotFound, "there is no organisation %q", holder)
		case o.Kind == holdings.Root:
			return fault.New(fault.BadInput, "%s is the root, which has no parent", holder)
		case !parentPattern.MatchString(called):
			return fault.New(fault.BadInput, "%q is no name for a parent: use up to 40 small letters, digits and -", called)
		case f.Peers.Parent(called) != nil:
			return fault.New(fault.Conflict, "there is a parent %s already, of %s; choose another name", called, f.Peers.Parent(called).Holder)
		}
		return tx.PutParent(&Parent{
			Name: called, Holder: holder, ServiceURI: r.ServiceURI, ParentHandle: r.ParentHandle, ChildHandle: r.ChildHandle,
			TrustAnchor: r.TrustAnchor, Classes: map[string]*Class{},
		})
	})
	if err == nil {
		f.log.Info("an organisation has a parent outside the tree", "organisation", holder, "parent", called, "actor", by.Who, "reason", by.Reason)
		f.AskSoon()
	}
	return err
}

// UpdateParent takes a new parent_response of a parent, with a new identity or another address.
func (f *Federation) UpdateParent(by holdings.By, holder, called string, response []byte) error {
	r, err := setup.ParseParentResponse(response)
	if err == nil {
		err = checkTrust(r.TrustAnchor)
	}
	if err != nil {
		return err
	}
	err = f.changeParent(holder, called, func(p *Parent) {
		p.ServiceURI, p.ParentHandle, p.ChildHandle, p.TrustAnchor = r.ServiceURI, r.ParentHandle, r.ChildHandle, r.TrustAnchor
		p.Heard = peer.Heard{}
	})
	if err == nil {
		f.log.Info("a parent outside the tree is known anew", "parent", called, "actor", by.Who, "reason", by.Reason)
		f.AskSoon()
	}
	return err
}

// RemoveParent removes a parent elsewhere of an organisation. The organisation does not hold any more what the parent certified, what
// rested on it is withdrawn, and then the parent is asked to revoke our certificates.
func (f *Federation) RemoveParent(by holdings.By, holder, called string) error {
	var sources []string
	err := f.changeParent(holder, called, func(p *Parent) {
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
		if err := f.receive(by, holder, source); err != nil {
			return err
		}
	}
	f.AskSoon()
	return f.forgetParent(called) // at once, where it never certified anything
}

// changeParent changes a copy of a parent's record, keeps it, and has the engine plan for its organisation.
func (f *Federation) changeParent(holder, called string, change func(*Parent)) error {
	return f.noteParent(holder, called, func(p *Parent) bool {
		change(p)
		return true
	})
}

// noteParent changes a copy of a parent's record, and keeps it. If change returns true, the engine plans for its organisation.
func (f *Federation) noteParent(holder, called string, change func(*Parent) bool) error {
	return f.host.Change(func(tx *Tx) error {
		was := f.Peers.Parent(called)
		if was == nil || holder != "" && was.Holder != holdings.Fold(holder) {
			return fault.New(fault.NotFound, "%s has no parent %q; 'cadastre parents list' shows those that there are", holdings.Fold(holder), called)
		}
		p := was.Clone()
		if change(p) {
			tx.Touch(p.Holder)
		}
		return tx.PutParent(p)
	})
}

// receive takes the decision about what an organisation holds from a source: what the parent lists, as far as it has certified that to
// the key that issues.
func (f *Federation) receive(by holdings.By, holder, source string) error {
	var held inr.Set
	issues := f.host.Wanted(holdings.Fold(holder), source)[0]
	if p := f.Peers.ParentOf(source); p != nil && p.Classes[source] != nil {
		if got := p.Classes[source].Keys[issues]; got != nil {
			held = got.Resources.Intersect(p.Classes[source].Entitled)
		}
	}
	return f.host.Receive(by, holder, source, held)
}

// ParentsOf lists the names of an organisation's parents elsewhere, sorted.
func (f *Federation) ParentsOf(holder string) []string {
	var names []string
	for _, name := range f.parentNames() {
		if p := f.Peers.Parent(name); p != nil && p.Holder == holder && !p.Removed {
			names = append(names, name)
		}
	}
	return names
}
