package rrdp

import (
	"log/slog"

	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// OpenMended opens the repository of one registry. Where bytes of it have changed on the disk it is mended; where that
// cannot be, it is quarantined: what is whole of it stays served, nothing new is published in it, and all others go on. A
// segment that is missing or cut short is an error: then directory and store are not of one state.
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
