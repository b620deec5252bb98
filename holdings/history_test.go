package holdings_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/principal"
)

// history is a ledger that random decisions are made on, and what it says checked by other means.
type history struct {
	*rapid.T
	stored memory
	ledger *holdings.Ledger
	now    time.Time
	day    int
}

var people = []string{"afrinic", "lacnic", "nic.br", "isp", "reseller", "shop", "other", "afrinic/a1", "afrinic/a2", "nic.br/b1"}

// some draws resources of a universe of 64 networks and 16 AS numbers.
func (h *history) some(label string) inr.Set {
	first := rapid.IntRange(0, 63).Draw(h.T, label+" first")
	last := min(63, first+rapid.IntRange(0, 20).Draw(h.T, label+" width"))
	s, err := inr.Parse(fmt.Sprintf("41.0.%d.0-41.0.%d.255", first, last))
	if err != nil {
		h.Fatal(err)
	}
	if rapid.Bool().Draw(h.T, label+" as") {
		as := uint32(37000 + first%16)
		s = s.Union(inr.OfAS(as, as+3))
	}
	return s
}

func (h *history) by() holdings.By {
	return holdings.By{Who: principal.Principal{Name: "history"}, Reason: "chance", Time: h.now}
}

// commit checks the outcome against want, the holdings that must follow, and makes it so.
func (h *history) commit(o *holdings.Outcome, err error, want map[string]inr.Set) {
	if err != nil {
		if fault.KindOf(err) == fault.Internal {
			h.Fatalf("the error has no kind: %v", err)
		}
		return
	}
	before := map[string]inr.Set{}
	for _, p := range h.ledger.Organisations() {
		before[p] = h.ledger.Holding(p)
	}
	if err := o.Write(h.stored); err != nil {
		h.Fatal(err)
	}
	h.ledger.Apply(o)
	for _, p := range h.ledger.Organisations() {
		now := h.ledger.Holding(p)
		if !slices.ContainsFunc(o.Organisations, func(org holdings.Organisation) bool { return org.Handle == p }) || !before[p].Empty() {
			if _, touched := o.Before[p]; touched && !o.Before[p].Equal(before[p]) {
				h.Fatalf("before, %s held %s and not %s", p, before[p], o.Before[p])
			}
		}
		if after, touched := o.After[p]; touched && !after.Equal(now) || !touched && !before[p].Equal(now) {
			h.Fatalf("after, %s holds %s and not %s", p, now, after)
		}
		if w, said := want[p]; said && !w.Equal(now) {
			h.Fatalf("%s holds %s, want %s", p, now, w)
		}
	}
}

// expected is what all hold now, as a place to change.
func (h *history) expected() map[string]inr.Set {
	want := map[string]inr.Set{}
	for _, p := range h.ledger.Organisations() {
		want[p] = h.ledger.Holding(p)
	}
	return want
}

func (h *history) delegate(t *rapid.T) {
	h.T = t
	to, s := rapid.SampledFrom(people).Draw(t, "to"), h.some("resources")
	d := holdings.Delegation{To: to, Resources: s, Status: holdings.Allocated, Ground: "chance"}
	if rapid.IntRange(0, 3).Draw(t, "status") == 0 {
		d.Status = holdings.Assigned
	}
	if days := rapid.IntRange(-3, 6).Draw(t, "days"); days > 0 {
		d.Until = h.now.AddDate(0, 0, days)
	}
	want := h.expected()
	want[to] = want[to].Union(s)
	o, err := h.ledger.Delegate(h.by(), d)
	if err == nil && h.ledger.InTransfer(s) != nil {
		t.Fatalf("%s was delegated, which is in a transfer", s)
	}
	h.commit(o, err, want)
}

