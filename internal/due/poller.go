package due

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	apart   = 10 * time.Second // minimum delay between two calls on one that fails, whatever is new
	looking = time.Minute      // the longest time until a new name is seen
)

// Poller calls things that have names, such as peers elsewhere, whenever each is due.
type Poller struct {
	Names func() []string // the names that there are
	// Due is when to call a name next. Begun is when its last call began, zero if there was none. News tells whether News was signalled
	// since.
	Due     func(name string, begun time.Time, news bool) time.Time
	Call    func(ctx context.Context, name string) error
	Backoff Backoff // after a failure Due is not asked
	News    Signal  // signals that something changed for which calls may be due; may be nil
}

// One is the Names of a Poller of a single thing.
func One() []string { return []string{""} }

// Run calls what is due until ctx ends. It returns when no call is under way.
func (p *Poller) Run(ctx context.Context) {
	type turn struct {
		Turn
		told int // how many signals there had been when the last call began
	}
	type outcome struct {
		name string
		err  error
	}
	ended := make(chan outcome)
	turns := map[string]*turn{}
	var calls sync.WaitGroup
	defer calls.Wait()
	for told := 0; ; {
		wait, names := looking, p.Names()
		for name, t := range turns {
			if !t.Busy() && !slices.Contains(names, name) {
				delete(turns, name)
			}
		}
		for _, name := range names {
			t := turns[name]
			if t == nil {
				t = &turn{}
				turns[name] = t
			}
			if t.Busy() {
				continue
			}
			at := p.at(name, &t.Turn, t.told < told)
			now := time.Now() // after Due was asked, whose answer may be "now"
			if until := at.Sub(now); until > 0 {
				wait = min(wait, until)
				continue
			}
			t.Begin(now)
			t.told = told
			calls.Go(func() {
				answer := outcome{name, p.Call(ctx, name)}
				select {
				case ended <- answer:
				case <-ctx.Done():
				}
			})
		}
		timer := time.NewTimer(wait)
		select {
		case answer := <-ended:
			turns[answer.name].End(time.Now(), answer.err, p.Backoff)
		case <-p.News:
			told++
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// at is when to call a name: when it is due, and after a failure not before the delay of Backoff. With news that delay is no longer than apart.
func (p *Poller) at(name string, t *Turn, news bool) time.Time {
	switch {
	case !t.Failed():
		return p.Due(name, t.Begun, news)
	case news:
		return earlier(t.Resume(), t.Ended.Add(apart))
	}
	return t.Resume()
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
