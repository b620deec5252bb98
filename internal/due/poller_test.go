package due

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// calls notes when each name was called on.
type calls struct {
	mu    sync.Mutex
	begun time.Time
	of    map[string][]time.Duration // since the test began
	fails map[string]bool
	names []string
}

func (c *calls) call(_ context.Context, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[name] = append(c.of[name], time.Since(c.begun))
	if c.fails[name] {
		return errors.New("no")
	}
	return nil
}

func (c *calls) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

func (c *calls) seen(t *testing.T, name string, want ...time.Duration) {
	t.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.of[name], want) {
		t.Errorf("%s was called on at %v, and not at %v", name, c.of[name], want)
	}
	c.of[name] = nil
}

// polling runs a test in a bubble with a poller that calls each name every ten minutes, and at once when there is news.
func polling(t *testing.T, test func(t *testing.T, p *Poller, c *calls)) {
	synctest.Test(t, func(t *testing.T) {
		c := &calls{of: map[string][]time.Duration{}, fails: map[string]bool{}, begun: time.Now()}
		p := &Poller{Backoff: Backoff{20 * time.Second, time.Hour}, News: NewSignal(), Call: c.call}
		p.Names = func() []string {
			c.mu.Lock()
			defer c.mu.Unlock()
			return slices.Clone(c.names)
		}
		p.Due = func(_ string, begun time.Time, news bool) time.Time {
			if news || begun.IsZero() {
				return begun
			}
			return begun.Add(10 * time.Minute)
		}
		test(t, p, c)
	})
}

func run(t *testing.T, p *Poller) {
	ctx, end := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx)
	}()
	t.Cleanup(func() {
		end()
		<-done
	})
}

// TestPoller: each is called on when it is due or there is news, and after failures ever later, until it answers.
func TestPoller(t *testing.T) {
	polling(t, func(t *testing.T, p *Poller, c *calls) {
		c.names = []string{"a", "b"}
		c.fails["b"] = true
		run(t, p)
		time.Sleep(10*time.Minute + time.Second)
		c.seen(t, "a", 0, 10*time.Minute)
		c.seen(t, "b", 0, 20*time.Second, time.Minute, 140*time.Second, 5*time.Minute) // then after 320 s
		p.News.Send()
		synctest.Wait()
		c.seen(t, "a", 601*time.Second)
		c.seen(t, "b", 601*time.Second) // the last call is long enough ago
		c.set(func() { c.fails["b"] = false })
		p.News.Send()
		time.Sleep(9 * time.Second)
		c.seen(t, "a", 601*time.Second)
		c.seen(t, "b") // a minimum delay between two calls on one that fails
		time.Sleep(time.Second)
		c.seen(t, "b", 611*time.Second)
		time.Sleep(10 * time.Minute)
		c.seen(t, "b", 1211*time.Second)
	})
}

// TestLongestPause: the pause after failures grows no further than its limit.
func TestLongestPause(t *testing.T) {
	polling(t, func(t *testing.T, p *Poller, c *calls) {
		c.names, c.fails["a"] = []string{"a"}, true
		run(t, p)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		last := c.of["a"]
		if n := len(last); last[n-1]-last[n-2] != time.Hour {
			t.Errorf("the last two calls are %s apart", last[n-1]-last[n-2])
		}
	})
}

// TestHungCall: one that hangs delays no other, is called on once, and is waited for at the end.
func TestHungCall(t *testing.T) {
	polling(t, func(t *testing.T, p *Poller, c *calls) {
		c.names = []string{"a", "hung"}
		ended := false
		p.Call = func(ctx context.Context, name string) error {
			err := c.call(ctx, name)
			if name == "hung" {
				<-ctx.Done()
				time.Sleep(time.Second)
				ended = true
			}
			return err
		}
		ctx, end := context.WithCancel(t.Context())
		time.AfterFunc(time.Hour, end)
		p.Run(ctx)
		if !ended {
			t.Error("it returns while a call is under way")
		}
		if n := len(c.of["a"]); n < 6 {
			t.Errorf("the other was called on %d times", n)
		}
		c.seen(t, "hung", 0)
	})
}

// TestNames: who comes is called on within a minute, and who goes is not called on any more and forgotten.
func TestNames(t *testing.T) {
	polling(t, func(t *testing.T, p *Poller, c *calls) {
		c.names, c.fails["a"] = []string{"a"}, true
		run(t, p)
		time.Sleep(30 * time.Second)
		c.seen(t, "a", 0, 20*time.Second)
		c.set(func() { c.names = []string{"b"} })
		time.Sleep(90 * time.Second)
		c.seen(t, "a")
		c.seen(t, "b", time.Minute)
		c.set(func() { c.names = []string{"a", "b"} })
		p.News.Send()
		c.seen(t, "a", 2*time.Minute)
	})
}

// TestTurn: there is one call at a time, and failures are forgotten by success and by pardon.
func TestTurn(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	b := Backoff{10 * time.Second, time.Minute}
	var turn Turn
	if turn.Busy() || turn.Failed() || !turn.Resume().IsZero() || !turn.Begin(now) || turn.Begin(now) || !turn.Busy() {
		t.Error("a turn does not begin once")
	}
	for _, pause := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute, time.Minute} {
		turn.End(now, errors.New("no"), b)
		if !turn.Failed() || turn.Resume() != now.Add(pause) {
			t.Errorf("it pauses until %s, and not for %s", turn.Resume(), pause)
		}
		turn.Begin(now)
	}
	turn.End(now, nil, b)
	if turn.Failed() || turn.Busy() {
		t.Error("it failed, or goes on")
	}
	turn.Begin(now)
	turn.End(now, errors.New("no"), b)
	if turn.Pardon(); !turn.Resume().IsZero() {
		t.Error("a failure is not forgotten")
	}
}

// TestDueNow: what says at each question that it is due now is called. Outside of a bubble the clock goes on between two looks at it.
func TestDueNow(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	(&Poller{
		Names: One,
		Due:   func(string, time.Time, bool) time.Time { return time.Now() },
		Call:  func(context.Context, string) error { stop(); return nil },
	}).Run(ctx)
}
