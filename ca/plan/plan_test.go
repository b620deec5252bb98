package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cadastre/aspa"
	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/payload"
	"cadastre/internal/principal"
	"cadastre/internal/treetest"
	"cadastre/roa"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

const forest = treetest.Forest

// village is a world with the ways to decide something in it.
type village struct {
	rapid.TB
	*world
	stored memory
}

func newVillage(t rapid.TB) *village { return villageOf(t, forest) }

// villageOf is a village of these organisations, with nothing in it.
func villageOf(t rapid.TB, tree string) *village {
	orgs, err := holdings.ParseTree([]byte(tree))
	if err != nil {
		t.Fatal(err)
	}
	stored := memory{}
	if err := holdings.Create(stored, orgs, principal.Principal{Name: "tester"}, noon); err != nil {
		t.Fatal(err)
	}
	ledger, err := holdings.Load(stored)
	if err != nil {
		t.Fatal(err)
	}
	book, err := roa.Load(stored)
	if err != nil {
		t.Fatal(err)
	}
	return &village{t, newWorld(ledger, book, noon), stored}
}

func (v *village) by() holdings.By {
	return holdings.By{Who: principal.Principal{Name: "tester"}, Reason: "a test", Time: v.now}
}

// decide makes a decision, unless the ledger refuses it.
func (v *village) decide(o *holdings.Outcome, err error) error {
	if err == nil && !o.Empty() {
		if err = o.Write(v.stored); err == nil {
			v.Ledger.Apply(o)
		}
	}
	return err
}

func (v *village) want(o *roa.Outcome, err error) error {
	if err == nil && !o.Empty() {
		if err = o.Write(v.stored); err == nil {
			v.book.Apply(o)
		}
	}
	return err
}

func (v *village) must(err error) {
	v.Helper()
	if err != nil {
		v.Fatal(err)
	}
}

