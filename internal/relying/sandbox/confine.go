package sandbox

import (
	"runtime/debug"

	"golang.org/x/sys/unix"

	"cadastre/internal/fault"
	"cadastre/internal/relying"
)

// confine bounds what this process may use, for good, and what it starts with it. Memory is bounded as data (RLIMIT_DATA), since
// Go's runtime reserves far more addresses than it uses.
func confine(limits relying.Limits) error {
	p := limits.Process
	for _, l := range [...]struct {
		resource int
		most     uint64
		name     string
	}{
		{unix.RLIMIT_DATA, uint64(p.Memory), "memory"},
		{unix.RLIMIT_CPU, uint64(p.CPU.Seconds()), "CPU time"},
		{unix.RLIMIT_NOFILE, uint64(p.Files), "open files"},
		{unix.RLIMIT_FSIZE, uint64(p.FileSize), "the size of files"},
		{unix.RLIMIT_CORE, 0, "core files"},
	} {
		if l.most == 0 && l.resource != unix.RLIMIT_CORE {
			continue
		}
		var is unix.Rlimit
		if err := unix.Getrlimit(l.resource, &is); err != nil {
			return fault.New(fault.Internal, "the limit of %s cannot be read: %w", l.name, err)
		}
		most := min(l.most, is.Max)
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return fault.New(fault.Internal, "%s cannot be limited: %w", l.name, err)
		}
	}
	if p.Memory > 0 {
		debug.SetMemoryLimit(p.Memory * 3 / 4) // the collector works harder before that is used up
	}
	if p.Nice > 0 {
		return fault.Wrap(unix.Setpriority(unix.PRIO_PGRP, 0, p.Nice), "the process cannot step back")
	}
	return nil
}
