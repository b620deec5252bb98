package ca

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"cadastre/ca/issued"
	"cadastre/ca/plan"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/treetest"
	"cadastre/roa"
)

const registries = treetest.Registries

// inTestRegistry runs a test in a bubble, on a new installation of a tree.
func inTestRegistry(t *testing.T, tree string, test func(h *testRegistry)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := newTestRegistry(t, t.TempDir(), tree)
		defer func() { h.close() }()
		test(h)
	})
}

const march = `
	ZA|ipv4|41.0.0.0|65536|20050101|allocated|A1
	ZA|asn|37000|2|20050101|allocated|A1
	KE|ipv4|41.1.0.0|768|20060101|assigned|A2
	KE|ipv6|2c0f:f000::|32|20060101|allocated|A2
	NG|ipv4|41.2.0.0|65536|20070101|allocated|A3`

func TestImportedHoldingsBecomeVRPs(t *testing.T) {
	inTestRegistry(t, registries, func(h *testRegistry) {
		effect := h.imports(extended(h, "afrinic", 1, march), extended(h, "lacnic", 1, `
			AR|ipv4|200.0.0.0|65536|20050101|allocated|L1
			BR|ipv4|177.0.0.0|65536|20050101|allocated|B1`))
		if effect.Holders.New != 5+3 || effect.Certificates.New != effect.Holders.New || effect.Held != "" {
			h.Errorf("the effect of the first import is %+v", effect)
		}
		h.settle()
		h.intend("41.0.0.0/16,AS37000,18\n41.1.0.0/23,37001\n2c0f:f000::/32,AS37001,40\n200.0.0.0/16,AS27000\n177.0.0.0/16,AS28000")
		h.settle()
		if n := len(h.reader.VRPs()); n != 5 {
			h.Errorf("%d VRPs, want 5", n)
		}
	})
}

// kindOf fails the test unless an error is of a kind and says some words.
func kindOf(t rapid.TB, err error, kind fault.Kind, words ...string) {
	t.Helper()
	if err == nil || fault.KindOf(err) != kind {
		t.Fatalf("the error is %v (%v), want one of kind %v", err, fault.KindOf(err), kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error %q does not say %q", err, w)
		}
	}
}

func TestLossesParkAndComeBack(t *testing.T) {
	inTestRegistry(t, registries, func(h *testRegistry) {
		h.imports(extended(h, "afrinic", 1, march))
		h.intend("41.0.0.0/16,AS37000,24\n41.1.0.0/23,AS37001\n41.2.0.0/16,AS37001\n41.2.128.0/17,AS37009")
		h.settle()
		all := h.reader.VRPs()
		// A3 is gone, and A1 has lost a /24 out of its /16
		less := `
			ZA|ipv4|41.0.0.0|1280|20050101|allocated|A1
			ZA|ipv4|41.0.6.0|64000|20050101|allocated|A1
			ZA|asn|37000|2|20050101|allocated|A1
			KE|ipv4|41.1.0.0|768|20060101|assigned|A2
			KE|ipv6|2c0f:f000::|32|20060101|allocated|A2`
		effect := h.imports(extended(h, "afrinic", 2, less))
		if effect.Held == "" || len(effect.Lost) != 3 || effect.Holders.Gone != 1 || effect.Largest[0].Holder != "afrinic/a3" {
			h.Errorf("the effect of the losses is %+v", effect)
		}
		h.settle()
		got := h.reader.VRPs()
		for _, rest := range []string{"41.0.0.0/22,24,AS37000", "41.0.4.0/24,24,AS37000", "41.0.6.0/23,24,AS37000", "41.0.128.0/17,24,AS37000", "41.1.0.0/23,23,AS37001"} {
			if !slices.Contains(got, rest) {
				h.Errorf("%s is not authorised any more: %v", rest, got)
			}
		}
		if slices.ContainsFunc(got, func(v string) bool { return strings.HasPrefix(v, "41.2.") || v == "41.0.0.0/16,24,AS37000" }) {
			h.Errorf("what is lost is authorised: %v", got)
		}
		states := map[roa.State]int{}
		must(h, h.engine.Intents("", func(_ roa.Intent, s roa.Status) { states[s.State]++ }))
		if states[roa.Parked] != 2 || states[roa.Part] != 1 || states[roa.Live] != 1 {
			h.Errorf("the intents stand as %v", states)
		}
		h.imports(extended(h, "afrinic", 3, march))
		h.settle()
		if !slices.Equal(h.reader.VRPs(), all) {
			h.Errorf("what came back is %v, and was %v", h.reader.VRPs(), all)
		}
	})
}

// peopled is a test registry on the forest, with holdings all the way down in two registries and an NIR.
func peopled(h *testRegistry) {
	h.Helper()
	h.give("afrinic", "41.0.0.0/16, AS37000-AS37099")
	h.give("isp", "41.0.0.0/18, AS37000")
	h.give("shop", "41.0.0.0/20")
	h.give("other", "41.0.64.0/18")
	h.give("lacnic", "177.0.0.0/8")
	h.give("nic.br", "177.0.0.0/12")
	h.give("rede", "177.0.0.0/16")
	h.give("loja", "177.0.0.0/20")
	h.intend("41.0.0.0/18,AS37000\n41.0.0.0/20,AS37001\n41.0.64.0/18,AS37002\n177.0.0.0/16,AS28000\n177.0.0.0/24,AS28001")
	h.settle()
}