func resources(t rapid.TB, text string) inr.Set {
	t.Helper()
	s, err := inr.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (v *village) give(to, what string) {
	v.Helper()
	v.must(v.decide(v.Delegate(v.by(), holdings.Delegation{To: to, Resources: resources(v, what), Status: holdings.Allocated, Ground: "contract"})))
}

func (v *village) take(from, what string) {
	v.Helper()
	v.must(v.decide(v.Revoke(v.by(), from, resources(v, what))))
}

func (v *village) intend(holder, prefix, asn string) {
	v.Helper()
	row, err := roa.ParseRow(prefix, asn)
	v.must(err)
	v.must(v.want(v.book.Add(v.Ledger, []roa.Row{row}, roa.Options{Holder: holder, By: holdings.By{Who: principal.Principal{Name: "tester"}, Time: v.now}})))
}

func (v *village) intendUpTo(holder, prefix string, maxLength int, asn string) {
	v.Helper()
	row, err := roa.ParseRow(prefix, asn, strconv.Itoa(maxLength))
	v.must(err)
	v.must(v.want(v.book.Add(v.Ledger, []roa.Row{row}, roa.Options{Holder: holder, By: holdings.By{Who: principal.Principal{Name: "tester"}, Time: v.now}})))
}

func (v *village) plan() []Wave {
	waves, _ := Make(v.world, &v.policy, v.all(), v.now)
	return waves
}

// settle plans and executes, with batches of about limit keys. A certificate that ends with its issuer's own is renewed by
// the plan that follows on the issuer's, so there is at most a plan for each level of the tree, and some for each key roll.
func (v *village) settle(limit int) {
	v.Helper()
	for range 4 {
		v.must(v.execute(v.plan(), limit))
	}
	for range 12 {
		if v.turn().IsZero() && len(v.plan()) == 0 {
			break
		}
		v.must(v.execute(v.plan(), limit))
	}
	v.must(v.done())
}

// furnished is a village in which two registries, one of them through an NIR, have given all the way down.
func furnished(t rapid.TB) *village {
	v := newVillage(t)
	v.give("afrinic", "41.0.0.0/16, AS37000-AS37099")
	v.give("isp", "41.0.0.0/18, AS37000")
	v.give("shop", "41.0.0.0/20")
	v.give("other", "41.0.64.0/18")
	v.give("lacnic", "177.0.0.0/8")
	v.give("nic.br", "177.0.0.0/12")
	v.give("rede", "177.0.0.0/16")
	v.give("loja", "177.0.0.0/20")
	v.intend("isp", "41.0.0.0/18", "AS37000")
	v.intend("shop", "41.0.0.0/20", "AS37001")
	v.intend("other", "41.0.64.0/18", "AS37002")
	v.intend("rede", "177.0.0.0/16", "AS28000")
	v.intend("loja", "177.0.0.0/24", "AS28001")
	v.must(v.execute(v.plan(), BatchKeys))
	v.must(v.done())
	return v
}

// outline is a plan in words: a line for each wave, with what its updates do.
func outline(waves []Wave) []string {
	var lines []string
	for _, w := range waves {
		var parts []string
		for _, u := range w.Updates {
			said := u.Name.String()
			if u.Create {
				said += " is new"
			}
			for _, c := range u.Certify {
				said += fmt.Sprintf(" certifies %s (%s)", c.Name, c.Resources)
			}
			for _, h := range u.Revoke {
				said += " revokes " + h.String()
			}
			if len(u.Authorise) > 0 {
				said += " authorises " + strings.Join(payload.Texts(u.Authorise), " ")
			}
			if len(u.Withdraw) > 0 {
				said += fmt.Sprintf(" withdraws %d", len(u.Withdraw))
			}
			parts = append(parts, said)
		}
		lines = append(lines, fmt.Sprintf("%s %d: %s", w.Step, w.Depth, strings.Join(parts, "; ")))
	}
	return lines
}

// situations are decisions on a furnished village, each with the plan that must follow.
var situations = []struct {
	name   string
	decide func(v *village)
	plan   []string
}{
	{"nothing", func(*village) {}, nil},
	{"growth goes top-down", func(v *village) {
		v.give("afrinic", "41.1.0.0/16")
		v.give("isp", "41.1.0.0/18")
		v.give("shop", "41.1.0.0/20")
		v.intend("shop", "41.1.0.0/20", "AS37001")
	}, []string{
		"grow 2: iana certifies afrinic (41.0.0.0/15, AS37000-AS37099)",
		"grow 3: afrinic certifies isp (41.0.0.0/18, 41.1.0.0/18, AS37000)",
		"grow 4: isp certifies shop (41.0.0.0/20, 41.1.0.0/20)",
		"authorise 0: shop authorises 41.1.0.0/20,20,AS37001",
	}},
	{"an end takes along what was published, and shrinks bottom-up", func(v *village) { v.take("afrinic", "41.0.0.0/19") }, []string{
		"authorise 0: isp authorises 41.0.32.0/19,19,AS37000 withdraws 1",
		"shrink 4: isp revokes shop",
		"shrink 3: afrinic certifies isp (41.0.32.0/19, AS37000)",
		"shrink 2: iana certifies afrinic (41.0.32.0-41.0.255.255, AS37000-AS37099)",
	}},
	{"what changes hands is had by both in between", func(v *village) {
		v.take("other", "41.0.64.0/19")
		v.give("isp", "41.0.64.0/19")
	}, []string{
		"grow 3: afrinic certifies isp (41.0.0.0-41.0.95.255, AS37000)",
		"authorise 0: other authorises 41.0.96.0/19,19,AS37002 withdraws 1",
		"shrink 3: afrinic certifies other (41.0.96.0/19)",
	}},
	{"one that gains and loses has both in between", func(v *village) {
		v.take("other", "41.0.64.0/19")
		v.give("other", "41.0.192.0/20")
	}, []string{
		"grow 3: afrinic certifies other (41.0.64.0/18, 41.0.192.0/20)",
		"authorise 0: other authorises 41.0.96.0/19,19,AS37002 withdraws 1",
		"shrink 3: afrinic certifies other (41.0.96.0/19, 41.0.192.0/20)",
	}},
	{"a VRP that changes hands is issued before it is withdrawn", func(v *village) {
		v.intend("other", "41.0.64.0/24", "AS37000")
		v.settle(BatchKeys)
		v.take("other", "41.0.64.0/24")
		v.give("isp", "41.0.64.0/24")
		v.intend("isp", "41.0.64.0/24", "AS37000")
		v.take("other", "41.0.65.0/24")
	}, []string{
		"grow 3: afrinic certifies isp (41.0.0.0-41.0.64.255, AS37000)",
		"authorise 0: isp authorises 41.0.64.0/24,24,AS37000; other authorises 41.0.66.0/23,23,AS37002 41.0.68.0/22,22,AS37002 41.0.72.0/21,21,AS37002 41.0.80.0/20,20,AS37002 41.0.96.0/19,19,AS37002 withdraws 1",
		"withdraw 0: other withdraws 1",
		"shrink 3: afrinic certifies other (41.0.66.0-41.0.127.255)",
	}},
	{"a holder that goes takes all below it along", func(v *village) { v.take("rede", "177.0.0.0/16") }, []string{
		"shrink 5: rede revokes loja",
		"shrink 4: nic.br revokes rede",
	}},
	{"new authorities come top-down, their objects with them", func(v *village) {
		v.take("rede", "177.0.0.0/16")
		v.settle(BatchKeys)
		v.give("rede", "177.0.0.0/16")
		v.give("loja", "177.0.0.0/20")
	}, []string{
		"create 4: nic.br certifies rede (177.0.0.0/16); rede is new authorises 177.0.0.0/16,16,AS28000",
		"create 5: loja is new authorises 177.0.0.0/24,24,AS28001; rede certifies loja (177.0.0.0/20)",
	}},
	{"manifests are renewed when they are due", func(v *village) { v.now = v.now.Add(v.policy.ManifestLife - v.policy.ManifestSlack) }, []string{
		"refresh 1: iana", "refresh 2: afrinic; lacnic", "refresh 3: isp; nic.br; other", "refresh 4: rede; shop", "refresh 5: loja",
	}},
	{"ROAs are renewed before they end", func(v *village) {
		v.now = v.now.Add(v.policy.ROA.Life - v.policy.ROA.Lead)
		for _, is := range v.issued {
			is.NextUpdate = v.now.Add(90 * issued.Day)
		}
	}, []string{
		"authorise 0: isp authorises 41.0.0.0/18,18,AS37000 withdraws 1; loja authorises 177.0.0.0/24,24,AS28001 withdraws 1; " +
			"other authorises 41.0.64.0/18,18,AS37002 withdraws 1; rede authorises 177.0.0.0/16,16,AS28000 withdraws 1; shop authorises 41.0.0.0/20,20,AS37001 withdraws 1",
	}},
	{"certificates are renewed before they end", func(v *village) {
		v.now = v.now.Add(v.policy.Holder.Life - v.policy.Holder.Lead)
		for _, is := range v.issued {
			is.NextUpdate = v.now.Add(90 * issued.Day)
			for name, p := range is.Products {
				if _, signed := p.Payload(); signed {
					p.Expires = is.CertExpires
					is.Products[name] = p
				}
			}
		}
	}, []string{
		"renew 2: afrinic certifies isp (41.0.0.0/18, AS37000) certifies other (41.0.64.0/18)",
		"renew 3: nic.br certifies rede (177.0.0.0/16)", // what isp and rede gave ends with their own certificates, and comes next
	}},
}

func TestPlanOfEachSituation(t *testing.T) {
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			v := furnished(t)
			s.decide(v)
			waves := v.plan()
			if got := outline(waves); !slices.Equal(got, s.plan) {
				t.Errorf("the plan is\n\t%s\nand should be\n\t%s", strings.Join(got, "\n\t"), strings.Join(s.plan, "\n\t"))
			}
			if again := v.plan(); !slices.Equal(outline(again), outline(waves)) {
				t.Errorf("the same view gives another plan: %v", outline(again))
			}
			v.settle(1)
		})
	}
}

