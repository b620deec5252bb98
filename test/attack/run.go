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

	"cadastre/test/internal/localtls"
	"cadastre/test/internal/process"
)

// options are the flags.
type options struct {
	only    string
	program string
	seed    uint64
	keep    bool
}

// run is all attacks of one run, what they share, and the score.
type run struct {
	options
	rpHome string // folder of the validators
	dir    string
	begun  time.Time
	chance *rand.Rand

	cadastre      string // our program
	tls           *localtls.Authority
	installations []*installation

	passed, failed int
	unlooked       []string // what was not looked at on this machine, and why
}

// attack is one line of the proof. It is played beside the honest clients, or on installations of its own.
type attack struct {
	name  string
	who   string // attacks
	right string // what happens then

	beside func(ctx context.Context, s *stage) (figures string, err error)
	apart  func(ctx context.Context, r *run, dir string) (figures string, err error)

	most time.Duration // that it may take; zero: a minute
}

func newRun(o options) *run {
	r := &run{options: o, rpHome: "/opt/rp", begun: time.Now(), chance: rand.New(rand.NewPCG(o.seed, 0))} //nolint:gosec // to be repeatable is the point
	if home := os.Getenv("RP_HOME"); home != "" {
		r.rpHome = home
	}
	return r
}

// choose is the attacks that are named.
func choose(only string) ([]attack, error) {
	if only == "" {
		return attacks, nil
	}
	var chosen []attack
	for word := range strings.SplitSeq(only, ",") {
		at := slices.IndexFunc(attacks, func(a attack) bool { return a.name == strings.TrimSpace(word) })
		if at < 0 {
			return nil, fmt.Errorf("-only is %q: -list shows the names", only)
		}
		chosen = append(chosen, attacks[at])
	}
	return chosen, nil
}

// prepare makes what all attacks use: the folder, which programs that are not root can read, the program under test, and the
// authority of everyone's TLS certificates.
func (r *run) prepare(ctx context.Context) (err error) {
	if r.dir, err = os.MkdirTemp("", "cadastre-attack-"); err != nil {
		return err
	}
	if err := os.Chmod(r.dir, 0o755); err != nil { // what is private in it has modes of its own
		return err
	}
	fmt.Printf("attack: seed %d, in %s\n", r.seed, r.dir)
	if r.tls, err = localtls.New(r.dir); err != nil {
		return err
	}
	if r.cadastre = r.program; r.cadastre != "" {
		r.cadastre, err = filepath.Abs(r.cadastre)
		return err
	}
	r.cadastre = filepath.Join(r.dir, "cadastre")
	_, err = process.Output(ctx, nil, "go", "build", "-o", r.cadastre, "./cmd/cadastre")
	return err
}

// playBeside plays the attacks that honest clients must not notice.
func (r *run) playBeside(ctx context.Context, chosen []attack) error {
	if !slices.ContainsFunc(chosen, func(a attack) bool { return a.beside != nil }) {
		return nil
	}
	s, err := r.raise(ctx)
	if err != nil {
		return fmt.Errorf("the installation of the honest clients: %w", err)
	}
	defer s.end()
	fmt.Printf("\nbeside honest clients: when it is quiet, %s\n", s.quiet)
	for _, a := range chosen {
		if a.beside != nil && ctx.Err() == nil {
			r.play(ctx, a, func(ctx context.Context) (string, error) { return s.attacked(ctx, a) })
		}
	}
	if ctx.Err() == nil {
		r.play(ctx, attack{name: "in-the-end", who: "all of them", right: "nothing acknowledged is lost, and rpki-client sees exactly what was asked for", most: collected + time.Minute}, s.account)
	}
	return nil
}

// playApart plays the attacks that have installations of their own.
func (r *run) playApart(ctx context.Context, chosen []attack) {
	said := false
	for _, a := range chosen {
		if a.apart == nil || ctx.Err() != nil {
			continue
		}
		if !said {
			fmt.Printf("\non installations of their own\n")
			said = true
		}
		r.play(ctx, a, func(ctx context.Context) (string, error) {
			dir := filepath.Join(r.dir, a.name)
			if err := os.Mkdir(dir, 0o755); err != nil { // read by programs that are not root
				return "", err
			}
			figures, err := a.apart(ctx, r, dir)
			r.endInstallations()
			if err == nil && !r.keep {
				err = os.RemoveAll(dir)
			}
			return figures, err
		})
	}
}

// errSkipped is in the error of an attack that cannot be played on this machine.
var errSkipped = errors.New("skipped")

func skipped(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errSkipped}, args...)...)
}

// play plays one attack and prints its line: how long it took, who did what, and the figures or what is wrong.
func (r *run) play(ctx context.Context, a attack, proof func(ctx context.Context) (string, error)) {
	most := a.most
	if most == 0 {
		most = time.Minute
	}
	begun := time.Now()
	limited, cancel := context.WithTimeout(ctx, most)
	figures, err := proof(limited)
	cancel()
	mark := "ok   "
	switch {
	case errors.Is(err, errSkipped):
		mark, figures = "-    ", err.Error()
		r.unlooked = append(r.unlooked, a.name+" was "+err.Error())
	case err != nil:
		mark, figures = "FAIL ", err.Error()
		r.failed++
	default:
		r.passed++
	}
	if figures != "" {
		figures = ": " + strings.ReplaceAll(strings.TrimSpace(figures), "\n", "; ")
	}
	fmt.Printf("  %s %5.1f s  %s, %s: %s%s\n", mark, time.Since(begun).Seconds(), a.name, a.who, a.right, figures)
}

func (r *run) endInstallations() {
	for _, h := range r.installations {
		h.end()
	}
	r.installations = nil
}

func (r *run) end() { r.endInstallations() }

// close prints the score, and removes the work of a run without failures.
func (r *run) close() error {
	fmt.Printf("\nattack: %s\n", time.Since(r.begun).Round(time.Second))
	for _, what := range r.unlooked {
		fmt.Printf("not proven here: %s\n", what)
	}
	fmt.Printf("%d passed, %d failed, %d not proven\n", r.passed, r.failed, len(r.unlooked))
	switch {
	case r.failed > 0:
		return fmt.Errorf("%d attacks succeeded; data and logs are in %s", r.failed, r.dir)
	case r.keep:
		return nil
	}
	return os.RemoveAll(r.dir)
}

// pause waits, unless the run is broken off.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return errors.New("it took too long, or was interrupted")
	}
}
