package ca

import (
	"time"

	"cadastre/ca/issued"
)

// offline tells whether nothing can be signed with an authority's key.
func (e *Engine) offline(name issued.Name) bool { return name == issued.Anchor && e.anchor == nil }

// agendaView is the engine as package agenda sees it. Who uses it holds the engine's mu.
type agendaView struct{ e *Engine }

func (v agendaView) Above(holder string) string      { return v.e.above(holder) }
func (v agendaView) Children(holder string) []string { return v.e.ledger.Children(holder) }

func (v agendaView) Shrinks(holder string) bool {
	for _, name := range v.e.issued.Of(holder) {
		if a := v.e.issued.Authority(name); a != nil && !v.e.ledger.Via(holder, name.Source).Contains(a.Certified) {
			return true
		}
	}
	return false
}

func (v agendaView) Due(now time.Time, waits func(holder string) bool) (holders []string, next time.Time) {
	return v.e.issued.Due(now, func(name issued.Name) bool { return !v.e.offline(name) }, waits)
}

func (v agendaView) Manifests(holder string) (at []time.Time) {
	for _, name := range v.e.issued.Of(holder) {
		if own := v.e.issued.Authority(name); own != nil {
			at = append(at, v.e.policy.ManifestDue(own))
		}
	}
	return at
}
