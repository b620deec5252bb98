package agenda

import (
	"maps"
	"slices"
	"time"

	"cadastre/ca/issued"
)

// Refused is a quarantined organisation: its work failed for a reason of its own, and must not delay the others. Its manifest is still
// renewed. The rest is tried again; the delay doubles with each failure.
type Refused struct {
	Holder   string
	Err      error
	Since    time.Time // of the first failure
	Until    time.Time // not tried again before
	delay    time.Duration
	manifest bool // even its manifest could not be renewed
}

const (
	firstDelay = 30 * time.Second // after the first failure
	mostDelay  = time.Hour        // the longest that a failure waits to be tried again
)

// next is when there is something to do for a quarantined organisation: the next try, or its manifest before that.
func (r *Refused) next(manifestDue time.Time) time.Time {
	if r.manifest {
		return r.Until
	}
	return issued.Sooner(r.Until, manifestDue)
}

// Quarantine notes that the work for an organisation failed; with manifest, that even its manifest could not be renewed. It returns when
// the work is tried again.
func (a *Agenda) Quarantine(holder string, cause error, manifest bool, now time.Time) (until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.refused[holder]
	if r == nil {
		r = &Refused{Holder: holder, Since: now, delay: firstDelay}
		a.refused[holder] = r
	} else if !now.Before(r.Until) {
		r.delay = min(2*r.delay, mostDelay)
	}
	r.Err, r.manifest = cause, r.manifest || manifest
	r.Until = now.Add(r.delay)
	return r.Until
}

// Mended ends the quarantine of organisations of a set whose work was tried again, by a plan made at the given time, and did not fail. It
// returns which these are.
func (a *Agenda) Mended(set []string, planned time.Time) (mended []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, holder := range set {
		if r := a.refused[holder]; r != nil && !r.Until.After(planned) {
			delete(a.refused, holder)
			mended = append(mended, holder)
		}
	}
	return mended
}

// Quarantined tells whether an organisation is quarantined, and not to be tried again yet.
func (a *Agenda) Quarantined(holder string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.quarantined(holder, now)
}

func (a *Agenda) quarantined(holder string, now time.Time) bool {
	r := a.refused[holder]
	return r != nil && now.Before(r.Until)
}

// Refused lists the quarantined organisations, sorted.
func (a *Agenda) Refused() []Refused {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]Refused, 0, len(a.refused))
	for _, holder := range slices.Sorted(maps.Keys(a.refused)) {
		list = append(list, *a.refused[holder])
	}
	return list
}
