package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// settings are what the environment says about a run.
type settings struct {
	shared    string // folder of the inputs
	rpHome    string // folder of the validators
	algorithm string
	holders   int // 0: all
	seed      uint64
}

const rsa = "rsa-2048"

func readSettings() (settings, error) {
	s := settings{shared: "../shared", rpHome: "/opt/rp", algorithm: rsa, seed: uint64(time.Now().UnixNano()) % 1e6}
	for name, set := range map[string]func(string) error{
		"RP_HOME":         func(v string) error { s.rpHome = v; return nil },
		"WORLD_ALGORITHM": func(v string) error { s.algorithm = v; return nil },
		"WORLD_HOLDERS":   func(v string) (err error) { s.holders, err = strconv.Atoi(v); return err },
		"WORLD_SEED":      func(v string) (err error) { s.seed, err = strconv.ParseUint(v, 10, 64); return err },
	} {
		if value := os.Getenv(name); value != "" {
			if err := set(value); err != nil {
				return s, fmt.Errorf("%s is %q: write a number", name, value)
			}
		}
	}
	return s, nil
}

// whole tells whether the registry is taken as it is, so that its figures are known beforehand.
func (s *settings) whole() bool { return s.holders == 0 }

// world is one run: the installation that is proven, who looks at it, and the score.
type world struct {
	settings
	dir    string
	chance *rand.Rand
	begun  time.Time

	installation *installation
	follower     *follower
	inputs       inputs

	passed, failed int
}

func newWorld(ctx context.Context, s settings) (*world, error) {
	w := &world{settings: s, begun: time.Now(), chance: rand.New(rand.NewPCG(s.seed, 0))} //nolint:gosec // to be repeatable is the point
	var err error
	if w.dir, err = makeWork(); err != nil {
		return nil, err
	}
	size := "AFRINIC in full"
	if !s.whole() {
		size = fmt.Sprintf("rehearsal with %d holders of AFRINIC", s.holders)
	}
	fmt.Printf("world: %s, %s, seed %d, in %s\n", size, s.algorithm, s.seed, w.dir)
	if w.inputs, err = prepareInputs(s, w.dir); err == nil {
		w.installation, err = buildInstallation(ctx, s, w.dir)
	}
	if err == nil {
		err = w.checkValidators()
	}
	if err != nil {
		return nil, fmt.Errorf("%w (in %s)", err, w.dir)
	}
	return w, nil
}

// act prints the headline of what follows.
func act(headline string) { fmt.Printf("\n%s\n", headline) }

// prove runs one proof and prints its line: how long it took, what was proven, and the figures or what is wrong.
func (w *world) prove(what string, proof func() (figures string, err error)) error {
	begun := time.Now()
	figures, err := proof()
	mark := "ok  "
	if err != nil {
		mark, figures = "FAIL", err.Error()
		w.failed++
	} else {
		w.passed++
	}
	if figures != "" {
		figures = ": " + figures
	}
	fmt.Printf("  %s %7.1f s  %s%s\n", mark, time.Since(begun).Seconds(), what, figures)
	return err
}

// check is a proof that nothing later stands on: the run goes on whether it holds or not.
func (w *world) check(what string, proof func() (string, error)) { _ = w.prove(what, proof) }

// close prints the score, and removes the work of a run without failures.
func (w *world) close(played error) error {
	fmt.Printf("\nworld: %s\n%d passed, %d failed\n", time.Since(w.begun).Round(time.Second), w.passed, w.failed)
	switch {
	case w.failed > 0:
		return fmt.Errorf("%d proofs failed; data, logs and caches are in %s", w.failed, w.dir)
	case played != nil:
		return fmt.Errorf("it was broken off: %w; data, logs and caches are in %s", played, w.dir)
	}
	return os.RemoveAll(w.dir)
}

// endProcesses ends whatever still runs.
func (w *world) endProcesses() {
	if w.follower != nil {
		w.follower.stop()
	}
	w.installation.end()
}

func (w *world) path(parts ...string) string {
	return filepath.Join(append([]string{w.dir}, parts...)...)
}

// upTo is a random span of time.
func (w *world) upTo(most time.Duration) time.Duration {
	return time.Duration(w.chance.Int64N(int64(most)))
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

// thousands writes a number for people: 17,098.
func thousands[N int | uint64](n N) string {
	text := strconv.FormatUint(uint64(n), 10)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
