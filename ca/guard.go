package ca

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// frozen is why the engine signs nothing, while all that is published stays served.
type frozen struct {
	mu    sync.Mutex
	cause error
}

func (f *frozen) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cause
}

func (e *Engine) freeze(cause error) {
	e.frozen.mu.Lock()
	first := e.frozen.cause == nil
	e.frozen.cause = cause
	e.frozen.mu.Unlock()
	if first {
		e.log.Error("frozen: nothing is signed, what is published stays served", "error", cause)
		e.Observer.Refused(fault.KindOf(cause))
		e.progress.Tell(cause)
	}
}

func (e *Engine) thaw() {
	e.frozen.mu.Lock()
	was := e.frozen.cause
	e.frozen.cause = nil
	e.frozen.mu.Unlock()
	if was != nil {
		e.log.Info("the clock is right again: signing goes on", "was", was)
	}
}

// Frozen is why nothing is signed; nil where it is.
func (e *Engine) Frozen() error { return e.frozen.err() }

// clockTolerance is how far the clock may be set, all steps since the start added up, before the engine freezes; and how far it may be before
// the last commit at a start.
const clockTolerance = 5 * time.Minute

// maxAbsence is how long after its last commit the engine trusts the clock at a start. After so long everything published is stale, so it
// costs nothing to ask the operator first (--accept-clock).
const maxAbsence = 60 * day

const day = issued.Day

// CheckClock freezes the engine if the clock is more than clockTolerance before the last commit, or more than maxAbsence after it.
func (e *Engine) CheckClock(now time.Time) {
	if err := e.plausible(now); err != nil {
		e.freeze(err)
	}
}

// plausible checks the clock against the last commit; the error says what is wrong. At a start there is nothing else to compare with.
func (e *Engine) plausible(now time.Time) error {
	last, err := e.lastCommit()
	switch {
	case err != nil || last.IsZero():
		return nil //nolint:nilerr // a store that cannot be read is reported elsewhere
	case now.Before(last.Add(-clockTolerance)):
		return fault.New(fault.Clock, "the clock says %s, but the last commit was at %s: set the clock; signing goes on when it is right", now.UTC().Format(time.RFC3339), last.UTC().Format(time.RFC3339))
	case now.After(last.Add(maxAbsence)):
		return fault.New(fault.Clock, "the clock says %s, and the last commit was at %s: if that is right start with --accept-clock, else set the clock", now.UTC().Format(time.RFC3339), last.UTC().Format(time.RFC3339))
	}
	return nil
}

// lastCommit is when the newest commit was made, zero before the first.
func (e *Engine) lastCommit() (last time.Time, err error) {
	err = e.store.View(func(r store.Reader) error {
		at, err := store.Value[time.Time](r, engineBucket, clockKey)
		if at != nil {
			last = *at
		}
		return err
	})
	return last, err
}

// steadyClock notices if the wall clock is set while the program runs: it then differs from the monotonic clock. All steps since the
// start are added up, so many small steps count as one large step. If a time daemon slews the clock, the monotonic clock goes along, and
// there is no difference.
type steadyClock struct{ start time.Time }

func newSteadyClock() *steadyClock { return &steadyClock{time.Now()} }

func (s *steadyClock) check(now time.Time) error {
	wall, steady := now.Round(0).Sub(s.start.Round(0)), now.Sub(s.start)
	if set := wall - steady; set.Abs() > clockTolerance {
		return fault.New(fault.Clock, "the clock jumped by %s to %s since the start: set it right and signing goes on, or start again with --accept-clock if it is right now", set.Round(time.Second), now.UTC().Format(time.RFC3339))
	}
	return nil
}

// believer returns a function that checks the clock. It compares the clock with the monotonic one since the start or, if the clock was
// wrong at the start, since it first agreed with the last commit.
func (e *Engine) believer() func(now time.Time) error {
	steady, doubted := newSteadyClock(), e.frozen.err() != nil
	return func(now time.Time) error {
		if doubted {
			if err := e.plausible(now); err != nil {
				return err
			}
			steady, doubted = &steadyClock{now}, false
		}
		return steady.check(now)
	}
}

// highWater is the newest published state. It is kept outside of the store, so that a store that was restored from a backup is
// recognised.
type highWater struct {
	Installation string         `json:"installation"`
	Revision     store.Revision `json:"revision"`
	Time         time.Time      `json:"time"`
	Log          holdings.Head  `json:"log"` // the newest decision
}

