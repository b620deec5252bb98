package shares

import (
	"sync"
	"syscall"
	"time"

	"cadastre/internal/fault"
)

// DefaultFloor is how many bytes guests leave free on the disk where the configuration does not say: what the operator's own
// work, the CRLs and manifests of a large registry included, takes for days. It is never more than a twentieth of the disk.
const DefaultFloor = 1 << 30

// lookAgain is how long what was seen of the disk is believed.
const lookAgain = time.Second

// Disk is the disk that a folder is on. Guests, which is all but operators and what signs and publishes by itself, may write
// while more than a floor is free.
type Disk struct {
	path  string
	floor int64 // 0: the default

	mu      sync.Mutex
	looked  time.Time
	free    int64
	size    int64
	failed  error
	refused int64
}

// NewDisk is the disk of a folder. A floor of 0 is the default, one below 0 none.
func NewDisk(path string, floor int64) *Disk { return &Disk{path: path, floor: floor} }

// Guests is an error of kind fault.Storage while guests may not write. A nil Disk has room for all.
func (d *Disk) Guests() error {
	if d == nil || d.floor < 0 {
		return nil
	}
	free, floor, err := d.look()
	if err != nil || free >= floor {
		return nil // whether there is room is then told by whoever writes
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refused++
	return fault.New(fault.Storage, "the disk has %d MiB left, and below %d MiB nothing is taken from guests: free some, or lower limits.disk_floor_mib in config.toml", free>>20, floor>>20)
}

// look is what is free, and the floor.
func (d *Disk) look() (free, floor int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); d.looked.IsZero() || now.Sub(d.looked) >= lookAgain || now.Before(d.looked) {
		var s syscall.Statfs_t
		d.looked, d.failed = now, syscall.Statfs(d.path, &s)
		d.free, d.size = int64(s.Bavail)*s.Bsize, int64(s.Blocks)*s.Bsize
	}
	if floor = d.floor; floor == 0 {
		floor = min(DefaultFloor, d.size/20)
	}
	return d.free, floor, d.failed
}

// DiskStats is how a Disk stands.
type DiskStats struct {
	Free, Floor int64 // bytes
	Refused     int64 // how often guests could not write
}

// Stats reads how the disk stands; zero where that cannot be told.
func (d *Disk) Stats() DiskStats {
	free, floor, err := d.look()
	if err != nil {
		return DiskStats{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return DiskStats{free, max(floor, 0), d.refused}
}
