package rrdp

import (
	"bytes"

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
	var keys [][]byte
	for record, err := range w.Scan(cfg.bucket(), nil) {
		if err != nil {
			return err
		}
		keys = append(keys, bytes.Clone(record.Key))
	}
	for _, key := range keys {
		if err := w.Delete(cfg.bucket(), key); err != nil {
			return fault.Wrap(err, "couldn't remove the repository %s", cfg.Name)
		}
	}
	return nil
}
