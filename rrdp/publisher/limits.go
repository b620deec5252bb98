package publisher

import (
	"time"

	"cadastre/internal/fault"
	"cadastre/rrdp"
)

// Limits is how much one publisher may have and do. A zero takes what the server was opened with, and there the default.
type Limits struct {
	Objects     int   `json:"objects,omitempty"`      // objects at any time; 50,000
	Bytes       int64 `json:"bytes,omitempty"`        // what its objects take in an uncompressed snapshot; 256 MiB
	ObjectBytes int   `json:"object_bytes,omitempty"` // one object; 4 MiB, and never more than relying parties take
	Changes     int   `json:"changes,omitempty"`      // objects published and withdrawn in an hour, at once or one by one; 100,000
}

var defaults = Limits{Objects: 50_000, Bytes: 256 << 20, ObjectBytes: 4 << 20, Changes: 100_000}

// or puts those of other where l has none.
func (l Limits) or(other Limits) Limits {
	if l.Objects == 0 {
		l.Objects = other.Objects
	}
	if l.Bytes == 0 {
		l.Bytes = other.Bytes
	}
	if l.ObjectBytes == 0 {
		l.ObjectBytes = other.ObjectBytes
	}
	if l.Changes == 0 {
		l.Changes = other.Changes
	}
	l.ObjectBytes = min(l.ObjectBytes, rrdp.MaxObject)
	return l
}

// check refuses limits that are none.
func (l Limits) check() error {
	if l.Objects < 0 || l.Bytes < 0 || l.ObjectBytes < 0 || l.Changes < 0 {
		return fault.New(fault.BadInput, "a publisher's limits are whole numbers above 0, or 0 for the usual ones")
	}
	return nil
}

// window is the time that Limits.Changes is for.
const window = time.Hour

// spend takes n changes out of the hour's allowance and returns the allowance's new state: the theoretical arrival time of
// the generic cell rate algorithm, at which all of it would be there again. It is false when n is more than there is left.
func (l Limits) spend(full, now time.Time, n int) (time.Time, bool) {
	if full.Before(now) {
		full = now
	}
	full = full.Add(time.Duration(n) * (window / time.Duration(l.Changes)))
	return full, full.Sub(now) <= window
}
