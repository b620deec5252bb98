package plan

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/roa"
)

// TestWhatTheModelFound is the histories in which the random model caught a plan or the ledger, each in its smallest form.
func TestWhatTheModelFound(t *testing.T) {
	for name, run := range map[string]func(t *testing.T) error{
		// the /16 waited for the certificate, and what stood of it was withdrawn at once
		"a ROA that is whole again comes before its parts go": func(t *testing.T) error {
			v := neighbours(t)
			m := modelOf(v)
			return m.carryThrough(&deal{kind: holdings.Merger, donor: v, taker: v, from: "vizinho", to: "rede", resources: resources(t, "177.0.128.0/17")})
		},
		// what was left of the donor's registry clashed with what arrived by the other
		"one of two transfers out of a registry is finalised": func(t *testing.T) error {
			m, d := staircase(t)
			other := *d
			other.from, other.resources = "other", resources(t, "41.0.64.0/20")
			if err := m.agree(&other); err != nil {
				return err
			}
			return m.carryThrough(d)
		},
		// what stays is another set of prefixes when one of the two is over than when both are
		"two transfers part one ROA": func(t *testing.T) error {
			v := furnished(t)
			v.give("isp", "41.0.128.0/17")
			v.intendUpTo("isp", "41.0.128.0/17", 22, "AS37000")
			m := modelOf(v)
			one := &deal{kind: holdings.Merger, donor: v, taker: v, from: "isp", to: "other", resources: resources(t, "41.0.128.0/20")}
			two := &deal{kind: holdings.Merger, donor: v, taker: v, from: "isp", to: "rede", resources: resources(t, "41.0.192.0/20")}
			if err := m.agree(two); err != nil {
				return err
			}
			m.dispute(two, true)
			if err := m.carryThrough(one); err != nil {
				return err
			}
			m.dispute(two, false)
			return m.complete(two)
		},
		// the second growth took the first, which had not soaked, for what all readers have
		"a certificate grows twice within the soak": func(t *testing.T) error {
			m, d := landing(t)
			d.from, d.resources = "isp", resources(t, "41.0.32.0/20")
			second := *d
			second.resources = resources(t, "41.0.48.0/22")
			if err := m.agree(d); err != nil {
				return err
			}
			if _, err := m.work(BatchKeys); err != nil {
				return err
			}
			m.wait(m.watch.soak / 2)
			if err := m.carryThrough(&second); err != nil {
				return err
			}
			return m.complete(d)
		},
		// the certificate still named what had left, and what was issued without that was taken for what it had said before
		"what left comes back with more before the certificate shrank": func(t *testing.T) error {
			v := neighbours(t)
			m := modelOf(v)
			away := &deal{kind: holdings.Merger, donor: v, taker: v, from: "rede", to: "vizinho", resources: resources(t, "177.0.64.0/18")}
			if err := m.ripen(away); err != nil {
				return err
			}
			if err := m.finalise(away); err != nil {
				return err
			}
			if _, err := m.work(BatchKeys); err != nil {
				return err
			}
			if named := v.issued[issued.Parse("rede")].Certified; !named.Contains(away.resources) {
				t.Fatalf("the certificate shrank at once, to %s", named)
			}
			return m.carryThrough(&deal{kind: holdings.Merger, donor: v, taker: v, from: "vizinho", to: "rede", resources: resources(t, "177.0.64.0-177.0.255.255")})
		},
		// what it had by the bridge, which ended on the way, stood in for what came back for good
		"what a bridge kept comes back for good": func(t *testing.T) error {
			m, d := landing(t)
			d.kind, d.from, d.to, d.bridge = holdings.Market, "isp", "other", 6*time.Hour
			d.resources = resources(t, "41.0.32.0/20")
			if err := m.carryThrough(d); err != nil {
				return err
			}
			on := &deal{kind: holdings.Market, donor: d.donor, taker: d.taker, from: "other", to: "rede", resources: d.resources}
			on.staged = []roa.VRP{{Prefix: netip.MustParsePrefix("41.0.32.0/20"), MaxLength: 20, ASN: 37000}}
			if err := m.carryThrough(on); err != nil {
				return err
			}
			if kept := d.taker.book.Brought("other", d.ids[d.taker]); len(kept) != 1 {
				t.Fatalf("the bridge is over: %v", kept)
			}
			back := &deal{kind: holdings.Portability, donor: d.donor, taker: d.taker, from: "rede", to: "other", resources: d.resources}
			if err := m.agree(back); err != nil {
				return err
			}
			m.until(m.now().Add(6 * time.Hour))
			return m.complete(back)
		},
		// the customer's route was valid by the ROA of the LIR above it alone
		"what covers what moves goes along": func(t *testing.T) error {
			m, d := landing(t)
			v := d.donor
			v.intendUpTo("isp", "41.0.0.0/18", 24, "AS37000")
			m.announced = everyRoute(v)
			for _, a := range []string{"41.0.4.0/24", "41.0.6.0/24", "41.0.0.0/24"} {
				m.announced = append(m.announced, routeOf(a, 37000))
			}
			if err := m.begin(); err != nil {
				return err
			}
			return m.carryThrough(d)
		},
		// its certificate was to name what it has yet to get, and that was nothing for now
		"all has left, and what comes is on its way": func(t *testing.T) error {
			v := furnished(t)
			v.must(v.decide(v.Enrol(v.by(), holdings.Organisation{Handle: "still", Parent: "afrinic", Kind: holdings.LIR}))) // authorises nothing
			v.give("still", "41.0.128.0/20")
			m := modelOf(v)
			away := &deal{kind: holdings.Merger, donor: v, taker: v, from: "still", to: "isp", resources: v.Holding("still")}
			if err := m.ripen(away); err != nil {
				return err
			}
			back := &deal{kind: holdings.Merger, donor: v, taker: v, from: "rede", to: "still", resources: resources(t, "177.0.64.0/18")}
			if err := m.agree(back); err != nil {
				return err
			}
			if err := m.finalise(away); err != nil {
				return err
			}
			return m.complete(back)
		},
		// the next key named what it was made with, and had less than the old one when it took over
		"what comes back while a next key is made without it": func(t *testing.T) error {
			m, d := staircase(t)
			if err := m.carryThrough(d); err != nil {
				return err
			}
			m.wait(m.watch.soak)
			away := &deal{kind: holdings.Takeover, donor: d.donor, taker: d.taker, from: "rede", to: "other", resources: d.resources}
			if err := m.ripen(away); err != nil {
				return err
			}
			if err := m.finalise(away); err != nil {
				return err
			}
			d.taker.roll("lacnic", 0)
			if _, err := m.work(1); err != nil {
				return err
			}
			d.taker.turn()
			m.wait(m.watch.soak / 2)
			return m.carryThrough(&deal{kind: holdings.Takeover, donor: d.donor, taker: d.taker, from: "other", to: "rede", resources: d.resources})
		},
		// the new key said the whole, the old one withdrew the parts, and there were readers whose certificate was too small for the whole
		"what a new key grows by when it takes over": func(t *testing.T) error {
			v := neighbours(t)
			m := modelOf(v)
			if err := m.takesOver(v, "rede"); err != nil {
				return err
			}
			return m.carryThrough(&deal{kind: holdings.Merger, donor: v, taker: v, from: "vizinho", to: "rede", resources: resources(t, "177.0.128.0/17")})
		},
		// the old key withdrew the whole in a batch before that in which the new one said what stays of it
		"what a new key says otherwise when it takes over": func(t *testing.T) error {
			v := neighbours(t)
			m := modelOf(v)
			d := &deal{kind: holdings.Merger, donor: v, taker: v, from: "vizinho", to: "rede", resources: resources(t, "177.0.128.0/17")}
			if err := m.agree(d); err != nil {
				return err
			}
			if err := m.rest(); err != nil {
				return err
			}
			m.wait(m.watch.soak)
			if err := m.takesOver(v, "rede"); err != nil {
				return err
			}
			m.limit = 1
			if err := m.cancel(d); err != nil {
				return err
			}
			return m.rest()
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(t); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestKeyRollsWait: a key roll does what can't be done yet when it can, and ends where nothing is left of whose key it was.
func TestKeyRollsWait(t *testing.T) {
	t.Run("a new key whose work fails takes nothing over", func(t *testing.T) {
		v := furnished(t)
		before := v.wanted()
		v.roll("isp", 0)
		v.must(v.execute(v.plan(), BatchKeys))
		v.turn()
		v.turn()
		v.quarantined = map[issued.Name]bool{v.active("isp"): true}
		v.must(v.execute(v.plan(), BatchKeys))
		if got := v.read(v.snapshot()).vrps; v.active("isp") != issued.Parse("isp~1") || !maps.Equal(got, before) {
			t.Errorf("%s is active, and the VRPs are %v", v.active("isp"), got)
		}
		v.quarantined = nil
		v.settle(BatchKeys)
	})
	t.Run("what is given while a new key takes over above", func(t *testing.T) {
		v := furnished(t)
		v.roll("iana", 0)
		v.must(v.execute(v.plan(), BatchKeys))
		v.turn()
		v.give("afrinic", "102.0.0.0/16")
		v.give("isp", "102.0.0.0/17")
		v.intend("isp", "102.0.0.0/17", "AS37000")
		v.turn()
		v.settle(BatchKeys)
		if v.active("iana") != issued.Parse("iana~1") || v.issued[issued.Parse("iana")] != nil {
			t.Errorf("%s is active, and the key before: %v", v.active("iana"), v.issued[issued.Parse("iana")])
		}
	})
	t.Run("what one below says instead", func(t *testing.T) {
		v := furnished(t)
		v.intend("rede", "177.0.0.0/24", "AS28003")
		v.settle(BatchKeys)
		v.roll("rede", 0)
		v.must(v.execute(v.plan(), BatchKeys))
		v.turn()
		v.turn()
		all := v.book.Of("rede")
		at := slices.IndexFunc(all, func(in roa.Intent) bool { return in.Origin == 28003 })
		v.must(v.want(v.book.Remove(all[at : at+1])))
		v.intend("loja", "177.0.0.0/24", "AS28003")
		v.settle(BatchKeys)
	})
	t.Run("nothing is left", func(t *testing.T) {
		v := furnished(t)
		v.roll("shop", time.Hour)
		v.must(v.execute(v.plan(), BatchKeys))
		v.take("shop", "41.0.0.0/20")
		v.must(v.execute(v.plan(), BatchKeys))
		if at := v.turn(); !at.IsZero() || v.rolls["shop"].Next != 0 {
			t.Errorf("the roll goes on at %s: %+v", at, v.rolls["shop"])
		}
		v.must(v.done())
	})
}

// ripen has a transfer accepted, and seen for the time of the soak.
func (m *model) ripen(d *deal) error {
	if err := m.agree(d); err != nil {
		return err
	}
	if err := m.rest(); err != nil {
		return err
	}
	m.until(d.seen.Add(m.watch.soak))
	return nil
}

// takesOver rolls a key until the new one issues, and nothing is planned for that yet.
func (m *model) takesOver(v *village, holder string) error {
	v.roll(holder, m.watch.soak)
	for range 2 {
		if _, err := m.work(BatchKeys); err != nil {
			return err
		}
	}
	m.until(v.rolls[holder].Staged.Add(m.watch.soak))
	if v.rolls[holder].Active != 1 {
		return fmt.Errorf("the new key has not taken over: %+v", v.rolls[holder])
	}
	return nil
}

// neighbours is a village in which a half of what an LIR has an intent for is another's.
func neighbours(t *testing.T) *village {
	v := furnished(t)
	v.intendUpTo("rede", "177.0.0.0/16", 20, "AS28002")
	v.take("rede", "177.0.128.0/17")
	v.must(v.decide(v.Enrol(v.by(), holdings.Organisation{Handle: "vizinho", Parent: "nic.br", Kind: holdings.LIR})))
	v.give("vizinho", "177.0.128.0/17")
	return v
}
