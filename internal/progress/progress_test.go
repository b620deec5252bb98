package progress

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestProgress: what comes in between makes the whole longer; what is done stays done, and is never more than the whole.
func TestProgress(t *testing.T) {
	var p progress
	for _, step := range []struct{ left, done, total int }{{2483, 0, 2483}, {1000, 1483, 2483}, {1033, 1483, 2516}, {500, 2016, 2516}, {0, 2516, 2516}} {
		if p.at(step.left); p.done != step.done || p.total() != step.total {
			t.Errorf("with %d left it is %d of %d, not %d of %d", step.left, p.done, p.total(), step.done, step.total)
		}
	}
}

// TestLogged: where there is no terminal, long work has a line of the log every ten seconds, of keys and values; work of a moment has none.
func TestLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = out.Close() }()
		var log bytes.Buffer
		show := Show(out, slog.New(slog.NewTextHandler(&log, nil)))
		for _, step := range []struct {
			after time.Duration
			left  int
			says  string
		}{
			{0, 100, ""},
			{9 * time.Second, 90, ""},
			{time.Second, 60, "done=40 total=100"},
			{9 * time.Second, 50, ""},
			{time.Second, 55, "done=50 total=105"}, // another decision
			{time.Second, 0, ""},
			{time.Hour, 3, ""}, // other work
			{time.Second, 0, ""},
		} {
			time.Sleep(step.after)
			log.Reset()
			show(step.left)
			if step.says == "" && log.Len() > 0 || step.says != "" && !regexp.MustCompile(`^time=\S+ level=INFO msg=issuing `+step.says+`\n$`).MatchString(log.String()) {
				t.Errorf("with %d left it logs %q, not %q", step.left, strings.TrimSpace(log.String()), step.says)
			}
		}
		if printed, err := os.ReadFile(out.Name()); err != nil || len(printed) > 0 {
			t.Errorf("beside the log it prints %q (%v)", printed, err)
		}
	})
}
