package holdings_test

import (
	"testing"

	"cadastre/holdings"
	"cadastre/internal/fault"
)

const (
	a1   = "ZA|ipv4|41.0.0.0|65536|20200101|allocated|A1"
	a2   = "KE|ipv4|41.1.0.0|256|20200101|allocated|A2"
	l7   = "CL|ipv4|24.152.4.0|1024|20200310|allocated|7"
	b8   = "BR|ipv4|24.152.0.0|1024|20200310|allocated|8"
	at7  = "CL|ipv4|41.0.1.0|256|20260701|allocated|7"
	rest = "41.0.0.0/24, 41.0.2.0-41.0.255.255"
)

// registries is two registries and an NIR as their files say.
func registries(t testing.TB) *testLedger {
	h := newTestLedger(t, world)
	h.take(extended("afrinic", 1, a1, a2), extended("lacnic", 1, l7, b8))
	return h
}

func (h *testLedger) unchangedBy(text string) {
	h.Helper()
	if o, err := h.ledger.Import(by("again"), []*holdings.File{read(h, text)}, holdings.ImportOptions{}); err != nil || !o.Empty() {
		h.Errorf("the file makes a difference: %v, %+v", err, o)
	}
}

func TestImportDuringATransfer(t *testing.T) {
	for name, accepted := range map[string]bool{"initiated": false, "accepted": true} {
		t.Run(name, func(t *testing.T) {
			h := registries(t)
			id := h.begin(holdings.Market, "afrinic/a1", "lacnic/7", "41.0.1.0/24", "")
			if accepted {
				h.accept(id)
			}
			flight := func() {
				t.Helper()
				h.holds(map[string]string{"afrinic/a1": "41.0.0.0/16", "afrinic": "41.0.0.0-41.1.0.255"})
				h.sane()
			}
			h.unchangedBy(extended("afrinic", 2, a1, a2))
			// the recipient's file lists it early, which changes nothing
			h.unchangedBy(extended("lacnic", 2, l7, b8, at7))
			flight()
			// the source's file lists it no more, or of another status, date or holder
			h.take(extended("afrinic", 3, "ZA|ipv4|41.0.0.0|256|20200101|allocated|A1", "ZA|ipv4|41.0.2.0|65024|20200101|allocated|A1", a2))
			flight()
			h.take(extended("afrinic", 4, "ZA|ipv4|41.0.0.0|65536|20210101|assigned|A1", a2))
			flight()
			h.take(extended("afrinic", 5, "ZA|ipv4|41.0.0.0|65536|20210101|allocated|A9", a2))
			h.holds(map[string]string{"afrinic/a1": "41.0.1.0/24", "afrinic/a9": rest})
			h.sane()
			h.unchangedBy(extended("afrinic", 6, "ZA|ipv4|41.0.0.0|65536|20210101|allocated|A9", a2))
			if !accepted {
				h.accept(id)
			}
			h.finalise(id)
			h.unchangedBy(extended("afrinic", 7, "ZA|ipv4|41.0.0.0|65536|20210101|allocated|A9", a2))
			h.holds(map[string]string{"afrinic/a1": "", "afrinic/a9": rest, "lacnic/7": "24.152.4.0/22, 41.0.1.0/24"})
			h.sane()
		})
	}
}

func TestImportAfterATransferBetweenRegistries(t *testing.T) {
	h := registries(t)
	id := h.begin(holdings.Market, "afrinic/a1", "lacnic/7", "41.0.1.0/24", "")
	h.accept(id)
	h.finalise(id)
	want := map[string]string{"afrinic/a1": rest, "afrinic": "41.0.0.0/24, 41.0.2.0-41.1.0.255", "lacnic/7": "24.152.4.0/22, 41.0.1.0/24", "lacnic": "24.152.0.0/21, 41.0.1.0/24"}
	h.holds(want)
	// both files are behind
	h.unchangedBy(extended("afrinic", 2, a1, a2))
	h.unchangedBy(extended("lacnic", 2, l7, b8))
	// the recipient's has it, and what came by the transfer follows the file from then on
	h.take(extended("lacnic", 3, l7, b8, at7))
	h.holds(want)
	for _, d := range h.ledger.Delegations("lacnic/7") {
		if !d.Imported() {
			t.Errorf("delegation %d is not adopted: %+v", d.ID, d)
		}
	}
	h.sane()
	h.unchangedBy(extended("afrinic", 3, a1, a2))
	h.take(extended("lacnic", 4, l7, b8))
	h.holds(map[string]string{"lacnic/7": "24.152.4.0/22"})
	h.sane()
}

