package progress

import "testing"

// TestProgress: what comes in between makes the whole longer; what is done stays done, and is never more than the whole.
func TestProgress(t *testing.T) {
	var p progress
	for _, step := range []struct{ left, done, total int }{{2483, 0, 2483}, {1000, 1483, 2483}, {1033, 1483, 2516}, {500, 2016, 2516}, {0, 2516, 2516}} {
		if p.at(step.left); p.done != step.done || p.total() != step.total {
			t.Errorf("with %d left it is %d of %d, not %d of %d", step.left, p.done, p.total(), step.done, step.total)
		}
	}
}
