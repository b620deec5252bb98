package keys_test

import (
	"context"
	"crypto"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/internal/object"
	"cadastre/keys"
)

// slow makes keys that can be told apart, each in a second.
type slow struct {
	made atomic.Int64
	fail atomic.Bool
}

type numbered struct {
	crypto.Signer
	n int64
}

var errMaking = errors.New("no more entropy")

func (s *slow) Name() string { return "slow" }

func (s *slow) Generate() (crypto.Signer, error) {
	time.Sleep(time.Second)
	if s.fail.Load() {
		return nil, errMaking
	}
	return numbered{n: s.made.Add(1)}, nil
}

// withPool runs a test with a pool of slow keys, in virtual time.
func withPool(t *testing.T, size int, test func(*testing.T, *keys.Pool, *slow)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		algorithm := &slow{}
		pool := keys.NewPool(ctx, algorithm, size)
		test(t, pool, algorithm)
		cancel()
		pool.Wait()
	})
}

func depth(t *testing.T, p *keys.Pool, want int) {
	t.Helper()
	synctest.Wait()
	if ready, _ := p.Depth(); ready != want {
		t.Errorf("%d keys are ready, not %d", ready, want)
	}
}

func TestPoolFills(t *testing.T) {
	withPool(t, 10, func(t *testing.T, p *keys.Pool, s *slow) {
		depth(t, p, 0)
		time.Sleep(time.Minute)
		ready, size := p.Depth()
		// a key may be under way for each core when the pool becomes full
		if ready < 10 || ready > 30 || size != 10 {
			t.Errorf("%d keys of %d are ready", ready, size)
		}
		made := s.made.Load()
		time.Sleep(time.Hour)
		if s.made.Load() != made {
			t.Error("keys are made that nobody wants")
		}
		if _, err := p.Take(t.Context(), ready-8); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if ready, _ := p.Depth(); ready < 10 {
			t.Errorf("%d keys are ready again", ready)
		}
	})
}

// TestPoolNeverTwice has many take at once: no key goes to two of them, and none stays in the pool.
func TestPoolNeverTwice(t *testing.T) {
	withPool(t, 16, func(t *testing.T, p *keys.Pool, _ *slow) {
		var seen sync.Map
		var group sync.WaitGroup
		take := func(n int) {
			got, err := p.Take(t.Context(), n)
			if err != nil || len(got) != n {
				t.Errorf("%d keys came of %d, %v", len(got), n, err)
			}
			for _, key := range got {
				if _, twice := seen.LoadOrStore(key.(numbered).n, true); twice {
					t.Errorf("key %d was given twice", key.(numbered).n)
				}
			}
		}
		for worker := range 8 {
			group.Go(func() {
				for i := range 20 {
					take((worker + i) % 5) // none now and then
				}
			})
		}
		group.Wait()
		time.Sleep(time.Minute)
		ready, _ := p.Depth()
		take(ready)
	})
}

// TestPoolNeverTwiceForReal is the same with real keys and real goroutines, for the race detector.
func TestPoolNeverTwiceForReal(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	pool := keys.NewPool(ctx, object.P256, 8)
	var seen sync.Map
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			for range 20 {
				defer pool.Hold()()
				got, err := pool.Take(ctx, 3)
				if err != nil {
					t.Error(err)
					return
				}
				for _, key := range got {
					public, err := object.PublicKeyOf(key)
					if err != nil {
						t.Error(err)
						return
					}
					if _, twice := seen.LoadOrStore(public.ID, true); twice {
						t.Errorf("key %s was given twice", public.ID)
					}
				}
			}
		})
	}
	group.Wait()
	cancel()
	pool.Wait()
}

// TestPoolHold checks that while somebody signs no more than a key for each core is made for stock, and that what is waited for is made.
func TestPoolHold(t *testing.T) {
	withPool(t, 100, func(t *testing.T, p *keys.Pool, s *slow) {
		release := p.Hold()
		time.Sleep(time.Minute)
		before := s.made.Load()
		if before > 70 {
			t.Errorf("%d keys were made for stock while somebody signed", before)
		}
		time.Sleep(time.Minute)
		if s.made.Load() != before {
			t.Error("keys are made for stock while somebody signs")
		}
		if got, err := p.Take(t.Context(), int(before)+5); err != nil || len(got) != int(before)+5 {
			t.Errorf("%d keys came, %v", len(got), err)
		}
		second := p.Hold()
		release()
		release() // once is enough, and twice is no harm
		held := s.made.Load()
		time.Sleep(time.Minute)
		if s.made.Load() > held+70 {
			t.Error("one of two who hold let go, and stock is kept again")
		}
		second()
		time.Sleep(time.Minute)
		if ready, _ := p.Depth(); ready < 100 {
			t.Errorf("nobody holds any more, and %d keys are ready", ready)
		}
	})
}

// TestPoolTakeMore takes more than a full pool has.
func TestPoolTakeMore(t *testing.T) {
	withPool(t, 2, func(t *testing.T, p *keys.Pool, _ *slow) {
		if got, err := p.Take(t.Context(), 50); err != nil || len(got) != 50 {
			t.Errorf("%d keys came, %v", len(got), err)
		}
	})
}

func TestPoolCancelled(t *testing.T) {
	withPool(t, 1, func(t *testing.T, p *keys.Pool, _ *slow) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		got, err := p.Take(ctx, 1000)
		if !errors.Is(err, context.DeadlineExceeded) || got != nil || time.Since(start) != 10*time.Second {
			t.Errorf("after %s: %d keys, %v", time.Since(start), len(got), err)
		}
		// what it waited for is not lost to others, nor still wanted
		ready, _ := p.Depth()
		if got, err := p.Take(t.Context(), ready); err != nil || len(got) != ready {
			t.Errorf("%d keys of %d, %v", len(got), ready, err)
		}
		time.Sleep(time.Hour)
		if ready, _ := p.Depth(); ready > 70 {
			t.Errorf("%d keys are ready in a pool of 1: what was cancelled is still made", ready)
		}
	})
}

func TestPoolEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		pool := keys.NewPool(ctx, &slow{}, 4)
		failed := make(chan error, 1)
		go func() {
			_, err := pool.Take(t.Context(), 1000)
			failed <- err
		}()
		time.Sleep(5 * time.Second)
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("who waited is told %v", err)
		}
		pool.Wait()
		if _, err := pool.Take(t.Context(), 1000); !errors.Is(err, context.Canceled) {
			t.Errorf("who comes later is told %v", err)
		}
	})
}

// TestPoolFailure checks that a failure to make a key reaches who waits, and is over when it is over.
func TestPoolFailure(t *testing.T) {
	withPool(t, 2, func(t *testing.T, p *keys.Pool, s *slow) {
		s.fail.Store(true)
		time.Sleep(10 * time.Second)
		if _, err := p.Take(t.Context(), 200); !errors.Is(err, errMaking) {
			t.Errorf("it is told %v", err)
		}
		s.fail.Store(false)
		time.Sleep(10 * time.Second)
		if got, err := p.Take(t.Context(), 200); err != nil || len(got) != 200 {
			t.Errorf("%d keys, %v", len(got), err)
		}
	})
}
