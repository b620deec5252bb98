package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cadastre/test/internal/process"
)

const kills = 3

// scene is the act while it is played.
type scene struct {
	*run
	h     *house
	world *world
	old   *reader // the one that is kept on old data
	mixed *reader // the one whose repositories are of different moments
	end   context.CancelFunc
}

func playMoves(ctx context.Context, r *run) error {
	s := &scene{run: r, world: &world{}}
	err := r.steps(
		step{"a share of both registries, and who moves", s.choose},
		step{"the daemon begins, with the registries' files and what is announced within them", func() (string, error) { return s.build(ctx) }},
		step{"'cadastre vrps' is what the files say, computed another way", func() (string, error) { return s.same(ctx, s.world.before) }},
		step{"every reader sees exactly that", func() (string, error) { return s.startReaders(ctx) }},
		step{"how long they take says how long the soak is", func() (string, error) { return s.measure(ctx) }},
	)
	if err != nil {
		return err
	}
	return s.moveAll(ctx)
}

// moveAll has everything move, and everyone look at the end.
func (s *scene) moveAll(ctx context.Context) error {
	err := s.steps(
		step{"all transfers come to their end, and the daemon is killed with -9 on the way", func() (string, error) { return s.drive(ctx) }},
		step{"all is published", func() (string, error) { return "", s.h.settle(ctx) }},
		step{"'cadastre vrps' is what was agreed on", func() (string, error) { return s.same(ctx, s.world.final) }},
	)
	s.check("every reader comes to see exactly that", func() (string, error) { return s.allSee(ctx) })
	s.verdicts()
	s.check("the daemon's log has no error", func() (string, error) { return "", s.h.errors() })
	return err
}

func (s *scene) choose() (string, error) {
	list, err := readFiles(s.shared)
	if err != nil {
		return "", err
	}
	holders, err := s.share(list, s.holders)
	if err != nil {
		return "", err
	}
	c := s.chooseMoves(holders)
	s.world.holders, s.world.moves = holders, c.moves
	s.world.foresee()
	if len(c.short) > 0 {
		return "", fmt.Errorf("the share is too small: %s is missing; choose more with -holders", strings.Join(c.short, ", "))
	}
	statistics, intents, err := s.write(list, holders)
	if err != nil {
		return "", err
	}
	s.world.statistics, s.world.intents = statistics, intents
	return fmt.Sprintf("%d holders, %d VRPs, %d announcements; %d transfers", len(holders), len(s.world.before), len(s.world.routes), len(c.moves)), nil
}

func (s *scene) build(ctx context.Context) (string, error) {
	h, err := s.newHouse(ctx, "house", bothTree)
	if err != nil {
		return "", err
	}
	s.h = h
	if err := h.run(ctx, append([]string{"holdings", "import"}, s.world.statistics...)...); err != nil {
		return "", err
	}
	if err := h.run(ctx, "roa", "import", s.world.intents); err != nil {
		return "", err
	}
	if err := h.serve(ctx); err != nil {
		return "", err
	}
	if err := h.settle(ctx); err != nil {
		return "", err
	}
	now, err := h.status(ctx)
	if err != nil {
		return "", err
	}
	objects := 0
	for _, r := range now.Repositories {
		objects += r.Objects
	}
	return fmt.Sprintf("%d authorities, %d objects in %d repositories", now.Authorities, objects, len(now.Repositories)), nil
}

// same compares what the program says that validators must print.
func (s *scene) same(ctx context.Context, want vrps) (string, error) {
	lines, err := s.h.vrps(ctx)
	if err != nil {
		return "", err
	}
	got := vrps{}
	for _, line := range lines {
		v, err := readVRP(line)
		if err != nil {
			return "", err
		}
		got[v] = true
	}
	return fmt.Sprintf("%d VRPs", len(want)), got.differs(want)
}

