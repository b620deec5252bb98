// Command world is the proof at real size: it builds the RPKI of AFRINIC from the registry's own files, kills the daemon
// with -9 while it works, lets three years of changes come over it, and asks every validator that people run what it
// accepts. 'make world' runs it. Each line that it prints is one proof, with what was measured.
//
// It looks at Cadastre from outside alone: it runs the program, fetches what it serves, and reads what it prints. What
// should come out it computes itself, from the same two files and with none of Cadastre's packages, so that the two
// cannot be wrong together.
//
// The inputs and the validators are those of ../shared. Three variables change a run:
//
//	WORLD_SEED       repeats a run that printed this seed, as far as chance decides
//	WORLD_HOLDERS    rehearses with this many of the registry's holders: all acts, within a few minutes
//	WORLD_ALGORITHM  p-256 builds all within a minute; then our own validator is the only one, for the others read RSA
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
)

// Children are told to end when the thread that started them does (prctl(2), PR_SET_PDEATHSIG). All are started by the
// main goroutine, which stays on the first thread of the process.
func init() { runtime.LockOSThread() }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "world: "+err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	s, err := readSettings()
	if err != nil {
		return err
	}
	if _, err := os.Stat(s.shared); errors.Is(err, fs.ErrNotExist) {
		fmt.Printf("world: skipped, for there is no %s with the registry's files and the validators\n", s.shared)
		return nil
	}
	w, err := newWorld(ctx, s)
	if err != nil {
		return err
	}
	// the acts stop at the first proof that the rest stands on
	var played error
	for _, act := range []func(context.Context) error{w.firstAct, w.secondAct} {
		if played = act(ctx); played != nil {
			break
		}
	}
	w.endProcesses()
	return w.close(played)
}

// work is a folder that the validators can read, which are not root where this program is.
func makeWork() (string, error) {
	dir, err := os.MkdirTemp("", "cadastre-world-")
	if err != nil {
		return "", err
	}
	// what is private in it has modes of its own
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}
