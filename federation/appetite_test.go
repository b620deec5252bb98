package federation

import (
	"testing"
	"time"
)

// TestAppetite: a share is used up, comes back with time, and none is used where another has none left.
func TestAppetite(t *testing.T) {
	var a appetite
	now, own, all := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC), ration{"own", 2, time.Hour}, ration{"all", 3, time.Hour}
	for i, want := range []bool{true, true, false, false} {
		if a.take(now, own, all) != want {
			t.Errorf("try %d: %v", i+1, !want)
		}
	}
	if !a.take(now, ration{"other", 2, time.Hour}, all) || a.take(now, ration{"third", 2, time.Hour}, all) {
		t.Error("what was refused used up what all have together, or that has no end")
	}
	if !a.take(now.Add(time.Hour), own, all) || a.take(now.Add(time.Hour), own, all) {
		t.Error("after an hour there is not one more")
	}
}
