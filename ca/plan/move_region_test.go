package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/principal"
	"cadastre/roa"
)

// region is a village that was drawn, with what to draw transfers from.
type region struct {
	*village
	first  int      // of its registries' blocks: 41.first.0.0/16 and so on
	blocks int      // how many registries there are
	people []string // those who are no registries
}

// drawRegion draws a tree of one to three registries, some with an NIR, LIRs and end users, what they hold, and some history:
// what was given and taken back leaves intents that stand in part, or not at all.
func drawRegion(t *rapid.T, first int) *region {
	r := &region{first: first, blocks: rapid.IntRange(1, 3).Draw(t, "registries")}
	var tree strings.Builder
	var gifts []func()
	enrol := func(handle, parent string, kind holdings.Kind) {
		fmt.Fprintf(&tree, "[[organisation]]\nhandle = %q\nparent = %q\nkind = %q\n", handle, parent, kind)
		if kind == holdings.NIR {
			fmt.Fprintf(&tree, "countries = [%q]\n", "B"+string(rune('A'+len(gifts)%26)))
		}
	}
	enrol("iana", "", holdings.Root)
	// each gets some of the units that are its slot, and leaves slots of its own
	var settle func(handle string, kind holdings.Kind, block, lo, hi int)
	settle = func(handle string, kind holdings.Kind, block, lo, hi int) {
		a := rapid.IntRange(lo, hi).Draw(t, "lo")
		b := rapid.IntRange(a, hi).Draw(t, "hi")
		if kind == holdings.RIR || kind == holdings.NIR || rapid.Bool().Draw(t, "all") {
			a, b = lo, hi
		}
		gifts = append(gifts, func() { r.give(handle, r.units(block, a, b)) })
		children, kinds := 0, []holdings.Kind{holdings.EndUser}
		switch kind {
		case holdings.RIR, holdings.NIR:
			children = rapid.IntRange(1, 3).Draw(t, "holders")
			kinds = []holdings.Kind{holdings.LIR, holdings.LIR, holdings.EndUser}
			if kind == holdings.RIR {
				kinds = append(kinds, holdings.NIR)
			}
		case holdings.LIR:
			children = rapid.IntRange(0, 2).Draw(t, "customers")
		}
		for i := range children {
			from, to := a+(b-a+1)*i/children, a+(b-a+1)*(i+1)/children-1
			if from > to {
				continue
			}
			child, kind := fmt.Sprintf("%s%c", handle, 'a'+i), rapid.SampledFrom(kinds).Draw(t, "kind")
			enrol(child, handle, kind)
			settle(child, kind, block, from, to)
		}
	}
	for i := range r.blocks {
		handle := fmt.Sprintf("r%d", i)
		enrol(handle, "iana", holdings.RIR)
		settle(handle, holdings.RIR, first+i, 0, 63)
	}
	r.village = villageOf(t, tree.String())
	for _, give := range gifts {
		give()
	}
	r.meet()
	for range rapid.IntRange(2, 12).Draw(t, "intents") {
		r.intendSome(t)
	}
	for range rapid.IntRange(0, 6).Draw(t, "ASPAs") {
		r.nameSome(t)
	}
	for range rapid.IntRange(0, 3).Draw(t, "losses") {
		r.change(t, func(holder string, s inr.Set) (*holdings.Outcome, error) {
			return r.Return(r.by(), holder, s.Intersect(r.Holding(holder)))
		})
	}
	for range rapid.IntRange(0, 3).Draw(t, "gains") {
		r.change(t, func(holder string, s inr.Set) (*holdings.Outcome, error) {
			o, _ := r.Organisation(holder)
			return r.Delegate(r.by(), holdings.Delegation{To: holder, Resources: s.Intersect(r.Free(o.Parent)), Status: holdings.Allocated, Ground: "chance"})
		})
	}
	return r
}

// meet notes who is there.
func (r *region) meet() {
	r.people = slices.DeleteFunc(r.Organisations(), func(handle string) bool { return r.Kind(issued.Name{Holder: handle}).IsRegistry() })
}

