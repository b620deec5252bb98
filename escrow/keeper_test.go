package escrow

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestKeeper lets two days pass, with a restart and a folder that is away for a while.
func TestKeeper(t *testing.T) {
	h := newTestInstallation(t)
	synctest.Test(t, func(t *testing.T) {
		h.open(secret) // a signer has a lock that is of the bubble
		start := time.Now()
		failures := 0
		k := &Keeper{Engine: h.engine, Folder: h.folder, Recipient: h.recipient, Log: slog.New(slog.DiscardHandler), Failed: func() { failures++ }}
		run := func(long time.Duration) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), long)
			defer cancel()
			must(t, k.Run(ctx))
		}
		if !k.Last().IsZero() {
			t.Error("there is a deposit before the first")
		}
		run(150 * time.Minute)
		run(20 * time.Minute) // a restart makes none that is not due
		if got := time.Since(start); got != 170*time.Minute {
			t.Fatalf("%s have passed", got)
		}
		kinds := h.kinds()
		if kinds != "full incremental incremental" {
			t.Errorf("in not quite three hours it made: %s", kinds)
		}
		run(45 * time.Hour)
		if kinds = h.kinds(); strings.Count(kinds, "full") != 2 || strings.Count(kinds, "incremental") != 46 {
			t.Errorf("in two days it made: %s", kinds)
		}
		if failures != 0 {
			t.Errorf("%d failed", failures)
		}

		away := filepath.Join(h.data, "away")
		must(t, os.Rename(h.folder, away))
		must(t, os.WriteFile(h.folder, nil, 0o600))
		run(62 * time.Minute)
		if failures < 1 {
			t.Error("a folder that is away is no failure")
		}
		last := k.Last()
		must(t, os.Remove(h.folder))
		must(t, os.Rename(away, h.folder))
		run(6 * time.Minute)
		if !k.Last().After(last) {
			t.Error("when the folder is back no deposit is made soon")
		}
		if _, err := Verify(h.folder, h.signer); err != nil {
			t.Error(err)
		}
	})
}

func (h *testInstallation) kinds() string {
	h.Helper()
	files, err := list(h.folder)
	must(h, err)
	kinds := make([]string, len(files))
	for i, f := range files {
		kinds[i] = string(f.kind)
	}
	return strings.Join(kinds, " ")
}
