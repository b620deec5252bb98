package due

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// TestQueue: whatever is set, put off and taken out, those whose time has come are found, and the soonest time is the soonest.
func TestQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d Queue[string]
		model := map[string]time.Time{}
		set := func(name string, at time.Time) {
			d.Set(name, at)
			if model[name] = at; at.IsZero() {
				delete(model, name)
			}
		}
		name := rapid.Custom(func(t *rapid.T) string { return fmt.Sprintf("a%d", rapid.IntRange(0, 7).Draw(t, "name")) })
		at := rapid.Custom(func(t *rapid.T) time.Time {
			minute := rapid.IntRange(-1, 20).Draw(t, "minute")
			if minute < 0 {
				return time.Time{}
			}
			return noon.Add(time.Duration(minute) * time.Minute)
		})
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				set(name.Draw(t, "whose"), at.Draw(t, "at"))
				continue
			case 2:
				what, at := name.Draw(t, "whose"), noon.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "minute"))*time.Minute)
				d.Bring(what, at)
				if was, known := model[what]; !known || at.Before(was) {
					model[what] = at
				}
				continue
			}
			now := noon.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "now")) * time.Minute)
			want := slices.DeleteFunc(slices.Sorted(maps.Keys(model)), func(name string) bool { return model[name].After(now) })
			found, stop := map[string]bool{}, rapid.IntRange(0, 8).Draw(t, "stop")
			for name := range d.Until(now) {
				if found[name] = true; stop == len(found) {
					break
				}
				if rapid.Bool().Draw(t, "put off") { // as a plan does with what it looks at
					set(name, at.Draw(t, "until"))
				}
			}
			if stop == 0 || len(found) < stop {
				if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, want) {
					t.Fatalf("at %s it finds %v, and %v are due", now, got, want)
				}
			}
			next := time.Time{}
			for _, at := range model {
				if next.IsZero() || at.Before(next) {
					next = at
				}
			}
			if got := d.Next(); !got.Equal(next) {
				t.Fatalf("the soonest is %s, and it says %s", next, got)
			}
		}
	})
}
