package plan

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/roa"
)

// staircase is a model in which a part of what an LIR has, and of its customer with it, moves to an LIR below an NIR of
// another registry.
func staircase(t *testing.T) (*model, *deal) {
	v := furnished(t)
	v.give("isp", "41.0.192.0/20")
	v.intend("isp", "41.0.16.0/21", "AS37000")
	v.intend("isp", "41.0.32.0/20", "AS37000")
	v.intend("shop", "41.0.0.0/23", "AS37001")
	v.intend("other", "41.0.96.0/20", "AS37002")
	v.must(v.names("isp", 37000, 174, 3356))
	m := modelOf(v)
	return m, &deal{kind: holdings.Takeover, donor: v, taker: v, from: "isp", to: "rede", resources: resources(t, "41.0.8.0-41.0.31.255, 41.0.192.0/21, AS37000")}
}

// landing is a model in which a part of what a customer has moves to a customer of a neighbour, all in one repository.
func landing(t *testing.T) (*model, *deal) {
	v := furnished(t)
	v.must(v.decide(v.Enrol(v.by(), holdings.Organisation{Handle: "kid", Parent: "other", Kind: holdings.EndUser})))
	v.give("kid", "41.0.96.0/20")
	v.intend("kid", "41.0.96.0/20", "AS37005")
	v.intend("shop", "41.0.4.0/23", "AS37001")
	m := modelOf(v)
	return m, &deal{kind: holdings.Merger, donor: v, taker: v, from: "shop", to: "kid", resources: resources(t, "41.0.4.0/22")}
}

// number is the staircase with an AS that moves alone: nothing but its ASPA goes along.
func number(t *testing.T) (*model, *deal) {
	m, d := staircase(t)
	d.resources = resources(t, "AS37000")
	return m, d
}

// rolling is the staircase while the recipient's registry gets a new key.
func rolling(t *testing.T) (*model, *deal) {
	m, d := staircase(t)
	d.taker.roll("lacnic", 0)
	return m, d
}

// modelOf is a model of a village at rest, with announcements of all that is authorised there and some of what is not.
func modelOf(v *village) *model {
	m := newModel(30*time.Minute, 1, v)
	m.announced = everyRoute(v)
	for _, prefix := range []string{"41.0.192.0/24", "41.0.128.0/20", "177.0.64.0/18"} {
		m.announced = append(m.announced, routeOf(prefix, 64500))
	}
	v.must(m.begin())
	return m
}

func routeOf(prefix string, origin uint32) announcement {
	return announcement{netip.MustParsePrefix(prefix), origin}
}

// everyRoute is what is authorised in a village, as it is announced.
func everyRoute(v *village) []announcement {
	var routes []announcement
	for _, holder := range v.Organisations() {
		for _, vrp := range v.vrps(holder) {
			routes = append(routes, announcement{vrp.Prefix, vrp.ASN})
			if vrp.MaxLength > vrp.Prefix.Bits() {
				routes = append(routes, announcement{netip.PrefixFrom(vrp.Prefix.Addr(), vrp.MaxLength), vrp.ASN})
			}
		}
	}
	return routes
}

// carryThrough takes a transfer from its beginning to its end.
func (m *model) carryThrough(d *deal) error {
	if err := m.agree(d); err != nil {
		return err
	}
	return m.complete(d)
}

// agree begins a transfer between holders that are there, and has it accepted.
func (m *model) agree(d *deal) error {
	if err := m.initiate(d, holdings.Organisation{}); err != nil {
		return err
	}
	return m.accept(d)
}

// complete takes a transfer that is accepted to its end.
func (m *model) complete(d *deal) error {
	for !m.ripe(d) {
		if err := m.rest(); err != nil {
			return err
		}
		switch {
		case d.seen.IsZero():
			return fmt.Errorf("the transfer of %s by %s to %s never comes to be published", d.resources, d.from, d.to)
		case !m.ripe(d):
			m.until(d.seen.Add(m.watch.soak))
		}
	}
	if err := m.finalise(d); err != nil {
		return err
	}
	return m.rest()
}

// covering has an organisation authorise an origin for what is in flight, past the refusal of the front door.
func covering(holder, prefix, asn string) func(*model, *deal) error {
	return func(m *model, d *deal) error {
		row, err := roa.ParseRow(prefix, asn)
		d.taker.must(err)
		d.taker.must(d.taker.want(d.taker.book.Add(d.taker.Ledger, []roa.Row{row}, roa.Options{Holder: holder, AllowAS0: true, By: holdings.By{Time: d.taker.now}})))
		m.mutation.midway = nil
		return nil
	}
}

// TestWrongMovesAreSeen shows that the model's readers see each way in which a transfer can go wrong.
func TestWrongMovesAreSeen(t *testing.T) {
	for _, c := range []struct {
		name     string
		scene    func(*testing.T) (*model, *deal)
		mutation mutation
		seen     bool
	}{
		{"as it is, between registries", staircase, mutation{}, false},
		{"as it is, in one registry", landing, mutation{}, false},
		{"as it is, with a new key above", rolling, mutation{}, false},
		{"a new key above issues at once", rolling, mutation{unstaged: true}, true},
		{"shrunk before it has grown", staircase, mutation{blind: true}, true},
		{"shrunk before it has grown, in one registry", landing, mutation{blind: true}, true},
		{"nothing is mirrored", staircase, mutation{mirrorless: true}, true},
		{"plans know of no soak", staircase, mutation{unsoaked: true}, true},
		{"finalised at once when it is published", staircase, mutation{hasty: true}, true},
		{"a repository is one point", landing, mutation{together: true}, true},
		{"what grew is passed on at once", staircase, mutation{forget: func(is *issued.Records) { is.Grown = nil }}, true},
		{"what is above shrinks at once", staircase, mutation{forget: func(is *issued.Records) { is.Shed = time.Time{} }}, true},
		{"as it is, an AS alone", number, mutation{}, false},
		{"its ASPA is not mirrored", number, mutation{mirrorless: true}, true},
		{"an AS alone, shrunk before it has grown", number, mutation{blind: true}, true},
		{"an AS alone, and plans know of no soak", number, mutation{unsoaked: true}, true},
		{"an AS alone, finalised at once when it is published", number, mutation{hasty: true}, true},
		{"a covering AS0 in flight", staircase, mutation{midway: covering("lacnic", "41.0.192.0/21", "AS0")}, true},
		{"a covering ROA in flight", staircase, mutation{midway: covering("nic.br", "41.0.192.0/21", "AS28000")}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, d := c.scene(t)
			m.mutation, m.nap = c.mutation, 10*time.Minute
			if err := m.carryThrough(d); (err != nil) != c.seen {
				t.Errorf("in %d readings, the readers say: %v", m.watch.looked, err)
			}
		})
	}
}
