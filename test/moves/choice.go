package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// move is a transfer, and what becomes of it: its terms, which chance decides, and how far it is.
type move struct {
	label, kind     string
	from, to, under string
	donor           *holder // nil where it gives on what it gets
	area            []netip.Prefix
	resources       []string // nothing: all that the donor has
	staged          []vrp    // of the recipient's own
	bridge          string
	cancel          bool  // when its recipient's side is seen
	dispute         bool  // when it is accepted
	next            *move // that begins when this one is done
	krill           bool  // the donor's CA is Krill's

	home      *installation // where it begins
	away      *installation // where the recipient is, where that is another installation
	id        uint64
	ref       string // what both call it
	approved  bool
	finalised atomic.Int64 // Unix nanoseconds
	acted     bool         // what is to be done about it by hand is
}

// over tells whether the move was finalised before a time.
func (m *move) over(at moment) bool {
	n := m.finalised.Load()
	return n != 0 && at.UnixNano() > n
}

// chooser takes holders for moves, each for one as the donor.
type chooser struct {
	holders []*holder // in an order that chance decided
	used    map[*holder]bool
	moves   []*move
	short   []string // what nobody was left for
}

func (r *run) chooseMoves(holders []*holder) *chooser {
	c := &chooser{holders: slices.Clone(holders), used: map[*holder]bool{}}
	r.chance.Shuffle(len(c.holders), func(i, j int) { c.holders[i], c.holders[j] = c.holders[j], c.holders[i] })
	times := func(n int, do func()) {
		for range max(1, n*r.moves/50) {
			do()
		}
	}
	// in one registry
	times(8, func() { c.part("merger", "afrinic", "afrinic") })
	times(2, func() { c.whole("takeover", "afrinic", c.standing("afrinic"), "") })
	times(2, func() { c.market("afrinic", "afrinic") })
	times(2, func() { c.part("merger", "lacnic", "lacnic") })
	times(1, func() { c.whole("takeover", "lacnic", c.standing("lacnic"), "") })
	times(1, func() { c.market("lacnic", "lacnic") })
	// between two, in both directions
	times(6, func() { c.whole("move", "afrinic", "", "lacnic") })
	times(4, func() { c.part("merger", "afrinic", "lacnic") })
	times(2, func() { c.market("afrinic", "lacnic") })
	times(5, func() { c.whole("move", "lacnic", "", "afrinic") })
	times(3, func() { c.part("merger", "lacnic", "afrinic") })
	c.swap("afrinic", "lacnic")
	// to and from an NIR
	times(2, func() { c.whole("move", "afrinic", "", nir) })
	times(1, func() { c.part("merger", "afrinic", nir) })
	times(2, func() { c.whole("move", nir, "", "afrinic") })
	times(1, func() { c.whole("move", nir, "", "lacnic") })
	times(1, func() { c.part("merger", nir, "afrinic") })
	// one after the other
	times(1, func() { c.chain("afrinic", "lacnic", nir) })
	times(1, func() { c.chain("lacnic", "afrinic", nir) })
	// not to the end
	c.called(func(m *move) { m.cancel = true }, c.part("merger", "afrinic", "lacnic"), c.whole("move", "lacnic", "", "afrinic"))
	c.called(func(m *move) { m.dispute = true }, c.whole("move", "afrinic", "", "lacnic"))
	if r.withKrill {
		c.called(func(m *move) { m.krill = true }, c.whole("move", "afrinic", "", "lacnic"))
	}
	return c
}

// chooseBetween chooses moves between the two registries alone.
func (r *run) chooseBetween(holders []*holder) *chooser {
	c := &chooser{holders: slices.Clone(holders), used: map[*holder]bool{}}
	r.chance.Shuffle(len(c.holders), func(i, j int) { c.holders[i], c.holders[j] = c.holders[j], c.holders[i] })
	for range 4 {
		c.whole("move", "afrinic", "", "lacnic")
		c.whole("move", "lacnic", "", "afrinic")
		c.part("merger", "afrinic", "lacnic")
	}
	c.market("afrinic", "lacnic")
	c.part("merger", "lacnic", "afrinic")
	c.swap("afrinic", "lacnic")
	c.whole("move", "afrinic", "", nir)
	c.whole("move", nir, "", "afrinic")
	c.called(func(m *move) { m.cancel = true }, c.part("merger", "afrinic", "lacnic"))
	c.called(func(m *move) { m.dispute = true }, c.whole("move", "lacnic", "", "afrinic"))
	return c
}

