package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cadastre/test/internal/krill"
	"cadastre/test/internal/process"
)

// scene is the act while it is played.
type scene struct {
	*run
	h     *installation   // that things move in
	seen  []*installation // that readers look at
	world *world
	old   *reader   // the one that is kept on old data
	mixed *reader   // the one whose repositories are of different moments
	mover *krill.CA // of the holder whose CA is elsewhere
	end   context.CancelFunc

	settled <-chan struct{} // closed when the reader on old data has what it stays with
}

func playMoves(ctx context.Context, r *run) error {
	s := &scene{run: r, world: &world{}}
	err := r.steps(
		step{"a share of both registries, and who moves", func() (string, error) { return s.choose(s.chooseMoves) }},
		step{"the daemon begins, with the registries' files and what is announced within them", func() (string, error) { return s.build(ctx) }},
	)
	if err == nil && s.withKrill {
		err = s.prove("a holder has its CA in Krill, which publishes at its own server", func() (string, error) { return s.delegate(ctx) })
	}
	if err == nil {
		err = s.watch(ctx)
	}
	if err != nil {
		return err
	}
	return s.moveAll(ctx)
}

// watch has all readers begin.
func (s *scene) watch(ctx context.Context) error {
	return s.steps(
		step{"'cadastre vrps' is what the files say, computed another way", func() (string, error) { return s.same(ctx, s.world.before, s.seen...) }},
		step{"every reader sees exactly that", func() (string, error) { return s.startReaders(ctx) }},
	)
}

// measured is the step that finds the soak.
func (s *scene) measured(ctx context.Context) step {
	return step{"how long they take says how long the soak is", func() (string, error) { return s.measure(ctx) }}
}

// moveAll has everything move, and everyone look at the end.
func (s *scene) moveAll(ctx context.Context) error {
	err := s.steps(
		s.measured(ctx),
		step{"all transfers come to their end, and the daemon is killed with -9 on the way", func() (string, error) { return s.drive(ctx) }},
		step{"all is published", func() (string, error) { return "", s.h.settle(ctx) }},
		step{"'cadastre vrps' is what was agreed on", func() (string, error) { return s.same(ctx, s.world.final, s.h) }},
	)
	if err == nil {
		s.check("the transfer logs list them", func() (string, error) { return s.logged(ctx) })
		s.check("the evidence of each verifies", func() (string, error) { return s.evidence(ctx) })
	}
	s.check("every reader comes to see exactly that", func() (string, error) { return s.allSee(ctx) })
	s.verdicts()
	s.check("the daemon's log has no error", func() (string, error) { return "", s.h.errors() })
	return err
}

// mostShares is how many shares of the registries are drawn until one has a holder for each move.
const mostShares = 20

func (s *scene) choose(how func([]*holder) *chooser) (string, error) {
	var list []file
	var holders []*holder
	var c *chooser
	for range mostShares {
		var err error
		if list, err = readFiles(s.shared); err != nil {
			return "", err
		}
		if holders, err = s.share(list, s.holders); err != nil {
			return "", err
		}
		if c = how(holders); len(c.short) == 0 {
			break
		}
	}
	if len(c.short) > 0 {
		return "", fmt.Errorf("the share is too small: %s is missing; choose more with -holders", strings.Join(c.short, ", "))
	}
	s.world.holders, s.world.moves = holders, c.moves
	s.world.foresee()
	s.world.name()
	statistics, intents, err := s.write(list, s.world)
	if err != nil {
		return "", err
	}
	s.world.statistics, s.world.intents = statistics, intents
	return fmt.Sprintf("%d holders, %d VRPs, %d ASPAs, %d announcements; %d transfers", len(holders), len(s.world.before), len(s.world.aspas), len(s.world.routes), len(c.moves)), nil
}

func (s *scene) build(ctx context.Context) (string, error) {
	h, err := s.newInstallation(ctx, "installation", bothTree)
	if err != nil {
		return "", err
	}
	s.h, s.seen = h, []*installation{h}
	for _, m := range s.world.moves {
		m.home = h
	}
	return h.fill(ctx, s.world.statistics, s.world.intents, s.aspasOf()...)
}

// aspasOf is the ASPAs of the holders of some registries, or of all.
func (s *scene) aspasOf(registries ...string) []string {
	var list []string
	for _, h := range s.world.holders {
		if line := h.aspa(); slices.Contains(s.world.aspas, line) && (len(registries) == 0 || slices.Contains(registries, h.registry)) {
			list = append(list, line)
		}
	}
	return list
}

