package rrdp

import "time"

// Serials are closed at most one a second, so that Last-Modified tells them apart, and no four hours hold more of them
// than a notification lists: a bucket of 120 that gains one every 80 seconds, 120 + 14400/80 = 300.
//
// The bucket is kept as the theoretical arrival time (tat) of the generic cell rate algorithm: the time at which it
// would be full again. It is part of the record of a serial, and so survives a restart.
const (
	between = time.Second
	refill  = 80 * time.Second
	burst   = 120
)

// arrival is the tat after a serial at a time.
func arrival(tat, at time.Time) time.Time {
	if tat.Before(at) {
		tat = at
	}
	return tat.Add(refill)
}

// NextSerialAt is the earliest time at which the next serial should be closed: the zero time when it may be at once.
// Changes that come before are staged, and go out together.
func (r *Repository) NextSerialAt() time.Time {
	r.mu.RLock()
	defer r.mu.RUnlock()
	last := r.index.newest()
	if last == nil {
		return time.Time{}
	}
	now := time.Now()
	next := last.at.Add(between)
	if bucket := last.tat.Add(-(burst - 1) * refill); bucket.After(next) {
		next = bucket
	}
	// a wait longer than the bucket can ask for means that the clock has gone back: it is not waited for
	if !next.After(now) || next.Sub(now) > burst*refill {
		return time.Time{}
	}
	return next
}

// closing is the time of a serial that is closed now, in whole seconds and later than the last one even if the clock is
// not, and the tat after it.
func (x *index) closing() (at, tat time.Time) {
	at = time.Now().Truncate(time.Second)
	if last := x.newest(); last != nil {
		tat = last.tat
		if at.Before(last.at.Add(between)) {
			at = last.at.Add(between)
		}
	}
	return at, arrival(tat, at)
}
