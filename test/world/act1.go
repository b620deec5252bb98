package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const buildKills = 3

// firstAct builds the RPKI of 2023 from nothing, with the daemon killed while it works, and has everyone look at it.
func (w *world) firstAct(ctx context.Context) error {
	act("act 1: the registry of 2023-03-24, from nothing")
	h := w.installation
	if err := w.prove("init, with the tree of IANA and AFRINIC", func() (string, error) { return "", h.init(ctx, w.algorithm) }); err != nil {
		return err
	}
	if err := w.prove("holdings import", func() (string, error) { return w.importFirst(ctx) }); err != nil {
		return err
	}
	if err := w.prove("roa import --only-held takes exactly what is held", func() (string, error) { return w.importIntents(ctx) }); err != nil {
		return err
	}
	if err := w.prove("the daemon begins, and a follower of every serial beside it", func() (string, error) {
		if _, err := h.serve(ctx); err != nil {
			return "", err
		}
		var err error
		if w.follower, err = w.follow(); err == nil {
			w.follower.allow(&change{gained: w.inputs.before})
		}
		return "", err
	}); err != nil {
		return err
	}
	for _, after := range w.moments(buildKills) {
		if err := w.prove("kill -9 while it builds, and a new start", func() (string, error) { return w.killBuilding(ctx, after) }); err != nil {
			return err
		}
	}
	if err := w.prove("all is published", func() (string, error) { return w.settled(ctx) }); err != nil {
		return err
	}
	return w.look(ctx, w.inputs.before, false)
}

func (w *world) importFirst(ctx context.Context) (string, error) {
	if _, err := w.installation.run(ctx, "holdings", "import", w.inputs.first); err != nil {
		return "", err
	}
	return thousands(w.inputs.holders) + " holders", nil
}

func (w *world) importIntents(ctx context.Context) (string, error) {
	var effect struct {
		Left []string `json:"left"`
	}
	if err := w.installation.ask(ctx, &effect, "roa", "import", w.inputs.announcements, "--only-held"); err != nil {
		return "", err
	}
	now, err := w.installation.status(ctx)
	if err != nil {
		return "", err
	}
	in := &w.inputs
	if want := in.within - in.refused; now.Intents != want || len(in.before) != want {
		return "", fmt.Errorf("it took %d, and %d are held and may be taken", now.Intents, want)
	}
	return fmt.Sprintf("%s intents; %s fall within the holdings, %d of them have AS numbers that no one can have, and %s were left out",
		thousands(now.Intents), thousands(in.within), in.refused, thousands(len(effect.Left))), nil
}

// moments are random shares of the whole work, in order.
func (w *world) moments(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = 0.02 + 0.95*w.chance.Float64()
	}
	slices.Sort(out)
	return out
}

// killBuilding waits until about that share of the authorities is there, and for a moment more, and kills.
func (w *world) killBuilding(ctx context.Context, share float64) (string, error) {
	h := w.installation
	var now status
	for {
		var err error
		if now, err = h.status(ctx); err != nil {
			return "", err
		}
		if now.Settled || float64(now.Authorities) >= share*float64(w.inputs.holders) {
			break
		}
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return "", err
		}
	}
	if err := pause(ctx, w.upTo(time.Second)); err != nil {
		return "", err
	}
	h.kill()
	took, err := h.serve(ctx)
	return fmt.Sprintf("at %s authorities; served again after %s", thousands(now.Authorities), milliseconds(took)), err
}

// settled waits until every decision is published.
func (w *world) settled(ctx context.Context) (string, error) {
	now, err := w.installation.settle(ctx)
	if err != nil {
		return "", err
	}
	if !now.Settled {
		return "", errors.New("it says that it is not")
	}
	objects := 0
	for _, r := range now.Repositories {
		objects += r.Objects
	}
	w.installation.peak = max(w.installation.peak, w.installation.daemon.PeakMemory())
	return fmt.Sprintf("%s authorities, %s objects, serial %d of AFRINIC, at most %d MB of memory", thousands(now.Authorities), thousands(objects),
		now.Repositories["afrinic"].Serial, w.installation.peak>>20), nil
}

// look has everyone look at a state at rest, which must be the one that was computed.
func (w *world) look(ctx context.Context, meant vrpSet, later bool) error {
	want := meant.sorted()
	if err := w.prove("'cadastre vrps' is what the files say, computed another way", func() (string, error) {
		got, err := w.installation.vrps(ctx)
		if err != nil {
			return "", err
		}
		return same(got, want)
	}); err != nil {
		return err
	}
	if err := w.prove("kill -9 at rest, and a new start: the same sessions and serials", func() (string, error) { return w.restart(ctx) }); err != nil {
		return err
	}
	w.check("at every serial so far, the follower found nothing invalid and no VRP that should not come or go", func() (string, error) { return w.followed(ctx, want) })
	w.check("rsync has the same serials", func() (string, error) { return w.rsyncReady(ctx) })
	w.judgeAll(ctx, want, later)
	w.check("the daemon's log has no error", func() (string, error) { return w.readServeLog() })
	return ctx.Err()
}

// restart kills a daemon that has nothing to do. Since what it starts with for rsync is always the newest serial, it
// also spares the validators over rsync the wait for the next tree, which may be fifteen minutes.
func (w *world) restart(ctx context.Context) (string, error) {
	h := w.installation
	before, err := h.status(ctx)
	if err != nil {
		return "", err
	}
	h.kill()
	took, err := h.serve(ctx)
	if err != nil {
		return "", err
	}
	after, err := h.settle(ctx)
	if err != nil {
		return "", err
	}
	for name, r := range before.Repositories {
		if r != after.Repositories[name] {
			return "", fmt.Errorf("repository %s was %+v and is %+v", name, r, after.Repositories[name])
		}
	}
	return "first notification after " + milliseconds(took), nil
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// followed is the follower's verdict once it has seen what is published now.
func (w *world) followed(ctx context.Context, want []string) (string, error) {
	now, err := w.installation.status(ctx)
	if err != nil {
		return "", err
	}
	if err := w.follower.catchUp(ctx, now); err != nil {
		return "", err
	}
	if err := w.follower.differs(want); err != nil {
		return "", err
	}
	vrps, steps, excused := w.follower.count()
	return fmt.Sprintf("%s VRPs after %d steps; %d times nothing could be fetched from the dead daemon", thousands(vrps), steps, excused), nil
}

// rsyncReady waits until the visible tree of every repository is the one of its serial.
func (w *world) rsyncReady(ctx context.Context) (string, error) {
	now, err := w.installation.status(ctx)
	if err != nil {
		return "", err
	}
	for deadline := time.Now().Add(time.Minute); ; {
		late := ""
		for name, r := range now.Repositories {
			tree, _ := os.Readlink(filepath.Join(w.installation.data, "rsync", name, "current"))
			if !strings.HasPrefix(tree, fmt.Sprintf("tree-%d-", r.Serial)) {
				late = fmt.Sprintf("%s is at serial %d, and its tree is %q", name, r.Serial, tree)
			}
		}
		if late == "" {
			return "", nil
		}
		if time.Now().After(deadline) {
			return "", errors.New(late)
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return "", err
		}
	}
}

// readServeLog is an error where the daemon has logged one.
func (w *world) readServeLog() (string, error) {
	log, err := os.ReadFile(w.installation.path("serve.log"))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "level=ERROR") || strings.HasPrefix(line, "panic") || strings.HasPrefix(line, "cadastre:") {
			return "", errors.New(strings.TrimSpace(line))
		}
	}
	return "", nil
}
