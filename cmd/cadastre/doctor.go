package main

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// check is one thing that doctor looked at.
type check struct {
	What    string `json:"check"`
	Kind    string `json:"kind,omitempty"`    // of the problem; empty when all is well
	Problem string `json:"problem,omitempty"` // with what to do
	Found   string `json:"found,omitempty"`
	err     error
}

func newDoctor(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check the data directory: store, log of decisions, keys, published files, high-water mark, disk",
		Long: "Reads all records of the store with their checksums, replays the log of decisions, looks whether each authority has its key, holds\n" +
			"what would be served against what was announced, and looks at the high-water mark and the free disk. It opens the directory as a start does, so no daemon may run,\n" +
			"and damaged files of a repository that can be restored are restored. It signs nothing.\n\n" +
			"Each problem says what to do. The exit status is that of the first.",
		Example: "  cadastre doctor\n  cadastre doctor -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := g.examine()
			err := g.print(cmd.OutOrStdout(), checks, func(w io.Writer) {
				for _, c := range checks {
					if c.err != nil {
						fmt.Fprintf(w, "%-16s %s: %s\n", c.What, c.Kind, c.Problem)
					} else {
						fmt.Fprintf(w, "%-16s ok, %s\n", c.What, c.Found)
					}
				}
			})
			if err != nil {
				return err
			}
			bad := slices.DeleteFunc(slices.Clone(checks), func(c check) bool { return c.err == nil })
			if len(bad) == 0 {
				return nil
			}
			return fault.New(fault.KindOf(bad[0].err), "%d of %d checks found a problem, the first of them that of the %s", len(bad), len(checks), bad[0].What)
		},
	}
}

// leastFree is the share of a disk, in percent, that should be free.
const leastFree = 5

// examine looks at everything that what it found so far lets it look at.
func (g *global) examine() []check {
	var checks []check
	add := func(what, found string, err error) bool {
		c := check{What: what, Found: found, err: err}
		if err != nil {
			c.Kind, c.Problem, c.Found = fault.KindOf(err).String(), err.Error(), ""
		}
		checks = append(checks, c)
		return err == nil
	}
	counts, err := store.Check(g.storePath())
	records := 0
	for _, c := range counts {
		records += c.Records
	}
	if !add("store", fmt.Sprintf("%d records", records), err) {
		return checks
	}
	free, err := freeDisk(g.data)
	add("disk", fmt.Sprintf("%d %% free", free), err)
	h, err := g.open(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		add("ledger", "", err)
		return checks
	}
	defer h.close()
	add("ledger", fmt.Sprintf("%d decisions, and all records are theirs", h.engine.LastDecision()), nil)
	n, err := h.engine.CheckKeys()
	add("keys", fmt.Sprintf("there is one for each of %d authorities; none was opened", n), err)
	repositories := h.engine.Repositories()
	for _, name := range slices.Sorted(maps.Keys(repositories)) {
		_, serial, _ := repositories[name].Published()
		add("repository "+name, fmt.Sprintf("serial %d, %d objects", serial, repositories[name].Objects()), repositories[name].Damage())
	}
	add("high-water mark", "it fits", h.engine.CheckHighWater(false))
	return checks
}

// freeDisk is how much of a directory's disk is free, in percent. It fails with Storage where that is too little.
func freeDisk(dir string) (int, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, fault.Wrap(err, "couldn't look at the disk of %s", dir)
	}
	free := int(s.Bavail * 100 / max(s.Blocks, 1)) // #nosec G115 -- a percentage
	if free < leastFree {
		return free, fault.New(fault.Storage, "the disk of %s has %d %% free, and should have %d: make room", dir, free, leastFree)
	}
	return free, nil
}
