package rrdp

import (
	"log/slog"

	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// OpenMended opens the repository of one registry. If bytes of it have changed on the disk it is mended. If that is not possible it is
// quarantined: what is not damaged stays served, nothing new is published in it, and all other repositories go on. If a segment is missing or
// too short it fails: then the directory and the store are not of the same state.
func OpenMended(st store.Store, cfg Config, log *slog.Logger) (*Repository, error) {
	r, cause := Open(st, cfg)
	if cause == nil || fault.KindOf(cause) != fault.Corrupt {
		return r, cause
	}
	n, err := Mend(st, cfg)
	if err == nil {
		log.Warn("objects had changed on the disk and were restored from their other form: look at the disk", "repository", cfg.Name, "objects", n, "damage", cause)
		return Open(st, cfg)
	}
	if r, failed := Quarantine(st, cfg, err); failed == nil {
		log.Error("a repository is damaged and quarantined: nothing is published there, all else goes on", "repository", cfg.Name, "error", err)
		return r, nil
	}
	return nil, cause
}
