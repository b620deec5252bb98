package holdings_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cadastre/holdings"
	"cadastre/internal/fault"
)

// begin initiates a transfer between two sides here and returns its number; a new recipient is put below an organisation.
func (h *testLedger) begin(kind holdings.TransferKind, from, to, resources, below string) uint64 {
	h.Helper()
	o := h.commit(h.ledger.Initiate(by("contract"), holdings.Transfer{Kind: kind, From: from, To: to, Resources: set(h, resources)},
		holdings.Organisation{Parent: below}))
	return o.Transfers[0].ID
}

func (h *testLedger) accept(id uint64) *holdings.Outcome {
	h.Helper()
	return h.commit(h.ledger.Accept(by("agreed"), id, ""))
}

func (h *testLedger) finalise(id uint64) *holdings.Outcome {
	h.Helper()
	o := h.commit(h.ledger.Finalise(by("seen"), id, ""))
	h.commit(h.ledger.Release(by("withdrawn"), []uint64{id}))
	return o
}

func (h *testLedger) sane() {
	h.Helper()
	sound(h, h.ledger)
	h.sameAs(h.reload())
}

// fails checks that an error has a kind and says something.
func fails(t testing.TB, err error, kind fault.Kind, says string) {
	t.Helper()
	if err == nil || fault.KindOf(err) != kind || !strings.Contains(err.Error(), says) {
		t.Errorf("the error is %v (%v); want %v that says %q", err, fault.KindOf(err), kind, says)
	}
}

func TestTransferBetweenRegistries(t *testing.T) {
	h := chained(t)
	h.give("lacnic", "24.0.0.0/8", "", time.Time{})
	id := h.begin(holdings.Portability, "reseller", "movers", "41.0.0.0/18", "lacnic")
	before := map[string]string{
		"afrinic": "41.0.0.0/8, 2c00::/12, AS36864-AS37887", "isp": "41.0.0.0/16, 2c00:1::/32, AS36864",
		"reseller": "41.0.0.0/18, AS36864", "shop": "41.0.0.0/20", "other": "41.1.0.0/16",
	}
	h.holds(before)
	if _, there := h.ledger.Organisation("movers"); there {
		t.Error("the recipient is enrolled before the acceptance")
	}
	h.accept(id)
	h.holds(before)
	h.holds(map[string]string{"lacnic": "24.0.0.0/8, 41.0.0.0/18", "movers": "41.0.0.0/18", "movers/shop": "41.0.0.0/20"})
	h.sane()
	if got := h.ledger.Leaving("isp").String(); got != "41.0.0.0/18" || !h.ledger.Moving("movers/shop") || h.ledger.Moving("other") {
		t.Errorf("the isp is to lose %s", got)
	}
	h.finalise(id)
	after := map[string]string{
		"afrinic": "41.0.64.0-41.255.255.255, 2c00::/12, AS36864-AS37887", "isp": "41.0.64.0-41.0.255.255, 2c00:1::/32, AS36864", "reseller": "AS36864", "shop": "",
		"other": "41.1.0.0/16", "lacnic": "24.0.0.0/8, 41.0.0.0/18", "movers": "41.0.0.0/18", "movers/shop": "41.0.0.0/20",
	}
	h.holds(after)
	h.sane()
	for _, d := range h.ledger.Delegations("movers/shop") {
		if d.Status != holdings.Assigned || d.Incoming || d.Transfer != id || d.Ground != "transfer from afrinic:reseller" {
			t.Errorf("what followed is %+v", d)
		}
	}
	_, err := h.ledger.Cancel(by("x"), id, "")
	fails(t, err, fault.Conflict, "finalised")

	// and home again, to the same holder: what followed is where it was
	id = h.begin(holdings.Portability, "movers", "reseller", "41.0.0.0/18", "")
	h.accept(id)
	h.holds(map[string]string{"afrinic": before["afrinic"], "isp": before["isp"], "reseller": before["reseller"], "reseller/shop": "41.0.0.0/20", "movers": "41.0.0.0/18"})
	h.finalise(id)
	h.holds(map[string]string{"lacnic": "24.0.0.0/8", "movers": "", "movers/shop": "", "reseller/shop": "41.0.0.0/20"})
	h.sane()
}

