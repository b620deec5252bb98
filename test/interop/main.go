// Command interop is the proof that Cadastre works with software that it did not write: Krill, as a child, as a parent, as
// a publication server and as a publisher. 'make interop' runs it. Each line that it prints is one proof.
//
// It looks at both programs from outside alone: it starts them, gives them commands, has validators fetch what they
// publish, and reads their logs and every message between them. What should come out it knows because it asked for it.
//
// Each scenario has daemons, data and ports of its own, so that any of them can be run alone:
//
//	go run ./test/interop -only 1,3
//
// Krill, the validators and the schemas are those of ../shared; '../shared/rp/install --routinator --krill' installs them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// Children are told to end when the thread that started them does (prctl(2), PR_SET_PDEATHSIG). All are started by the
// main goroutine, which stays on the first thread of the process.
func init() { runtime.LockOSThread() }

func main() {
	var o options
	flag.StringVar(&o.only, "only", "", "numbers of the scenarios to play, such as 1,3; all where none are named")
	flag.BoolVar(&o.keep, "keep", false, "keep the folders of scenarios that pass, too")
	flag.StringVar(&o.program, "program", "", "the cadastre to prove; built from this tree where none is named")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := play(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop: "+err.Error())
		os.Exit(1)
	}
}

func play(ctx context.Context, o options) error {
	chosen, err := choose(o.only)
	if err != nil {
		return err
	}
	r := newRun(o)
	if _, err := os.Stat(r.shared); errors.Is(err, fs.ErrNotExist) {
		fmt.Printf("interop: skipped, for there is no %s with Krill, the validators and the schemas\n", r.shared)
		return nil
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	for _, s := range chosen {
		r.play(ctx, s)
		if ctx.Err() != nil {
			break
		}
	}
	return r.close()
}
