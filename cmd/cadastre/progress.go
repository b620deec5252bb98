package main

import (
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// newProgress shows how much of long work is left: a bar on a terminal, a line now and then elsewhere. Work of a moment
// shows nothing.
func newProgress(out *os.File) func(remaining int) {
	const lineEvery = 10 * time.Second
	terminal := term.IsTerminal(int(out.Fd()))
	var bar *progressbar.ProgressBar
	var total int
	var said time.Time
	return func(remaining int) {
		if total == 0 && remaining == 0 {
			return
		}
		if remaining > total {
			total, said = remaining, time.Now()
			if bar != nil {
				bar.ChangeMax(total)
			}
		}
		switch {
		case terminal:
			if bar == nil {
				bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(out), progressbar.OptionSetDescription("issuing"),
					progressbar.OptionShowCount(), progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish())
			}
			_ = bar.Set(total - remaining)
		case time.Since(said) >= lineEvery:
			said = time.Now()
			fmt.Fprintf(out, "issuing: %d of %d organisations done\n", total-remaining, total)
		}
		if remaining == 0 {
			if bar != nil {
				_ = bar.Finish()
			}
			bar, total = nil, 0
		}
	}
}
