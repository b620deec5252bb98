package ca

import (
	"time"

	"cadastre/ca/issued"
	"cadastre/ca/plan"
	"cadastre/federation"
	"cadastre/holdings"
)

// snapshot is what a plan sees at a time. The caller holds the engine's mu while it is used, and nothing is committed meanwhile.
func (e *Engine) snapshot(now time.Time) *plan.Snapshot {
	return &plan.Snapshot{
		Now: now, Policy: &e.policy, Ledger: e.ledger, Intents: e.book, Store: issuedByEngine{e}, Peers: peersOfPlan{e.peers}, Rolls: e.rolls,
		AnchorOffline: e.anchor == nil, Behind: e.unsent,
		Quarantined: func(holder string) bool { return e.agenda.Quarantined(holder, now) },
	}
}

// issuedByEngine is what the engine has issued, as plans read it.
type issuedByEngine struct{ engine *Engine }

func (i issuedByEngine) Of(holder string) []issued.Name { return i.engine.issued.Of(holder) }
func (i issuedByEngine) Read(authority issued.Name) (*issued.Records, error) {
	return i.engine.issued.Read(authority)
}

// peersOfPlan is peers as plans see them.
type peersOfPlan struct{ *federation.Peers }

func (p peersOfPlan) Delegated(holder string) bool { return p.Child(holder) != nil }

func (p peersOfPlan) Keys(holder string) []issued.Name {
	var names []issued.Name
	for _, key := range p.Peers.Keys(holder) {
		names = append(names, key.Authority)
	}
	return names
}

func (p peersOfPlan) Request(authority issued.Name) *plan.Request {
	key := p.Key(authority)
	if key == nil {
		return nil
	}
	return &plan.Request{At: key.Asked, Place: key.Place, Granted: key.Granted}
}

func (p peersOfPlan) Received(authority issued.Name) *plan.Received {
	got := p.Peers.Received(authority)
	if got == nil {
		return nil
	}
	return &plan.Received{Serial: got.Serial, Resources: got.Resources}
}

func (p peersOfPlan) Notices() []plan.Notice {
	var notices []plan.Notice
	for _, n := range p.Peers.Notices() {
		notices = append(notices, plan.Notice{Holder: n.Holder, Lost: n.Lost, Until: n.Until})
	}
	return notices
}

func (p peersOfPlan) SourcedAt(source string) string {
	if parent := p.ParentOf(source); parent != nil {
		return parent.Holder
	}
	return ""
}

// The callers of the following hold the engine's mu.

// parentOf is the authority that certifies another: the active one of the organisation above it, for the same source.
func (e *Engine) parentOf(n issued.Name) issued.Name { return e.snapshot(time.Time{}).Parent(n) }

// active is the generation of an authority's line that issues.
func (e *Engine) active(n issued.Name) issued.Name { return e.rolls.Active(n) }

// above is the organisation directly above another, or issued.AnchorHolder.
func (e *Engine) above(holder string) string { return e.snapshot(time.Time{}).Above(holder) }

func (e *Engine) registryOf(holder string) string { return e.ledger.Registry(holder) }

func (e *Engine) ledgerKind(holder string) holdings.Kind {
	o, _ := e.ledger.Organisation(holder)
	return o.Kind
}

// touch has the engine plan for an organisation. If some parent elsewhere has a class for us, it does so for all below it, too: the same
// resources may now rest on other sources.
func (e *Engine) touch(holder string) {
	e.agenda.Touch(holder)
	if e.peers.HasSources() {
		for _, child := range e.ledger.Children(holder) {
			e.touch(child)
		}
	}
}
