package holdings_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/principal"
)

// flight is what each organisation has of what is in transfers that are not over.
func (h *history) flight() map[string]inr.Set {
	var sets []inr.Set
	for _, t := range h.ledger.Unrest() {
		if !t.State.Over() && !t.Asserted() {
			sets = append(sets, t.Resources)
		}
	}
	all, flight := inr.Sum(sets...), map[string]inr.Set{}
	for _, handle := range h.ledger.Organisations() {
		flight[handle] = h.ledger.Holding(handle).Intersect(all)
	}
	return flight
}

// initiate begins a transfer between chance sides, here or elsewhere, to a recipient that is there or to a new one.
func (h *history) initiate(t *rapid.T) {
	h.T = t
	want := holdings.Transfer{Kind: rapid.SampledFrom(holdings.TransferKinds).Draw(t, "kind"), Resources: h.some("resources")}
	var recipient holdings.Organisation
	if holders := h.withHoldings(); len(holders) > 0 && rapid.IntRange(0, 5).Draw(t, "from here") > 0 {
		want.From = rapid.SampledFrom(holders).Draw(t, "from")
		if part := h.ledger.Holding(want.From).Intersect(want.Resources); !part.Empty() {
			want.Resources = part
		} else {
			want.Resources = h.ledger.Holding(want.From)
		}
	} else {
		want.Peer, want.Elsewhere, want.FromRegistry = "peer", "acme", "ripe"
	}
	switch rapid.IntRange(0, 3).Draw(t, "to") {
	case 0:
		want.To = fmt.Sprintf("new%d", h.ledger.LastDecision())
		recipient.Parent = rapid.SampledFrom([]string{"afrinic", "lacnic", "nic.br", "isp", "other", "shop"}).Draw(t, "below")
		recipient.Kind = rapid.SampledFrom([]holdings.Kind{"", holdings.LIR, holdings.EndUser}).Draw(t, "new kind")
	case 1:
		want.Peer, want.Elsewhere, want.ToRegistry = "peer", "acme", "ripe"
	default:
		want.To = rapid.SampledFrom(h.ledger.Organisations()).Draw(t, "to whom")
	}
	o, err := h.ledger.Initiate(h.by(), want, recipient)
	h.commit(o, err, h.expected())
}

func (h *history) withHoldings() []string {
	return slices.DeleteFunc(h.ledger.Organisations(), func(handle string) bool {
		o, _ := h.ledger.Organisation(handle)
		return h.ledger.Holding(handle).Empty() || o.Kind.IsRegistry()
	})
}

// one draws a transfer in one of some states; nil where there is none.
func (h *history) one(states ...holdings.TransferState) *holdings.Transfer {
	list := slices.DeleteFunc(slices.Clone(h.ledger.Transfers()), func(t *holdings.Transfer) bool { return !slices.Contains(states, t.State) })
	if len(list) == 0 {
		return nil
	}
	return list[rapid.IntRange(0, len(list)-1).Draw(h.T, "transfer")]
}

// approve: what is agreed to is in no other transfer that was.
func (h *history) approve(t *rapid.T) {
	h.T = t
	if moves := h.one(holdings.Initiated); moves != nil && moves.When(holdings.StepApproved).IsZero() {
		o, err := h.ledger.Approve(h.by(), moves.ID, nil, "")
		h.commit(o, err, h.expected())
	}
}

// disown: whatever came from an installation goes, once and for all, and what is under way with it is cancelled.
func (h *history) disown(t *rapid.T) {
	h.T = t
	if rapid.IntRange(0, 9).Draw(t, "distrust") > 0 {
		return
	}
	o, err := h.ledger.Disown(h.by(), "peer", "")
	if err != nil {
		t.Fatal(err)
	}
	h.commit(o, nil, nil)
	for _, moves := range h.ledger.Transfers() {
		if moves.Peer != "" && !moves.State.Over() {
			t.Fatalf("transfer %d with the installation is %s", moves.ID, moves.State)
		}
		if !moves.Incoming() {
			continue
		}
		for _, handle := range h.ledger.Organisations() {
			for _, d := range h.ledger.Delegations(handle) {
				if d.Transfer == moves.ID {
					t.Fatalf("%s has %s, which came with transfer %d", handle, d.Resources, moves.ID)
				}
			}
		}
	}
	if again, err := h.ledger.Disown(h.by(), "peer", ""); err != nil || !again.Empty() {
		t.Fatal("there is something to disown still:", err)
	}
}

