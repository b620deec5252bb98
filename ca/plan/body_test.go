package plan

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"cadastre/ca/issued"
	"cadastre/internal/inr"
	"cadastre/internal/payload"
)

// adjacency is a payload that is about an AS number, and says something of it that may change.
type adjacency struct {
	as  uint32
	say string
}

func (n adjacency) Kind() payload.Kind { return "adjacency" }
func (n adjacency) Key() payload.Key {
	return payload.Key{Kind: n.Kind(), Text: strconv.Itoa(int(n.as))}
}
func (n adjacency) Resources() inr.Set { return inr.OfAS(n.as, n.as) }
func (n adjacency) String() string     { return strconv.Itoa(int(n.as)) + " has " + n.say }
func (n adjacency) Covers(other payload.Payload) payload.Cover {
	if m, is := other.(adjacency); is && m.as == n.as {
		return payload.Whole
	}
	return payload.None
}

// neighbourhood is a village in which holders have adjacencies authorised beside their VRPs.
type neighbourhood struct {
	*world
	wants map[string]adjacency // by holder
}

func (w neighbourhood) Authorised(n issued.Name, within inr.Set) []payload.Payload {
	list := w.world.Authorised(n, within)
	want, has := w.wants[n.Holder]
	if has && n == w.active(n.Holder) && w.Holding(n.Holder).Intersect(within).Contains(want.Resources()) {
		list = append(list, want)
	}
	return list
}

// TestPayloadsWithABody: a payload of a kind that is keyed by AS number is issued while the number is held, gives way to another one under
// its key in one batch, is parked without the number, and is issued by who gets the number before it goes from who had it.
func TestPayloadsWithABody(t *testing.T) {
	v := furnished(t)
	w := neighbourhood{v.world, map[string]adjacency{"isp": {37000, "37001"}}}
	plans := func() []string {
		waves, _ := Make(w, &v.policy, v.all(), v.now)
		for _, wave := range waves {
			for _, updates := range wave.Chunks(BatchKeys) {
				v.doBatch(updates)
			}
		}
		return outline(waves)
	}
	expect := func(what string, want ...string) {
		t.Helper()
		if got := plans(); !slices.Equal(got, want) {
			t.Errorf("%s the plan is\n\t%s", what, strings.Join(got, "\n\t"))
		}
		if again := plans(); len(again) > 0 {
			t.Errorf("%s there is still a plan: %v", what, again)
		}
	}
	v.take("isp", "AS37000")
	expect("without the number", "shrink 3: afrinic certifies isp (41.0.0.0/18)")
	v.give("isp", "AS37000")
	expect("with the number", "grow 3: afrinic certifies isp (41.0.0.0/18, AS37000)", "authorise 0: isp authorises 37000 has 37001")
	w.wants["isp"] = adjacency{37000, "37001, 37002"}
	expect("with another body", "authorise 0: isp authorises 37000 has 37001, 37002 withdraws 1")
	v.take("isp", "AS37000")
	v.give("other", "AS37000")
	w.wants["other"] = adjacency{37000, "37005"}
	expect("with the number at another holder", "grow 3: afrinic certifies other (41.0.64.0/18, AS37000)",
		"authorise 0: other authorises 37000 has 37005", "withdraw 0: isp withdraws 1", "shrink 3: afrinic certifies isp (41.0.0.0/18)")
	delete(w.wants, "isp")
	delete(w.wants, "other")
	expect("when nobody wants it", "authorise 0: other withdraws 1")
}
