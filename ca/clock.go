package ca

import (
	"time"

	"cadastre/ca/issued"
)

// offline tells whether nothing can be signed with an authority's key.
func (e *Engine) offline(name issued.Name) bool { return name == issued.Anchor && e.anchor == nil }

// due lists the organisations for which something is due now. Next is when something will be due, zero where that is not known. The
// caller holds the engine's mu.
func (e *Engine) due(now time.Time) (holders []string, next time.Time) {
	signs := func(name issued.Name) bool { return !e.offline(name) }
	waits := func(holder string) bool { return e.aside[holder] != nil } // what it waits for is below
	holders, next = e.issued.Due(now, signs, waits)
	note := func(holder string, at time.Time) {
		if !now.Before(at) {
			holders = append(holders, holder)
		} else {
			next = issued.Sooner(next, at)
		}
	}
	for holder, w := range e.aside {
		note(holder, w.until)
		for _, name := range e.issued.Of(holder) {
			if own := e.issued.Authority(name); own != nil {
				note(holder, w.next(e.policy.ManifestDue(own)))
			}
		}
	}
	for holder, off := range e.later {
		if !e.isAside(holder, off.At) {
			note(holder, off.At)
		}
	}
	return holders, next
}
