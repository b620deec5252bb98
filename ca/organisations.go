package ca

import (
	"slices"

	"cadastre/federation"
	"cadastre/holdings"
	"cadastre/internal/fault"
)

// OrganisationStatus is an organisation, and what it has.
type OrganisationStatus struct {
	holdings.Organisation
	Depth     int    `json:"depth"` // how many organisations are above it
	Resources string `json:"resources"`
	Intents   int    `json:"intents"`
	Elsewhere bool   `json:"ca_elsewhere"` // its CA is
}

// Organisations lists the organisations of the tree, or one and all below it. Each comes after the one above it.
func (e *Engine) Organisations(below string) ([]OrganisationStatus, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if below = holdings.Fold(below); below == "" {
		below = e.ledger.Root()
	}
	if _, ok := e.ledger.Organisation(below); !ok {
		return nil, fault.New(fault.NotFound, "there is no organisation %q", below)
	}
	list := []OrganisationStatus{}
	var add func(handle string)
	add = func(handle string) {
		o, _ := e.ledger.Organisation(handle)
		s := OrganisationStatus{Organisation: o, Depth: e.ledger.Depth(handle), Intents: e.book.Wants(handle), Elsewhere: e.peers.Child(handle) != nil}
		if o.Kind != holdings.Root {
			s.Resources = e.ledger.Holding(handle).String()
		}
		list = append(list, s)
		for _, child := range e.ledger.Children(handle) {
			add(child)
		}
	}
	add(below)
	return list, nil
}

// RemoveOrganisation removes an organisation that has no resources, nobody below it, no intents, no CA and no peers. It fails with
// NotFound, with BadInput, and with Conflict where it still has something; the error says what.
func (e *Engine) RemoveOrganisation(by holdings.By, handle string) (*Effect, error) {
	handle = holdings.Fold(handle)
	return e.Decide(Consent{}, OfLedger(func(l *holdings.Ledger) (*holdings.Outcome, error) {
		o, err := l.Remove(by, handle)
		if err == nil {
			err = e.uses(handle)
		}
		return o, err
	}))
}

// uses fails with Conflict where an organisation without resources still has something else. The caller holds the engine's mu.
func (e *Engine) uses(handle string) error {
	switch {
	case e.book.Wants(handle) > 0:
		return fault.New(fault.Conflict, "%s has %d intents; remove them first ('cadastre roa list --holder %s')", handle, e.book.Wants(handle), handle)
	case e.peers.Child(handle) != nil:
		return fault.New(fault.Conflict, "%s has its CA elsewhere; 'cadastre children remove %s' first", handle, handle)
	case slices.ContainsFunc(e.peers.Parents(), func(p *federation.Parent) bool { return p.Holder == handle }):
		return fault.New(fault.Conflict, "%s has a parent elsewhere; 'cadastre parents remove' it first", handle)
	case slices.ContainsFunc(e.peers.Remotes(), func(o *federation.Remote) bool { return o.Holder == handle }):
		return fault.New(fault.Conflict, "%s publishes elsewhere; 'cadastre repository local %s' first", handle, handle)
	case len(e.issued.Of(handle)) > 0 || e.agenda.Touched(handle):
		return fault.New(fault.Conflict, "what was certified for %s is being withdrawn; come again when 'cadastre status --wait' returns", handle)
	}
	if e.Federation.IsPublisher(federation.WireHandle(handle)) {
		return fault.New(fault.Conflict, "%s publishes here from elsewhere; 'cadastre publishers remove' it first", handle)
	}
	return nil
}
