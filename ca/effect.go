package ca

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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

// effectOfIntents computes what a change of intents does. The engine's mu is held.
func (e *Engine) effectOfIntents(o *roa.Outcome) *Effect {
	f := &Effect{Duplicates: o.Duplicates}
	for _, left := range o.Left {
		f.Left = append(f.Left, fmt.Sprintf("line %d: %s", left.Row.Line, left.Reason))
	}
	for _, w := range o.Warnings {
		f.Warnings = append(f.Warnings, w.Text)
	}
	var gained, lost []roa.VRP
	for _, in := range o.Added {
		vrps, _ := roa.Authorised(in, e.ledger.Holding(in.Holder))
		gained = append(gained, vrps...)
	}
	for _, in := range o.Removed {
		vrps, _ := roa.Authorised(in, e.ledger.Holding(in.Holder))
		lost = append(lost, vrps...)
	}
	f.Gained, f.Lost = without(gained, nil), without(lost, gained)
	e.brake(f, sha256.Sum256([]byte("intents")))
	return f
}

// Loss is what one holder loses.
type Loss struct {
	Holder    string  `json:"holder"`
	Name      string  `json:"name,omitempty"`
	VRPs      int     `json:"vrps"`
	Resources inr.Set `json:"resources"`
}

// effectOf computes what an outcome of the ledger does to holders, certificates and VRPs. The engine's mu is held.
func (e *Engine) effectOf(o *holdings.Outcome) *Effect {
	f := &Effect{Delegations: Delta{New: o.Counts.New, Gone: o.Counts.Gone, Changed: o.Counts.Moved}}
	var before, after []roa.VRP
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
		had, has := e.book.VRPs(holder, was), e.book.VRPs(holder, now)
		before, after = append(before, had...), append(after, has...)
		if gone := was.Minus(now); !gone.Empty() {
			f.Largest = append(f.Largest, Loss{holder, e.nameOf(holder), len(without(had, has)), gone})
		}
	}
	f.Certificates = f.Holders
	f.Gained, f.Lost = without(after, before), without(before, after)
	slices.SortFunc(f.Largest, func(a, b Loss) int {
		av4, av6, _ := a.Resources.Addresses()
		bv4, bv6, _ := b.Resources.Addresses()
		return cmp.Or(cmp.Compare(b.VRPs, a.VRPs), cmp.Compare(bv4, av4), cmp.Compare(bv6, av6), cmp.Compare(a.Holder, b.Holder))
	})
	e.brake(f, o.Digest)
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

// brake holds what would take away more than its share, and derives the code that lets it pass from what it would take
// away: another plan has another code. The engine's mu is held.
func (e *Engine) brake(f *Effect, digest [sha256.Size]byte) {
	var lost []inr.Set
	for _, loss := range f.Largest {
		if !e.ledgerKind(loss.Holder).IsRegistry() {
			lost = append(lost, loss.Resources)
		}
	}
	if len(lost)+len(f.Lost) == 0 {
		return
	}
	holders, vrps, held := e.totals()
	had4, had6, _ := held.Addresses()
	lost4, lost6, _ := inr.Sum(lost...).Addresses()
	for _, share := range []struct {
		what        string
		lost, total uint64
		few         uint64 // this many may always go, while they are less than half
	}{
		{"VRPs", uint64(len(f.Lost)), vrps, 10},
		{"holders", uint64(f.Holders.Gone), holders, 10},
		{"IPv4 addresses", lost4, had4, 4096},
		{"IPv6 /48 networks", lost6, had6, 1 << 16},
	} {
		if e.policy.tooMuch(share.lost, share.total, share.few) {
			f.Held = fmt.Sprintf("it would take away %d of %d %s, and more than %.3g %% at once needs the operator's code", share.lost, share.total, share.what, e.policy.Brake*100)
			f.Code = brakeCode(digest, f.Lost)
			return
		}
	}
}

// totals is what there is that could be lost: how many holders, how many VRPs, which resources.
func (e *Engine) totals() (holders, vrps uint64, held inr.Set) {
	var parts []inr.Set
	for _, holder := range e.ledger.Organisations() {
		if e.ledgerKind(holder).IsRegistry() {
			continue
		}
		if holding := e.ledger.Holding(holder); !holding.Empty() {
			holders++
			vrps += uint64(len(e.book.VRPs(holder, holding)))
			parts = append(parts, holding)
		}
	}
	return holders, vrps, inr.Sum(parts...)
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
