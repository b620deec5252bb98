package holdings_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/principal"
	"cadastre/internal/store"
)

// chain is a small tree with two registries and four levels below one of them.
const chain = world + `
[[organisation]]
handle = "isp"
parent = "afrinic"
kind = "lir"

[[organisation]]
handle = "reseller"
parent = "isp"
kind = "lir"

[[organisation]]
handle = "shop"
parent = "reseller"
kind = "enduser"

[[organisation]]
handle = "other"
parent = "afrinic"
kind = "lir"
`

func set(t rapid.TB, text string) inr.Set {
	t.Helper()
	s, err := inr.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// give delegates resources; a status of "" is allocated.
func (h *testLedger) give(to, resources string, status holdings.Status, until time.Time) *holdings.Outcome {
	h.Helper()
	if status == "" {
		status = holdings.Allocated
	}
	return h.commit(h.ledger.Delegate(by("contract"), holdings.Delegation{
		To: to, Resources: set(h, resources), Status: status, Ground: "contract", Until: until,
	}))
}

// chained is a ledger in which a /8 goes down to the shop, a part at each level.
func chained(t testing.TB) *testLedger {
	h := newTestLedger(t, chain)
	h.give("afrinic", "41.0.0.0/8, 2c00::/12, AS36864-AS37887", "", time.Time{})
	h.give("isp", "41.0.0.0/16, 2c00:1::/32, AS36864", "", time.Time{})
	h.give("reseller", "41.0.0.0/18, AS36864", "", time.Time{})
	h.give("shop", "41.0.0.0/20", holdings.Assigned, time.Time{})
	h.give("other", "41.1.0.0/16", holdings.Assigned, time.Time{})
	return h
}

func (h *testLedger) holds(want map[string]string) {
	h.Helper()
	for handle, resources := range want {
		if got := h.ledger.Holding(handle).String(); got != resources {
			h.Errorf("%s holds %q, want %q", handle, got, resources)
		}
	}
}

func TestDelegateRefuses(t *testing.T) {
	h := chained(t)
	soon := noon.Add(time.Hour)
	for name, c := range map[string]struct {
		to, resources string
		status        holdings.Status
		ground        string
		until         time.Time
		kind          fault.Kind
		want          string
	}{
		"unknown":          {"nobody", "41.9.0.0/16", "allocated", "x", soon, fault.NotFound, "nobody"},
		"root":             {"iana", "41.9.0.0/16", "allocated", "x", soon, fault.BadInput, "root"},
		"nothing":          {"isp", "", "allocated", "x", soon, fault.BadInput, "no resources"},
		"status":           {"isp", "41.9.0.0/16", "lent", "x", soon, fault.BadInput, "lent"},
		"ground":           {"isp", "41.9.0.0/16", "allocated", " ", soon, fault.BadInput, "ground"},
		"past":             {"isp", "41.9.0.0/16", "allocated", "x", noon, fault.BadInput, "past"},
		"sibling":          {"isp", "41.1.2.0/24", "allocated", "x", soon, fault.Conflict, "other"},
		"own":              {"isp", "41.0.255.0-41.2.0.0", "allocated", "x", soon, fault.Conflict, "isp"},
		"not the parent's": {"isp", "42.0.0.0/16", "allocated", "x", soon, fault.NotHeld, "no one"},
		"an uncle's":       {"reseller", "41.1.0.0/24", "allocated", "x", soon, fault.NotHeld, "held by other"},
		"private":          {"afrinic", "10.2.0.0/16", "allocated", "x", soon, fault.BadInput, "RFC 1918"},
		"multicast":        {"afrinic", "ff02::/16", "allocated", "x", soon, fault.BadInput, "multicast"},
		"private AS":       {"afrinic", "AS64000-AS64600", "allocated", "x", soon, fault.BadInput, "RFC 5398"},
		"documentation":    {"afrinic", "2001:db8:1::/48", "allocated", "x", soon, fault.BadInput, "RFC 3849"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.ledger.Delegate(by("x"), holdings.Delegation{To: c.to, Resources: set(t, c.resources), Status: c.status, Ground: c.ground, Until: c.until})
			if fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v (%v); want %v that says %q", err, fault.KindOf(err), c.kind, c.want)
			}
		})
	}
	h.sameAs(h.reload())
}

