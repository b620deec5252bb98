package ca

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/roa"
)

// many is n records of a registry's file, a /24 with a holder each, from a block of addresses.
func many(block string, n int) string {
	var records strings.Builder
	for i := range n {
		fmt.Fprintf(&records, "ZA|ipv4|%s.%d.%d.0|256|20050101|allocated|%s-%d\n", block, i/256, i%256, block, i)
	}
	return records.String()
}

// TestNoFileAloneEmptiesARegistry, however small the registry is beside the others.
func TestNoFileAloneEmptiesARegistry(t *testing.T) {
	for _, size := range []int{1, 2, 5, 9, 300} {
		inTestRegistry(t, registries, func(h *testRegistry) {
			h.imports(extended(h, "afrinic", 1, many("41", 1200)), extended(h, "lacnic", 1, many("200", size)+strings.ReplaceAll(many("177", size), "ZA|", "BR|")))
			h.intend("200.0.0.0/24,AS27000\n177.0.0.0/24,AS28000\n41.0.0.0/24,AS37000")
			revision := h.store.Revision()
			for _, c := range []struct{ left, registry string }{
				{"", "lacnic"},
				{many("200", size), "nic.br"}, // all that the NIR has is gone
				{strings.ReplaceAll(many("177", size), "ZA|", "BR|"), "lacnic"},
			} {
				file := extended(h, "lacnic", 2, c.left)
				effect, err := h.engine.Import(h.by(), []*holdings.File{file}, holdings.ImportOptions{}, Consent{})
				kindOf(h, err, fault.Refused, "the brake holds this", "--code "+effect.Code)
				if effect.Held == "" || effect.Decision != 0 {
					h.Errorf("with %d holders in %s, the effect of losing them is %+v", size, c.registry, effect)
				}
			}
			if h.store.Revision() != revision {
				h.Error("what was held has changed something")
			}
		})
	}
}

// TestTheCodeIsOfOnePlan: it lets that plan pass and no other, and is the same each time.
func TestTheCodeIsOfOnePlan(t *testing.T) {
	inTestRegistry(t, registries, func(h *testRegistry) {
		h.imports(extended(h, "afrinic", 1, many("41", 40)))
		h.intend("41.0.0.0/24,AS37000\n41.0.1.0/24,AS37000")
		lose := func(from int, consent Consent) (*Effect, error) {
			lines := strings.SplitAfter(many("41", 40), "\n")
			file := extended(h, "afrinic", 2, strings.Join(slices.Delete(lines, from, from+15), ""))
			return h.engine.Import(h.by(), []*holdings.File{file}, holdings.ImportOptions{}, consent)
		}
		one, err := lose(0, Consent{DryRun: true})
		must(h, err)
		again, err := lose(0, Consent{DryRun: true})
		must(h, err)
		other, err := lose(1, Consent{DryRun: true})
		must(h, err)
		if one.Code == "" || one.Code != again.Code || one.Code == other.Code {
			h.Errorf("the codes are %q, again %q, and of another plan %q", one.Code, again.Code, other.Code)
		}
		if one.Holders.Gone != 15 || len(one.Lost) != 2 || len(one.Largest) != 10 || one.Largest[0].VRPs != 1 {
			h.Errorf("the effect is %+v", one)
		}
		_, err = lose(0, Consent{})
		kindOf(h, err, fault.Refused, "2 of 2 VRPs", one.Code)
		_, err = lose(1, Consent{Code: one.Code})
		kindOf(h, err, fault.Refused, "belongs to another plan", other.Code)
		if effect := h.decided(lose(0, Consent{Code: one.Code})); effect.Decision == 0 {
			h.Error("the code did not let it pass")
		}
		h.settle()
	})
}

func TestSmallLossesPass(t *testing.T) {
	inTestRegistry(t, registries, func(h *testRegistry) {
		h.imports(extended(h, "afrinic", 1, many("41", 40)))
		lines := strings.SplitAfter(many("41", 40), "\n")
		file := extended(h, "afrinic", 2, strings.Join(lines[:30], "")) // ten of forty: a few, and less than half
		effect := h.decided(h.engine.Import(h.by(), []*holdings.File{file}, holdings.ImportOptions{}, Consent{}))
		if effect.Held != "" || effect.Holders.Gone != 10 || effect.Decision == 0 {
			h.Errorf("the effect is %+v", effect)
		}
		h.settle()
	})
}

// TestWholeAgainIsNoLoss: where a part comes back to a prefix, the VRPs of its parts give way to that of the whole.
func TestWholeAgainIsNoLoss(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		peopled(h)
		h.take("other", "41.0.64.0/24")
		h.settle()
		effect := h.give("other", "41.0.64.0/24")
		if len(effect.Lost) != 6 || len(effect.Gained) != 1 || effect.Held != "" {
			h.Errorf("the effect is %+v", effect)
		}
		h.settle()
	})
}

func TestRemovedIntentsMeetTheBrake(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		peopled(h)
		var all []roa.Intent
		must(h, h.engine.Intents("", func(in roa.Intent, _ roa.Status) { all = append(all, in) }))
		_, err := h.engine.RemoveIntents(h.by(), all, Consent{})
		kindOf(h, err, fault.Refused, "5 of 5 VRPs")
		remove := func(c Consent) (*Effect, error) { return h.engine.RemoveIntents(h.by(), all[:3], c) }
		_, err = h.engine.RemoveIntents(h.by(), all, Consent{Code: code(h, remove)})
		kindOf(h, err, fault.Refused, "another plan")
		h.decided(remove(Consent{Code: code(h, remove)}))
		h.settle()
	})
}
