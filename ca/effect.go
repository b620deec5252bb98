package ca

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/roa"
)

// Effect is what a decision would do, or did: it is what --dry-run prints and what the brake looks at.
type Effect struct {
	Decision uint64 `json:"decision,omitempty"` // its number once it is taken; 0 in a dry run or when nothing changes
	DryRun   bool   `json:"dry_run"`

	Delegations  Delta `json:"delegations"`  // new, gone, changed hands
	Holders      Delta `json:"holders"`      // with resources for the first time, with none left, with other ones
	Certificates Delta `json:"certificates"` // new, revoked, replaced

	Gained  []roa.VRP `json:"vrps_gained"`
	Lost    []roa.VRP `json:"vrps_lost"`
	Largest []Loss    `json:"largest_losses"` // at most ten

	Overclaims []Overclaim `json:"overclaims,omitempty"` // of delegated CAs

	Duplicates int      `json:"duplicates,omitempty"` // intents that were there already
	Left       []string `json:"left,omitempty"`       // intents that were passed over, and why
	Warnings   []string `json:"warnings,omitempty"`

	Held string `json:"held,omitempty"` // why the brake holds it
	Code string `json:"code,omitempty"` // what lets it pass
}

// Delta counts what came, went and changed.
type Delta struct {
	New     int `json:"new"`
	Gone    int `json:"gone"`
	Changed int `json:"changed"`
}

// Loss is what one holder loses.
type Loss struct {
	Holder    string  `json:"holder"`
	Name      string  `json:"name,omitempty"`
	VRPs      int     `json:"vrps"`
	Resources inr.Set `json:"resources"`
}

// effectOf computes what a decision does to holders, certificates and VRPs. The engine's mu is held.
func (e *Engine) effectOf(o *holdings.Outcome, intents *roa.Outcome, consent Consent) *Effect {
	f := &Effect{Delegations: Delta{New: o.Counts.New, Gone: o.Counts.Gone, Changed: o.Counts.Moved}, Duplicates: intents.Duplicates}
	for _, left := range intents.Left {
		f.Left = append(f.Left, fmt.Sprintf("line %d: %s", left.Row.Line, left.Reason))
	}
	for _, w := range intents.Warnings {
		f.Warnings = append(f.Warnings, w.Text)
	}
	var before, after, atStake []roa.VRP
	changed := intents.ByHolder()
	for holder, now := range o.After {
		was := o.Before[holder]
		switch {
		case was.Equal(now):
			continue
		case was.Empty():
			f.Holders.New++
		case now.Empty():
			f.Holders.Gone++
		default:
			f.Holders.Changed++
		}
		had, has := e.book.VRPs(holder, was), roa.AllAuthorised(e.book.With(holder, changed[holder]), now)
		delete(changed, holder)
		before, after = append(before, had...), append(after, has...)
		if gone := was.Minus(now); !gone.Empty() {
			atStake = append(atStake, had...)
			f.Largest = append(f.Largest, Loss{holder, e.nameOf(holder), len(without(had, has)), gone})
		}
	}
	for holder, of := range changed {
		holding := e.ledger.Holding(holder)
		if now, touched := o.After[holder]; touched {
			holding = now
		}
		had, has := roa.AllAuthorised(of.Removed, holding), roa.AllAuthorised(of.Added, holding)
		before, after, atStake = append(before, had...), append(after, has...), append(atStake, had...)
	}
	f.Certificates, f.Overclaims = f.Holders, e.overclaims(o)
	f.Gained, f.Lost = without(after, before), without(before, after)
	slices.SortFunc(f.Largest, func(a, b Loss) int {
		av4, av6, _ := a.Resources.Addresses()
		bv4, bv6, _ := b.Resources.Addresses()
		return cmp.Or(cmp.Compare(b.VRPs, a.VRPs), cmp.Compare(bv4, av4), cmp.Compare(bv6, av6), cmp.Compare(a.Holder, b.Holder))
	})
	if !consent.Unbraked { // to weigh a loss, all that there is has to be counted
		e.brake(f, o.Digest, len(without(atStake, after)))
	}
	f.Largest = f.Largest[:min(10, len(f.Largest))]
	return f
}

func (e *Engine) nameOf(holder string) string {
	o, _ := e.ledger.Organisation(holder)
	return o.Name
}

// without is the VRPs of a that are not in b, sorted, each once.
func without(a, b []roa.VRP) []roa.VRP {
	in := make(map[roa.VRP]bool, len(b))
	for _, v := range b {
		in[v] = true
	}
	out := []roa.VRP{}
	for _, v := range a {
		if !in[v] {
			in[v] = true
			out = append(out, v)
		}
	}
	slices.SortFunc(out, roa.VRP.Compare)
	return out
}

