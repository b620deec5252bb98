package plan

import (
	"slices"
	"strings"
	"testing"

	"cadastre/ca/issued"
	"cadastre/internal/payload"
	"cadastre/roa"
)

func TestPartsOfABatch(t *testing.T) {
	vrps := payload.List([]roa.VRP{{ASN: 1}, {ASN: 2}})
	n := issued.Parse
	updates := []Update{
		{Name: n("isp"), Certify: []Certify{{Name: n("new")}, {Name: n("shop")}}, Revoke: []issued.Name{n("old")}},
		{Name: n("new"), Create: true, Authorise: vrps},
		{Name: n("other"), Authorise: vrps, Withdraw: []string{"a.roa"}},
		{Name: n("rede")},
	}
	want := []struct {
		about string
		bare  bool
		keys  int
	}{{"new", false, 2 + 1 + 2}, {"shop", false, 2}, {"old", false, 1}, {"other", false, 3}, {"rede", true, 1}}
	got := Parts(updates)
	if len(got) != len(want) {
		t.Fatalf("%d parts: %+v", len(got), got)
	}
	for i, w := range want {
		keys := 0
		for _, u := range got[i] {
			keys += u.Work()
		}
		if About(got[i]) != w.about || Bare(got[i]) != w.bare || keys != w.keys {
			t.Errorf("part %d is about %s, bare %v, of work %d; want %+v", i, About(got[i]), Bare(got[i]), keys, w)
		}
	}
}

// TestPlanForWhatWaits: who is quarantined gets new manifests and no more; what needs a key that is offline is left out, with
// all that hangs on it.
func TestPlanForWhatWaits(t *testing.T) {
	v := furnished(t)
	v.take("isp", "41.0.0.0/19")
	v.give("other", "41.0.0.0/19")
	v.quarantined = map[issued.Name]bool{issued.Parse("isp"): true}
	want := []string{"grow 3: afrinic certifies other (41.0.0.0/19, 41.0.64.0/18)", "authorise 0: shop withdraws 1", "shrink 4: isp revokes shop"}
	if got := outline(v.plan()); !slices.Equal(got, want) {
		t.Errorf("with isp quarantined the plan is\n\t%s", strings.Join(got, "\n\t"))
	}
	v.now = v.now.Add(v.policy.ManifestLife - v.policy.ManifestSlack)
	if got := strings.Join(outline(v.plan()), "\n"); !strings.Contains(got, "refresh 3: isp; nic.br; other\n") {
		t.Errorf("who is quarantined gets no new manifest:\n%s", got)
	}

	v = newVillage(t)
	v.give("afrinic", "41.0.0.0/16")
	v.give("isp", "41.0.0.0/18")
	v.offline = map[issued.Name]bool{issued.Anchor: true}
	if got := outline(v.plan()); len(got) > 0 {
		t.Errorf("with the anchor offline from the first the plan is %v", got)
	}
}
