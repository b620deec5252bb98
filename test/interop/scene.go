package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cadastre/test/internal/krill"
)

// scenario is one of the eight of the proof.
type scenario struct {
	number int
	title  string
	play   func(ctx context.Context, s *scene) error
	silent string // the protocol in which the installations have nothing to say to each other, if there is one
}

// scene is a scenario while it is played: its daemons, its folder, and how many proofs it has shown.
type scene struct {
	*run
	scenario
	dir string

	krill         *krill.Krill // nil where there is none
	installations []*installation
	proofs        int
	setups        int
}

// step is one proof of a scene: it returns figures for people.
type step struct {
	what  string
	proof func(ctx context.Context) (figures string, err error)
}

// do is a step that has no figures.
func do(what string, proof func(ctx context.Context) error) step {
	return step{what, func(ctx context.Context) (string, error) { return "", proof(ctx) }}
}

// steps plays one step after the other. Each stands on those before it: the first that fails is the last.
func (s *scene) steps(ctx context.Context, steps ...step) error {
	for _, st := range steps {
		if err := s.prove(ctx, st.what, st.proof); err != nil {
			return err
		}
	}
	return nil
}

// prove runs one proof and prints its line: its number, how long it took, what was proven, and the figures or what is
// wrong.
func (s *scene) prove(ctx context.Context, what string, proof func(ctx context.Context) (string, error)) error {
	s.proofs++
	begun := time.Now()
	figures, err := proof(ctx)
	mark := "ok  "
	if err != nil {
		mark, figures = "FAIL", err.Error()
		s.failed++
	} else {
		s.passed++
	}
	if figures != "" {
		figures = ": " + figures
	}
	fmt.Printf("  %d.%-2d %s %6.1f s  %s%s\n", s.number, s.proofs, mark, time.Since(begun).Seconds(), what, figures)
	return err
}

func (s *scene) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

// keepSetup puts a message of RFC 8183 into a file of the scene: it is handed to a program by its name, and read against
// its schema in the end.
func (s *scene) keepSetup(what string, xml []byte) (string, error) {
	s.setups++
	dir := s.path("setup")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, fmt.Sprintf("%02d-%s.xml", s.setups, what))
	return path, os.WriteFile(path, xml, 0o644)
}

// end ends the daemons.
func (s *scene) end() {
	for _, h := range s.installations {
		h.end()
	}
	if s.krill != nil {
		s.krill.End()
	}
}

// confess prints the last lines of every log of a scene that failed.
func (s *scene) confess() {
	for _, log := range s.logs() {
		text, err := os.ReadFile(log.path)
		if err != nil {
			continue // the daemon was never started
		}
		lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
		fmt.Printf("\n  the last lines of %s, in %s:\n", log.of, log.path)
		for _, line := range lines[max(0, len(lines)-25):] {
			fmt.Printf("    %s\n", line)
		}
	}
}

// wanted is what validators must print, for the trust anchor of each installation by its name: lines of
// prefix,maxlength,ASn for VRPs, and of AS1=>AS2,AS3 for VAPs, which not all of them know.
type wanted map[string][]string

// and is what is wanted with these lines added.
func (w wanted) and(anchor string, lines ...string) wanted {
	out := wanted{}
	for name, has := range w {
		out[name] = slices.Clone(has)
	}
	out[anchor] = append(out[anchor], lines...)
	return out
}
