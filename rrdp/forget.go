package rrdp

import (
	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// Forget removes all that a store has of a repository, so that Create can begin it anew. It writes to w alone: the segments
// stay in their directory.
func Forget(w store.Writer, cfg Config) error {
	cfg, _, err := cfg.check()
	if err != nil {
		return err
	}
	if err := store.DeleteAll(w, cfg.bucket(), nil); err != nil {
		return fault.Wrap(err, "couldn't remove the repository %s", cfg.Name)
	}
	return nil
}