// history draws decisions and has each few of them planned and executed.
type history struct {
	*village
	people []string
}

func (h *history) some(t *rapid.T) inr.Set {
	block := rapid.SampledFrom([]string{"41.0", "41.1", "177.0"}).Draw(t, "block")
	first := rapid.IntRange(0, 63).Draw(t, "first")
	last := min(63, first+rapid.IntRange(0, 40).Draw(t, "width"))
	return resources(t, fmt.Sprintf("%s.%d.0-%s.%d.255, AS%d-AS%d", block, first, block, last, 37000+first, 37000+last))
}

// delegate gives a chain of organisations, or one of them, some of what is not given yet.
func (h *history) delegate(t *rapid.T) {
	to, s := rapid.SampledFrom(h.people).Draw(t, "to"), h.some(t)
	for depth := range h.Ledger.Depth(to) + 1 {
		up := to
		for range h.Ledger.Depth(to) - depth {
			up = h.above(up)
		}
		if rapid.IntRange(0, 3).Draw(t, "skip") > 0 {
			want := s.Minus(h.Holding(up)).Intersect(h.Free(h.above(up)))
			if up != h.Root() && !want.Empty() {
				_ = h.decide(h.Delegate(h.by(), holdings.Delegation{To: up, Resources: want, Status: holdings.Allocated, Ground: "chance"}))
			}
		}
	}
}

