package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"

	"cadastre/test/internal/process"
)

const (
	changeKills = 3
	changeSpan  = 10 * time.Second // from the import on, within which the kills are
	exitRefused = 6                // of a command that the brake holds
)

// effect is what this program reads of what a command would do.
type effect struct {
	Lost   []vrp  `json:"vrps_lost"`
	Gained []vrp  `json:"vrps_gained"`
	Held   string `json:"held"`
	Code   string `json:"code"`
}

// secondAct lets three years come over the registry, with the daemon killed while it follows, and has everyone look.
func (w *world) secondAct(ctx context.Context) error {
	act("act 2: the same registry on 2026-05-05")
	h := w.installation
	before, err := h.status(ctx)
	if err != nil {
		return err
	}
	meant := change{gained: w.inputs.after.without(w.inputs.before), lost: w.inputs.before.without(w.inputs.after), rest: w.inputs.rest}
	var code string
	if err := w.prove("holdings import is held by the brake, and nothing changes", func() (figures string, err error) {
		code, figures, err = w.importHeld(ctx, before)
		return figures, err
	}); err != nil {
		return err
	}
	if err := w.prove("holdings import --dry-run names exactly the VRPs that will be lost and gained", func() (string, error) { return w.dryRun(ctx, code, &meant) }); err != nil {
		return err
	}
	w.follower.allow(&meant)
	if err := w.prove("holdings import with the code, and kill -9 within the next seconds", func() (string, error) { return w.importKilled(ctx, code) }); err != nil {
		return err
	}
	if err := w.prove("all is published", func() (string, error) { return w.settled(ctx) }); err != nil {
		return err
	}
	if err := w.look(ctx, w.inputs.after, true); err != nil {
		return err
	}
	w.check("the follower saw every single serial in between", func() (string, error) { return w.sawAll(ctx, before) })
	return nil
}

// importHeld imports without the code, and takes it from what is said.
func (w *world) importHeld(ctx context.Context, before status) (code, figures string, err error) {
	var held effect
	if err := w.refused(ctx, &held, "holdings", "import", w.inputs.second); err != nil {
		return "", "", err
	}
	after, err := w.installation.status(ctx)
	if err != nil {
		return "", "", err
	}
	if after.Revision != before.Revision {
		return "", "", fmt.Errorf("the store was at revision %d and is at %d", before.Revision, after.Revision)
	}
	got, err := w.installation.vrps(ctx)
	if err != nil {
		return "", "", err
	}
	if _, err := same(got, w.inputs.before.sorted()); err != nil {
		return "", "", err
	}
	return held.Code, held.Held, nil
}

// refused runs a command that the brake must hold, and reads what it says would be.
func (w *world) refused(ctx context.Context, held *effect, args ...string) error {
	stdout, err := w.installation.run(ctx, append(args, "-o", "json")...)
	var refused *process.Exit
	if !errors.As(err, &refused) || refused.Status != exitRefused {
		return fmt.Errorf("it should have ended with %d, and: %w", exitRefused, err)
	}
	if err := decode(stdout, held); err != nil {
		return err
	}
	if held.Code == "" {
		return errors.New("it says no code")
	}
	return nil
}

func (w *world) dryRun(ctx context.Context, code string, meant *change) (string, error) {
	var would effect
	if err := w.installation.ask(ctx, &would, "holdings", "import", w.inputs.second, "--dry-run"); err != nil {
		return "", err
	}
	if would.Code != code {
		return "", fmt.Errorf("its code is %q, and without --dry-run it was %q", would.Code, code)
	}
	for _, side := range []struct {
		what string
		got  []vrp
		want vrpSet
	}{{"lost", would.Lost, meant.lost}, {"gained", would.Gained, meant.gained}} {
		if err := compare(lines(side.got), side.want.sorted()); err != nil {
			return "", fmt.Errorf("of VRPs %s: %w", side.what, err)
		}
	}
	return fmt.Sprintf("%d lost, of which %d leave a rest, and %d gained", len(meant.lost), len(meant.rest), len(meant.gained)), nil
}

func lines(vrps []vrp) []string {
	var out []string
	for _, v := range vrps {
		out = append(out, v.String())
	}
	return out
}

// importKilled runs the import and kills the daemon again and again in the seconds from its beginning on, wherever that
// finds it: in the import itself, in the work that follows, or in the start from the kill before. An import that was not
// answered is repeated, as an operator would.
func (w *world) importKilled(ctx context.Context, code string) (string, error) {
	h := w.installation
	moments := make([]time.Duration, changeKills)
	for i := range moments {
		share := w.chance.Float64()
		moments[i] = time.Duration(share * share * float64(changeSpan)) // half of them in the first quarter, where the work is
	}
	slices.Sort(moments)
	args := []string{"holdings", "import", w.inputs.second, "--code", code, "--data", h.data}
	command, err := process.Start(exec.CommandContext(ctx, h.program, args...)) // our own program
	if err != nil {
		return "", err
	}
	begun := time.Now()
	var seconds []float64
	for _, moment := range moments {
		seconds = append(seconds, moment.Seconds())
		if err := pause(ctx, time.Until(begun.Add(moment))); err != nil {
			return "", err
		}
		h.kill()
		if err := h.begin(); err != nil {
			return "", err
		}
	}
	if _, err := h.awaitServing(ctx); err != nil {
		return "", err
	}
	<-command.Done()
	answered := "answered"
	if !command.Succeeded() {
		answered = "not answered, and repeated"
		if _, err := h.run(ctx, args...); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("killed %.1f s after its beginning; it was %s", seconds, answered), nil
}

// sawAll makes sure that no serial since the first act went by unseen.
func (w *world) sawAll(ctx context.Context, before status) (string, error) {
	now, err := w.installation.status(ctx)
	if err != nil {
		return "", err
	}
	figures := ""
	for _, name := range []string{"iana", "afrinic"} {
		from, to := before.Repositories[name], now.Repositories[name]
		n, err := w.follower.sawAll(to.Notify, from.Serial+1, to.Serial)
		if err != nil {
			return "", err
		}
		if figures != "" {
			figures += ", "
		}
		figures += fmt.Sprintf("%d of %s", n, name)
	}
	return figures, nil
}
