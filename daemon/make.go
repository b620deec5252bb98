package daemon

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/principal"
	"cadastre/internal/store"
)

// Found makes a new data directory for a tree of organisations, and issues what needs the trust anchor's key, so that it can be taken away
// at once. When it fails, what it made is removed.
func Found(ctx context.Context, dir string, c *Config, tree []holdings.Organisation, who principal.Principal, secrets Secrets) error {
	return makeDirectory(dir, c, secrets, func(st store.Store, keys, anchor []byte) error {
		return ca.Init(st, dir, c.policy, tree, keys, anchor, who)
	}, func(d *Directory, keys, anchor []byte) error { return d.firstIssue(ctx, keys, anchor) })
}

// Restore makes a new data directory with what was deposited of another. When it fails, what it made is removed.
func Restore(dir string, c *Config, from ca.Restored, by holdings.By, secrets Secrets) error {
	return makeDirectory(dir, c, secrets, func(st store.Store, keys, anchor []byte) error {
		return ca.Restore(st, dir, c.policy, from, keys, anchor, by)
	}, func(d *Directory, _, _ []byte) error { return d.Engine.CheckHighWater(false) })
}

// makeDirectory makes the data directory: what fill writes into its store, and what begin then does. When it fails, what it made is
// removed.
func makeDirectory(dir string, c *Config, secrets Secrets, fill func(st store.Store, keys, anchor []byte) error, begin func(d *Directory, keys, anchor []byte) error) (err error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fault.New(fault.Conflict, "%s is not empty; choose another directory or remove that one", dir)
	}
	if err := checkPrivate(dir); err != nil {
		return err
	}
	if _, err := os.Stat(ca.HighWaterPath(dir)); !errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Conflict, "%s remembers an installation that was in %s; remove it if that one is gone for good", ca.HighWaterPath(dir), dir)
	}
	keys, anchor, _, err := secrets()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.New(fault.BadInput, "couldn't make the data directory: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
			_ = os.Remove(ca.HighWaterPath(dir))
		}
	}()
	if err := c.write(dir); err != nil {
		return fault.Wrap(err, "couldn't write the configuration")
	}
	if c.TLS.Certificate == "" {
		if err := makeTLS(filepath.Join(dir, "tls"), c.host()); err != nil {
			return err
		}
	}
	st, err := store.Open(StorePath(dir), store.Options{Create: true})
	if err != nil {
		return err
	}
	err = fill(st, keys, anchor)
	if closeErr := st.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	d, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer d.Close()
	return begin(d, keys, anchor)
}

// checkPrivate refuses a directory, there already and empty, that is another user's or that others may write into. Others lose the right to
// read it. Links are followed.
func checkPrivate(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fault.Wrap(err, "couldn't look at %s", dir)
	case !info.IsDir():
		return fault.New(fault.BadInput, "%s is no directory; choose another name", dir)
	case info.Mode().Perm()&0o022 != 0:
		return fault.New(fault.BadInput, "others may write into %s (its mode is %04o), where private keys will be: take that right away ('chmod 700 %s'), or let init make the directory", dir, info.Mode().Perm(), dir)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return fault.New(fault.BadInput, "%s belongs to another user: make it yours, or let init make the directory", dir)
	}
	return fault.Wrap(os.Chmod(dir, 0o700), "couldn't close %s to others", dir)
}

// firstIssue publishes the trust anchor's own objects and the root's certificate.
func (d *Directory) firstIssue(ctx context.Context, keys, anchor []byte) error {
	if err := d.Engine.CheckHighWater(false); err != nil {
		return err
	}
	if err := d.Engine.Unseal(ctx, keys, anchor, 4); err != nil {
		return err
	}
	return d.Engine.Settle(ctx)
}