func (h *history) end(t *rapid.T) {
	from := rapid.SampledFrom(h.people).Draw(t, "from")
	if s := h.some(t).Intersect(h.Holding(from)); !s.Empty() {
		h.must(h.decide(h.Return(h.by(), from, s)))
	}
}

// move ends what one has and gives it to a sibling.
func (h *history) move(t *rapid.T) {
	from, to := rapid.SampledFrom(h.people).Draw(t, "from"), rapid.SampledFrom(h.people).Draw(t, "to")
	s := h.some(t).Intersect(h.Holding(from))
	if s.Empty() || from == to || h.above(from) != h.above(to) {
		return
	}
	h.must(h.decide(h.Return(h.by(), from, s)))
	h.must(h.decide(h.Delegate(h.by(), holdings.Delegation{To: to, Resources: s, Status: holdings.Allocated, Ground: "chance"})))
}

func (h *history) intends(t *rapid.T) {
	holder := rapid.SampledFrom(h.people).Draw(t, "holder")
	s := h.some(t).Intersect(h.Holding(holder))
	for _, p := range s.Prefixes() {
		row := roa.Row{Prefix: p, Origin: uint32(37000 + rapid.IntRange(0, 2).Draw(t, "origin")), MaxLength: min(32, p.Bits()+rapid.IntRange(0, 2).Draw(t, "more"))}
		_ = h.want(h.book.Add(h.Ledger, []roa.Row{row}, roa.Options{Holder: holder, By: holdings.By{Who: principal.Principal{Name: "chance"}, Time: h.now}}))
	}
}

// names has providers authorised for a customer AS, or takes its ASPA back.
func (h *history) names(t *rapid.T) {
	holder := rapid.SampledFrom(h.people).Draw(t, "holder")
	held := h.some(t).Intersect(h.Holding(holder)).AS
	if len(held) == 0 {
		return
	}
	row := aspa.Row{VAP: aspa.VAP{Customer: held[0].First, Providers: []uint32{uint32(174 + rapid.IntRange(0, 2).Draw(t, "provider"))}}}
	f := &aspa.File{Add: []aspa.Row{row}}
	if rapid.IntRange(0, 3).Draw(t, "remove") == 0 {
		f = &aspa.File{Remove: []aspa.Row{{VAP: aspa.VAP{Customer: held[0].First}}}}
	}
	r, err := aspa.Resolve(h.book.Objects, h.Ledger, f, aspa.Options{Replace: rapid.Bool().Draw(t, "replace"), By: holdings.By{Who: principal.Principal{Name: "chance"}, Time: h.now}})
	if err == nil { // it may be the holder's below, or not be there
		h.must(h.want(&roa.Outcome{Objects: r.ObjectChange}, nil))
	}
}