// above is an organisation and those above it, up to the root.
func (h *history) above(handle string) []string {
	list := []string{handle}
	for o, _ := h.ledger.Organisation(handle); o.Parent != ""; o, _ = h.ledger.Organisation(o.Parent) {
		list = append(list, o.Parent)
	}
	return list
}

// below is an organisation and all below it.
func (h *history) below(handle string) []string {
	list := []string{handle}
	for _, child := range h.ledger.Children(handle) {
		list = append(list, h.below(child)...)
	}
	return list
}

// accept: what moves comes to those above the recipient that do not stand above the donor too, to the recipient, and to
// those who follow; nobody loses anything.
func (h *history) accept(t *rapid.T) {
	h.T = t
	moves := h.one(holdings.Initiated)
	if moves == nil {
		return
	}
	want, before := h.expected(), h.expected()
	o, err := h.ledger.Accept(h.by(), moves.ID, "")
	if err != nil {
		held := moves.From == "" || h.ledger.Holding(moves.From).Contains(moves.Resources)
		here := moves.From != "" || h.ledger.PartHolders(moves.Resources) == nil
		taken := slices.ContainsFunc(h.ledger.Unrest(), func(o *holdings.Transfer) bool { // by one that was agreed to since
			return moves.Asserted() && o.ID != moves.ID && !o.State.Over() && !o.Asserted() && o.Resources.Overlaps(moves.Resources)
		})
		if held && here && !taken {
			t.Fatalf("transfer %d of what %s holds can't be accepted: %v", moves.ID, moves.Source(), err)
		}
		h.commit(o, err, want)
		return
	}
	if moves.To != "" {
		top := moves.To
		if _, there := h.ledger.Organisation(moves.To); !there {
			top = moves.Legs[0].New.Parent
			want[moves.To] = moves.Resources
		}
		both := []string{h.ledger.Root()}
		if moves.From != "" {
			both = h.above(moves.From)
		}
		for _, handle := range h.above(top) {
			if !slices.Contains(both, handle) {
				want[handle] = want[handle].Union(moves.Resources)
			}
		}
		for _, leg := range o.Transfers[0].Legs[1:] {
			want[leg.To] = want[leg.To].Union(leg.Resources)
		}
	}
	h.commit(o, nil, want)
	for handle, was := range before {
		if !h.ledger.Holding(handle).Contains(was) {
			t.Fatalf("%s lost something when transfer %d was accepted", handle, moves.ID)
		}
	}
	if moves.From != "" && moves.To != "" {
		h.followed(moves)
	}
}

// followed: below the recipient what moves is as it is below the donor.
func (h *history) followed(moves *holdings.Transfer) {
	shape := func(handle string) []string {
		var list []string
		for _, b := range h.below(handle) {
			for _, d := range h.ledger.Delegations(b) {
				if in := d.Resources.Intersect(moves.Resources); !in.Empty() {
					list = append(list, fmt.Sprint(h.ledger.Depth(b)-h.ledger.Depth(handle), d.Status, in, d.Until))
				}
			}
		}
		slices.Sort(list)
		return list
	}
	if from, to := shape(moves.From), shape(moves.To); !slices.Equal(from, to) {
		h.Fatalf("transfer %d: the donor's is %v and the recipient's %v", moves.ID, from, to)
	}
}

