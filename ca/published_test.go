package ca

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
)

// TestCommittedIsNotPublished: between a commit and the next serial, what is published is what a validator finds, the rest is committed
// alone, and is listed with the time of that serial.
func TestCommittedIsNotPublished(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		peopled(h)
		h.waitsOn(Ourselves)
		h.intend("41.0.64.0/24,AS37009")
		h.waitsOn(Ourselves, "work")
		stop := h.run()
		defer stop()
		must(h, h.engine.WaitIdle(context.Background()))
		before := h.reader.VRPs()
		h.intend("41.0.65.0/24,AS37009") // within the second that a serial stands at least
		synctest.Wait()

		const added = "41.0.65.0/24,24,AS37009"
		committed, err := h.engine.VRPs()
		must(h, err)
		published, err := h.engine.PublishedVRPs()
		must(h, err)
		if !slices.Equal(published, before) || !slices.Equal(published, h.reader.VRPs()) {
			h.Errorf("it says that these are published: %v; a validator finds %v", published, h.reader.VRPs())
		}
		if slices.Contains(before, added) || !slices.Equal(committed, slices.Sorted(slices.Values(append(slices.Clone(before), added)))) {
			h.Errorf("these are committed: %v", committed)
		}
		waits := h.engine.Waits()
		if len(waits) != 1 || waits[0].Kind != Unpublished || waits[0].Of != "afrinic" || waits[0].On != Ourselves || waits[0].Until.IsZero() {
			h.Errorf("it waits for %+v", waits)
		}

		must(h, h.engine.WaitIdle(context.Background()))
		published, err = h.engine.PublishedVRPs()
		must(h, err)
		if !slices.Equal(published, committed) || len(h.engine.Waits()) > 0 {
			h.Errorf("with the next serial these are published: %v, and it waits for %+v", published, h.engine.Waits())
		}
		h.complete()
	})
}