func (h *history) relents(t *rapid.T) {
	holder := rapid.SampledFrom(h.people).Draw(t, "holder")
	if all := h.book.Of(holder); len(all) > 0 {
		h.must(h.want(h.book.Remove([]roa.Intent{rapid.SampledFrom(all).Draw(t, "intent")})))
	}
}

// rolls begins a key roll.
func (h *history) rolls(t *rapid.T) {
	h.roll(rapid.SampledFrom(h.Organisations()).Draw(t, "who rolls"), 0)
}

// passes lets time go by, so that some of what is issued is renewed along with the rest.
func (h *history) passes(t *rapid.T) {
	h.now = h.now.Add(time.Duration(rapid.IntRange(1, 200).Draw(t, "days")) * issued.Day)
	h.issued[issued.Anchor].NextUpdate = h.now.Add(90 * issued.Day)
}

func newHistory(t *rapid.T) *history {
	h := &history{village: newVillage(t)}
	h.people = slices.DeleteFunc(h.Organisations(), func(handle string) bool { return handle == h.Root() })
	return h
}

func (h *history) steps() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"delegate": h.delegate, "delegate too": h.delegate, "delegate also": h.delegate, "end": h.end, "move": h.move, "names": h.names, "names too": h.names,
		"intend": h.intends, "intend too": h.intends, "relent": h.relents, "roll": h.rolls, "time": h.passes,
	}
}

func TestPlansKeepEveryChainAndBystander(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		steps := h.steps()
		steps["settle"] = func(t *rapid.T) { h.settle(rapid.IntRange(1, 5).Draw(t, "limit")) }
		steps["settle too"] = steps["settle"]
		steps["turn"] = func(*rapid.T) { h.turn() } // before what was decided is planned, or after
		steps["plan"] = func(t *rapid.T) { h.must(h.execute(h.plan(), rapid.IntRange(1, 5).Draw(t, "limit"))) }
		t.Repeat(steps)
		h.settle(BatchKeys)
	})
}

// TestWrongOrdersAreSeen shows that the checker of the test above sees a plan whose waves come in a wrong order.
func TestWrongOrdersAreSeen(t *testing.T) {
	changes := func(v *village) {
		v.take("isp", "41.0.0.0/19")
		v.give("other", "41.0.0.0/19")
		v.give("nic.br", "177.16.0.0/16")
		v.give("rede", "177.16.0.0/16")
		v.intend("rede", "177.16.0.0/16", "AS28000")
		v.take("loja", "177.0.0.0/21")
		v.take("rede", "177.0.8.0/21")
	}
	first := func(step Step) func(waves []Wave) {
		return func(waves []Wave) {
			slices.SortStableFunc(waves, func(a, b Wave) int {
				switch {
				case a.Step == step && b.Step != step:
					return -1
				case b.Step == step && a.Step != step:
					return 1
				}
				return 0
			})
		}
	}
	within := func(step Step) func(waves []Wave) {
		return func(waves []Wave) {
			i := slices.IndexFunc(waves, func(w Wave) bool { return w.Step == step })
			j := i
			for j < len(waves) && waves[j].Step == step {
				j++
			}
			slices.Reverse(waves[i:j])
		}
	}
	for name, mutate := range map[string]func(waves []Wave){
		"backwards":                   func(waves []Wave) { slices.Reverse(waves) },
		"shrink before withdrawing":   first(Shrink),
		"authorise before growing":    first(Authorise),
		"grow the child first":        within(Grow),
		"shrink the parent first":     within(Shrink),
		"all at once":                 nil,
		"the plan itself is accepted": func([]Wave) {},
	} {
		t.Run(name, func(t *testing.T) {
			v := furnished(t)
			changes(v)
			waves := v.plan()
			if mutate == nil {
				all := Wave{Step: Authorise}
				for _, w := range waves {
					all.Updates = append(all.Updates, w.Updates...)
				}
				waves = []Wave{all}
			} else {
				mutate(waves)
			}
			err := v.execute(waves, BatchKeys)
			if seen := err != nil; seen != (name != "the plan itself is accepted") {
				t.Errorf("the checker says: %v\n%s", err, strings.Join(outline(waves), "\n"))
			}
		})
	}
}
