package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const southTree = `[[organisation]]
handle = "iana"
kind = "root"

[[organisation]]
handle = "lacnic"
kind = "rir"
parent = "iana"

[[organisation]]
handle = "nic.br"
kind = "nir"
parent = "lacnic"
countries = ["BR"]
`

// playBetween has holders move between two installations, each with its own trust anchor: readers have both.
func playBetween(ctx context.Context, r *run) error {
	s := &scene{run: r, world: &world{}}
	var north, south *installation
	err := r.steps(
		step{"a share of both registries, and who moves", func() (string, error) { return s.choose(s.chooseBetween) }},
		step{"two daemons begin, each with one registry", func() (figures string, err error) {
			if north, err = s.newInstallation(ctx, "north", failingTree); err != nil {
				return "", err
			}
			if south, err = s.newInstallation(ctx, "south", southTree); err != nil {
				return "", err
			}
			return s.twoInstallations(ctx, north, south)
		}},
		step{"they are introduced to each other", func() (string, error) {
			return "", errors.Join(s.introduce(ctx, north, south), s.introduce(ctx, south, north))
		}},
	)
	if err == nil {
		err = s.watch(ctx)
	}
	if err != nil {
		return err
	}
	err = s.steps(
		s.measured(ctx),
		step{"all transfers come to their end, and the daemons are killed with -9 on the way", func() (string, error) { return s.drive(ctx) }},
		step{"all is published", func() (string, error) { return "", errors.Join(north.settle(ctx), south.settle(ctx)) }},
		step{"'cadastre vrps' of both is what was agreed on", func() (string, error) { return s.same(ctx, s.world.final, north, south) }},
		step{"nothing but what is disputed is authorised below both trust anchors", func() (string, error) { return s.once(ctx, north, south) }},
	)
	s.check("every reader comes to see exactly that", func() (string, error) { return s.allSee(ctx) })
	s.verdicts()
	s.check("the daemons' logs have no error", func() (string, error) { return "", errors.Join(north.errors(), south.errors()) })
	return err
}

func (s *scene) twoInstallations(ctx context.Context, north, south *installation) (string, error) {
	s.h, s.seen = north, []*installation{north, south}
	for _, m := range s.world.moves {
		if m.home, m.away = north, south; registryOf(m.from) != failing {
			m.home, m.away = south, north
		}
	}
	var figures []string
	for i, registries := range [][]string{{failing}, {successor, nir}} {
		h := s.seen[i]
		intents, last := s.intentsOf(registries...)
		f, err := h.fill(ctx, s.world.statistics[i:i+1], intents, s.aspasOf(registries...)...)
		if err == nil {
			err = errors.Join(h.authorise(ctx, last), h.settle(ctx))
		}
		if err != nil {
			return "", err
		}
		figures = append(figures, h.name+": "+f)
	}
	return strings.Join(figures, "; "), nil
}

// introduce has one installation know another under its name.
func (s *scene) introduce(ctx context.Context, h, other *installation) error {
	path, err := s.file(other.ask(ctx, "registries", "introduce", "--tls-ca", s.tls.Roots))("introduction-" + other.name + ".xml")
	if err != nil {
		return err
	}
	return h.run(ctx, "registries", "add", other.name, "--introduction", path)
}

// once tells whether what has moved is authorised below one trust anchor.
func (s *scene) once(ctx context.Context, north, south *installation) (string, error) {
	here, err := north.vrps(ctx)
	if err != nil {
		return "", err
	}
	there, err := south.vrps(ctx)
	if err != nil {
		return "", err
	}
	disputed := vrps{}
	for _, m := range s.world.moves {
		if m.dispute {
			for _, v := range m.donor.vrps {
				disputed[v] = true
			}
		}
	}
	twice := 0
	for _, line := range here {
		v, err := readVRP(line)
		if err != nil {
			return "", err
		}
		if slices.Contains(there, line) != disputed[v] && (disputed[v] || slices.Contains(there, line)) {
			return "", fmt.Errorf("%s: below both trust anchors: %v, disputed: %v", line, slices.Contains(there, line), disputed[v])
		}
		if disputed[v] {
			twice++
		}
	}
	return fmt.Sprintf("%d disputed", twice), nil
}