// take is a holder of a registry that is no donor yet and fits.
func (c *chooser) take(registry string, fits func(*holder) bool) *holder {
	for _, h := range c.holders {
		if h.registry == registry && !c.used[h] && fits(h) {
			c.used[h] = true
			return h
		}
	}
	c.short = append(c.short, "a holder of "+registry)
	return nil
}

// standing is a holder that gives nothing.
func (c *chooser) standing(registry string) string {
	if h := c.take(registry, func(*holder) bool { return true }); h != nil {
		return h.handle
	}
	return ""
}

func divisible(h *holder) bool {
	_, ok := h.part()
	return ok
}

func (c *chooser) add(m *move) *move {
	m.label = fmt.Sprintf("%s of %s to %s", m.kind, m.from, m.to)
	c.moves = append(c.moves, m)
	return m
}

// whole moves all of a holder to another, or to an organisation that is new below a registry.
func (c *chooser) whole(kind, from, to, under string) *move {
	h := c.take(from, func(h *holder) bool { return !divisible(h) })
	if h == nil || to == "" && under == "" {
		return nil
	}
	if under != "" {
		_, id, _ := strings.Cut(h.handle, "/")
		to = under + "/was-" + id
	}
	return c.add(&move{kind: kind, from: h.handle, to: to, under: under, donor: h, area: h.blocks()})
}

// part moves a part of a block to another holder, with one of the donor's AS numbers and half of an IPv6 block where it has
// such. A ROA of the donor's lies across the border.
func (c *chooser) part(kind, from, to string) *move {
	h := c.take(from, divisible)
	if h == nil {
		return nil
	}
	return c.partTo(kind, h, c.standing(to))
}

func (c *chooser) partTo(kind string, h *holder, to string) *move {
	if h == nil || to == "" {
		return nil
	}
	d, _ := h.part()
	if !slices.Contains(h.vrps, d.straddle) {
		h.vrps = append(h.vrps, d.straddle)
	}
	m := &move{kind: kind, from: h.handle, to: to, donor: h, area: []netip.Prefix{d.part}}
	for _, b := range h.blocks() {
		half := netip.PrefixFrom(b.Addr(), b.Bits()+1)
		across := func(p netip.Prefix) bool { return p != half && contains(p, half) }
		if d.part.Addr().Is4() && b.Addr().Is6() && b.Bits() < 48 && !slices.ContainsFunc(h.vrps, func(v vrp) bool { return across(v.prefix) }) {
			m.area = append(m.area, half)
			break
		}
	}
	for _, p := range m.area {
		m.resources = append(m.resources, p.String())
	}
	if len(h.asns) > 0 {
		m.resources = append(m.resources, fmt.Sprintf("AS%d", h.asns[0]))
	}
	return c.add(m)
}

// market is a part that a new holder gets, with a route of its own, and a bridge for the donor's.
func (c *chooser) market(from, to string) {
	m := c.part("transfer", from, to)
	if m == nil {
		return
	}
	m.bridge = "24h"
	for _, v := range m.donor.vrps {
		if contains(m.area[0], v.prefix) {
			m.staged = []vrp{{v.prefix, v.prefix.Bits(), 37100}}
			break
		}
	}
}

// swap has two holders of different registries give each other a part.
func (c *chooser) swap(a, b string) {
	one, other := c.take(a, divisible), c.take(b, divisible)
	if one != nil && other != nil {
		c.partTo("merger", one, other.handle)
		c.partTo("merger", other, one.handle)
	}
}

// chain moves a holder twice: from a to b, and when that is done from b to c.
func (c *chooser) chain(a, b, onTo string) {
	if m := c.whole("move", a, "", b); m != nil {
		_, id, _ := strings.Cut(m.to, "/")
		m.next = &move{kind: "move", from: m.to, to: onTo + "/" + id, under: onTo}
		m.next.label = fmt.Sprintf("move of %s to %s, which had been %s", m.next.from, m.next.to, m.from)
	}
}

// called has something happen to moves on their way.
func (c *chooser) called(what func(*move), moves ...*move) {
	for _, m := range moves {
		if m != nil {
			what(m)
		}
	}
}

// transfer is what this program reads of 'cadastre transfer list'.
type transfer struct {
	ID       uint64    `json:"id"`
	Ref      string    `json:"ref"`
	State    string    `json:"state"`
	Seen     time.Time `json:"seen"`
	Released time.Time `json:"released"`
	Disputed string    `json:"disputed"`
	Waits    string    `json:"waits"`
	Steps    []struct {
		At   time.Time `json:"at"`
		What string    `json:"what"`
	} `json:"steps"`
}