// same compares what the program says that validators must print.
func (s *scene) same(ctx context.Context, want vrps, installations ...*installation) (string, error) {
	got := maps.Clone(s.world.others) // which is not ours to say
	for _, h := range installations {
		lines, err := h.vrps(ctx)
		if err != nil {
			return "", err
		}
		for _, line := range lines {
			v, err := readVRP(line)
			if err != nil {
				return "", err
			}
			got[v] = true
		}
	}
	return fmt.Sprintf("%d VRPs", len(want)), got.differs(want)
}

// startReaders starts all readers, and waits until each has seen what there is.
func (s *scene) startReaders(ctx context.Context) (string, error) {
	var fronts [2]*front
	for i := range fronts {
		var err error
		if fronts[i], err = s.newFront(false); err != nil {
			return "", err
		}
	}
	// FORT forgets a repository of which a delta and then the snapshot break off, and does not ask for it again before the next
	// serial: when its server dies in the middle of that, it is without the repository, moves or none
	patient, err := s.newFront(true)
	if err != nil {
		return "", err
	}
	s.read(s.seen, s.world, newest, newest, nil)
	s.read(s.seen, s.world, newest+" over rsync", newest, nil, "--rsync")
	for _, v := range s.also {
		if v == fort {
			s.read(s.seen, s.world, v, v, patient)
		} else {
			s.read(s.seen, s.world, v, v, nil)
		}
	}
	s.mixed = s.read(s.seen, s.world, newest+" with repositories of different moments", newest, fronts[0])
	s.old = s.read(s.seen, s.world, newest+" on old data", newest, fronts[1])
	s.old.aged = true
	begun := time.Now()
	for _, d := range s.readers {
		if err := untilSeen(ctx, 5*time.Minute, d, begun, s.world.before); err != nil {
			return "", fmt.Errorf("%s: %w", d.name, err)
		}
	}
	for _, d := range s.readers {
		d.begin() // until now the trees for rsync may have come one after the other
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
	soak := s.soak
	if soak == 0 {
		soak = max(30*time.Second, (4 * slowest).Round(time.Second))
	}
	for _, h := range s.seen {
		h.soak = soak
		if err := h.configure(); err != nil {
			return "", err
		}
		if err := h.restart(ctx); err != nil {
			return "", err
		}
		if err := h.settle(ctx); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("the slowest %.1f s from run to run, the soak %s", slowest.Seconds(), soak), nil
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
	var list []string
	for _, h := range s.seen {
		now, err := h.status(ctx)
		if err != nil {
			return nil, err
		}
		for _, name := range slices.Sorted(maps.Keys(now.Repositories)) {
			list = append(list, now.Repositories[name].Notify)
		}
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
		if err := untilSeen(ctx, 2*time.Minute+2*s.h.soak, d, begun, s.world.final); err != nil {
			late = append(late, fmt.Errorf("%s: %w", d.name, err))
		}
	}
	return fmt.Sprintf("%d VRPs, %d readers", len(s.world.final), len(s.readers)), errors.Join(late...)
}

// verdicts says what each reader has missed, and all together.
func (s *scene) verdicts() {
	var lost, aspas time.Duration
	for _, d := range s.readers {
		d.stop()
		if d != s.old {
			s.check(d.name+" never missed one", d.verdict)
		}
		lost, aspas = lost+d.lost, aspas+d.lostASPAs
	}
	// readers that take longer than half of it, on a busy machine, see more of a move and not less: that matters where one lost something
	s.check("the soak was at least twice what the slowest reader takes, or none lost anything for it", func() (string, error) {
		slowest := time.Duration(0)
		for _, d := range s.readers {
			slowest = max(slowest, d.slowest)
		}
		if 2*slowest > s.h.soak && lost+aspas > 0 {
			return "", fmt.Errorf("%s, and the slowest took %.1f s: what it saw proves nothing of a shorter soak", s.h.soak, slowest.Seconds())
		}
		return fmt.Sprintf("%s, and the slowest took %.1f s", s.h.soak, slowest.Seconds()), nil
	})
	s.check("VRP-seconds lost, over all readers", func() (string, error) {
		if lost > 0 {
			return "", fmt.Errorf("%.0f", lost.Seconds())
		}
		return "0", nil
	})
	if len(s.world.aspas) == 0 {
		return
	}
	s.check("ASPA-seconds lost, over the readers that know ASPAs", func() (string, error) {
		know := 0
		for _, d := range s.readers {
			if d.aspas {
				know++
			}
		}
		if aspas > 0 || know < 3 {
			return "", fmt.Errorf("%.0f, and %d readers know ASPAs", aspas.Seconds(), know)
		}
		return fmt.Sprintf("0, of %d ASPAs and %d readers", len(s.world.aspas), know), nil
	})
}

// untilSeen waits until a reader sees a set.
func untilSeen(ctx context.Context, most time.Duration, d *reader, after moment, want vrps) error {
	err := process.Until(ctx, most, func() error { return d.holds(after, want) })
	if err != nil {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	return nil
}
