package escrow

import (
	"context"
	"log/slog"
	"time"

	"cadastre/ca"
	"cadastre/internal/due"
)

// How often deposits are made by themselves, and how soon again after one failed.
const (
	fullEvery        = 24 * time.Hour
	incrementalEvery = time.Hour
	retryAfter       = 5 * time.Minute
)

// Keeper makes deposits when they are due. The last deposit is remembered in the data directory, so a restart does not miss or repeat one.
type Keeper struct {
	Engine    *ca.Engine
	Folder    string // absolute path
	Recipient string
	Log       *slog.Logger
	Failed    func() // told of each deposit that could not be made; may be nil
}

// Run makes deposits until ctx ends: a full one each day and an incremental one each hour. One that fails is logged and
// tried again; nothing else waits for it.
func (k *Keeper) Run(ctx context.Context) error {
	(&due.Poller{
		Names: due.One, Backoff: due.Backoff{First: retryAfter, Most: retryAfter}, Call: k.deposit,
		Due: func(string, time.Time, bool) time.Time {
			at, _ := k.due()
			return at
		},
	}).Run(ctx)
	return nil
}

// deposit makes a deposit, unless somebody else has made it meanwhile.
func (k *Keeper) deposit(ctx context.Context, _ string) error {
	at, full := k.due()
	if time.Now().Before(at) {
		return nil
	}
	d, err := Deposit(ctx, k.Engine, Options{Folder: k.Folder, Recipient: k.Recipient, Full: full})
	switch {
	case ctx.Err() != nil:
		return err // it was interrupted, and the next start makes it
	case err != nil:
		k.Log.Error("couldn't make a deposit in escrow; it will be tried again", "folder", k.Folder, "error", err)
		if k.Failed != nil {
			k.Failed()
		}
		return err
	}
	k.Log.Info("a deposit is in escrow", "file", d.File, "records", d.Puts+d.Deletes, "objects", d.Objects)
	return nil
}

// due is when the next deposit is, and whether it is a full one.
func (k *Keeper) due() (at time.Time, full bool) {
	m, err := ReadMark(k.Engine.Dir(), k.Folder)
	if err != nil || m == nil {
		return time.Now(), true
	}
	return next(m, time.Now())
}

// next is when the deposit after a mark is due, and whether it is a full one. Days are counted from full deposit to full deposit, hours from
// deposit to deposit. If the mark is in the future, since the clock was wrong, the next deposit is due now.
func next(m *Mark, now time.Time) (at time.Time, full bool) {
	day, hour := m.Full.Add(fullEvery), m.Time.Add(incrementalEvery)
	switch {
	case m.Time.After(now):
		return now, false
	case !day.After(hour):
		return day, true
	}
	return hour, false
}

// Last is when the newest deposit was made, zero where there is none.
func (k *Keeper) Last() time.Time {
	if m, err := ReadMark(k.Engine.Dir(), k.Folder); err == nil && m != nil {
		return m.Time
	}
	return time.Time{}
}
