package ca

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDamagedSegment flips bytes in the segments of one registry. One byte is mended at the next start. Where an object is
// damaged in both of its forms, the registry is quarantined with the reason, and another still issues and publishes.
func TestDamagedSegment(t *testing.T) {
	t.Parallel()
	inTestRegistry(t, forest, func(h *testRegistry) {
		peopled(h)
		segments, err := filepath.Glob(filepath.Join(h.dir, "rrdp", "lacnic", "segment-*"))
		must(h, err)
		if len(segments) == 0 {
			h.Fatal("there is no segment of lacnic")
		}
		segment := segments[len(segments)-1]
		good, err := os.ReadFile(segment)
		must(h, err)
		flip := func(at ...int) {
			bad := append([]byte(nil), good...)
			for _, at := range at {
				bad[at] ^= 1
			}
			must(h, os.WriteFile(segment, bad, 0o600))
			h.reopen()
		}
		quarantined := func() string {
			s, err := h.engine.Status()
			must(h, err)
			return s.Repositories["lacnic"].Quarantined
		}
		flip(len(good) - 10)
		if why := quarantined(); why != "" || !strings.Contains(h.log.String(), "restored from their other form") {
			h.Errorf("one byte puts it in quarantine: %s", why)
		}
		h.settle()

		good, err = os.ReadFile(segment)
		must(h, err)
		var all []int // every object that lies in it
		for at := 150; at < len(good); at += 40 {
			all = append(all, at)
		}
		flip(all...)
		if why := quarantined(); !strings.Contains(why, "lacnic") || !strings.Contains(why, "restore") {
			h.Errorf("the reason is %q", why)
		}
		_, before, _ := h.engine.Repositories()["afrinic"].Published()
		h.take("isp", "41.0.0.0/19")
		if err := h.engine.Settle(context.Background()); err != nil && !strings.Contains(err.Error(), "quarantined") {
			h.Errorf("issuing says %v", err)
		}
		if _, after, _ := h.engine.Repositories()["afrinic"].Published(); after == before {
			h.Error("another registry publishes nothing any more")
		}
	})
}
