package holdings

import (
	"maps"
	"slices"

	"cadastre/internal/inr"
)

// draft is an Outcome in the making, laid over the ledger, which it does not change.
type draft struct {
	ledger  *Ledger
	by      By
	orgs    map[string]Organisation // new or changed
	ended   map[uint64]*Delegation
	started []*Delegation
	got     map[string][]*Delegation // started, by recipient
	touched map[int]map[string]bool  // recipients by depth
	before  map[string]inr.Set
	after   map[string]account
	imports []Mark
	cut     map[uint64]bool // ended because the ground was lost

	steps    map[uint64]string // transfers that take a step in it; the value is the lowest organisation above both sides if both are here
	moved    []*Transfer       // transfers whose records change
	policies []Policy          // those that are set
	removed  []string          // organisations

	redisputed bool // the disputes change
}

// account is what an organisation holds, and the part of it that it may delegate on.
type account struct{ holding, allocated inr.Set }

// clash is a delegation that a draft would start on what another already has.
type clash struct {
	add, with *Delegation
	shared    inr.Set
}

func (l *Ledger) draft(by By) *draft {
	return &draft{
		ledger: l, by: by,
		orgs:    map[string]Organisation{},
		ended:   map[uint64]*Delegation{},
		got:     map[string][]*Delegation{},
		touched: map[int]map[string]bool{},
		before:  map[string]inr.Set{},
		after:   map[string]account{},
		cut:     map[uint64]bool{},
		steps:   map[uint64]string{},
	}
}

func (d *draft) enrol(o Organisation) { d.orgs[o.Handle] = o }

func (d *draft) end(old *Delegation) {
	d.ended[old.ID] = old
	d.touch(old.To)
}

func (d *draft) start(add *Delegation) {
	d.started = append(d.started, add)
	d.got[add.To] = append(d.got[add.To], add)
	d.touch(add.To)
}

// shrink ends a delegation and starts what is left of it, if anything.
func (d *draft) shrink(old *Delegation, rest inr.Set) {
	d.end(old)
	if rest.Empty() {
		return
	}
	add := *old
	add.ID, add.Decision, add.Replaces, add.Resources = 0, 0, old.ID, rest
	d.start(&add)
}

func (d *draft) touch(handle string) {
	depth := d.depth(handle)
	if d.touched[depth] == nil {
		d.touched[depth] = map[string]bool{}
	}
	d.touched[depth][handle] = true
}

func (d *draft) depth(handle string) int {
	if o, changed := d.orgs[handle]; changed && d.ledger.orgs[handle] == nil {
		return d.depth(o.Parent) + 1
	}
	return d.ledger.Depth(handle)
}

// settle carries losses down the tree, from the top. It visits the organisations that were touched, and those below that lose something.
func (d *draft) settle() {
	for depth := 1; len(d.touched) > 0; depth++ {
		for _, handle := range slices.Sorted(maps.Keys(d.touched[depth])) {
			d.settleOne(handle)
		}
		delete(d.touched, depth)
	}
}

func (d *draft) settleOne(handle string) {
	var held, allocated []inr.Set
	add := func(x *Delegation) {
		held = append(held, x.Resources)
		if x.Status == Allocated {
			allocated = append(allocated, x.Resources)
		}
	}
	n := d.ledger.orgs[handle]
	if n != nil {
		for _, x := range n.received {
			if d.ended[x.ID] == nil {
				add(x)
			}
		}
	}
	for _, x := range d.got[handle] {
		add(x)
	}
	now := account{inr.Sum(held...), inr.Sum(allocated...)}
	d.after[handle] = now
	if n == nil {
		d.before[handle] = inr.Set{}
		return
	}
	d.before[handle] = n.holding
	lost := n.allocated.Minus(now.allocated)
	for _, x := range append(n.given.overlapping(lost), n.incoming.overlapping(lost)...) {
		if d.ended[x.ID] == nil {
			d.cut[x.ID] = true
			d.shrink(x, x.Resources.Intersect(now.allocated))
		}
	}
}

// account is what an organisation will have.
func (d *draft) account(handle string) account {
	if a, touched := d.after[handle]; touched {
		return a
	}
	if n := d.ledger.orgs[handle]; n != nil {
		return account{n.holding, n.allocated}
	}
	return account{}
}

// clashes lists the new delegations that overlap one of a sibling, old or new. It is called after settle.
func (d *draft) clashes() []clash {
	var found []clash
	added := map[string]*index{}
	for _, x := range d.started {
		if x.foreign() {
			continue
		}
		var with []*Delegation
		if n := d.ledger.orgs[x.From]; n != nil {
			with = n.incoming.overlapping(x.Resources)
			if !x.Incoming || x.From != d.steps[x.Transfer] { // directly below that organisation both sides of the transfer may overlap
				with = append(with, n.given.overlapping(x.Resources)...)
			}
		}
		if added[x.From] == nil {
			added[x.From] = &index{}
		}
		fresh := added[x.From].overlapping(x.Resources)
		for _, y := range append(with, fresh...) {
			if y.ID != 0 && d.ended[y.ID] != nil {
				continue
			}
			shared := x.Resources.Intersect(y.Resources)
			if y.Incoming && !x.Incoming && y.To != x.To && d.before[x.To].Contains(shared) {
				continue // the donor's side of a transfer keeps what it has, in another delegation
			}
			found = append(found, clash{add: x, with: y, shared: shared})
		}
		if len(fresh) == 0 {
			added[x.From].insert(x)
		}
	}
	return found
}

// exceeds is the first new delegation of resources that the organisation above may not delegate, and these resources.
func (d *draft) exceeds() (*Delegation, inr.Set) {
	for _, x := range d.started {
		if x.foreign() {
			continue // the source outside the tree answers for it
		}
		if missing := x.Resources.Minus(d.account(x.From).allocated); !missing.Empty() {
			return x, missing
		}
	}
	return nil, inr.Set{}
}
