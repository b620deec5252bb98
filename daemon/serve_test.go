package daemon

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestCutOff: a daemon that is told to end and goes on planning is ended; one that ends by itself is not.
func TestCutOff(t *testing.T) {
	for name, takes := range map[string]time.Duration{"by itself": time.Second, "cut off": time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			ended, cut := make(chan struct{}), false
			go cutOff(ctx, ended, func() { cut = true })
			time.Sleep(time.Hour)
			cancel()
			time.Sleep(takes)
			close(ended)
			synctest.Wait()
			if cut != (takes > endPatience) {
				t.Errorf("%s: cut off %v", name, cut)
			}
		})
	}
}
