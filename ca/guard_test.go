package ca

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"cadastre/ca/issued"
	"cadastre/internal/fault"
)

// setForward is a time as the clock would have given it had somebody set it forward: its wall clock is later, its monotonic
// one is not. Package time keeps the seconds of the wall clock in the bits from 30 on of its first word.
func setForward(t time.Time, by time.Duration) time.Time {
	*(*uint64)(unsafe.Pointer(&t)) += uint64(by/time.Second) << 30
	return t
}

func TestClockThatJumps(t *testing.T) {
	start := time.Now()
	for _, c := range []struct {
		by     time.Duration
		passed time.Duration
		jumps  bool
	}{{0, 0, false}, {0, 300 * day, false}, {4 * time.Minute, time.Hour, false}, {6 * time.Minute, time.Hour, true}, {58 * time.Minute, 0, true}, {year, time.Minute, true}} {
		s := &steadyClock{start}
		if err := s.check(setForward(start.Add(c.passed), c.by)); (err != nil) != c.jumps {
			t.Errorf("set forward by %s within %s: %v", c.by, c.passed, err)
		}
		s = &steadyClock{setForward(start, c.by)} // and so it goes back
		if err := s.check(start.Add(c.passed)); (err != nil) != c.jumps {
			t.Errorf("set back by %s within %s: %v", c.by, c.passed, err)
		}
	}
}

// TestStepsOfTheClockAddUp: many small steps are believed no more than a large one, and the right clock is, after them.
func TestStepsOfTheClockAddUp(t *testing.T) {
	start := time.Now()
	s := &steadyClock{start}
	for step := 1; step <= 10; step++ {
		passed := start.Add(time.Duration(step) * time.Hour)
		if err := s.check(setForward(passed, time.Duration(step)*time.Minute)); (err != nil) != (step > 5) {
			t.Errorf("after %d steps of a minute: %v", step, err)
		}
	}
	if err := s.check(start.Add(11 * time.Hour)); err != nil {
		t.Errorf("the right clock is not believed any more: %v", err)
	}
}

// TestRightClockGoesOn: a clock that was set wrong freezes signing, in the midst of work too, and when it is right again signing
// goes on by itself.
func TestRightClockGoesOn(t *testing.T) {
	now := time.Now()
	steady := &steadyClock{now}
	inTestRegistry(t, forest, func(h *testRegistry) {
		peopled(h)
		var off atomic.Int64
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() {
			done <- h.runAlone(ctx, func(time.Time) error { return steady.check(setForward(now, time.Duration(off.Load()))) })
		}()
		synctest.Wait()
		off.Store(int64(10 * time.Minute))
		batches := h.reader.Batches()
		h.intend("41.0.64.0/24,AS37009")
		kindOf(h, h.engine.WaitIdle(ctx), fault.Clock, "jumped")
		if status, err := h.engine.Status(); err != nil || len(status.Waits) == 0 || status.Waits[0].Kind != ClockFrozen {
			h.Errorf("the status is %+v, %v", status, err)
		}
		if h.reader.Batches() != batches {
			h.Error("something was signed by a clock that jumped")
		}
		off.Store(0)
		time.Sleep(2 * time.Minute) // it looks once a minute
		must(h, h.engine.WaitIdle(ctx))
		cancel()
		must(h, <-done)
		h.complete()
	})
}

// TestClockThatIsSetRightAfterTheStart: a daemon that started before its clock was set is not to be started again for that.
func TestClockThatIsSetRightAfterTheStart(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		peopled(h)
		h.engine.CheckClock(time.Now().Add(-time.Hour))
		believes := h.engine.believer()
		kindOf(h, believes(time.Now().Add(-59*time.Minute)), fault.Clock, "set the clock")
		must(h, believes(time.Now()))
		h.engine.thaw()
	})
}

// TestJumpFreezes: after a jump nothing is signed, what is published stays, decisions are kept, and a start with the right
// clock goes on.
func TestJumpFreezes(t *testing.T) {
	now := time.Now()
	jumped := &steadyClock{setForward(now, year)}
	inTestRegistry(t, forest, func(h *testRegistry) {
		peopled(h)
		batches := h.reader.Batches()
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		jump := func(time.Time) error { return jumped.check(now) } // in the bubble there is no monotonic clock
		go func() { done <- h.runAlone(ctx, jump) }()
		synctest.Wait()
		kindOf(h, h.engine.Frozen(), fault.Clock, "jumped", "--accept-clock")
		h.intend("41.0.64.0/24,AS37009")
		kindOf(h, h.engine.WaitIdle(context.Background()), fault.Clock)
		time.Sleep(3 * time.Hour)
		if status, err := h.engine.Status(); err != nil || status.Frozen == "" || status.Settled {
			h.Errorf("the status is %+v, %v", status, err)
		}
		if h.reader.Batches() != batches {
			h.Error("something was signed by a clock that jumped")
		}
		kindOf(h, h.engine.Settle(context.Background()), fault.Clock)
		cancel()
		must(h, <-done)
		h.reader.Read("the end of the jump")
		h.reopen()
		h.settle()
	})
}