func TestImportAfterATransferWithinARegistry(t *testing.T) {
	h := registries(t)
	id := h.begin(holdings.Market, "afrinic/a1", "afrinic/a2", "41.0.1.0/24", "")
	h.accept(id)
	h.finalise(id)
	want := map[string]string{"afrinic/a1": rest, "afrinic/a2": "41.0.1.0/24, 41.1.0.0/24", "afrinic": "41.0.0.0-41.1.0.255"}
	h.holds(want)
	h.unchangedBy(extended("afrinic", 2, a1, a2)) // behind
	// a third holder is no matter of being behind
	_, err := h.ledger.Import(by("x"), []*holdings.File{read(t, extended("afrinic", 3, "ZA|ipv4|41.0.0.0|256|20200101|allocated|A1", "ZA|ipv4|41.0.2.0|65024|20200101|allocated|A1",
		"KE|ipv4|41.0.1.0|256|20260101|allocated|A3", a2))}, holdings.ImportOptions{})
	fails(t, err, fault.Conflict, "41.0.1.0/24 is held by afrinic/a2 already")
	h.take(extended("afrinic", 4, "ZA|ipv4|41.0.0.0|256|20200101|allocated|A1", "ZA|ipv4|41.0.2.0|65024|20200101|allocated|A1",
		"KE|ipv4|41.0.1.0|256|20260101|allocated|A2", a2))
	h.holds(want)
	h.sane()
	// back where the file had it before: what is held by who gave it is given no more
	h.commit(h.ledger.Revoke(by("fraud"), "afrinic/a2", set(t, "41.0.1.0/24")))
	h.take(extended("afrinic", 5, a1, a2))
	h.holds(map[string]string{"afrinic/a1": "41.0.0.0/16", "afrinic/a2": "41.1.0.0/24"})
	h.sane()
}

func TestImportAfterATransferFromAndToAnNIR(t *testing.T) {
	h := registries(t)
	id := h.begin(holdings.Market, "nic.br/8", "lacnic/7", "24.152.1.0/24", "")
	h.accept(id)
	h.holds(map[string]string{"nic.br": "24.152.0.0/22", "nic.br/8": "24.152.0.0/22", "lacnic/7": "24.152.1.0/24, 24.152.4.0/22"})
	h.sane()
	h.unchangedBy(extended("lacnic", 2, l7, b8))
	h.finalise(id)
	out := map[string]string{"nic.br": "24.152.0.0/24, 24.152.2.0/23", "nic.br/8": "24.152.0.0/24, 24.152.2.0/23", "lacnic/7": "24.152.1.0/24, 24.152.4.0/22", "lacnic": "24.152.0.0/21"}
	h.holds(out)
	h.unchangedBy(extended("lacnic", 3, l7, b8))
	now := []string{"BR|ipv4|24.152.0.0|256|20200310|allocated|8", "BR|ipv4|24.152.2.0|512|20200310|allocated|8", "CL|ipv4|24.152.1.0|256|20200310|allocated|7", l7}
	h.take(extended("lacnic", 4, now...))
	h.holds(out)
	h.sane()
	id = h.begin(holdings.Portability, "lacnic/7", "nic.br/8", "24.152.1.0/24", "")
	h.accept(id)
	h.finalise(id)
	home := map[string]string{"nic.br": "24.152.0.0/22", "nic.br/8": "24.152.0.0/22", "lacnic/7": "24.152.4.0/22", "lacnic": "24.152.0.0/21"}
	h.holds(home)
	h.unchangedBy(extended("lacnic", 5, now...))
	h.take(extended("lacnic", 6, l7, b8))
	h.holds(home)
	h.sane()
}