func TestAssignedIsNotDelegatedOn(t *testing.T) {
	h := chained(t)
	h.commit(h.ledger.Enrol(by("new"), holdings.Organisation{Handle: "Customer", Parent: "other", Kind: holdings.EndUser}))
	_, err := h.ledger.Delegate(by("x"), holdings.Delegation{To: "customer", Resources: set(t, "41.1.0.0/24"), Status: holdings.Assigned, Ground: "x"})
	if fault.KindOf(err) != fault.NotHeld || !strings.Contains(err.Error(), "assigned to other") {
		t.Errorf("the error is %v", err)
	}
}

func TestReturnCascades(t *testing.T) {
	h := chained(t)
	o := h.commit(h.ledger.Return(by("no need"), "ISP", set(t, "41.0.0.0/19, AS36864")))
	h.holds(map[string]string{
		"isp":      "41.0.32.0-41.0.255.255, 2c00:1::/32",
		"reseller": "41.0.32.0/19",
		"shop":     "",
		"other":    "41.1.0.0/16",
	})
	if want := []string{"isp", "reseller", "shop"}; !slices.Equal(o.Losers(), want) || len(o.After) != 3 {
		t.Errorf("the losers are %v, want %v", o.Losers(), want)
	}
	if want := (holdings.Counts{Gone: 3, Cut: 2}); o.Counts != want {
		t.Errorf("it counts %+v, want %+v", o.Counts, want)
	}
	for _, d := range o.Started {
		if d.Replaces == 0 || d.Ground != "contract" {
			t.Errorf("the remainder %d does not say what it is left of", d.ID)
		}
	}
	h.sameAs(h.reload())
	sound(t, h.ledger)
	if _, err := h.ledger.Return(by("x"), "reseller", set(t, "41.0.0.0/18")); fault.KindOf(err) != fault.NotHeld {
		t.Errorf("what is not held was returned: %v", err)
	}
}

