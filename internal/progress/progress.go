// Package progress shows how far long work has come.
package progress

import (
	"log/slog"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress tells how far long work has come. Work that is added meanwhile makes the total larger; what was done stays counted.
type progress struct {
	done, left int
}

// at takes how much is left now.
func (p *progress) at(left int) {
	p.done += max(p.left-left, 0)
	p.left = left
}

func (p *progress) total() int { return p.done + p.left }

// Show shows how much of long work is left: a bar on a terminal, a line of the log now and then elsewhere. Work of a moment
// shows nothing.
func Show(out *os.File, log *slog.Logger) func(remaining int) {
	const lineEvery = 10 * time.Second
	terminal := term.IsTerminal(int(out.Fd()))
	var bar *progressbar.ProgressBar
	var p progress
	var said time.Time
	return func(remaining int) {
		if p.at(remaining); p.total() == 0 {
			return
		}
		if p.done == 0 && said.IsZero() {
			said = time.Now()
		}
		switch {
		case terminal:
			if bar == nil {
				bar = progressbar.NewOptions(p.total(), progressbar.OptionSetWriter(out), progressbar.OptionSetDescription("issuing"),
					progressbar.OptionShowCount(), progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish())
			}
			bar.ChangeMax(p.total())
			_ = bar.Set(p.done)
		case time.Since(said) >= lineEvery:
			said = time.Now()
			log.Info("issuing", "done", p.done, "total", p.total())
		}
		if remaining == 0 {
			if bar != nil {
				_ = bar.Finish()
			}
			bar, p, said = nil, progress{}, time.Time{}
		}
	}
}
