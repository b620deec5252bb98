package daemon

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"syscall"

	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// Finding is one thing that Examine looked at.
type Finding struct {
	What    string `json:"check"`
	Kind    string `json:"kind,omitempty"`    // of the problem; empty when all is well
	Problem string `json:"problem,omitempty"` // with what to do
	Found   string `json:"found,omitempty"`
	Err     error  `json:"-"`
}

// leastFree is the share of a disk, in percent, that should be free.
const leastFree = 5

// Examine looks at everything in a data directory that what it found so far lets it look at.
func Examine(dir string, log *slog.Logger) []Finding {
	var checks []Finding
	add := func(what, found string, err error) bool {
		c := Finding{What: what, Found: found, Err: err}
		if err != nil {
			c.Kind, c.Problem, c.Found = fault.KindOf(err).String(), err.Error(), ""
		}
		checks = append(checks, c)
		return err == nil
	}
	counts, err := store.Check(StorePath(dir))
	records := 0
	for _, c := range counts {
		records += c.Records
	}
	if !add("store", fmt.Sprintf("%d records", records), err) {
		return checks
	}
	free, err := freeDisk(dir)
	add("disk", fmt.Sprintf("%d %% free", free), err)
	d, err := Open(dir, log)
	if err != nil {
		add("ledger", "", err)
		return checks
	}
	defer d.Close()
	add("ledger", fmt.Sprintf("%d decisions, and all records are theirs", d.Engine.LastDecision()), nil)
	n, err := d.Engine.CheckKeys()
	add("keys", fmt.Sprintf("there is one for each of %d authorities; none was opened", n), err)
	repositories := d.Engine.Repositories()
	for _, name := range slices.Sorted(maps.Keys(repositories)) {
		_, serial, _ := repositories[name].Published()
		add("repository "+name, fmt.Sprintf("serial %d, %d objects", serial, repositories[name].Objects()), repositories[name].Damage())
	}
	add("high-water mark", "it fits", d.Engine.CheckHighWater(false))
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