func TestTransferIsFrozen(t *testing.T) {
	h := chained(t)
	soon := noon.Add(time.Hour)
	h.give("shop", "41.0.32.0/24", holdings.Assigned, soon)
	id := h.begin(holdings.Market, "reseller", "other", "41.0.0.0/18", "")
	h.commit(h.ledger.Return(by("before the acceptance all is as ever"), "shop", set(t, "41.0.0.0/21")))
	h.accept(id)
	h.holds(map[string]string{"other/shop": "41.0.8.0/21, 41.0.32.0/24"})
	revoke := func(handle, resources string) error {
		_, err := h.ledger.Revoke(by("x"), handle, set(t, resources))
		return err
	}
	for handle, resources := range map[string]string{
		"shop": "41.0.8.0/24", "reseller": "41.0.63.0/24", "isp": "", "afrinic": "41.0.0.0/8", "other": "41.0.0.0/24", "other/shop": "",
	} {
		fails(t, revoke(handle, resources), fault.Conflict, "is in transfer")
	}
	for to, resources := range map[string]string{"shop": "41.0.16.0/24", "other/shop": "41.0.16.0/24"} {
		_, err := h.ledger.Delegate(by("x"), holdings.Delegation{To: to, Resources: set(t, resources), Status: holdings.Assigned, Ground: "x"})
		fails(t, err, fault.Conflict, "is in transfer")
	}
	_, err := h.ledger.Initiate(by("x"), holdings.Transfer{Kind: holdings.Market, From: "shop", To: "other", Resources: set(t, "41.0.8.0/24")}, holdings.Organisation{})
	fails(t, err, fault.Conflict, "already")
	at := by("expired")
	at.Time = soon
	if o, err := h.ledger.Expire(at); err != nil || !o.Empty() || !h.ledger.NextExpiry().IsZero() {
		t.Errorf("what is in a transfer ends: %v, %v", o, err)
	}

	// all that is not in it goes on: of the donor, of those above it, and of the recipient
	h.commit(h.ledger.Return(by("x"), "isp", set(t, "41.0.64.0/18, AS36864")))
	h.commit(h.ledger.Return(by("x"), "other", set(t, "41.1.0.0/24")))
	h.commit(h.ledger.Return(by("x"), "afrinic", set(t, "41.128.0.0/9")))
	h.sane()
	h.commit(h.ledger.Cancel(by("second thoughts"), id, ""))
	h.holds(map[string]string{"isp": "41.0.0.0/18, 41.0.128.0/17, 2c00:1::/32", "reseller": "41.0.0.0/18", "shop": "41.0.8.0/21, 41.0.32.0/24", "other": "41.1.1.0-41.1.255.255", "other/shop": ""})
	h.sane()
	h.commit(h.ledger.Expire(at))
	h.holds(map[string]string{"shop": "41.0.8.0/21"})
}

func TestTransferWithAnInstallationElsewhere(t *testing.T) {
	h := chained(t)
	out := holdings.Transfer{Kind: holdings.Market, From: "isp", Resources: set(t, "41.0.0.0/18"), ToRegistry: "ripe", Elsewhere: "x"}
	_, err := h.ledger.Initiate(by("x"), out, holdings.Organisation{})
	fails(t, err, fault.BadInput, "name the installation")
	out.Peer = "ripe"
	id := h.commit(h.ledger.Initiate(by("x"), out, holdings.Organisation{})).Transfers[0].ID
	h.accept(id)
	h.holds(map[string]string{"afrinic": "41.0.0.0/8, 2c00::/12, AS36864-AS37887", "shop": "41.0.0.0/20"})
	fails(t, func() error { _, err := h.ledger.Return(by("x"), "shop", set(t, "41.0.0.0/20")); return err }(), fault.Conflict, "is in transfer")
	h.finalise(id)
	h.holds(map[string]string{"afrinic": "41.0.64.0-41.255.255.255, 2c00::/12, AS36864-AS37887", "isp": "41.0.64.0-41.0.255.255, 2c00:1::/32, AS36864", "shop": ""})
	h.sane()

	in := holdings.Transfer{Kind: holdings.Market, To: "new", Peer: "ripe", FromRegistry: "ripe", Elsewhere: "y", Resources: set(t, "62.0.0.0/16"), Legs: []holdings.Leg{
		{Parts: []holdings.Part{{Resources: set(t, "62.0.0.0/16"), Status: holdings.Allocated}}},
		{To: "new/below", Resources: set(t, "62.0.1.0/24"), New: holdings.Organisation{Handle: "new/below", Parent: "new", Kind: holdings.EndUser},
			Parts: []holdings.Part{{Resources: set(t, "62.0.1.0/24"), Status: holdings.Assigned}}},
	}}
	id = h.commit(h.ledger.Initiate(by("x"), in, holdings.Organisation{Parent: "lacnic", Kind: holdings.EndUser})).Transfers[0].ID
	h.accept(id)
	h.holds(map[string]string{"lacnic": "62.0.0.0/16", "new": "62.0.0.0/16", "new/below": "62.0.1.0/24"})
	h.sane()                                       // one who gets what was delegated on is an LIR
	for _, to := range []string{"lacnic", "new"} { // what is on its way to one is not given to it a second time
		_, err := h.ledger.Delegate(by("x"), holdings.Delegation{To: to, Resources: set(t, "62.0.255.0-62.1.0.255"), Status: holdings.Allocated, Ground: "x"})
		fails(t, err, fault.Conflict, "62.0.255.0/24")
	}
	h.commit(h.ledger.Cancel(by("x"), id, ""))
	h.holds(map[string]string{"lacnic": "", "new": "", "new/below": ""})
	h.sane()

	// what a peer says is not trusted to fit
	for says, change := range map[string]func(*holdings.Transfer){
		"the parts of the transfer are": func(t *holdings.Transfer) { t.Resources = set(h, "62.0.0.0/15") },
		"is in two parts":               func(t *holdings.Transfer) { t.Legs[0].Parts = append(t.Legs[0].Parts, t.Legs[0].Parts[0]) },
		"no status":                     func(t *holdings.Transfer) { t.Legs[0].Parts[0].Status = "lent" },
		"RFC 1918":                      func(t *holdings.Transfer) { t.Resources = set(h, "10.0.0.0/16") },
		"neither side":                  func(t *holdings.Transfer) { t.To = "" },
		"no kind":                       func(t *holdings.Transfer) { t.Kind = "gift" },
	} {
		bad := in
		bad.Legs = slices.Clone(in.Legs)
		bad.Legs[0].Parts = slices.Clone(in.Legs[0].Parts)
		change(&bad)
		_, err := h.ledger.Initiate(by("x"), bad, holdings.Organisation{})
		fails(t, err, fault.BadInput, says)
	}
}

