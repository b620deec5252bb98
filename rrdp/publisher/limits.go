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
	Kept        int64 `json:"kept,omitempty"`         // Bytes, and with them those of what it replaced or withdrew and readers still need; 512 MiB
	ObjectBytes int   `json:"object_bytes,omitempty"` // one object; 4 MiB, and never more than relying parties take
	Changes     int   `json:"changes,omitempty"`      // objects published and withdrawn in an hour, at once or one by one; 100,000
}

var defaults = Limits{Objects: 50_000, Bytes: 256 << 20, Kept: 512 << 20, ObjectBytes: 4 << 20, Changes: 100_000}

// or is l, with the values of other where l has zeros.
func (l Limits) or(other Limits) Limits {
	if l.Objects == 0 {
		l.Objects = other.Objects
	}
	if l.Bytes == 0 {
		l.Bytes = other.Bytes
	}
	if l.Kept == 0 {
		l.Kept = other.Kept
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

// check refuses negative limits.
func (l Limits) check() error {
	if l.Objects < 0 || l.Bytes < 0 || l.Kept < 0 || l.ObjectBytes < 0 || l.Changes < 0 {
		return fault.New(fault.BadInput, "a publisher's limits are whole numbers above 0, or 0 for the usual ones")
	}
	return nil
}

// window is the time that Limits.Changes is for.
const window = time.Hour

// spend takes n changes out of the hour's allowance and returns the allowance's new state: the theoretical arrival time of
// the generic cell rate algorithm, at which all of it would be there again. It is false when n is more than there is left. An hour
// that begins with the whole allowance has up to twice Changes: what was there, and what has come back since.
func (l Limits) spend(full, now time.Time, n int) (time.Time, bool) {
	if full.Before(now) {
		full = now
	}
	full = full.Add(time.Duration(n) * (window / time.Duration(l.Changes)))
	return full, full.Sub(now) <= window
}

// earlier is bytes of objects that were replaced or withdrawn, and until when they are counted.
type earlier struct {
	Bytes int64     `json:"bytes"`
	Until time.Time `json:"until"`
}

// earlierStep is how exact the times of what was replaced are, so that few of them have to be kept.
const earlierStep = 30 * time.Minute

// kept is how many bytes are counted of what was replaced or withdrawn.
func (s *state) kept() (n int64) {
	for _, e := range s.Earlier {
		n += e.Bytes
	}
	return n
}

// supersede counts bytes of what is replaced or withdrawn now, and forgets those whose time is over.
func (s *state) supersede(n int64, now time.Time) {
	var list []earlier // a state that shares the old one is not changed
	for _, e := range s.Earlier {
		if e.Until.After(now) {
			list = append(list, e)
		}
	}
	until := now.Add(rrdp.Retention).Truncate(earlierStep).Add(earlierStep).UTC()
	switch last := len(list) - 1; {
	case n == 0:
	case last >= 0 && !list[last].Until.Before(until):
		list[last].Bytes += n
	default:
		list = append(list, earlier{n, until})
	}
	s.Earlier = list
}
