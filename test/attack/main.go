// Command attack is the proof that nobody who may talk to Cadastre can take more than their share, or say what is not theirs to
// say. 'make attack' runs it. Each line that it prints is one attack: as a stranger, a delegated CA, a publisher, a parent, a
// server elsewhere, an introduced installation, a user of the socket, a failing disk, a wrong clock.
//
// Most are played against one daemon, and its honest clients must not notice: a reader of RRDP, an operator
// who adds ROAs, a delegated CA and a publisher. Each attack is then also judged by these: their slowest calls are at most
// twice as slow as when it was quiet, or by a little where the machine is busy (stage.go says how much, and why), the daemon's
// memory grows by at most 100 MB, nothing that was acknowledged is lost, and
// rpki-client sees exactly what was asked for. The others have an installation of their own.
//
//	go run ./test/attack -only claims,flips
//	go run ./test/attack -list
//
// It forges messages with the project's packages, so that they are well formed where they should be. It does not ask these packages
// what should come of the messages. All traffic is to 127.0.0.1.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// Children are told to end when the thread that started them does (prctl(2), PR_SET_PDEATHSIG). Whatever starts one stays on
// its thread: the main goroutine here, and honest clients on threads of their own.
func init() { runtime.LockOSThread() }

func main() {
	var o options
	var list bool
	flag.StringVar(&o.only, "only", "", "names of the attacks to play, such as claims,flips; all where none are named")
	flag.BoolVar(&list, "list", false, "list the attacks")
	flag.BoolVar(&o.keep, "keep", false, "keep the folder of a run without failures, too")
	flag.StringVar(&o.program, "program", "", "the cadastre to attack; built from this tree where none is named")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano())%1e6, "repeats what chance decided in a run that printed this seed")
	flag.Parse()
	if list {
		for _, a := range attacks {
			fmt.Printf("%-20s %s: %s\n", a.name, a.who, a.right)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := play(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "attack: "+err.Error())
		os.Exit(1)
	}
}

func play(ctx context.Context, o options) error {
	chosen, err := choose(o.only)
	if err != nil {
		return err
	}
	r := newRun(o)
	if err := r.prepare(ctx); err != nil {
		return err
	}
	defer r.end()
	if err := r.playBeside(ctx, chosen); err != nil {
		return err
	}
	r.playApart(ctx, chosen)
	return r.close()
}