func TestClockAtTheStart(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		peopled(h)
		for _, c := range []struct {
			off    time.Duration
			frozen bool
		}{{0, false}, {-time.Minute, false}, {-time.Hour, true}, {-year, true}, {30 * day, false}, {year, true}} {
			e, err := Open(h.store, h.dir, h.policy, h.engine.log)
			must(h, err)
			e.CheckClock(time.Now().Add(c.off))
			if frozen := e.Frozen() != nil; frozen != c.frozen {
				h.Errorf("a start %s after the last commit: %v", c.off, e.Frozen())
			}
			if c.frozen {
				kindOf(h, e.Frozen(), fault.Clock)
			}
		}
	})
}

// TestLongOutage: after days without a daemon everything is stale; all of it is made good in one go.
func TestLongOutage(t *testing.T) {
	for _, days := range []int{3, 59} {
		inTestRegistry(t, forest, func(h *testRegistry) {
			peopled(h)
			h.seal()
			time.Sleep(time.Duration(days) * day)
			h.reader.Pause(true) // what is stale is stale
			h.open(anchorSecret)
			h.give("isp", "41.0.128.0/18")
			h.intend("41.0.128.0/18,AS37009")
			if err := h.engine.Settle(context.Background()); err != nil {
				h.Fatalf("%v\n%s", err, h.log)
			}
			h.reader.Pause(false)
			h.reader.Read("the end of the outage")
			h.complete()
			if h.reader.Refusals(fault.Invalid) > 0 {
				h.Errorf("%d batches were refused:\n%s", h.reader.Refusals(fault.Invalid), h.log)
			}
		})
	}
}

// TestAnchorOffline: without its key all but the anchor's own work goes on, status says what waits, and nothing spins.
func TestAnchorOffline(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		peopled(h)
		h.seal()
		h.open(nil)
		h.intend("41.0.64.0/24,AS37009")
		h.settle()
		stop := h.run()
		time.Sleep(h.policy.AnchorManifestLife - h.policy.AnchorManifestSlack - time.Hour)
		if status, _ := h.engine.Status(); len(status.Waits) > 0 {
			h.Errorf("before anything is due, this waits: %v", status.Waits)
		}
		time.Sleep(10 * day)
		h.give("isp", "41.0.128.0/20")
		must(h, h.engine.WaitIdle(context.Background()))
		stop()
		h.complete()
		status, err := h.engine.Status()
		must(h, err)
		if len(status.Waits) != 1 || status.Waits[0].Kind != AnchorNeeded || status.Settled {
			h.Errorf("what waits is %v", status.Waits)
		}
		was := h.reader.Number(anchorManifest(h)).Uint64()
		h.seal()
		h.open(anchorSecret)
		h.settle()
		if now := h.reader.Number(anchorManifest(h)).Uint64(); now != was+1 {
			h.Errorf("with its key the anchor's manifest went from number %d to %d", was, now)
		}
		if status, _ := h.engine.Status(); len(status.Waits) > 0 {
			h.Errorf("with the anchor's key this waits: %v", status.Waits)
		}
	})
}

// TestAnchorNeededAfterARoll: status says that the root's certificate needs the anchor, by the deadline of the generation that issues.
func TestAnchorNeededAfterARoll(t *testing.T) {
	policy := testPolicy()
	policy.Root = issued.Lifetime{Life: 10 * day, Lead: 5 * day}
	synctest.Test(t, func(t *testing.T) {
		h := newTestRegistryWith(t, t.TempDir(), forest, policy)
		defer func() { h.close() }()
		peopled(h)
		must(t, h.engine.RollKey(h.by(), "iana", time.Hour))
		stop := h.run()
		time.Sleep(day)
		stop()
		if keys, err := h.engine.Keys("iana"); err != nil || len(keys) != 1 || keys[0].State != "active" {
			t.Fatalf("the keys of the root are %+v, %v", keys, err)
		}
		if name := h.engine.issued.Of("iana")[0]; name.Generation != 1 {
			t.Fatalf("%s issues", name)
		}
		h.seal()
		h.open(nil)
		stop = h.run()
		defer stop()
		time.Sleep(3 * day)
		if status, err := h.engine.Status(); err != nil || len(status.Waits) > 0 {
			t.Errorf("before its deadline this waits: %v, %v", status.Waits, err)
		}
		time.Sleep(2 * day)
		if status, err := h.engine.Status(); err != nil || len(status.Waits) != 1 || status.Waits[0].Kind != AnchorNeeded || status.Waits[0].Of != "iana" {
			t.Errorf("after its deadline this waits: %v, %v", status.Waits, err)
		}
	})
}

func anchorManifest(h *testRegistry) string {
	is, err := h.engine.issued.Read(issued.Anchor)
	must(h, err)
	return h.policy.Place(&is.Authority) + is.ManifestName()
}

// TestAnchorOfflineFromTheFirst: nothing can be issued before the anchor has certified the root, and status says so.
func TestAnchorOfflineFromTheFirst(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		h.seal()
		h.open(nil)
		h.give("afrinic", "41.0.0.0/16")
		must(h, h.engine.Settle(context.Background()))
		status, err := h.engine.Status()
		must(h, err)
		if len(status.Waits) != 1 || status.Waits[0].Kind != AnchorNeeded || status.Settled {
			h.Errorf("what waits is %v", status.Waits)
		}
		h.seal()
		h.open(anchorSecret)
		h.settle()
	})
}
