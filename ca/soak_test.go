package ca

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/roa"
)

// TestGrowthSoaks: what a registry's certificate got in its parent's repository is not passed on, in its own, to one that
// was there before, until readers that fetched the first just before it grew are done. All else goes on meanwhile.
func TestGrowthSoaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := testPolicy()
		policy.Soak = 30 * time.Minute
		h := newTestRegistryWith(t, t.TempDir(), registries, policy)
		defer func() { h.close() }()
		h.give("lacnic", "45.0.0.0/16")
		h.give("nic.br", "45.0.0.0/17")
		h.settle()
		h.give("lacnic", "46.0.0.0/16")
		h.give("nic.br", "46.0.0.0/17")
		must(t, h.engine.Settle(t.Context()))
		if is, _ := h.engine.issued.Read(issued.Parse("nic.br")); is.Certified.String() != "45.0.0.0/17" {
			t.Fatalf("nic.br's certificate names %s within the soak", is.Certified)
		}
		time.Sleep(policy.Soak)
		h.settle()
		// and the other way: what is below goes first, and what is above follows when no reader holds the old one
		h.take("nic.br", "46.0.0.0/17")
		h.take("lacnic", "46.0.0.0/16")
		must(t, h.engine.Settle(t.Context()))
		if is, _ := h.engine.issued.Read(issued.Parse("lacnic")); is.Certified.Equal(holdingOf(h, "lacnic")) {
			t.Fatal("lacnic's certificate shrank at once with that of nic.br below it")
		}
		time.Sleep(policy.Soak)
		h.settle()
	})
}

// holdingOf is what an organisation holds.
func holdingOf(h *testRegistry, holder string) (set inr.Set) {
	must(h, h.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		set = l.Holding(holder)
		return nil
	}))
	return set
}

// TestGrowthIsNotPutOff: what a certificate got is passed on when its own soak is over, however often it gets more meanwhile.
func TestGrowthIsNotPutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := testPolicy()
		policy.Soak = 30 * time.Minute
		h := newTestRegistryWith(t, t.TempDir(), registries, policy)
		defer func() { h.close() }()
		h.give("lacnic", "45.0.0.0/16")
		h.give("nic.br", "45.0.0.0/17")
		h.settle()
		for n := range 6 {
			h.give("lacnic", fmt.Sprintf("46.%d.0.0/16", n))
			h.give("nic.br", fmt.Sprintf("46.%d.0.0/17", n))
			must(t, h.engine.Settle(t.Context()))
			time.Sleep(20 * time.Minute)
			must(t, h.engine.Settle(t.Context()))
		}
		if is, _ := h.engine.issued.Read(issued.Parse("nic.br")); !is.Certified.Contains(resources(t, "46.0.0.0/17,46.1.0.0/17,46.2.0.0/17")) {
			t.Fatalf("after two hours nic.br's certificate names %s", is.Certified)
		}
		time.Sleep(policy.Soak)
		h.settle()
	})
}