func TestRevokeAll(t *testing.T) {
	h := chained(t)
	h.commit(h.ledger.Revoke(by("fraud"), "isp", inr.Set{}))
	h.holds(map[string]string{"isp": "", "reseller": "", "shop": "", "other": "41.1.0.0/16"})
	err := h.store.View(func(r store.Reader) error {
		var past []holdings.Delegation
		for d, err := range holdings.Past(r, "shop") {
			if err != nil {
				return err
			}
			past = append(past, d)
		}
		if len(past) != 1 || past[0].Resources.String() != "41.0.0.0/20" {
			t.Errorf("the past of the shop is %v", past)
		}
		d, err := holdings.ReadDecision(r, past[0].Ended)
		if err != nil || d.Reason != "fraud" || d.Actor != "tester" || !d.Time.Equal(noon) {
			t.Errorf("the decision is %+v, %v", d, err)
		}
		count := uint64(0)
		for d, err := range holdings.Decisions(r, 1) {
			if count++; err != nil || d.ID != count {
				t.Errorf("decision %d is %d, %v", count, d.ID, err)
			}
		}
		if count != h.ledger.LastDecision() {
			t.Errorf("the log has %d decisions of %d", count, h.ledger.LastDecision())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestExpire(t *testing.T) {
	h := chained(t)
	day := 24 * time.Hour
	h.give("isp", "41.5.0.0/16", "", noon.Add(2*day))
	h.give("reseller", "41.5.0.0/24, 41.0.128.0/24", "", noon.Add(5*day))
	if got := h.ledger.NextExpiry(); !got.Equal(noon.Add(2 * day)) {
		t.Fatalf("the next expiry is %v", got)
	}
	at := by("expired")
	if o, err := h.ledger.Expire(at); err != nil || !o.Empty() {
		t.Fatalf("something expires at once: %v, %v", o, err)
	}
	at.Time = noon.Add(2 * day)
	h.commit(h.ledger.Expire(at))
	h.holds(map[string]string{"isp": "41.0.0.0/16, 2c00:1::/32, AS36864", "reseller": "41.0.0.0/18, 41.0.128.0/24, AS36864"})
	// what was left of the reseller's delegation keeps its end
	if got := h.reload().NextExpiry(); !got.Equal(noon.Add(5 * day)) {
		t.Fatalf("the next expiry is %v", got)
	}
	at.Time = noon.Add(50 * day)
	h.commit(h.ledger.Expire(at))
	h.holds(map[string]string{"reseller": "41.0.0.0/18, AS36864"})
	if !h.ledger.NextExpiry().IsZero() {
		t.Error("there is another expiry")
	}
	sound(t, h.ledger)
}

func TestHolders(t *testing.T) {
	h := chained(t)
	for prefix, want := range map[string]string{
		"41.0.0.0/24":   "shop reseller isp afrinic iana",
		"41.0.0.0/19":   "reseller isp afrinic iana",
		"41.0.0.0/15":   "afrinic iana",
		"41.1.0.0/16":   "other afrinic iana",
		"8.8.8.0/24":    "iana",
		"2c00:1::/48":   "isp afrinic iana",
		"41.0.0.0/7":    "iana",
		"255.0.0.0/8":   "iana",
		"0.0.0.0/0":     "iana",
		"41.255.0.0/24": "afrinic iana",
	} {
		if got := strings.Join(h.ledger.Holders(netip.MustParsePrefix(prefix)), " "); got != want {
			t.Errorf("%s is held by %s, want %s", prefix, got, want)
		}
	}
	for text, want := range map[string]string{
		"41.0.0.0/15": "isp other reseller shop",
		"41.0.0.0/20": "shop",
		"41.2.0.0/16": "afrinic",
		"8.8.8.0/24":  "",
		"AS36864":     "reseller",
	} {
		if got := strings.Join(h.ledger.PartHolders(set(t, text)), " "); got != want {
			t.Errorf("parts of %s are held by %q, want %q", text, got, want)
		}
	}
	if h.ledger.Depth("shop") != 4 || h.ledger.Depth("iana") != 0 || h.ledger.Registry("Shop") != "afrinic" || h.ledger.Registry("nic.br") != "nic.br" {
		t.Error("depth or registry is wrong")
	}
	if got := h.ledger.Free("isp").String(); got != "41.0.64.0-41.0.255.255, 2c00:1::/32" {
		t.Errorf("the isp may still give %s", got)
	}
}

func TestALostRaceIsAConflict(t *testing.T) {
	h := chained(t)
	a, err1 := h.ledger.Return(by("a"), "shop", set(t, "41.0.0.0/21"))
	b, err2 := h.ledger.Return(by("b"), "other", set(t, "41.1.0.0/24"))
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	h.commit(a, nil)
	if _, err := h.store.Update(store.Any, b.Write); fault.KindOf(err) != fault.Conflict {
		t.Errorf("the second outcome of one state was written: %v", err)
	}
	h.sameAs(h.reload())
}

func TestDigestIsOfTheDifferenceAlone(t *testing.T) {
	h := chained(t)
	resolve := func(b holdings.By, handle, resources string) [32]byte {
		o, err := h.ledger.Return(b, handle, set(t, resources))
		if err != nil {
			t.Fatal(err)
		}
		return o.Digest
	}
	first := resolve(by("a"), "isp", "41.0.0.0/24")
	later := holdings.By{Who: principal.Principal{Name: "other"}, Reason: "b", Time: noon.Add(time.Hour)}
	if resolve(later, "isp", "41.0.0.0/24") != first {
		t.Error("the digest depends on who decides when")
	}
	if resolve(by("a"), "isp", "41.0.1.0/24") == first {
		t.Error("another difference has the same digest")
	}
	h.give("other", "41.7.0.0/16", "", time.Time{})
	if resolve(by("a"), "isp", "41.0.0.0/24") != first {
		t.Error("the digest depends on what came between")
	}
}

// TestDelegateBelow: who is there gets more from the one above it and from nobody else, and who is new is added below the one named.
func TestDelegateBelow(t *testing.T) {
	h := chained(t)
	give := func(from, to, resources string, status holdings.Status) (*holdings.Outcome, error) {
		return h.ledger.DelegateBelow(by("x"), from, "Someone", holdings.Delegation{To: to, Resources: set(t, resources), Status: status, Ground: "contract"})
	}
	h.commit(give("", "other", "41.2.0.0/16", holdings.Assigned))
	h.commit(give("AFRINIC", "Other", "41.3.0.0/16", holdings.Assigned))
	_, err := give("isp", "other", "41.0.255.0/24", holdings.Assigned)
	fails(t, err, fault.Conflict, "other stands below afrinic, not below isp")
	_, err = give("", "fresh", "41.4.0.0/16", holdings.Allocated)
	fails(t, err, fault.NotFound, "no organisation \"fresh\"")
	h.commit(give("afrinic", "fresh", "41.4.0.0/16", holdings.Allocated))
	h.commit(give("fresh", "fresh/user", "41.4.1.0/24", holdings.Assigned))
	h.holds(map[string]string{"other": "41.1.0.0-41.3.255.255", "fresh": "41.4.0.0/16", "fresh/user": "41.4.1.0/24"})
	for handle, want := range map[string]holdings.Kind{"fresh": holdings.LIR, "fresh/user": holdings.EndUser} {
		if o, _ := h.ledger.Organisation(handle); o.Kind != want || o.Name != "Someone" {
			t.Errorf("%s is %+v", handle, o)
		}
	}
}
