package moves

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"cadastre/holdings"
	"cadastre/internal/inr"
)

// TestCarriedEnds: what a donor that is gone had authorised for a time goes along for that time, and is waited for no longer.
func TestCarriedEnds(t *testing.T) {
	block := netip.MustParsePrefix("41.0.0.0/16")
	lasting := holdings.Route{Prefix: block, MaxLength: 16, Origin: 1}
	soon, ended := lasting, lasting
	soon.Origin, soon.Until = 2, time.Now().Add(time.Hour)
	ended.Origin, ended.Until = 3, time.Now().Add(-time.Hour)
	leg := holdings.Leg{To: "south/x", Resources: inr.OfPrefix(block)}
	x := &holdings.Transfer{Kind: holdings.Handoff, To: "south/x", Legs: []holdings.Leg{leg}, Carried: []holdings.Route{lasting, soon, ended}}
	if got := carried(nil, x, nil)[0]; !slices.Equal(got, []holdings.Route{lasting, soon}) {
		t.Errorf("%v goes along", got)
	}
	for _, in := range wanted(nil, x, nil) {
		if in.Origin == soon.Origin != in.Until.Equal(soon.Until) {
			t.Errorf("%s ends at %s", in, in.Until)
		}
	}
}