// Brake says why the brake would hold that VRPs of a holder's, and of those above it, are lost, and the code that lets it pass;
// nothing where it would not.
func (e *Engine) Brake(holder string, lost []roa.VRP) (why, code string) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.spares(holder, len(lost)) {
		return "", ""
	}
	f := &Effect{Lost: lost, Largest: []Loss{{Holder: holder, VRPs: len(lost)}}}
	e.brake(f, sha256.Sum256([]byte(holder)), len(lost))
	return f.Held, f.Code
}

// spares tells whether the brake does not hold so many VRPs of a holder in any case. They are few, and the holder's registry is soon
// seen to have more than twice as many: what all there is amounts to is not counted for that. The engine's mu is held.
func (e *Engine) spares(holder string, lost int) bool {
	if lost == 0 || lost > fewVRPs {
		return lost == 0
	}
	registry, seen := e.registryOf(holder), 0
	for other := range e.book.Everyone() {
		if seen > 2*lost {
			break
		}
		if e.registryOf(other) == registry {
			seen += len(e.book.VRPs(other, e.ledger.Holding(other)))
		}
	}
	return seen > 2*lost
}

// brake holds what would take away more than its share of all there is, or of what is in one registry, so that no file
// alone can empty a small one either. It derives the code that lets it pass from what would be taken away: another plan
// has another code. Of VRPs, those count that rested on what is taken away and that nobody authorises any more: a parted
// prefix that is whole again loses its parts, and no harm is done. The engine's mu is held.
func (e *Engine) brake(f *Effect, digest [sha256.Size]byte, vrps int) {
	if len(f.Largest)+vrps == 0 {
		return
	}
	lost := tallies{}
	for _, loss := range f.Largest {
		lost.add(e, loss.Holder, loss.Resources, loss.VRPs)
	}
	lost.of("").vrps = uint64(vrps)
	had := e.totals()
	for _, registry := range slices.Sorted(maps.Keys(lost)) {
		was := had.of(registry).shares()
		for i, share := range lost.of(registry).shares() {
			if !e.policy.tooMuch(share.n, was[i].n, share.few) {
				continue
			}
			of := ""
			if registry != "" {
				of = " of " + registry
			}
			f.Held = fmt.Sprintf("it would take away %d of %d %s%s, and more than %.3g %% at once needs the operator's code", share.n, was[i].n, share.what, of, e.policy.Brake*100)
			f.Code = brakeCode(digest, f.Lost)
			return
		}
	}
}

// tally is how much there is of what can be lost.
type tally struct {
	holders, vrps uint64
	resources     []inr.Set
}

// tallies are by registry, with all of them under the empty name.
type tallies map[string]*tally

func (t tallies) of(registry string) *tally {
	if t[registry] == nil {
		t[registry] = &tally{}
	}
	return t[registry]
}

// add counts resources of a holder, the holder itself if these are all that it has, and VRPs that rest on them. What a
// registry has is its holders'.
func (t tallies) add(e *Engine, holder string, resources inr.Set, vrps int) {
	for _, name := range []string{"", e.registryOf(holder)} {
		in := t.of(name)
		in.vrps += uint64(vrps)
		if e.ledgerKind(holder).IsRegistry() {
			continue
		}
		in.resources = append(in.resources, resources)
		if resources.Contains(e.ledger.Holding(holder)) {
			in.holders++
		}
	}
}

// share is an amount of something, of which a few may always go while they are less than half.
type share struct {
	what   string
	n, few uint64
}

// fewVRPs may always go while they are less than half.
const fewVRPs = 10

func (t *tally) shares() []share {
	v4, v6, asns := inr.Sum(t.resources...).Addresses()
	return []share{
		{"VRPs", t.vrps, fewVRPs}, {"holders", t.holders, 10},
		{"IPv4 addresses", v4, 4096}, {"IPv6 /48 networks", v6, 1 << 16}, {"AS numbers", asns, 10},
	}
}

// totals is what there is that could be lost.
func (e *Engine) totals() tallies {
	all := tallies{}
	for _, holder := range e.ledger.Organisations() {
		if holding := e.ledger.Holding(holder); !holding.Empty() {
			all.add(e, holder, holding, len(e.book.VRPs(holder, holding)))
		}
	}
	return all
}

func (p *Policy) tooMuch(lost, total, few uint64) bool {
	if lost == 0 || float64(lost) <= p.Brake*float64(total) {
		return false
	}
	return lost > few || 2*lost >= total
}

func brakeCode(digest [sha256.Size]byte, lost []roa.VRP) string {
	h := sha256.New()
	h.Write(digest[:])
	for _, v := range lost {
		h.Write([]byte(v.String() + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil)[:4])
}