// units is some of the 64 parts of a block, with an AS number for each.
func (r *region) units(block, lo, hi int) string {
	return fmt.Sprintf("41.%d.%d.0-41.%d.%d.255, AS%d-AS%d", block, 4*lo, block, 4*hi+3, 37000+64*block+lo, 37000+64*block+hi)
}

// some is some resources in a block, of one kind or of several, in one piece or in two.
func (r *region) some(t *rapid.T) inr.Set {
	var sets []inr.Set
	for range rapid.IntRange(1, 2).Draw(t, "pieces") {
		block, lo := r.first+rapid.IntRange(0, r.blocks-1).Draw(t, "block"), rapid.IntRange(0, 63).Draw(t, "from")
		s := resources(t, r.units(block, lo, min(63, lo+rapid.IntRange(0, 24).Draw(t, "width"))))
		switch rapid.IntRange(0, 4).Draw(t, "mixture") {
		case 0:
			s.AS = nil
		case 1: // not at the seams of what was given
			s = s.Minus(resources(t, fmt.Sprintf("41.%d.%d.0/24", block, 4*lo)))
		case 2:
			s = inr.Set{AS: s.AS}
		}
		sets = append(sets, s)
	}
	return inr.Sum(sets...)
}

func (r *region) change(t *rapid.T, resolve func(string, inr.Set) (*holdings.Outcome, error)) {
	if holder, s := rapid.SampledFrom(r.people).Draw(t, "holder"), r.some(t); !s.Empty() {
		_ = r.decide(resolve(holder, s))
	}
}

// intendSome has someone authorise some of what it holds, by itself or at large; seldom a registry, which disavows.
func (r *region) intendSome(t *rapid.T) []roa.Intent {
	holder := rapid.SampledFrom(r.people).Draw(t, "holder")
	prefixes := slices.DeleteFunc(r.Holding(holder).Prefixes(), func(p netip.Prefix) bool { return r.InTransfer(inr.OfPrefix(p)) != nil })
	if len(prefixes) == 0 {
		return nil
	}
	p := rapid.SampledFrom(prefixes).Draw(t, "prefix")
	p = below(t, p)
	row := roa.Row{Prefix: p, MaxLength: min(26, p.Bits()+rapid.IntRange(0, 5).Draw(t, "more")), Origin: origin(t)}
	row.MaxLength = max(row.MaxLength, p.Bits())
	out, err := r.book.Add(r.Ledger, []roa.Row{row}, roa.Options{Holder: holder, By: holdings.By{Who: principal.Principal{Name: "chance"}, Time: r.now}})
	if r.want(out, err) != nil {
		return nil
	}
	return out.Added
}

// below is a prefix in another, often itself.
func below(t *rapid.T, p netip.Prefix) netip.Prefix {
	if deeper := rapid.IntRange(-2, 4).Draw(t, "deeper"); deeper > 0 && p.Bits()+deeper <= 26 {
		addr := p.Addr().As4()
		at := rapid.IntRange(0, 1<<deeper-1).Draw(t, "at")
		n := uint32(addr[0])<<24 | uint32(addr[1])<<16 | uint32(addr[2])<<8 | uint32(addr[3])
		n |= uint32(at) << (32 - p.Bits() - deeper)
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}), p.Bits()+deeper)
	}
	return p
}

func origin(t *rapid.T) uint32 { return uint32(37000 + rapid.IntRange(0, 2).Draw(t, "origin")) }

// announce draws what is announced: what is authorised, and what is by chance.
func (r *region) announce(t *rapid.T) []announcement {
	routes := everyRoute(r.village)
	for range 8 {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{41, byte(r.first + rapid.IntRange(0, r.blocks-1).Draw(t, "block")), byte(4 * rapid.IntRange(0, 63).Draw(t, "unit")), 0}), 22)
		routes = append(routes, announcement{below(t, p), origin(t)})
	}
	return routes
}
