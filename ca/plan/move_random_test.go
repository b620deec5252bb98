package plan

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/roa"
)

// drawDeal draws a transfer between two of some regions.
func drawDeal(t *rapid.T, m *model, regions []*region) (*deal, holdings.Organisation) {
	here, there := rapid.SampledFrom(regions).Draw(t, "donor's"), rapid.SampledFrom(regions).Draw(t, "recipient's")
	d := &deal{donor: here.village, taker: there.village, kind: rapid.SampledFrom(holdings.TransferKinds).Draw(t, "kind of transfer")}
	d.from, d.to = rapid.SampledFrom(here.people).Draw(t, "from"), rapid.SampledFrom(there.people).Draw(t, "to")
	if len(m.deals) > 0 && rapid.Bool().Draw(t, "related") { // what moved moves on, or others move the other way
		other := rapid.SampledFrom(m.deals).Draw(t, "to which")
		if here, d.donor, d.from = regionOf(regions, other.taker), other.taker, other.to; rapid.Bool().Draw(t, "opposite") {
			there, d.taker, d.to = regionOf(regions, other.donor), other.donor, other.from
		}
		if _, enrolled := here.Organisation(d.from); !enrolled {
			return d, holdings.Organisation{}
		}
	}
	recipient := holdings.Organisation{}
	if _, enrolled := there.Organisation(d.to); enrolled && rapid.IntRange(0, 4).Draw(t, "new") == 0 {
		recipient = holdings.Organisation{Handle: fmt.Sprintf("%s-%d", d.to, len(m.deals)), Parent: there.above(d.to), Kind: there.Kind(issued.Name{Holder: d.to})}
		d.to = recipient.Handle
	}
	d.resources = here.Holding(d.from)
	for _, other := range m.deals {
		if !other.state.Over() {
			d.resources = d.resources.Minus(other.resources)
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "whole") > 0 {
		d.resources = d.resources.Intersect(here.some(t))
	}
	if prefixes := d.resources.Prefixes(); !d.kind.SameHolder() && len(prefixes) > 0 {
		for range rapid.IntRange(0, 2).Draw(t, "staged") {
			p := below(t, rapid.SampledFrom(prefixes).Draw(t, "prefix"))
			d.staged = append(d.staged, roa.VRP{Prefix: p, MaxLength: p.Bits(), ASN: origin(t)})
		}
		d.bridge = time.Duration(rapid.IntRange(0, 2).Draw(t, "bridge")) * 3 * time.Hour
	}
	return d, recipient
}

// runs draws what happens with transfers, and in which order.
func (m *model) runs(t *rapid.T, regions []*region) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(m.begin())
	for range rapid.IntRange(4, 40).Draw(t, "steps") {
		var d *deal
		if len(m.deals) > 0 {
			d = rapid.SampledFrom(m.deals).Draw(t, "transfer")
		}
		switch step := rapid.IntRange(0, 10).Draw(t, "step"); {
		case d == nil || step == 0:
			for range 4 {
				if d, recipient := drawDeal(t, m, regions); !d.resources.Empty() && m.initiate(d, recipient) == nil {
					if rapid.IntRange(0, 4).Draw(t, "at once") > 0 {
						must(m.accept(d))
						regionOf(regions, d.taker).meet()
					}
					break
				}
			}
		case step == 1 && !d.state.Over() && rapid.IntRange(0, 2).Draw(t, "really") == 0:
			must(m.cancel(d))
		case step == 2 && d.state == holdings.Accepted:
			m.dispute(d, !d.parked)
		case step <= 5 && d.state == holdings.Initiated:
			must(m.accept(d))
			regionOf(regions, d.taker).meet()
		case step <= 5 && m.ripe(d):
			must(m.finalise(d))
		case step == 6:
			r := rapid.SampledFrom(regions).Draw(t, "where")
			for _, in := range r.intendSome(t) {
				m.wants[r.village][in.Holder] = append(m.wants[r.village][in.Holder], in)
			}
			if holder, v, ok := r.nameSome(t); ok { // for the first time, or in place of other providers
				m.ask(r.village, holder, v, time.Time{})
			}
			must(m.look())
		case step == 7:
			v := rapid.SampledFrom(m.villages).Draw(t, "roller's")
			holder := rapid.SampledFrom(v.Organisations()).Draw(t, "who rolls")
			soak := m.watch.soak * time.Duration(rapid.IntRange(0, 2).Draw(t, "staged for"))
			if !v.Kind(issued.Name{Holder: holder}).IsRegistry() { // in one repository it is for who asks to say
				soak = max(soak, m.watch.soak)
			}
			if v.roll(holder, soak) {
				m.trace("%s: a key roll of %s begins, for %s", m.now().Sub(noon), holder, soak)
			}
		case step == 8:
			_, err := m.work(rapid.IntRange(0, 3).Draw(t, "batches"))
			must(err)
		default:
			busy := true
			for busy {
				var err error
				busy, err = m.work(1 << 20)
				must(err)
			}
			m.until(m.moment(t))
			must(m.look())
		}
	}
	m.finish(t, must)
}