func TestTransferNamesWhatFollowsApart(t *testing.T) {
	h := chained(t)
	for _, handle := range []string{"x/shop", "other/shop", "other/shop-2"} {
		parent := map[bool]string{true: "reseller", false: "isp"}[handle == "x/shop"] // the others' names are taken, by others' customers
		h.commit(h.ledger.Enrol(by("x"), holdings.Organisation{Handle: handle, Parent: parent, Kind: holdings.EndUser}))
	}
	h.give("x/shop", "41.0.16.0/24", holdings.Assigned, time.Time{})
	o := h.accept(h.begin(holdings.Merger, "reseller", "other", "41.0.0.0/18", ""))
	var names []string
	for _, leg := range o.Transfers[0].Legs {
		names = append(names, leg.From+" > "+leg.To)
	}
	if got := strings.Join(names, ", "); got != "reseller > other, shop > other/shop-3, x/shop > other/shop-4" {
		t.Errorf("the legs are %s", got)
	}
	h.sane()
}

func TestTransferRefuses(t *testing.T) {
	h := chained(t)
	for says, c := range map[string]struct {
		from, to, resources, below string
		kind                       fault.Kind
	}{
		"no organisation nobody":      {"nobody", "other", "41.0.0.0/24", "", fault.NotFound},
		"afrinic is a registry":       {"afrinic", "other", "41.0.0.0/24", "", fault.BadInput},
		"lacnic is a registry":        {"isp", "lacnic", "41.0.0.0/24", "", fault.BadInput},
		"it is held by other":         {"isp", "other", "41.1.0.0/24", "", fault.NotHeld},
		"no one does":                 {"isp", "other", "24.0.0.0/24", "", fault.NotHeld},
		"one above the other":         {"isp", "shop", "41.0.0.0/24", "", fault.BadInput},
		"would be below isp":          {"isp", "new", "41.0.0.0/24", "reseller", fault.BadInput},
		"name the one that it is":     {"isp", "new", "41.0.0.0/24", "", fault.NotFound},
		"which is a enduser":          {"isp", "new", "41.0.0.0/24", "shop", fault.BadInput},
		"name the resources that mov": {"isp", "other", "", "", fault.BadInput},
	} {
		_, err := h.ledger.Initiate(by("x"), holdings.Transfer{Kind: holdings.Market, From: c.from, To: c.to, Resources: set(t, c.resources)}, holdings.Organisation{Parent: c.below})
		fails(t, err, c.kind, says)
	}
	id := h.begin(holdings.Market, "isp", "other", "41.0.0.0/18", "")
	_, err := h.ledger.Finalise(by("x"), id, "")
	fails(t, err, fault.Conflict, "is initiated")
	h.commit(h.ledger.Return(by("x"), "isp", set(t, "41.0.0.0/24")))
	_, err = h.ledger.Accept(by("x"), id, "")
	fails(t, err, fault.NotHeld, "41.0.0.0/24")
	h.commit(h.ledger.Cancel(by("x"), id, ""))
	if len(h.ledger.Unrest()) != 0 {
		t.Error("what was cancelled before its acceptance is not at rest")
	}
	id = h.begin(holdings.Market, "isp", "other", "41.0.1.0/24", "")
	h.accept(id)
	h.commit(h.ledger.Dispute(by("x"), id, "two buyers"))
	_, err = h.ledger.Finalise(by("x"), id, "")
	fails(t, err, fault.Conflict, "two buyers")
	h.sane()
}

// BenchmarkTransfer moves a block to another registry and back. What that takes may not grow with the holders that there are.
func BenchmarkTransfer(b *testing.B) {
	for _, holders := range []int{100, 1000, 10000} {
		b.Run(strconv.Itoa(holders), func(b *testing.B) {
			records := make([]string, holders)
			for i := range records {
				records[i] = fmt.Sprintf("ZA|ipv4|41.%d.%d.0|256|20200101|allocated|A%d", i>>8, i%256, i)
			}
			h := newTestLedger(b, world)
			h.take(extended("afrinic", 1, records...), extended("lacnic", 1, l7))
			ends := []string{"afrinic/a7", "lacnic/7"}
			b.ReportAllocs()
			for b.Loop() {
				id := h.begin(holdings.Portability, ends[0], ends[1], "41.0.7.0/24", "")
				h.accept(id)
				h.finalise(id)
				slices.Reverse(ends)
			}
		})
	}
}