// HighWaterPath is the file, beside a data directory, with its high-water mark.
func HighWaterPath(dir string) string { return filepath.Clean(dir) + ".highwater" }

// raiseHighWater replaces the high-water mark. A crash leaves the old one or the new one.
func (e *Engine) raiseHighWater() error {
	mark := highWater{Installation: e.installation, Time: time.Now().UTC()}
	err := e.store.View(func(r store.Reader) (err error) {
		mark.Revision = r.Revision()
		mark.Log, err = holdings.Newest(r)
		return err
	})
	if err != nil {
		return err
	}
	text, err := json.Marshal(mark)
	if err != nil {
		return err
	}
	return replaceFile(HighWaterPath(e.dir), text)
}

// replaceFile replaces the file at path, durably and in one step. The new file is made in the same folder, where others may write, too: if
// there is a file or link of its name, that is removed and never followed.
func replaceFile(path string, text []byte) error {
	temporary := path + ".new"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.Wrap(err, "couldn't write %s", path)
	}
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fault.Wrap(err, "couldn't write %s", path)
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	return fault.Wrap(err, "couldn't write %s", path)
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// CheckHighWater compares the store with the high-water mark. It refuses a store that is older than what was published. With restored set
// such a store is taken: every repository begins a new session, since a serial must not come again with other content (RFC 9697), and
// the numbers of manifests go on above all that were published.
func (e *Engine) CheckHighWater(restored bool) error {
	text, err := os.ReadFile(HighWaterPath(e.dir))
	if errors.Is(err, fs.ErrNotExist) {
		if e.store.Revision() <= firstRevision {
			return e.raiseHighWater()
		}
		if !restored {
			return fault.New(fault.Corrupt, "the high-water mark %s is missing, so nothing shows that %s is the newest state: put it back, or start with --restored if this is a restored backup", HighWaterPath(e.dir), e.dir)
		}
		return e.restart(newerThanAnyBackup)
	}
	var mark highWater
	if err == nil {
		err = json.Unmarshal(text, &mark)
	}
	switch {
	case err != nil:
		return fault.New(fault.Corrupt, "the high-water mark %s is damaged (%w): remove it and start with --restored", HighWaterPath(e.dir), err)
	case mark.Installation != e.installation:
		return fault.New(fault.Corrupt, "the high-water mark %s belongs to another installation than %s: move one of them away", HighWaterPath(e.dir), e.dir)
	case mark.Revision <= e.store.Revision():
		return e.checkLog(mark.Log)
	case !restored:
		return fault.New(fault.Corrupt, "the store in %s is at revision %d, but revision %d was published: start with --restored if this is a restored backup, else find the newer one", e.dir, e.store.Revision(), mark.Revision)
	}
	return e.restart(uint64(mark.Revision - e.store.Revision()))
}

// checkLog checks that the log has the decision of the high-water mark. The log may have newer ones.
func (e *Engine) checkLog(mark holdings.Head) error {
	var now holdings.Head
	err := e.store.View(func(r store.Reader) (err error) {
		now, err = holdings.HeadAt(r, mark.Decision)
		return err
	})
	if err == nil && now != mark {
		err = fault.New(fault.Corrupt, "decision %d in %s is not the one that the high-water mark %s remembers: the store was changed by something else than this program; restore it from a backup", mark.Decision, e.dir, HighWaterPath(e.dir))
	}
	return err
}

// newerThanAnyBackup is more manifests than can have been published since any backup. It is used if the high-water mark is lost, too.
const newerThanAnyBackup = 1 << 32

// restart begins new sessions, and adds the number of lost revisions to each manifest number. A revision has at most one manifest of an
// authority, so no published number is used again.
func (e *Engine) restart(lost uint64) error {
	e.log.Warn("this is a restored backup: every repository begins a new session", "lost_revisions", lost)
	err := e.repositories.Restart(func(w store.Writer) error {
		for _, a := range e.issued.All() {
			if a.NextUpdate.IsZero() {
				continue // it has no manifest here: its key is elsewhere, or it has no certificate yet
			}
			a.Number += lost
			a.NextUpdate = time.Unix(0, 0).UTC() // due at once, with a number that every reader takes
			if err := issued.Put(w, &a); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := e.issued.Load(); err != nil {
		return err
	}
	return e.raiseHighWater()
}