// moment is when something is due, or may be.
func (m *model) moment(t *rapid.T) time.Time {
	at := m.now().Add(time.Duration(rapid.IntRange(1, 50).Draw(t, "minutes")) * time.Minute)
	if rapid.Bool().Draw(t, "promptly") {
		at = issued.Sooner(m.later, at)
		for _, d := range m.deals {
			if d.state == holdings.Accepted && !d.seen.IsZero() && d.seen.Add(m.watch.soak).After(m.now()) {
				at = issued.Earlier(at, d.seen.Add(m.watch.soak))
			}
		}
	}
	return at
}

// finish takes all transfers but those in dispute to their end, and sees that all is as the ledgers say.
func (m *model) finish(t *rapid.T, must func(error)) {
	for _, d := range m.deals {
		if d.state == holdings.Initiated {
			must(m.cancel(d))
		}
	}
	must(m.rest())
	m.until(m.now().Add(m.watch.soak))
	for _, d := range m.deals {
		if d.state == holdings.Accepted && !d.parked {
			if !m.ripe(d) {
				t.Fatalf("the transfer of %s by %s to %s never comes to be published", d.resources, d.from, d.to)
			}
			must(m.finalise(d))
		}
	}
	must(m.rest())
	m.until(m.now().Add(10 * time.Hour)) // bridges end
	must(m.rest())
	m.until(m.now().Add(m.watch.soak + decided))
	must(m.rest())
	must(m.look())
	for _, v := range m.villages {
		must(v.done())
		for _, x := range v.Unrest() {
			if x.Disputed == "" {
				t.Fatalf("transfer %d is %s, and not done", x.ID, x.State)
			}
		}
	}
}

func regionOf(regions []*region, v *village) *region {
	return regions[slices.IndexFunc(regions, func(r *region) bool { return r.village == v })]
}

// TestMovesKeepEveryRoute: whatever moves to whom, in whatever order, readers who hold any mixture of publication points as
// they were within the soak miss nothing that they could count on, and no announcement is worse off.
func TestMovesKeepEveryRoute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRegion(t, 0)
		m := newModel(30*time.Minute, rapid.Uint64().Draw(t, "seed"), r.village)
		m.limit, m.trace = rapid.IntRange(1, 6).Draw(t, "limit"), t.Logf
		m.announced = r.announce(t)
		m.runs(t, []*region{r})
	})
}

// TestMovesBetweenInstallations: the same with two trees, each with a trust anchor of its own.
func TestMovesBetweenInstallations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		regions := []*region{drawRegion(t, 0), drawRegion(t, 3)}
		m := newModel(30*time.Minute, rapid.Uint64().Draw(t, "seed"), regions[0].village, regions[1].village)
		m.trace = t.Logf
		m.announced = append(regions[0].announce(t), regions[1].announce(t)...)
		m.runs(t, regions)
	})
}
