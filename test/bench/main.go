// Command bench measures what Cadastre claims about speed: each figure on a line, beside a peer or a physical limit that
// was measured in the same run, with its aim, and "ok" or "short". It needs ../shared for its data, and about half an
// hour of both cores, most of it for making 44,000 RSA keys.
//
//	go run ./test/bench [-only build,checks,change,bytes,validators,peers,moves]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cadastre/internal/relying/sandbox"
)

// bench is one run.
type bench struct {
	shared   string // data of real registries
	work     string // folder for everything made
	program  string // the cadastre binary
	measured []figure

	rows      int           // of the announcements, to take
	holders   int           // of the registry that is handed off
	largest   int           // registry for a transfer
	roas      int           // that they become
	keysAlone time.Duration // what making AFRINIC's keys and nothing else took
	daemon    *daemon       // serves AFRINIC, once one was made
}

// figure is one line of the result.
type figure struct {
	name, value, bound, aim string
	ok                      bool
}

func main() {
	sandbox.Main()
	only := flag.String("only", "build,checks,change,bytes,validators,peers,moves", "which figures")
	rows := flag.Int("rows", allROAs*2, "how many of the announcements to take, for a quicker look")
	holders := flag.Int("holders", 2_000, "of the registry that is handed off")
	sizes := flag.Int("largest", 10_000, "holders of the largest registry that a transfer is measured in")
	keep := flag.Bool("keep", false, "keep the working folder")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	b := &bench{shared: "../shared", rows: *rows, holders: *holders, largest: *sizes}
	err := b.run(ctx, strings.Split(*only, ","), *keep)
	stop()
	b.print()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) run(ctx context.Context, only []string, keep bool) (err error) {
	if _, err := os.Stat(b.shared); err != nil {
		return fmt.Errorf("the real registries are not beside the project: %w", err)
	}
	if b.work, err = os.MkdirTemp("", "cadastre-bench-"); err != nil {
		return err
	}
	if !keep {
		defer os.RemoveAll(b.work)
	}
	if err := os.Chmod(b.work, 0o755); err != nil { // rpki-client works as another user
		return err
	}
	b.program = filepath.Join(b.work, "cadastre")
	if err := command(ctx, "go", "build", "-o", b.program, "./cmd/cadastre").Run(); err != nil {
		return fmt.Errorf("couldn't build cadastre: %w", err)
	}
	var errs []error
	for _, part := range []struct {
		name string
		fn   func(context.Context) error
	}{{"bytes", b.bytes}, {"build", b.warm}, {"build", b.cold}, {"checks", b.checks}, {"change", b.change}, {"validators", b.validators}, {"peers", b.peers}, {"moves", b.moves}} {
		if ctx.Err() == nil && slices.Contains(only, part.name) {
			errs = append(errs, part.fn(ctx))
		}
	}
	return errors.Join(errs...)
}

func (b *bench) add(f figure) {
	b.measured = append(b.measured, f)
	fmt.Println(f)
}

// print repeats all lines together at the end.
func (b *bench) print() {
	fmt.Println("\n--- figure | bound in the same run | aim ---")
	for _, f := range b.measured {
		fmt.Println(f)
	}
}

func (f figure) String() string {
	verdict := "short"
	if f.ok {
		verdict = "ok"
	}
	return fmt.Sprintf("%-52s %-28s | %-44s | %-28s | %s", f.name, f.value, f.bound, f.aim, verdict)
}

// quantile of sorted or unsorted durations; q from 0 to 1.
func quantile(all []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func median(all []time.Duration) time.Duration { return quantile(all, 0.5) }

func ms(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
func secs(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