// startReaders starts all readers, and waits until each has seen what there is.
func (s *scene) startReaders(ctx context.Context) (string, error) {
	var fronts [2]*front
	for i := range fronts {
		var err error
		if fronts[i], err = s.newFront(); err != nil {
			return "", err
		}
	}
	s.read(s.h, s.world, newest, newest, nil)
	s.read(s.h, s.world, newest+" over rsync", newest, nil, "--rsync")
	for _, v := range s.also {
		s.read(s.h, s.world, v, v, nil)
	}
	s.mixed = s.read(s.h, s.world, newest+" with repositories of different moments", newest, fronts[0])
	s.old = s.read(s.h, s.world, newest+" on old data", newest, fronts[1])
	s.old.aged = true
	begun := time.Now()
	for _, d := range s.readers {
		if err := process.Until(ctx, 5*time.Minute, func() error { return d.holds(begun, s.world.before) }); err != nil {
			return "", fmt.Errorf("%s: %w", d.name, err)
		}
	}
	return fmt.Sprintf("%d readers", len(s.readers)), nil
}

// measure finds the soak and has the daemon know it.
func (s *scene) measure(ctx context.Context) (string, error) {
	for _, d := range s.readers {
		d.pace()
	}
	if err := s.rounds(ctx, 2); err != nil {
		return "", err
	}
	slowest := time.Duration(0)
	for _, d := range s.readers {
		slowest = max(slowest, d.pace())
	}
	s.h.soak = s.soak
	if s.h.soak == 0 {
		s.h.soak = max(20*time.Second, (3 * slowest).Round(time.Second))
	}
	if err := s.h.configure(); err != nil {
		return "", err
	}
	if err := s.h.restart(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("the slowest %.1f s from run to run, the soak %s", slowest.Seconds(), s.h.soak), s.h.settle(ctx)
}

// rounds waits until every reader has run so often.
func (s *scene) rounds(ctx context.Context, n int) error {
	for _, d := range s.readers {
		until0 := d.count() + n
		if err := process.Until(ctx, 5*time.Minute, func() error {
			if d.count() < until0 {
				return errors.New(d.name + " does not come to its end")
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// notifications is those of all repositories.
func (s *scene) notifications(ctx context.Context) ([]string, error) {
	now, err := s.h.status(ctx)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(now.Repositories)) {
		list = append(list, now.Repositories[name].Notify)
	}
	return list, nil
}

// allSee waits until all readers see the end, the one on old data too, which may now.
func (s *scene) allSee(ctx context.Context) (string, error) {
	if s.end != nil {
		s.end()
	}
	notifications, err := s.notifications(ctx)
	if err != nil {
		return "", err
	}
	for _, d := range s.readers {
		if d == s.old {
			s.check("what "+d.name+" has is still enough", func() (string, error) { return d.verdict() })
			d.rest()
		}
		if d.front != nil {
			for _, n := range notifications {
				d.front.release(n)
			}
		}
	}
	begun := time.Now()
	var late []error
	for _, d := range s.readers {
		if err := process.Until(ctx, 2*time.Minute+2*s.h.soak, func() error { return d.holds(begun, s.world.final) }); err != nil {
			late = append(late, fmt.Errorf("%s: %w", d.name, err))
		}
	}
	return fmt.Sprintf("%d VRPs, %d readers", len(s.world.final), len(s.readers)), errors.Join(late...)
}

// verdicts says what each reader has missed, and all together.
func (s *scene) verdicts() {
	var lost time.Duration
	for _, d := range s.readers {
		d.stop()
		if d != s.old {
			s.check(d.name+" never missed one", d.verdict)
		}
		lost += d.lost
	}
	s.check("the soak was at least twice what the slowest reader takes", func() (string, error) {
		slowest := time.Duration(0)
		for _, d := range s.readers {
			slowest = max(slowest, d.slowest)
		}
		if 2*slowest > s.h.soak {
			return "", fmt.Errorf("%s, and the slowest took %.1f s: what it saw proves nothing of a shorter soak", s.h.soak, slowest.Seconds())
		}
		return "", nil
	})
	s.check("VRP-seconds lost, over all readers", func() (string, error) {
		if lost > 0 {
			return "", fmt.Errorf("%.0f", lost.Seconds())
		}
		return "0", nil
	})
}
