package main

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"cadastre/test/internal/delegated"
)

// usage is what a program that ended has used.
type usage struct {
	cpu     time.Duration
	peak    int64 // bytes of memory, pages of files included
	written int64 // bytes
	out     []byte
}

func (r *run) environment() []string {
	return append([]string{"CADASTRE_PASSPHRASE=of the benches", "CADASTRE_ANCHOR_PASSPHRASE=of the benches"}, r.keys...)
}

// command runs a program to its end.
func (r *run) command(ctx context.Context, name string, args ...string) (usage, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Env = append(os.Environ(), r.environment()...)
	var out, said bytes.Buffer
	c.Stdout, c.Stderr = &out, &said
	if err := c.Run(); err != nil {
		return usage{}, fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, said.Bytes())
	}
	used := c.ProcessState.SysUsage().(*syscall.Rusage)
	return usage{
		cpu:  c.ProcessState.UserTime() + c.ProcessState.SystemTime(),
		peak: used.Maxrss << 10, written: used.Oublock * 512, out: out.Bytes(), // getrusage(2): kB, and blocks of 512 bytes
	}, nil
}

// cadastre runs a command on the data directory.
func (r *run) cadastre(ctx context.Context, args ...string) (usage, error) {
	return r.command(ctx, r.program, append([]string{"--data", r.data}, args...)...)
}

// ownCPU is what this process has used.
func ownCPU() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// cut writes the share of the world: files of the holders that are in it, and of what is announced the lines that they hold.
func (r *run) cut() error {
	paths, err := filepath.Glob(filepath.Join(r.world, "delegated-*-extended-world.gz"))
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return fmt.Errorf("the world is not in %s", r.world)
	}
	var registries []delegated.Registry
	for _, path := range paths {
		text, err := delegated.Unpack(path)
		if err != nil {
			return err
		}
		if r.share < 1 {
			keep := delegated.HoldersOf(text)
			for holder := range keep {
				keep[holder] = r.has(holder)
			}
			text = delegated.Cut(text, keep)
		}
		registry, err := delegated.ReadRegistry(text, func(fields []string) string { return fields[7] })
		if err != nil {
			return err
		}
		registries = append(registries, registry)
		name := filepath.Join(r.work, strings.TrimSuffix(filepath.Base(path), ".gz"))
		if err := os.WriteFile(name, text, 0o600); err != nil {
			return err
		}
		r.files = append(r.files, name)
	}
	text, err := delegated.Unpack(filepath.Join(r.world, "announcements.csv.gz"))
	if err != nil {
		return err
	}
	all, err := delegated.ReadAnnouncements(text)
	if err != nil {
		return err
	}
	var rows bytes.Buffer
	for _, a := range all {
		for _, registry := range registries {
			if registry.HolderOf(a.Prefix) != "" {
				fmt.Fprintf(&rows, "%s,AS%d\n", a.Prefix, a.Origin)
				r.lines++
				break
			}
		}
	}
	r.rows = filepath.Join(r.work, "announcements.csv")
	return os.WriteFile(r.rows, rows.Bytes(), 0o600)
}

// has tells whether a holder is in the share.
func (r *run) has(holder string) bool {
	h := fnv.New32a()
	_, _ = h.Write([]byte(holder)) // a hash takes everything
	return float64(h.Sum32()) < r.share*(1<<32)
}
