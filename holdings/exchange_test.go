package holdings_test

import (
	"strings"
	"testing"
	"time"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/principal"
)

// TestExchange: several blocks for one; what is left of them stays, the old ones end with the deadline, and what was
// delegated on of them ends with them.
func TestExchange(t *testing.T) {
	h := chained(t)
	h.give("isp", "41.4.0.0/16", "", noon.Add(2*time.Hour))
	h.give("isp", "41.5.0.0/16", "", noon.Add(48*time.Hour))
	deadline := noon.Add(24 * time.Hour)
	want := holdings.Delegation{To: "isp", Resources: set(t, "41.8.0.0/14")}
	o := h.commit(h.ledger.Exchange(by("renumbering"), set(t, "41.0.0.0/17, 41.4.0.0/15, AS36864"), want, deadline))
	if len(o.Losers()) > 0 || !o.After["isp"].Equal(set(t, "41.0.0.0/16, 41.4.0.0/15, 41.8.0.0/14, 2c00:1::/32, AS36864")) {
		t.Fatal("it lost something at once:", o.Losers(), o.After["isp"])
	}
	for _, x := range h.ledger.Delegations("isp") {
		want := time.Time{}
		switch {
		case x.Resources.Overlaps(set(t, "41.4.0.0/16")):
			want = noon.Add(2 * time.Hour) // it had an end before
		case x.Resources.Overlaps(set(t, "41.0.0.0/17, 41.5.0.0/16, AS36864")):
			want = deadline
		}
		if !x.Until.Equal(want) || x.Status != holdings.Allocated {
			t.Errorf("%s ends at %s and is %s", x.Resources, x.Until, x.Status)
		}
	}
	h.commit(h.ledger.Expire(holdings.By{Who: principal.Principal{Name: "clock"}, Time: noon.Add(3 * time.Hour)}))
	h.holds(map[string]string{"isp": "41.0.0.0/16, 41.5.0.0/16, 41.8.0.0/14, 2c00:1::/32, AS36864", "shop": "41.0.0.0/20"})
	h.commit(h.ledger.Expire(holdings.By{Who: principal.Principal{Name: "clock"}, Time: deadline}))
	h.holds(map[string]string{"isp": "41.0.128.0/17, 41.8.0.0/14, 2c00:1::/32", "reseller": "", "shop": ""})
}

func TestExchangeRefuses(t *testing.T) {
	h := chained(t)
	move := holdings.Transfer{Kind: holdings.Merger, From: "isp", To: "other", FromRegistry: "afrinic", ToRegistry: "afrinic", Resources: set(t, "41.0.64.0/18")}
	h.commit(h.ledger.Initiate(by("merger"), move, holdings.Organisation{}))
	tomorrow := noon.Add(24 * time.Hour)
	for name, c := range map[string]struct {
		to, give, get string
		deadline      time.Time
		kind          fault.Kind
		want          string
	}{
		"unknown":         {"nobody", "41.0.0.0/20", "41.8.0.0/16", tomorrow, fault.NotFound, "nobody"},
		"a registry":      {"afrinic", "41.0.0.0/20", "45.8.0.0/16", tomorrow, fault.BadInput, "for holders"},
		"nothing given":   {"isp", "", "41.8.0.0/16", tomorrow, fault.BadInput, "gives"},
		"nothing got":     {"isp", "41.0.0.0/20", "", tomorrow, fault.BadInput, "no resources"},
		"past":            {"isp", "41.0.0.0/20", "41.8.0.0/16", noon, fault.BadInput, "past"},
		"not held":        {"isp", "41.1.0.0/20", "41.8.0.0/16", tomorrow, fault.NotHeld, "held by other"},
		"held":            {"isp", "41.0.0.0/20", "41.1.0.0/16", tomorrow, fault.Conflict, "held by other"},
		"its own":         {"isp", "41.0.0.0/20", "41.0.0.0/21", tomorrow, fault.Conflict, "held by isp"},
		"not the giver's": {"isp", "41.0.0.0/20", "45.0.0.0/16", tomorrow, fault.NotHeld, "no one"},
		"in transfer":     {"isp", "41.0.64.0/20", "41.8.0.0/16", tomorrow, fault.Conflict, "transfer 1"},
	} {
		_, err := h.ledger.Exchange(by("renumbering"), set(t, c.give), holdings.Delegation{To: c.to, Resources: set(t, c.get)}, c.deadline)
		if fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