// finalise: the donor, all below it, and those above it that do not stand above the recipient too, have it no more.
func (h *history) finalise(t *rapid.T) {
	h.T = t
	moves := h.one(holdings.Accepted)
	if moves == nil {
		return
	}
	want := h.expected()
	if moves.From != "" {
		both := []string{h.ledger.Root()}
		if moves.To != "" {
			both = h.above(moves.To)
		}
		lose := map[string]bool{}
		for _, handle := range append(h.above(moves.From), h.below(moves.From)...) {
			if !slices.Contains(both, handle) {
				lose[handle] = true
			}
		}
		for _, handle := range slices.Sorted(maps.Keys(lose)) {
			want[handle] = want[handle].Minus(moves.Resources)
		}
	}
	o, err := h.ledger.Finalise(h.by(), moves.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	h.commit(o, nil, want)
}

// cancel: everybody has what there was before the acceptance.
func (h *history) cancel(t *rapid.T) {
	h.T = t
	moves := h.one(holdings.Initiated, holdings.Accepted)
	if moves == nil {
		return
	}
	want := h.expected()
	if moves.State == holdings.Accepted && moves.To != "" {
		both := []string{h.ledger.Root()}
		if moves.From != "" {
			both = h.above(moves.From)
		}
		for _, handle := range append(h.above(moves.To), h.below(moves.To)...) {
			if !slices.Contains(both, handle) {
				want[handle] = want[handle].Minus(moves.Resources)
			}
		}
	}
	o, err := h.ledger.Cancel(h.by(), moves.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	h.commit(o, nil, want)
}

// release says of one that is over that the side that lost has nothing certified any more.
func (h *history) release(t *rapid.T) {
	h.T = t
	moves := h.one(holdings.Finalised, holdings.Cancelled)
	if moves == nil || moves.Done() {
		return
	}
	o, err := h.ledger.Release(h.by(), []uint64{moves.ID})
	if err != nil {
		t.Fatal(err)
	}
	h.commit(o, nil, h.expected())
}

// rule sets a chance policy, which may refuse what begins from then on, and nothing else.
func (h *history) rule(t *rapid.T) {
	h.T = t
	p := holdings.DefaultPolicy(rapid.SampledFrom([]string{"afrinic", "lacnic", "nic.br"}).Draw(t, "registry"),
		rapid.SampledFrom([]holdings.Profile{holdings.Restricted, holdings.OnMarket, holdings.OnMarket, holdings.Portable}).Draw(t, "profile"))
	if rapid.IntRange(0, 3).Draw(t, "closed") == 0 {
		p.Exchanges = []holdings.Exchange{{With: "afrinic", Out: []holdings.ResourceKind{holdings.IPv4}, In: holdings.ResourceKinds}}
	}
	o, err := h.ledger.SetPolicy(h.by(), p)
	if err != nil {
		t.Fatal(err)
	}
	h.commit(o, nil, h.expected())
}

// TestRandomTransfers begins with a tree in which there is much to move, where a random history seldom comes to by itself.
func TestRandomTransfers(t *testing.T) {
	tree, err := holdings.ParseTree([]byte(chain))
	if err != nil {
		t.Fatal(err)
	}
	tree = append(tree,
		holdings.Organisation{Handle: "afrinic/a1", Parent: "afrinic", Kind: holdings.LIR},
		holdings.Organisation{Handle: "afrinic/a2", Parent: "afrinic", Kind: holdings.LIR},
		holdings.Organisation{Handle: "nic.br/b1", Parent: "nic.br", Kind: holdings.LIR},
		holdings.Organisation{Handle: "lacnic/7", Parent: "lacnic", Kind: holdings.EndUser},
	)
	rapid.Check(t, func(t *rapid.T) {
		h := &history{T: t, stored: memory{}, now: noon}
		if err := holdings.Create(h.stored, tree, principal.Principal{Name: "tester"}, noon); err != nil {
			t.Fatal(err)
		}
		if h.ledger, err = holdings.Load(h.stored); err != nil {
			t.Fatal(err)
		}
		for _, d := range []struct {
			to, resources string
			status        holdings.Status
			days          int
		}{
			{"afrinic", "41.0.0.0/19, AS37000-AS37015", holdings.Allocated, 0},
			{"lacnic", "41.0.32.0/19", holdings.Allocated, 0},
			{"nic.br", "41.0.32.0/20", holdings.Allocated, 0},
			{"nic.br/b1", "41.0.32.0/22", holdings.Allocated, 9},
			{"lacnic/7", "41.0.48.0/22", holdings.Assigned, 0},
			{"isp", "41.0.0.0/20, AS37000-AS37003", holdings.Allocated, 0},
			{"reseller", "41.0.0.0/21, AS37000", holdings.Allocated, 5},
			{"shop", "41.0.0.0/22", holdings.Assigned, 3},
			{"other", "41.0.16.0/20", holdings.Allocated, 0},
		} {
			want := holdings.Delegation{To: d.to, Resources: set(t, d.resources), Status: d.status, Ground: "contract"}
			if d.days > 0 {
				want.Until = noon.Add(time.Duration(d.days) * 24 * time.Hour)
			}
			o, err := h.ledger.Delegate(h.by(), want)
			if err != nil {
				t.Fatal(err)
			}
			h.commit(o, nil, nil)
		}
		t.Repeat(map[string]func(*rapid.T){
			"initiate": h.initiate, "initiate too": h.initiate, "initiate also": h.initiate, "accept": h.accept, "accept too": h.accept,
			"finalise": h.finalise, "cancel": h.cancel, "release": h.release, "rule": h.rule, "approve": h.approve, "disown": h.disown,
			"delegate": h.delegate, "take": h.take, "expire": h.expire, "import": h.imports, "": h.check,
		})
	})
}
