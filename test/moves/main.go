// Command moves is the proof that resources move without a gap: between holders of real registries, between the registries,
// and away from one that fails, while the validators that people run fetch every few seconds. 'make moves' runs it. Each line
// that it prints is one proof; the figures that matter are VRP-seconds and ASPA-seconds lost, over all readers, and they have to be 0.
//
// It looks at Cadastre from outside alone, and computes what has to be there from the files of ../shared, with none of
// Cadastre's packages. Its acts can be run alone:
//
//	go run ./test/moves -only moves
//
// The daemons' RSA keys are made of primes that other keys have, too (package internal/pairedkeys), by a build of the program with the tag
// 'paired'; with -new-primes each has its own, which takes many times as long.
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
	"time"
)

// Children are told to end when the thread that started them does (prctl(2), PR_SET_PDEATHSIG). Whatever starts one stays on
// its thread: the main goroutine here, and each reader on one of its own.
func init() { runtime.LockOSThread() }

func main() {
	var o options
	flag.StringVar(&o.only, "only", "", "names of the acts to play, such as moves; all where none are named")
	flag.IntVar(&o.holders, "holders", 120, "how many holders of each registry there are")
	flag.IntVar(&o.moves, "moves", 50, "how many transfers, more or less, begin at once")
	flag.IntVar(&o.kills, "kills", 3, "how often a daemon is killed in each act")
	flag.IntVar(&o.handed, "handed", 2000, "how many holders the registry has that is handed off")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano())%1e6, "repeats a run that printed this seed, as far as chance decides")
	flag.DurationVar(&o.every, "every", 2*time.Second, "how long a reader waits from one run to the next")
	flag.DurationVar(&o.soak, "soak", 0, "of transfers and between repositories; where it is 0, four times what the slowest reader takes")
	flag.BoolVar(&o.newPrimes, "new-primes", false, "have all keys made of primes of their own")
	flag.BoolVar(&o.withKrill, "krill", true, "have one holder's CA in Krill")
	flag.BoolVar(&o.keep, "keep", false, "keep the folder of a run without failures, too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := play(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "moves: "+err.Error())
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
		fmt.Printf("moves: skipped, for there is no %s with the registries and the validators\n", r.shared)
		return nil
	}
	if os.Geteuid() != 0 {
		fmt.Println("moves: skipped, for rpki-client drops its privileges in a folder that it is given, which takes root")
		return nil
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	for _, a := range chosen {
		err := r.begin(a)
		if err == nil {
			err = a.play(ctx, r)
		}
		if err != nil && !errors.Is(err, errSaid) {
			r.say(0, a.title, "", err)
		}
		r.end()
		if ctx.Err() != nil {
			break
		}
	}
	return r.close()
}
