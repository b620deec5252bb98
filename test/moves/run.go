package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cadastre/test/internal/krill"
	"cadastre/test/internal/localtls"
	"cadastre/test/internal/process"
)

// options are the flags.
type options struct {
	only      string
	holders   int
	moves     int
	handed    int
	kills     int
	seed      uint64
	every     time.Duration
	soak      time.Duration
	newPrimes bool
	withKrill bool
	keep      bool
}

// run is all acts of one run, what they share, and the score.
type run struct {
	options
	shared  string   // folder of the inputs
	rpHome  string   // folder of the validators and of Krill
	also    []string // the validators beside the newest rpki-client
	dir     string
	playing string // the act's name
	begun   time.Time
	chance  *rand.Rand

	cadastre string   // our program
	keys     []string // environment of a program that makes its keys of primes that others have, too; empty where each has its own
	tls      *localtls.Authority

	installations []*installation
	readers       []*reader
	krill         *krill.Krill

	passed, failed int
}

// act is one of the acts of the proof.
type act struct {
	name, title string
	play        func(ctx context.Context, r *run) error
}

var acts = []act{
	{"moves", "holders of two registries under one root move at once", playMoves},
	{"between", "holders of two installations with trust anchors of their own move from one to the other", playBetween},
	{"handoff", "a registry fails, and its holders go to its successor", playHandoff},
	{"escrow", "a registry fails, and nothing is left of it but what it deposited", playEscrow},
}

// errSaid is an act that ended with a proof that did not hold, which was said.
var errSaid = errors.New("a proof did not hold")

func newRun(o options) *run {
	r := &run{options: o, also: []string{routinator, fort}, shared: "../shared", rpHome: "/opt/rp", begun: time.Now(), chance: rand.New(rand.NewPCG(o.seed, 0))} //nolint:gosec // to be repeatable is the point
	if home := os.Getenv("RP_HOME"); home != "" {
		r.rpHome = home
	}
	return r
}

// choose is the acts that are named.
func choose(only string) ([]act, error) {
	if only == "" {
		return acts, nil
	}
	var names []string
	for _, a := range acts {
		names = append(names, a.name)
	}
	var chosen []act
	for word := range strings.SplitSeq(only, ",") {
		at := slices.Index(names, strings.TrimSpace(word))
		if at < 0 {
			return nil, fmt.Errorf("-only is %q: there are %s", only, strings.Join(names, ", "))
		}
		chosen = append(chosen, acts[at])
	}
	return chosen, nil
}

// prepare makes what all acts use: the folder, which programs that are not root can read, the program under test, and the
// authority of everyone's TLS certificates.
func (r *run) prepare(ctx context.Context) (err error) {
	if r.rpHome, err = filepath.Abs(r.rpHome); err != nil {
		return err
	}
	needed := append([]string{newest}, r.also...)
	if r.withKrill {
		needed = append(needed, "krill", "krillc")
	}
	for _, name := range needed {
		if _, err := os.Stat(filepath.Join(r.rpHome, name)); err != nil {
			return fmt.Errorf("there is no %s in %s: run '%s/rp/install --routinator --krill' as root", name, r.rpHome, r.shared)
		}
	}
	if r.dir, err = os.MkdirTemp("", "cadastre-moves-"); err != nil {
		return err
	}
	if err := os.Chmod(r.dir, 0o755); err != nil { // what is private in it has modes of its own
		return err
	}
	if err := r.dress(needed); err != nil {
		return err
	}
	fmt.Printf("moves: %d holders of each registry, seed %d, in %s\n", r.holders, r.seed, r.dir)
	if r.tls, err = localtls.New(r.dir); err != nil {
		return err
	}
	r.cadastre = filepath.Join(r.dir, "cadastre")
	build := []string{"build", "-o", r.cadastre}
	if !r.newPrimes {
		r.keys = []string{"CADASTRE_PAIRED_KEYS=" + filepath.Join(r.dir, "paired-keys")}
		build = append(build, "-tags", "paired")
	}
	_, err = process.Soon(ctx, nil, "go", append(build, "./cmd/cadastre")...)
	return err
}

