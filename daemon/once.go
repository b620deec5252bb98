package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"cadastre/internal/fault"
)

// once does what is due and leaves the trees on disk: all that can be written is, whatever fails.
func (d *Directory) once(ctx context.Context, www string, out io.Writer) error {
	if err := d.Engine.Frozen(); err != nil {
		return err
	}
	trees, err := d.openTrees(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer trees.close()
	if err := d.carry(ctx, func() error { return d.writeAll(ctx, www, trees) }); err != nil {
		return err
	}
	fmt.Fprintf(out, "RRDP is in %s, rsync in %s (a module for each folder, its path is the link 'current' in it)\n", www, filepath.Join(d.Path, "rsync"))
	for name, repository := range d.Engine.Repositories() {
		if _, serial, _ := repository.Published(); serial == 0 {
			fmt.Fprintf(out, "nothing is published in %s yet\n", name)
		}
	}
	return nil
}

// writeAll writes what others serve: RRDP, the trust anchor, the public record, and the rsync trees. What fails keeps nothing else
// from being written.
func (d *Directory) writeAll(ctx context.Context, www string, trees *trees) error {
	var failed error
	for name, repository := range d.Engine.Repositories() {
		if _, serial, _ := repository.Published(); serial > 0 {
			failed = errors.Join(failed, repository.WriteStatic(filepath.Join(www, "rrdp", name)))
		}
	}
	certificate, err := d.Engine.Anchor()
	if err == nil {
		err = writeAnchor(filepath.Join(www, "ta"), certificate)
	}
	failed = errors.Join(failed, err)
	rirs, err := d.rirs()
	if err == nil {
		err = newTransferLogs(d.Engine, rirs).write(www)
	}
	return firstOf(errors.Join(failed, err, trees.publishAll(ctx)))
}

// firstOf is the first of several errors, which has a kind and one sentence.
func firstOf(err error) error {
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) {
		return firstOf(several.Unwrap()[0])
	}
	return err
}

// How long a run of 'serve --once' waits for the next look or call of a transfer. If it is due within soon the run waits for it; while no
// transfer is one that the two programs carry on by themselves (moves.Mover.Underway), only if it is due within sooner. All these waits
// together are no longer than patience. Looks and calls that are under way are waited for besides. What is due later is left to the next run.
const (
	soon     = 15 * time.Second // longer than until the source asks the other installation again
	sooner   = 5 * time.Second
	patience = 30 * time.Second
)

// carry does what is due, writes what others serve, and takes the steps of transfers that can be taken now. It waits for the looks and calls
// that a step began, and for those that are due soon, and then takes the steps that these allow. If some work is refused, all else is still
// written.
func (d *Directory) carry(ctx context.Context, write func() error) error {
	looked, left := false, patience
	for {
		settled := d.Engine.Settle(ctx)
		if err := write(); err != nil {
			return err
		}
		if err := errors.Join(settled, d.Engine.Federation.SendStaged(ctx)); err != nil {
			return firstOf(err)
		}
		wait, err := d.Mover.Step(ctx)
		if err != nil {
			return err
		}
		status, err := d.Engine.Status()
		within := sooner
		if d.Mover.Underway() {
			within = soon
		}
		switch {
		case err != nil:
			return err
		case wait <= 0 || status.Waiting > 0:
			looked = false
		case !looked && d.Mover.Rest():
			looked = true
		case wait <= min(within, left):
			left -= wait
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(wait):
			}
			looked = false
		default:
			return nil
		}
	}
}

func writeAnchor(dir string, der []byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fault.Wrap(err, "couldn't make %s", dir)
	}
	return fault.Wrap(os.WriteFile(filepath.Join(dir, "ta.cer"), der, 0o644), "couldn't write the trust anchor's certificate")
}