func TestEndsCascade(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		peopled(h)
		all := h.reader.VRPs()
		h.take("isp", "41.0.0.0/19") // the shop's /20 is in it
		h.settle()
		if got := h.reader.VRPs(); len(got) != len(all)-1 || !slices.Contains(got, "41.0.32.0/19,19,AS37000") || slices.Contains(got, "41.0.0.0/20,20,AS37001") {
			h.Errorf("after isp lost a /19: %v", got)
		}
		if is, _ := h.engine.issued.Read(issued.Parse("shop")); is != nil {
			h.Error("the shop still has a certificate")
		}
		h.decided(h.engine.Return(h.by(), "rede", resources(h, "177.0.0.0/16"), Consent{Code: code(h, func(c Consent) (*Effect, error) {
			return h.engine.Return(h.by(), "rede", resources(h, "177.0.0.0/16"), c)
		})}))
		h.settle()
		if got := h.reader.VRPs(); !slices.Equal(got, []string{"41.0.32.0/19,19,AS37000", "41.0.64.0/18,18,AS37002"}) {
			h.Errorf("after rede returned all it had: %v", got)
		}
	})
}

// code is what the brake asks for, empty if it does not hold the decision.
func code(h *testRegistry, decide func(Consent) (*Effect, error)) string {
	h.Helper()
	effect, err := decide(Consent{DryRun: true})
	must(h, err)
	return effect.Code
}

// TestUntilComes has the clock end a delegation, with all that hangs below it, while the engine runs.
func TestUntilComes(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		peopled(h)
		until := time.Now().Add(36 * time.Hour)
		h.decided(h.engine.Delegate(h.by(), holdings.Delegation{To: "isp", Resources: resources(h, "41.0.128.0/22"), Status: holdings.Allocated, Ground: "a lease", Until: until}, Consent{}))
		h.give("shop", "41.0.128.0/24")
		h.intend("41.0.128.0/24,AS37005")
		stop := h.run()
		must(h, h.engine.WaitIdle(context.Background()))
		if !slices.Contains(h.reader.VRPs(), "41.0.128.0/24,24,AS37005") {
			h.Fatalf("the lease has no effect: %v", h.reader.VRPs())
		}
		h.reader.Insist(map[string]bool{"41.0.0.0/18,18,AS37000": true, "41.0.64.0/18,18,AS37002": true, "177.0.0.0/16,16,AS28000": true, "177.0.0.0/24,24,AS28001": true, "41.0.0.0/20,20,AS37001": true})
		time.Sleep(time.Until(until) - time.Minute)
		synctest.Wait()
		if !slices.Contains(h.reader.VRPs(), "41.0.128.0/24,24,AS37005") {
			h.Error("the lease ended too early")
		}
		time.Sleep(2 * time.Minute)
		must(h, h.engine.WaitIdle(context.Background()))
		stop()
		if len(h.reader.VRPs()) != 5 {
			h.Errorf("a minute after the lease ended the VRPs are %v", h.reader.VRPs())
		}
		h.complete()
	})
}

// TestHeldEndWaitsForItsCode: what the brake holds stands until the operator ends it, and is no reason to hurry.
func TestHeldEndWaitsForItsCode(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		peopled(h)
		until := time.Now().Add(36 * time.Hour)
		h.decided(h.engine.Delegate(h.by(), holdings.Delegation{To: "isp", Resources: resources(h, "41.0.128.0/18"), Status: holdings.Allocated, Ground: "a lease", Until: until}, Consent{}))
		h.intend("41.0.128.0/18,AS37005")
		stop := h.run()
		defer stop()
		time.Sleep(48 * time.Hour)
		must(h, h.engine.WaitIdle(context.Background()))
		h.complete()
		if n := h.reader.Refusals(fault.Refused); n < 12 || n > 14 {
			h.Errorf("in 12 hours the end was tried %d times, want once an hour", n)
		}
		expire := func(c Consent) (*Effect, error) { return h.engine.Expire(h.by(), c) }
		_, err := expire(Consent{})
		kindOf(h, err, fault.Refused, "16384", "--code")
		h.decided(expire(Consent{Code: code(h, expire)}))
		must(h, h.engine.WaitIdle(context.Background()))
		h.complete()
	})
}