// take returns or revokes: the organisation and all below it are left with what was not taken, and no one else is touched.
func (h *history) take(t *rapid.T) {
	h.T = t
	from, s := rapid.SampledFrom(people).Draw(t, "from"), h.some("resources")
	s = s.Intersect(h.ledger.Holding(from))
	want := h.expected()
	var less func(handle string)
	less = func(handle string) {
		want[handle] = want[handle].Minus(s)
		for _, child := range h.ledger.Children(handle) {
			less(child)
		}
	}
	less(from)
	if s.Empty() {
		return
	}
	o, err := h.ledger.Return(h.by(), from, s)
	if h.ledger.InTransfer(s) != nil {
		if fault.KindOf(err) != fault.Conflict {
			t.Fatalf("%s gave %s back, which is in a transfer: %v", from, s, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	h.commit(o, nil, want)
}

// expire ends what is due; what that leaves is computed from the top down.
func (h *history) expire(t *rapid.T) {
	h.T = t
	h.now = h.now.AddDate(0, 0, rapid.IntRange(0, 3).Draw(t, "days"))
	want := map[string]inr.Set{}
	var below func(handle string, ground inr.Set)
	below = func(handle string, ground inr.Set) {
		for _, child := range h.ledger.Children(handle) {
			var held, allocated inr.Set
			for _, d := range h.ledger.Delegations(child) {
				if d.Until.IsZero() || d.Until.After(h.now) || h.ledger.InTransfer(d.Resources) != nil {
					held = held.Union(d.Resources.Intersect(ground))
					if d.Status == holdings.Allocated {
						allocated = allocated.Union(d.Resources.Intersect(ground))
					}
				}
			}
			want[child] = held
			below(child, allocated)
		}
	}
	below(h.ledger.Root(), inr.Everything())
	o, err := h.ledger.Expire(h.by())
	if err != nil {
		t.Fatal(err)
	}
	h.commit(o, nil, want)
	if next := h.ledger.NextExpiry(); !next.IsZero() && !next.After(h.now) {
		t.Fatalf("something is still due at %v", next)
	}
}

// take a file of AFRINIC made of random records; its holders hold what it says and no more.
func (h *history) imports(t *rapid.T) {
	h.T = t
	var records []string
	want := map[string]inr.Set{"afrinic/a1": {}, "afrinic/a2": {}}
	for n := rapid.IntRange(0, 3).Draw(t, "gap"); n < 64; n += rapid.IntRange(0, 9).Draw(t, "gap") {
		width := min(64-n, rapid.IntRange(1, 12).Draw(t, "width"))
		status := rapid.SampledFrom([]string{"allocated", "assigned", "available"}).Draw(t, "status")
		id := rapid.SampledFrom([]string{"A1", "A2"}).Draw(t, "id")
		records = append(records, fmt.Sprintf("ZA|ipv4|41.0.%d.0|%d|2020010%d|%s|%s", n, width*256, 1+n%2, status, id))
		if status != "available" {
			s, _ := inr.Parse(fmt.Sprintf("41.0.%d.0-41.0.%d.255", n, n+width-1))
			handle := map[string]string{"A1": "afrinic/a1", "A2": "afrinic/a2"}[id]
			want[handle] = want[handle].Union(s)
		}
		n += width
	}
	h.day++
	file := read(t, extended("afrinic", 1+h.day%28, records...))
	byHand := map[string]bool{}
	for handle := range want {
		for _, d := range h.ledger.Delegations(handle) {
			byHand[handle] = byHand[handle] || !d.Imported()
		}
	}
	for handle := range byHand {
		if byHand[handle] {
			delete(want, handle)
		}
	}
	if len(h.ledger.Transfers()) > 0 {
		want = nil // the file may be behind, or ahead
	}
	flight := h.flight()
	o, err := h.ledger.Import(h.by(), []*holdings.File{file}, holdings.ImportOptions{Force: true})
	if err == nil {
		for _, d := range o.Imports[0].Disputes { // what the other registry has stays with it
			if !h.ledger.Holding("lacnic").Contains(d.Resources) {
				t.Fatalf("nobody else has what is left out: %s", d)
			}
			if was, said := want[d.To]; said {
				want[d.To] = was.Minus(d.Resources)
			}
		}
	}
	h.commit(o, err, want)
	if err == nil {
		for handle, was := range flight {
			if now := h.flight()[handle]; !now.Equal(was) {
				t.Fatalf("of what is in transfers %s had %s, and has %s after an import", handle, was, now)
			}
		}
		again, err := h.ledger.Import(h.by(), []*holdings.File{file}, holdings.ImportOptions{})
		if err != nil || !again.Empty() {
			t.Fatalf("the same file again is a difference: %v", err)
		}
	}
}

// check is the invariants, after each step.
func (h *history) check(t *rapid.T) {
	sound(t, h.ledger)
	loaded, err := holdings.Load(h.stored)
	if err != nil {
		t.Fatal(err)
	}
	same(t, h.ledger, loaded)
}

func TestRandomHistoriesKeepTheRules(t *testing.T) {
	tree, err := holdings.ParseTree([]byte(chain))
	if err != nil {
		t.Fatal(err)
	}
	tree = append(tree,
		holdings.Organisation{Handle: "afrinic/a1", Parent: "afrinic", Kind: holdings.LIR},
		holdings.Organisation{Handle: "afrinic/a2", Parent: "afrinic", Kind: holdings.LIR},
		holdings.Organisation{Handle: "nic.br/b1", Parent: "nic.br", Kind: holdings.LIR},
	)
	rapid.Check(t, func(t *rapid.T) {
		h := &history{T: t, stored: memory{}, now: noon}
		if err := holdings.Create(h.stored, tree, principal.Principal{Name: "tester"}, noon); err != nil {
			t.Fatal(err)
		}
		if h.ledger, err = holdings.Load(h.stored); err != nil {
			t.Fatal(err)
		}
		t.Repeat(map[string]func(*rapid.T){
			"delegate": h.delegate, "delegate too": h.delegate, "delegate also": h.delegate,
			"initiate": h.initiate, "initiate too": h.initiate, "accept": h.accept, "finalise": h.finalise, "cancel": h.cancel, "release": h.release,
			"take": h.take, "expire": h.expire, "import": h.imports, "": h.check,
		})
	})
}
