package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"cadastre/test/internal/localtls"
	"cadastre/test/internal/process"
)

// options are the flags.
type options struct {
	only    string
	program string
	keep    bool
}

// run is all scenarios of one run, what they share, and the score.
type run struct {
	options
	shared string // folder of the inputs
	rpHome string // folder of Krill and the validators
	dir    string
	begun  time.Time

	cadastre string // our program
	tls      *localtls.Authority

	passed, failed int
}

func newRun(o options) *run {
	r := &run{options: o, shared: "../shared", rpHome: "/opt/rp", begun: time.Now()}
	if home := os.Getenv("RP_HOME"); home != "" {
		r.rpHome = home
	}
	return r
}

// prepare makes what all scenarios use: the folder, which programs that are not root can read, the program under test,
// and the authority of everyone's TLS certificates.
func (r *run) prepare(ctx context.Context) (err error) {
	if r.rpHome, err = filepath.Abs(r.rpHome); err != nil {
		return err
	}
	for _, name := range append([]string{"krill", "krillc"}, validators...) {
		if _, err := os.Stat(filepath.Join(r.rpHome, name)); err != nil {
			return fmt.Errorf("there is no %s in %s: run '%s/rp/install --routinator --krill' as root", name, r.rpHome, r.shared)
		}
	}
	if r.dir, err = os.MkdirTemp("", "cadastre-interop-"); err != nil {
		return err
	}
	if err := os.Chmod(r.dir, 0o755); err != nil {
		return err
	}
	fmt.Printf("interop: in %s\n", r.dir)
	if r.tls, err = localtls.New(r.dir); err != nil {
		return err
	}
	if err := r.prepareSchemas(); err != nil {
		return err
	}
	if r.cadastre = r.program; r.cadastre != "" {
		return nil
	}
	r.cadastre = filepath.Join(r.dir, "cadastre")
	_, err = process.Soon(ctx, nil, "go", "build", "-o", r.cadastre, "./cmd/cadastre")
	return err
}

// choose is the scenarios whose numbers are named.
func choose(only string) ([]scenario, error) {
	if only == "" {
		return scenarios, nil
	}
	var chosen []scenario
	for word := range strings.SplitSeq(only, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 1 || n > len(scenarios) {
			return nil, fmt.Errorf("-only is %q: write numbers from 1 to %d, such as 1,3", only, len(scenarios))
		}
		chosen = append(chosen, scenarios[n-1])
	}
	return chosen, nil
}

// play plays one scenario to its end, or to the first proof that does not hold.
func (r *run) play(ctx context.Context, sc scenario) {
	s := &scene{run: r, scenario: sc, dir: filepath.Join(r.dir, fmt.Sprintf("scenario-%d", sc.number))}
	fmt.Printf("\n%d. %s\n", sc.number, sc.title)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	err := os.MkdirAll(s.dir, 0o755) // read by programs that are not root
	if err == nil {
		err = sc.play(ctx, s)
	} else {
		r.failed++
	}
	if err == nil {
		err = s.prove(ctx, "no error is in the log of either side", s.readLogs)
	}
	if err == nil {
		err = s.prove(ctx, "every message fits its schema", s.readMessages)
	}
	s.end()
	if err != nil {
		s.confess()
		return
	}
	if !r.keep {
		_ = os.RemoveAll(s.dir) // a folder that stays harms nobody
	}
}

// close prints the score, and removes the work of a run without failures.
func (r *run) close() error {
	fmt.Printf("\ninterop: %s\n%d passed, %d failed\n", time.Since(r.begun).Round(time.Second), r.passed, r.failed)
	switch {
	case r.failed > 0:
		return fmt.Errorf("%d proofs failed; data, logs and messages are in %s", r.failed, r.dir)
	case r.keep:
		return nil
	}
	return os.RemoveAll(r.dir)
}
