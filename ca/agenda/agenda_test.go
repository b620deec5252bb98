package agenda

import (
	"errors"
	"slices"
	"testing"
	"time"

	"cadastre/ca/issued"
	"cadastre/ca/plan"
)

// tree is a View: by organisation the one above it, those whose certificates shrink, and deadlines.
type tree struct {
	above     map[string]string
	shrinks   map[string]bool
	due       map[string]time.Time
	manifests map[string]time.Time
}

func (v tree) Above(holder string) string { return v.above[holder] }
func (v tree) Shrinks(holder string) bool { return v.shrinks[holder] }

func (v tree) Children(holder string) (below []string) {
	for child, above := range v.above {
		if above == holder {
			below = append(below, child)
		}
	}
	return below
}

func (v tree) Due(now time.Time, waits func(string) bool) (holders []string, next time.Time) {
	for holder, at := range v.due {
		switch {
		case waits(holder):
		case !now.Before(at):
			holders = append(holders, holder)
		default:
			next = issued.Sooner(next, at)
		}
	}
	return holders, next
}

func (v tree) Manifests(holder string) []time.Time {
	if at, is := v.manifests[holder]; is {
		return []time.Time{at}
	}
	return nil
}

// registries is a root with two registries, each with a holder.
func registries() tree {
	return tree{
		above:   map[string]string{"iana": issued.AnchorHolder, "north": "iana", "south": "iana", "isp": "north", "shop": "south"},
		shrinks: map[string]bool{}, due: map[string]time.Time{}, manifests: map[string]time.Time{},
	}
}

func taken(t *testing.T, a *Agenda, now time.Time, v View, want ...string) {
	t.Helper()
	if got := a.Take(now, v); !slices.Equal(got, want) {
		t.Errorf("it takes %v, not %v", got, want)
	}
}

// updates authorises something for each of some organisations.
func updates(holders ...string) (all []plan.Update) {
	for _, holder := range holders {
		all = append(all, plan.Update{Name: issued.Name{Holder: holder}, Withdraw: []string{"a.roa"}})
	}
	return all
}

// TestTouchedComeFirst: what a decision touched is planned for before the backlog, with what is above it and, if it shrinks, what is below.
func TestTouchedComeFirst(t *testing.T) {
	now, v := time.Now(), registries()
	all := []string{"iana", "isp", "north", "shop", "south"}
	a := New(all)
	a.Touch("north")
	taken(t, a, now, v, "iana", "north")
	a.Finish(nil, true)
	taken(t, a, now, v, "isp", "shop", "south")
	a.Finish(nil, true)
	if !a.Idle() || a.Count() != 0 {
		t.Errorf("%d are left", a.Count())
	}
	a, v.shrinks["north"] = New(all), true
	a.Touch("north")
	taken(t, a, now, v, "iana", "isp", "north")
}

// TestInterrupted: a plan that a decision interrupts is planned again, and what of it was committed is not counted twice.
func TestInterrupted(t *testing.T) {
	now, v := time.Now(), registries()
	a := New([]string{"isp", "shop"})
	taken(t, a, now, v, "isp", "shop")
	a.Begin([]plan.Wave{{Updates: updates("isp")}, {Updates: updates("shop")}})
	if a.Interrupted() || a.Count() != 2 || a.Idle() {
		t.Errorf("at its beginning %d are left", a.Count())
	}
	a.Committed(updates("isp"))
	a.Touch("south")
	if !a.Interrupted() || !a.Touched("south") || a.Touched("shop") || a.Count() != 2 {
		t.Errorf("with a decision %d are left", a.Count())
	}
	a.Finish([]string{"isp", "shop"}, false)
	if a.Count() != 2 || !a.Next(now, v).Equal(now) {
		t.Errorf("interrupted, %d are left", a.Count())
	}
	taken(t, a, now, v, "south")
	a.Finish([]string{"south"}, true)
	taken(t, a, now, v, "isp", "shop")
}

// TestDeadlines: an organisation is taken when a deadline comes, or when what was put off for it may be done.
func TestDeadlines(t *testing.T) {
	now, v := time.Now(), registries()
	a := New(nil)
	if !a.Next(now, v).IsZero() {
		t.Error("something is known to be due")
	}
	v.due["isp"] = now.Add(2 * time.Hour)
	a.PutOff([]string{"shop"}, map[string]plan.Delay{"shop": {At: now.Add(time.Hour), Soaks: now.Add(time.Hour), Since: now}})
	if at := a.Next(now, v); !at.Equal(now.Add(time.Hour)) {
		t.Errorf("next is %s", at.Sub(now))
	}
	if soaking := a.Soaking(now); len(soaking) != 1 || len(a.Soaking(now.Add(time.Hour))) != 0 {
		t.Errorf("what soaks is %v", soaking)
	}
	a.PutOff([]string{"shop"}, map[string]plan.Delay{"shop": {At: now.Add(time.Hour), Soaks: now.Add(time.Hour), Since: now.Add(time.Minute)}})
	if since := a.Soaking(now)["shop"].Since; !since.Equal(now) {
		t.Errorf("it waits since %s later", since.Sub(now))
	}
	taken(t, a, now.Add(time.Hour), v, "shop")
	a.Finish([]string{"shop"}, true)
	taken(t, a, now.Add(time.Hour), v)
	taken(t, a, now.Add(2*time.Hour), v, "isp")
}

// TestQuarantine: what failed is tried again ever later, its manifest is renewed before that, and it ends when a plan after its time succeeds.
func TestQuarantine(t *testing.T) {
	now, v := time.Now(), registries()
	a, cause := New(nil), errors.New("refused")
	v.due["isp"] = now // it waits for its next try instead
	first := a.Quarantine("isp", cause, false, now)
	if first.Sub(now) != firstDelay || !a.Quarantined("isp", now) || a.Quarantined("isp", first) {
		t.Errorf("it is tried again after %s", first.Sub(now))
	}
	if again := a.Quarantine("isp", cause, false, now.Add(time.Second)); again.Sub(now) != firstDelay+time.Second {
		t.Errorf("another failure of the same try has it wait %s", again.Sub(now))
	}
	taken(t, a, now.Add(firstDelay), v)
	v.manifests["isp"] = now.Add(10 * time.Second)
	taken(t, a, now.Add(10*time.Second), v, "isp")
	if at := a.Mended([]string{"isp"}, now.Add(10*time.Second)); len(at) != 0 {
		t.Errorf("%v are mended by a plan before their time", at)
	}
	for at, i := first.Add(time.Second), 0; i < 20; i++ {
		at = a.Quarantine("isp", cause, true, at)
		if i == 19 {
			if r := a.Refused()[0]; r.delay != mostDelay || !r.Since.Equal(now) || !errors.Is(r.Err, cause) {
				t.Errorf("after many failures it is %+v", r)
			}
			taken(t, a, at.Add(-time.Second), v) // its manifest could not be renewed either
			if mended := a.Mended([]string{"isp", "shop"}, at); !slices.Equal(mended, []string{"isp"}) || len(a.Refused()) != 0 {
				t.Errorf("%v are mended", mended)
			}
		}
	}
}
