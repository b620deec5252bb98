package ca

import (
	"maps"
	"slices"
	"time"

	"cadastre/ca/issued"
	"cadastre/ca/plan"
	"cadastre/federation"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

// ChildStatus is the status of a delegated CA.
type ChildStatus struct {
	Holder          string      `json:"holder"`
	Handle          string      `json:"handle"`
	Added           time.Time   `json:"added"`
	Contact         time.Time   `json:"contact,omitzero"` // its last message
	Valid           time.Time   `json:"valid,omitzero"`   // when its manifest and CRL were last seen to be valid
	IdentityExpires time.Time   `json:"identity_expires"`
	Keys            []KeyStatus `json:"keys"`
	Notice          time.Time   `json:"notice,omitzero"` // until when it has time to withdraw what rests on lost resources
}

// KeyStatus is the status of one key of an organisation.
type KeyStatus struct {
	SKI        string    `json:"ski"` // hex
	Class      string    `json:"class"`
	State      string    `json:"state"` // active, next, retired, delegated, or waiting for its certificate
	Resources  inr.Set   `json:"resources"`
	URI        string    `json:"uri,omitempty"` // of its certificate
	Expires    time.Time `json:"expires,omitzero"`
	Issues     time.Time `json:"issues,omitzero"` // for a next key that is published: the earliest time at which it takes over
	Repository string    `json:"repository"`      // where it publishes, rsync
}

// ParentStatus is the status of a parent elsewhere.
type ParentStatus struct {
	Name            string        `json:"name"`
	Holder          string        `json:"holder"`
	ServiceURI      string        `json:"service_uri"`
	ParentHandle    string        `json:"parent_handle"`
	ChildHandle     string        `json:"child_handle"`
	Refreshed       time.Time     `json:"refreshed,omitzero"`
	IdentityExpires time.Time     `json:"identity_expires"`
	Error           string        `json:"error,omitempty"` // of the last call
	Classes         []ClassStatus `json:"classes"`
}

// ClassStatus is the status of one resource class of a parent.
type ClassStatus struct {
	Name     string      `json:"name"`
	Entitled inr.Set     `json:"entitled"`
	Keys     []KeyStatus `json:"keys"`
}

// RemoteStatus is the status of a remote repository.
type RemoteStatus struct {
	Holder          string    `json:"holder"`
	ServiceURI      string    `json:"service_uri"`
	PublisherHandle string    `json:"publisher_handle"`
	Base            string    `json:"sia_base"`
	Notify          string    `json:"rrdp_notification_uri,omitempty"`
	Current         bool      `json:"current"` // otherwise the organisation is moving away from it
	Unsent          bool      `json:"unsent"`  // the server does not have all yet
	Objects         int       `json:"objects"`
	Error           string    `json:"error,omitempty"` // of the last try
	IdentityExpires time.Time `json:"identity_expires"`
}

// Children lists the delegated CAs.
func (e *Engine) Children() ([]ChildStatus, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	list := []ChildStatus{}
	for _, c := range e.peers.Children() {
		keys, err := e.keysOf(c.Holder, func(n issued.Name) bool { return n.Key != "" })
		if err != nil {
			return nil, err
		}
		s := ChildStatus{
			Holder: c.Holder, Handle: c.Handle, Added: c.Added, Contact: c.Contact, Valid: c.Valid,
			IdentityExpires: federation.Ends(c.TrustAnchor), Keys: keys,
		}
		if notice := e.peers.Notice(c.Holder); notice != nil {
			s.Notice = notice.Until
		}
		list = append(list, s)
	}
	return list, nil
}

// Keys lists the keys of an organisation that are here.
func (e *Engine) Keys(holder string) ([]KeyStatus, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	o, ok := e.ledger.Organisation(holder)
	if !ok {
		return nil, fault.New(fault.NotFound, "there is no organisation %q", holder)
	}
	return e.keysOf(o.Handle, func(n issued.Name) bool { return n.Key == "" })
}

// keysOf is the status of an organisation's authorities for which wanted returns true. The caller holds the engine's mu.
func (e *Engine) keysOf(holder string, wanted func(issued.Name) bool) ([]KeyStatus, error) {
	keys := []KeyStatus{}
	for _, authority := range e.issued.Of(holder) {
		n := authority
		a := e.issued.Authority(authority)
		if a == nil || !wanted(n) { // a batch that was committed meanwhile may have ended it
			continue
		}
		s, err := e.keyStatus(n, a)
		if err != nil {
			return nil, err
		}
		keys = append(keys, s)
	}
	return keys, nil
}

func (e *Engine) keyStatus(n issued.Name, a *issued.Authority) (KeyStatus, error) {
	roll := e.rolls.Of(n.Line())
	s := KeyStatus{
		SKI: a.KeyID.String(), Class: federation.ClassName(n.Source), State: "active", Resources: a.Certified, URI: a.CertificateURI,
		Expires: a.CertExpires, Repository: e.policy.Place(a),
	}
	switch {
	case n.Key != "":
		s.State = "delegated"
	case a.Awaits():
		s.State = "waiting"
	case roll.Retired(n.Generation):
		s.State = "retired"
	case n.Generation != roll.Active:
		s.State = "next"
		if now := time.Now(); !roll.Staged.IsZero() {
			view := e.snapshot(now)
			s.Issues = issued.Later(plan.SwitchAt(view, &e.policy, n.Line(), &roll, now), now).UTC().Truncate(time.Second)
			return s, view.Err()
		}
	}
	return s, nil
}

// Parents lists the parents elsewhere of an organisation; without an organisation, all.
func (e *Engine) Parents(holder string) ([]ParentStatus, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	list := []ParentStatus{}
	for _, p := range e.peers.Parents() {
		if holder != "" && p.Holder != holdings.Fold(holder) {
			continue
		}
		s := ParentStatus{
			Name: p.Name, Holder: p.Holder, ServiceURI: p.ServiceURI, ParentHandle: p.ParentHandle, ChildHandle: p.ChildHandle,
			Refreshed: p.Refresh, IdentityExpires: federation.Ends(p.TrustAnchor), Error: e.Federation.ParentFailure(p.Name), Classes: []ClassStatus{},
		}
		for _, source := range slices.Sorted(maps.Keys(p.Classes)) {
			keys, err := e.keysOf(p.Holder, func(n issued.Name) bool { return n.Source == source && n.Key == "" })
			if err != nil {
				return nil, err
			}
			s.Classes = append(s.Classes, ClassStatus{Name: p.Classes[source].Name, Entitled: p.Classes[source].Entitled, Keys: keys})
		}
		list = append(list, s)
	}
	return list, nil
}

// Remotes lists the remote repositories of an organisation; without an organisation, all. Those that the organisation has left are not in
// it.
func (e *Engine) Remotes(holder string) ([]RemoteStatus, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	list := []RemoteStatus{}
	for _, o := range e.peers.Remotes() {
		if o.Left || holder != "" && o.Holder != holdings.Fold(holder) {
			continue
		}
		s := RemoteStatus{
			Holder: o.Holder, ServiceURI: o.ServiceURI, PublisherHandle: o.PublisherHandle, Base: o.Base, Notify: o.Notify,
			Current: o.Current, Unsent: e.Federation.Unsent(o.Name), Error: e.Federation.RemoteFailure(o.Name), IdentityExpires: federation.Ends(o.TrustAnchor),
		}
		if r := e.Federation.Mirror(o.Name); r != nil {
			for range r.Live() {
				s.Objects++
			}
		}
		list = append(list, s)
	}
	return list, nil
}