// dress makes a folder of the programs as they are run here. The newest rpki-client looks at a CA that it saw three times without
// a valid manifest after 90 minutes again, and in the end once a day. A CA that moves with its holder is such a one between its new
// certificate and its new manifest, and a new key for who has its repository from before; soaks here are so much shorter than the
// hours that they take elsewhere that it must not wait. With -N it says that it does not, and defers the CA all the same (nca.c 1.11),
// so its memory of such CAs is taken from it.
func (r *run) dress(programs []string) error {
	home := r.rpHome
	r.rpHome = r.path("rp")
	if err := os.Mkdir(r.rpHome, 0o755); err != nil { // read by programs that are not root
		return err
	}
	for _, name := range programs {
		if name == newest {
			continue
		}
		if err := os.Symlink(filepath.Join(home, name), filepath.Join(r.rpHome, name)); err != nil {
			return err
		}
	}
	script := fmt.Sprintf("#!/bin/sh\nfor a; do\n[ \"$was\" = -d ] && rm -f \"$a/.nca_history\"\nwas=$a\ndone\nexec %s -N \"$@\"\n", filepath.Join(home, newest))
	return os.WriteFile(filepath.Join(r.rpHome, newest), []byte(script), 0o755) // it is a program
}

// begin makes the folder of an act.
func (r *run) begin(a act) error {
	r.playing = a.name
	fmt.Printf("\n%s: %s\n", a.name, a.title)
	return os.Mkdir(r.path(), 0o755) // read by programs that are not root
}

// say prints the line of a proof: how long it took, what was proven, and the figures or what is wrong.
func (r *run) say(took time.Duration, what, figures string, err error) {
	mark := "ok  "
	if err != nil {
		mark, figures = "FAIL", err.Error()
		r.failed++
	} else {
		r.passed++
	}
	if figures != "" {
		figures = ": " + figures
	}
	fmt.Printf("  %s %7.1f s  %s%s\n", mark, took.Seconds(), what, figures)
}

// prove runs a proof that what follows stands on.
func (r *run) prove(what string, proof func() (figures string, err error)) error {
	begun := time.Now()
	figures, err := proof()
	r.say(time.Since(begun), what, figures, err)
	if err != nil {
		return errSaid
	}
	return nil
}

// check is a proof that nothing later stands on: the act goes on whether it holds or not.
func (r *run) check(what string, proof func() (string, error)) { _ = r.prove(what, proof) }

// step is one proof of several that stand on each other.
type step struct {
	what  string
	proof func() (figures string, err error)
}

func (r *run) steps(steps ...step) error {
	for _, s := range steps {
		if err := r.prove(s.what, s.proof); err != nil {
			return err
		}
	}
	return nil
}

// end ends the processes of an act.
func (r *run) end() {
	for _, w := range r.readers {
		w.stop()
	}
	for _, h := range r.installations {
		h.end()
	}
	if r.krill != nil {
		r.krill.End()
	}
	r.readers, r.installations, r.krill = nil, nil, nil
}

// close prints the score, and removes the work of a run without failures.
func (r *run) close() error {
	fmt.Printf("\nmoves: %s\n%d passed, %d failed\n", time.Since(r.begun).Round(time.Second), r.passed, r.failed)
	switch {
	case r.failed > 0:
		return fmt.Errorf("%d proofs failed; data, logs and caches are in %s", r.failed, r.dir)
	case r.keep:
		return nil
	}
	return os.RemoveAll(r.dir)
}

// path is something in the folder of the act that is played.
func (r *run) path(parts ...string) string {
	return filepath.Join(append([]string{r.dir, r.playing}, parts...)...)
}

// fork is chance for something that runs beside.
func (r *run) fork() *rand.Rand {
	return rand.New(rand.NewPCG(r.chance.Uint64(), 0)) //nolint:gosec // to be repeatable is the point
}

// upTo is a random span of time.
func (r *run) upTo(most time.Duration) time.Duration {
	return time.Duration(r.chance.Int64N(int64(max(most, 1))))
}

// pause waits, unless the run is broken off.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return errors.New("interrupted")
	}
}

// within is process.Output for what may take so long.
func within(ctx context.Context, most time.Duration, environment []string, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	return process.Output(ctx, environment, name, args...)
}