// TestHeldEndHoldsUpNoOther: ends by date are decided one by one where the brake holds all together, and the end of a bridge, which is an
// intent's, comes at its own time. What the brake holds is listed with its reason and its code, which ends that alone.
func TestHeldEndHoldsUpNoOther(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		peopled(h)
		until := time.Now().Add(36 * time.Hour)
		for what, route := range map[string]string{"41.0.128.0/18": "41.0.128.0/18,AS37005", "41.0.192.0/24": "41.0.192.0/24,AS37006"} {
			to := map[bool]string{true: "isp", false: "isp/small"}[what == "41.0.128.0/18"]
			if to == "isp/small" {
				h.decided(h.engine.Enrol(h.by(), holdings.Organisation{Handle: to, Parent: "afrinic", Kind: holdings.LIR}))
			}
			h.decided(h.engine.Delegate(h.by(), holdings.Delegation{To: to, Resources: resources(h, what), Status: holdings.Allocated, Ground: "a lease", Until: until}, Consent{}))
			h.intend(route)
		}
		bridge, err := roa.ParseRow("41.0.64.0/24", "AS37009")
		must(h, err)
		bridge.Until = until.Add(30 * time.Minute) // between two tries of what is held
		h.decided(h.engine.AddIntents([]roa.Row{bridge}, roa.Options{Holder: "other", By: h.by()}, Consent{}))
		stop := h.run()
		defer stop()
		h.reader.Pause(true) // what ends by itself it takes for lost
		time.Sleep(time.Until(bridge.Until.Add(time.Minute)))
		h.reader.Read("beside what is held")
		if got := h.reader.VRPs(); slices.Contains(got, "41.0.64.0/24,24,AS37009") || !slices.Contains(got, "41.0.64.0/18,18,AS37002") {
			h.Error("after the end of the bridge the VRPs are", got)
		}
		must(h, h.engine.WaitIdle(context.Background()))
		if got := h.engine.ledger.Holding("isp/small"); !got.Empty() {
			h.Error("the small one is there still:", got)
		}
		if got := h.engine.ledger.Holding("isp"); !got.Contains(resources(h, "41.0.128.0/18")) {
			h.Error("the large one went without a code:", got)
		}
		held := func() []Wait {
			return slices.DeleteFunc(h.engine.Waits(), func(w Wait) bool { return w.Kind != Braked })
		}
		list := held()
		if len(list) != 1 || list[0].Of != "isp" || list[0].Code == "" || list[0].On != Operator {
			h.Fatalf("it lists %+v", list)
		}
		h.decided(h.engine.Expire(h.by(), Consent{Code: list[0].Code}, "isp"))
		must(h, h.engine.WaitIdle(context.Background()))
		if list = held(); len(list) > 0 {
			h.Errorf("it lists still %+v", list)
		}
		h.reader.Read("the end")
		h.complete()
	})
}

// run runs the engine until the function that it returns is called.
func (h *testRegistry) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- h.engine.Run(ctx) }()
	return func() {
		cancel()
		must(h, <-done)
	}
}

// TestHoldersMoveToAnNIR: a holder of a registry becomes one of its NIR and back, by the country in the registry's file.
func TestHoldersMoveToAnNIR(t *testing.T) {
	inTestRegistry(t, registries, func(h *testRegistry) {
		file := func(day int, moving string) *holdings.File {
			return extended(h, "lacnic", day, `
				AR|ipv4|200.0.0.0|65536|20050101|allocated|L1
				BR|ipv4|177.0.0.0|65536|20050101|allocated|B1
				`+moving+`|ipv4|200.7.0.0|65536|20050101|allocated|M1`)
		}
		h.imports(file(1, "UY"))
		h.intend("200.0.0.0/16,AS27000\n177.0.0.0/16,AS28000\n200.7.0.0/16,AS27001")
		h.settle()
		h.imports(file(2, "BR")) // NIC.br and M1 grow in one decision, in two repositories
		h.settle()
		if got := h.reader.VRPs(); slices.Contains(got, "200.7.0.0/16,16,AS27001") {
			h.Errorf("the holder that left keeps its VRP: %v", got)
		}
		h.intend("200.7.0.0/16,AS27001")
		h.settle()
		h.imports(file(3, "UY")) // the intents of both are there now: what goes with one comes with the other
		h.settle()
		if got := h.reader.VRPs(); len(got) != 3 {
			h.Errorf("the VRPs are %v", got)
		}
		h.imports(file(4, "BR"))
		h.settle()
		if got := h.reader.VRPs(); len(got) != 3 {
			h.Errorf("the VRPs are %v", got)
		}
	})
}

// TestManyROAsAtOnce: more than fit into a batch, for a new authority and for one that is there.
func TestManyROAsAtOnce(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		peopled(h)
		var csv strings.Builder
		for i := range 2*plan.BatchKeys + 20 {
			fmt.Fprintf(&csv, "41.0.%d.%d/28,AS%d\n", 64+i/16, i%16*16, 38000+i)
		}
		h.intend(csv.String())
		h.settle()
		h.take("other", "41.0.64.0/18")
		h.settle()
		h.give("other", "41.0.64.0/18")
		h.settle()
		if n := len(h.reader.VRPs()); n != 5+2*plan.BatchKeys+20 {
			h.Errorf("%d VRPs are left", n)
		}
		h.take("other", "41.0.64.0/19")
		h.settle()
	})
}
