package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	failing   = "afrinic" // the registry that fails
	successor = "lacnic"
	bystands  = 40  // holders that the successor had before
	withROAs  = 600 // of the failing registry's holders, as many as have ROAs, each one
	batch     = 250 // holders that begin at once
)

const handoffTree = `[[organisation]]
handle = "iana"
kind = "root"

[[organisation]]
handle = "afrinic"
kind = "rir"
parent = "iana"

[[organisation]]
handle = "lacnic"
kind = "rir"
parent = "iana"
`

const failingTree = `[[organisation]]
handle = "iana"
kind = "root"

[[organisation]]
handle = "afrinic"
kind = "rir"
parent = "iana"
`

// playHandoff has all holders of a registry go to its successor in the same installation.
func playHandoff(ctx context.Context, r *run) error {
	s := &scene{run: r, world: &world{}}
	err := r.steps(
		step{"a registry with many holders, and its successor with a few", func() (string, error) { return s.populate(failing, successor) }},
		step{"the daemon begins", func() (string, error) {
			h, err := s.newInstallation(ctx, "installation", handoffTree)
			if err != nil {
				return "", err
			}
			s.h, s.seen = h, []*installation{h}
			return h.fill(ctx, s.world.statistics, s.world.intents)
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
		step{"the plan of the handoff names every holder and VRP", func() (string, error) { return s.planHandoff(ctx) }},
		step{"the handoff comes to its end, and the daemon is killed with -9 on the way", func() (string, error) { return s.handOff(ctx) }},
		step{"all is published", func() (string, error) { return "", s.h.settle(ctx) }},
		step{"nothing is left of the registry that failed", func() (string, error) { return "", s.gone(ctx) }},
		step{"'cadastre vrps' is what it was", func() (string, error) { return s.same(ctx, s.world.final, s.h) }},
	)
	s.check("every reader comes to see exactly that", func() (string, error) { return s.allSee(ctx) })
	s.verdicts()
	s.check("the daemon's log has no error", func() (string, error) { return "", s.h.errors() })
	return err
}

// playEscrow has the registry that fails be an installation of its own, of which nothing is left but what it deposited.
func playEscrow(ctx context.Context, r *run) error {
	s := &scene{run: r, world: &world{}}
	var lost *installation
	err := r.steps(
		step{"a registry with many holders in an installation of its own, and its successor with a few in another", func() (string, error) { return s.populate(failing, successor) }},
		step{"the registry's daemon begins, and deposits", func() (figures string, err error) {
			if lost, err = s.newInstallation(ctx, "gone", failingTree); err != nil {
				return "", err
			}
			intents, late := s.intentsOf(failing)
			if figures, err = lost.fill(ctx, s.world.statistics[:1], intents); err != nil {
				return "", err
			}
			return figures, s.deposit(ctx, lost, late)
		}},
		step{"the successor's daemon begins, where the registry has all its resources and no holder", func() (string, error) {
			h, err := s.newInstallation(ctx, "successor", handoffTree)
			if err != nil {
				return "", err
			}
			s.h, s.seen = h, []*installation{lost, h}
			if err := h.run(ctx, append([]string{"holdings", "delegate", "--to", failing}, s.held(failing)...)...); err != nil {
				return "", err
			}
			intents, late := s.intentsOf(successor)
			figures, err := h.fill(ctx, s.world.statistics[1:], intents)
			if err != nil {
				return "", err
			}
			return figures, errors.Join(h.authorise(ctx, late), h.settle(ctx))
		}},
	)
	if err == nil {
		err = s.watch(ctx)
	}
	if err != nil {
		return err
	}
	err = s.steps(
		step{"the registry's installation is lost: its daemon is killed, and its folder removed", func() (string, error) {
			// readers that are at this moment in the middle of something finish with what they have
			lost.daemon.Kill()
			for _, d := range s.readers {
				if d.front != nil {
					d.front.lose(fmt.Sprintf("https://localhost:%d", lost.https))
				}
			}
			s.seen = s.seen[1:]
			return "", os.RemoveAll(lost.data())
		}},
		s.measured(ctx), // some readers try again and again where nobody answers
		step{"the plan of the handoff names every holder and VRP", func() (string, error) { return s.planHandoff(ctx, s.fromEscrow()...) }},
		step{"the handoff comes to its end, and the daemon is killed with -9 on the way", func() (string, error) { return s.handOff(ctx, s.fromEscrow()...) }},
		step{"all is published", func() (string, error) { return "", s.h.settle(ctx) }},
		step{"nothing is left of the registry that failed", func() (string, error) { return "", s.gone(ctx) }},
		step{"'cadastre vrps' is what both had", func() (string, error) { return s.same(ctx, s.world.final, s.h) }},
	)
	s.check("every reader comes to see exactly that", func() (string, error) { return s.allSee(ctx) })
	s.verdicts()
	s.check("readers of the successor's trust anchor alone see exactly that", func() (string, error) { return s.afresh(ctx) })
	s.check("the daemon's log has no error", func() (string, error) { return "", s.h.errors() })
	return err
}

// populate chooses the holders of both registries, and gives few of them ROAs.
func (s *scene) populate(of, to string) (string, error) {
	list, err := readFiles(s.shared)
	if err != nil {
		return "", err
	}
	for i := range list {
		n := bystands
		if list[i].registry == of {
			n = s.handed
		}
		if err := s.cut(&list[i], n); err != nil {
			return "", err
		}
	}
	var holders []*holder
	for i := range list {
		all, err := list[i].holders()
		if err != nil {
			return "", err
		}
		granted := 0
		for _, h := range sorted(all) {
			if h.registry == nir {
				return "", fmt.Errorf("%s is below an NIR", h.handle)
			}
			if granted++; granted > withROAs {
				h.vrps = nil
			}
			h.vrps = h.vrps[:min(1, len(h.vrps))]
			holders = append(holders, h)
		}
	}
	s.world.holders = holders
	s.world.foresee()
	s.world.statistics, s.world.intents, err = s.write(list, s.world)
	n := len(slices.DeleteFunc(slices.Clone(holders), func(h *holder) bool { return h.registry != of }))
	return fmt.Sprintf("%d holders of %s and %d of %s, %d VRPs", n, of, len(holders)-n, to, len(s.world.before)), err
}

// fill imports what a registry has and what its holders want, ASPAs as "AS1=>AS2,AS3", and starts the daemon.
func (h *installation) fill(ctx context.Context, statistics []string, intents string, aspas ...string) (string, error) {
	if err := h.run(ctx, append([]string{"holdings", "import"}, statistics...)...); err != nil {
		return "", err
	}
	if err := h.run(ctx, "roa", "import", intents); err != nil {
		return "", err
	}
	if len(aspas) > 0 {
		words := []string{"aspa", "add"}
		for _, line := range aspas {
			words = append(words, strings.Replace(line, "=>", ",", 1))
		}
		if err := h.run(ctx, words...); err != nil {
			return "", err
		}
	}
	if err := h.serve(ctx); err != nil {
		return "", err
	}
	if err := h.settle(ctx); err != nil {
		return "", err
	}
	now, err := h.status(ctx)
	objects := 0
	for _, r := range now.Repositories {
		objects += r.Objects
	}
	return fmt.Sprintf("%d authorities, %d objects in %d repositories", now.Authorities, objects, len(now.Repositories)), err
}

// intentsOf writes what the holders of registries want, but for the last of it, which it returns too.
func (s *scene) intentsOf(registries ...string) (path string, last vrp) {
	var rows []string
	for _, h := range s.world.holders {
		for _, v := range h.vrps {
			if slices.Contains(registries, h.registry) {
				rows, last = append(rows, fmt.Sprintf("%s,AS%d,%d\n", v.prefix, v.asn, v.maxLength)), v
			}
		}
	}
	path = s.path("intents-" + registries[0] + ".csv")
	if err := os.WriteFile(path, []byte(strings.Join(rows[:len(rows)-1], "")), 0o600); err != nil {
		return err.Error(), last // which is no file, as the import will say
	}
	return path, last
}

// authorise adds an intent.
func (h *installation) authorise(ctx context.Context, v vrp) error {
	return h.run(ctx, "roa", "add", v.prefix.String(), fmt.Sprintf("AS%d", v.asn), fmt.Sprint(v.maxLength))
}

// held is all that a registry's holders have, in words.
func (s *scene) held(registry string) []string {
	var words []string
	for _, h := range s.world.holders {
		if h.registry != registry {
			continue
		}
		for _, p := range h.blocks() {
			words = append(words, p.String())
		}
		for _, asn := range h.asns {
			words = append(words, fmt.Sprintf("AS%d", asn))
		}
	}
	return words
}

func (s *scene) escrow() (folder, identity, signer string) {
	return s.path("escrow"), s.path("successor.age"), s.path("signer.pem")
}

func (s *scene) fromEscrow() []string {
	folder, identity, signer := s.escrow()
	return []string{"--escrow", folder, "--identity", identity, "--signer", signer}
}

// deposit has an installation make a full deposit and, when it has authorised one thing more, one of what has changed, for a successor
// whose key is made here.
func (s *scene) deposit(ctx context.Context, h *installation, late vrp) error {
	folder, identity, signer := s.escrow()
	text, err := h.ask(ctx, "escrow", "keygen", identity)
	if err != nil {
		return err
	}
	recipient := ""
	for word := range strings.FieldsSeq(string(text)) {
		if strings.HasPrefix(word, "age1") {
			recipient = word
		}
	}
	certificate, err := h.ask(ctx, "escrow", "signer")
	if err != nil {
		return err
	}
	if err := os.WriteFile(signer, certificate, 0o600); err != nil {
		return err
	}
	if err := h.run(ctx, "escrow", "deposit", "--to", folder, "--recipient", recipient); err != nil {
		return err
	}
	if err := errors.Join(h.authorise(ctx, late), h.settle(ctx)); err != nil {
		return err
	}
	if err := h.run(ctx, "escrow", "deposit", "--to", folder, "--recipient", recipient); err != nil {
		return err
	}
	return h.run(ctx, "escrow", "verify", folder, "--signer", signer)
}

// handoffPlan is what this program reads of a plan.
type handoffPlan struct {
	Code    string `json:"code"`
	Holders []struct {
		VRPs []any `json:"vrps"`
	} `json:"holders"`
}

func (s *scene) handoffArgs(verb string, more []string) []string {
	return append([]string{"handoff", verb, "--registry", failing, "--to", successor, "--batch", fmt.Sprint(batch), "--soak", s.h.soak.String()}, more...)
}

func (s *scene) plan(ctx context.Context, more []string) (p handoffPlan, err error) {
	return p, s.h.askJSON(ctx, &p, s.handoffArgs("plan", more)...)
}

func (s *scene) planHandoff(ctx context.Context, more ...string) (string, error) {
	p, err := s.plan(ctx, more)
	if err != nil {
		return "", err
	}
	holders, wanted := 0, 0
	for _, h := range s.world.holders {
		if h.registry == failing {
			holders++
			wanted += len(h.vrps)
		}
	}
	named := 0
	for _, h := range p.Holders {
		named += len(h.VRPs)
	}
	if len(p.Holders) != holders || named != wanted {
		return "", fmt.Errorf("it names %d holders and %d VRPs, and there are %d and %d", len(p.Holders), named, holders, wanted)
	}
	return fmt.Sprintf("%d holders, %d VRPs", holders, wanted), nil
}

// handOff starts the handoff, kills the daemon now and then, and waits until it is done.
func (s *scene) handOff(ctx context.Context, more ...string) (string, error) {
	if err := s.disturb(ctx); err != nil {
		return "", err
	}
	kill := s.killer(ctx, 4*s.h.soak)
	p, err := s.plan(ctx, more)
	if err != nil {
		return "", err
	}
	begun := time.Now()
	if err := s.h.run(ctx, append(s.handoffArgs("start", more), "--code", p.Code, "--reason", "derecognised")...); err != nil {
		return "", err
	}
	for deadline := begun.Add(15*time.Minute + 40*s.h.soak); ; {
		left, err := kill()
		if err != nil {
			return "", err
		}
		text, err := s.h.ask(ctx, "handoff", "status")
		if err != nil {
			return "", err
		}
		if left == 0 && strings.Contains(string(text), " is done\n") {
			return fmt.Sprintf("%d holders after %.0f s; %d times killed", len(p.Holders), time.Since(begun).Seconds(), s.h.kills), nil
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("it is not done after %s: %s", time.Since(begun), text)
		}
		if err := pause(ctx, time.Second); err != nil {
			return "", err
		}
	}
}

// gone tells whether the registry that failed holds nothing.
func (s *scene) gone(ctx context.Context) error {
	text, err := s.h.ask(ctx, "holdings", "list", "--holder", failing)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 3 && fields[0] == failing {
			return errors.New("it holds " + fields[3])
		}
	}
	return nil
}

// afresh has validators look for the first time.
func (s *scene) afresh(ctx context.Context) (string, error) {
	begun := time.Now()
	for _, v := range append([]string{newest}, s.also...) {
		d := s.read([]*installation{s.h}, s.world, v+" afresh", v, nil)
		err := untilSeen(ctx, 5*time.Minute, d, begun, s.world.final)
		d.stop()
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d VRPs, %d validators", len(s.world.final), 1+len(s.also)), nil
}
