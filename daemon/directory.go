// Package daemon is a data directory and the daemon that serves it: configuration, making, opening and moving a directory; publishing over
// RRDP and rsync, the doors for peers and operators, TLS and metrics. It puts the other rooms together, and decides nothing of theirs.
package daemon

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"cadastre/ca"
	"cadastre/internal/fault"
	"cadastre/internal/store"
	"cadastre/moves"
	"cadastre/routes"
)

// Directory is an opened data directory, with its engine and mover.
type Directory struct {
	Path   string
	Config *Config
	Engine *ca.Engine
	Mover  *moves.Mover

	store store.Store
}

// Secrets gives the passphrases of the keys and of the trust anchor's key when they are needed, which may be typed; own tells whether the
// anchor was given one of its own.
type Secrets func() (keys, anchor []byte, own bool, err error)

// StorePath is the store of a data directory.
func StorePath(dir string) string { return filepath.Join(dir, "store.db") }

// SocketPath is the socket that the daemon of a data directory answers at.
func SocketPath(dir string) string { return filepath.Join(dir, "cadastre.sock") }

// Open opens a data directory for this process alone. It fails with NotFound if there is none, and with Busy if another process has it.
func Open(dir string, log *slog.Logger) (*Directory, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "there is no data directory %s; make one with 'cadastre init --data %s', or name another with --data", dir, dir)
	}
	c, err := ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	LimitMemory(c.Limits.Memory)
	st, err := store.Open(StorePath(dir), store.Options{})
	if err != nil {
		return nil, err
	}
	e, err := ca.Open(st, dir, c.policy, log)
	if err != nil {
		_ = st.Close()
		return nil, err
	}
	e.Federation.Reading = c.Limits.Looks.reading()
	e.Routes = routes.NewKeeper(c.Routes.keeper(dir, log))
	return &Directory{Path: dir, Config: c, Engine: e, Mover: moves.New(e, dir, log), store: st}, nil
}

// Close closes the store.
func (d *Directory) Close() { _ = d.store.Close() }
