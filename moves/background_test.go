package moves

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestBackgroundIsWaitedFor: who takes steps by himself gets what a look or a call brought, and knows when there was none.
func TestBackgroundIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, brought := &Mover{}, false
		if m.Rest() {
			t.Error("something is under way before anything began")
		}
		m.background.start(func() {
			time.Sleep(time.Minute)
			brought = true
		})
		if !m.Rest() || !brought {
			t.Error("what was under way is not waited for")
		}
		if m.Rest() {
			t.Error("what has come back is under way still")
		}
	})
}
