// Command benchworld measures Cadastre at the size of the whole routed Internet: it builds a share of ../shared/data/world and prints each
// figure beside its bound, which was measured in the same run, with its aim, and "ok" or "short". CPU is user and system together, so that
// what else the machine does counts little; where a figure is wall clock it says so.
//
//	go run ./test/benchworld [-share 0.05] [-only import,build,ask]
//
// RSA keys are made of primes that other keys have, too (package internal/pairedkeys), by a build of the program with the tag 'paired'. The primes are
// there before the building begins, and what the keys take is measured and left out of its figure.
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
	"strconv"
	"strings"
	"time"

	"cadastre/internal/pairedkeys"
	"cadastre/test/internal/process"
)

// run is one run.
type run struct {
	world, work, program string
	share                float64
	keys                 []string // environment of a program that makes its keys of the primes of a file
	pairs                string   // that file
	data                 string   // data directory
	files                []string // the registries' files
	rows                 string   // the announcements' file
	lines                int      // in it
	short                int      // figures that miss their aim
}

// figure is one line of the result.
type figure struct {
	name, value, bound, aim string
	ok                      bool
}

func main() {
	share := flag.Float64("share", 1, "of the holders and their announcements, for a quicker look")
	only := flag.String("only", "import,build,ask", "which figures; each needs those before it")
	keep := flag.Bool("keep", false, "keep the working folder")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	r := &run{world: "../shared/data/world", share: *share}
	err := r.play(ctx, strings.Split(*only, ","), *keep)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchworld:", err)
		os.Exit(1)
	}
	fmt.Printf("%d figures miss their aim\n", r.short)
}

func (r *run) play(ctx context.Context, only []string, keep bool) (err error) {
	if r.share <= 0 || r.share > 1 {
		return fmt.Errorf("the share is %v; it is more than 0 and at most 1", r.share)
	}
	if r.work, err = os.MkdirTemp("", "cadastre-benchworld-"); err != nil {
		return err
	}
	if !keep {
		defer os.RemoveAll(r.work)
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		fn   func(context.Context) error
	}{{"import", r.imports}, {"build", r.build}, {"ask", r.ask}} {
		if !slices.Contains(only, part.name) {
			continue
		}
		if err := errors.Join(ctx.Err(), part.fn(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// prepare builds the program, cuts the share out of the world's files, and makes the data directory.
func (r *run) prepare(ctx context.Context) error {
	r.pairs = filepath.Join(r.work, "paired-keys")
	r.keys = []string{pairedkeys.Variable + "=" + r.pairs}
	r.program, r.data = filepath.Join(r.work, "cadastre"), filepath.Join(r.work, "data")
	if _, err := r.command(ctx, "go", "build", "-tags", "paired", "-o", r.program, "./cmd/cadastre"); err != nil {
		return err
	}
	if err := r.cut(); err != nil {
		return err
	}
	ports, err := process.FreePorts(2)
	if err != nil {
		return err
	}
	_, err = r.cadastre(ctx, "init", "--tree", filepath.Join(r.world, "tree.toml"), "--host", "localhost", "--https-port", strconv.Itoa(ports[0]), "--rsync-port", strconv.Itoa(ports[1]))
	return err
}

func (r *run) add(f figure) {
	verdict := "ok"
	if !f.ok {
		verdict = "short"
		r.short++
	}
	fmt.Printf("%-46s %-22s | %-46s | %-30s | %s\n", f.name, f.value, f.bound, f.aim, verdict)
}

func secs(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
func mb(n int64) string           { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }

// ofShare is what an aim for all of the world is for the share of it.
func (r *run) ofShare(whole time.Duration) time.Duration {
	return time.Duration(float64(whole) * r.share)
}
