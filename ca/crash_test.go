package ca

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"cadastre/ca/loop"
	"cadastre/internal/fault"
	"cadastre/internal/storetest"
)

// killed is what a test panics with where the program would be killed.
type killed struct{}

// untilKilled does something, and tells whether it was killed on the way.
func untilKilled(do func()) (was bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, is := r.(killed); !is {
				panic(r)
			}
			was = true
		}
	}()
	do()
	return false
}

// TestKilledAroundEachTransaction ends the program before and after each transaction of a change that grows, creates,
// authorises and shrinks in several repositories. The next start comes to the same end, and nobody sees anything invalid.
func TestKilledAroundEachTransaction(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"before", "after"} {
		n := 0
		for done := false; !done && !t.Failed(); {
			n++
			t.Run(fmt.Sprintf("%s %d", where, n), func(t *testing.T) {
				inTestRegistry(t, forest, func(h *testRegistry) { done = killedAt(h, where, n) })
			})
		}
		if n < 12 && !t.Failed() {
			t.Errorf("there were only %d transactions", n)
		}
	}
}

// killedAt tells whether the change came to its end before it could be killed.
func killedAt(h *testRegistry, where string, n int) bool {
	f := &storetest.Fragile{Store: h.store}
	h.store = f
	h.reopen()
	peopled(h)
	kill := func() error {
		if n--; n == 0 {
			panic(killed{})
		}
		return nil
	}
	if where == "before" {
		f.Before = kill
	} else {
		f.After = kill
	}
	changes := []func(){
		func() { h.take("isp", "41.0.0.0/19") },
		func() { h.give("nic.br", "177.16.0.0/16") },
		func() { h.give("rede", "177.16.0.0/16") },
		func() { h.intend("177.16.0.0/16,AS28000") },
		func() { h.give("other", "41.0.0.0/19") },
		func() { h.take("loja", "177.0.0.0/20") },
		func() { must(h, h.engine.Settle(context.Background())) },
		func() { h.take("nic.br", "177.0.0.0/12, 177.16.0.0/16") },
		func() { must(h, h.engine.Settle(context.Background())) },
	}
	survived := true
	for _, change := range changes {
		if untilKilled(change) {
			survived = false
			f.Before, f.After = nil, nil
			h.reopen()
			h.reader.Insist(h.wanted())
			if where == "before" { // nobody was told that it is done
				change()
			}
		}
	}
	f.Before, f.After = nil, nil
	h.settle()
	if n := len(h.reader.VRPs()); n != 2 {
		h.Errorf("%d VRPs at the end: %v", n, h.reader.VRPs())
	}
	return survived
}

// copied copies store and repositories, as a backup does.
func (h *testRegistry) copied(to string) {
	h.Helper()
	must(h, os.CopyFS(to, os.DirFS(h.dir)))
}

// putBack replaces store and repositories by a copy. The high-water mark, which lies beside them, stays.
func (h *testRegistry) putBack(from string) {
	h.Helper()
	h.close()
	must(h, os.RemoveAll(h.dir))
	must(h, os.CopyFS(h.dir, os.DirFS(from)))
	h.openStore()
}

func TestRestoredBackup(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		peopled(h)
		backup := filepath.Join(filepath.Dir(h.dir), "backup")
		h.copied(backup)
		was := map[string]string{}
		for name, repository := range h.engine.Repositories() {
			was[name], _, _ = repository.Published()
		}
		for i := range 5 { // all of these are lost
			h.intend(fmt.Sprintf("41.0.64.0/24,AS%d\n177.0.0.0/24,AS%d", 38000+i, 38000+i))
			h.settle()
		}
		h.putBack(backup)
		e, err := Open(h.store, h.dir, h.policy, h.engine.log)
		must(h, err)
		kindOf(h, e.CheckHighWater(false), fault.Corrupt, "--restored", "revision")

		h.restored = true
		h.reader.Insist(nil)
		h.reader.Pause(true) // until the new manifests are out, readers keep what they have
		h.open(anchorSecret)
		must(h, h.engine.Settle(context.Background()))
		h.reader.Forgive()
		h.reader.Read("the end of the restoration") // no manifest has a number that was published before
		h.complete()
		for name, repository := range h.engine.Repositories() {
			if session, serial, _ := repository.Published(); session == was[name] || serial == 0 {
				h.Errorf("%s is at serial %d of session %s, which was used before", name, serial, session)
			}
		}
		if len(h.reader.VRPs()) != 5 {
			h.Errorf("the VRPs of the backup are %v", h.reader.VRPs())
		}
		h.restored = false
		h.reopen() // now it is the newest state
		h.settle()
	})
}

func TestHighWaterMarkIsNeeded(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		peopled(h)
		open := func() *Engine {
			e, err := Open(h.store, h.dir, h.policy, h.engine.log)
			must(h, err)
			return e
		}
		mark, err := os.ReadFile(HighWaterPath(h.dir))
		must(h, err)
		must(h, os.Remove(HighWaterPath(h.dir)))
		kindOf(h, open().CheckHighWater(false), fault.Corrupt, HighWaterPath(h.dir), "--restored")
		must(h, os.WriteFile(HighWaterPath(h.dir), mark[:len(mark)/2], 0o600))
		kindOf(h, open().CheckHighWater(false), fault.Corrupt, HighWaterPath(h.dir))
		must(h, os.WriteFile(HighWaterPath(h.dir), []byte(`{"installation":"another","revision":1}`), 0o600))
		kindOf(h, open().CheckHighWater(true), fault.Corrupt, "another installation")

		must(h, os.Remove(HighWaterPath(h.dir)))
		h.restored = true
		h.seal()
		h.open(anchorSecret)
		h.settle()
		h.restored = false
		h.reopen()
		h.settle()
	})
}

// TestFailingStore: what cannot be stored is a clear error, changes nothing, and goes through the next time.
func TestFailingStore(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		f := &storetest.Fragile{Store: h.store}
		h.store = f
		h.reopen()
		peopled(h)
		full := func() error { return fault.New(fault.Storage, "the disk is full") }
		f.Before = full
		rows := h.engine.book.Len()
		_, err := h.engine.Delegate(h.by(), lease(h, "other", "41.0.128.0/18"), Consent{})
		kindOf(h, err, fault.Storage, "record the decision", "the disk is full")
		if h.engine.book.Len() != rows || h.engine.ledger.Holding("other").Contains(resources(h, "41.0.128.0/18")) {
			h.Error("what was not stored is there")
		}
		f.Before = nil
		h.give("other", "41.0.128.0/18")
		h.intend("41.0.128.0/18,AS37002")
		for n := range 6 { // the store fails from the n-th transaction on
			left := n
			f.Before = func() error {
				if left--; left < 0 {
					return full()
				}
				return nil
			}
			if err := h.engine.Settle(context.Background()); err != nil {
				kindOf(h, err, fault.Storage, "the disk is full")
			}
		}
		f.Before = nil
		h.settle()
		if len(h.reader.VRPs()) != 6 {
			h.Errorf("the VRPs are %v", h.reader.VRPs())
		}
	})
}

// TestRunOutlastsAFailure: the engine that runs tries again, and tells those who wait what is wrong.
func TestRunOutlastsAFailure(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		var left atomic.Int64 // transactions until the disk is full
		left.Store(1 << 40)
		h.store = &storetest.Fragile{Store: h.store, Before: func() error {
			if left.Add(-1) < 0 {
				return fault.New(fault.Storage, "the disk is full")
			}
			return nil
		}}
		h.reopen()
		peopled(h)
		stop := h.run()
		left.Store(1) // the decision is recorded, and what follows from it is not
		h.intend("41.0.64.0/24,AS37009")
		kindOf(h, h.engine.WaitIdle(context.Background()), fault.Storage, "the disk is full")
		time.Sleep(10 * time.Minute)
		// twenty times by the timer, and once more for each that woke it: the decision, and the one who waits
		if n := h.reader.Refusals(fault.Storage); n < 10 || n > 23 {
			h.Errorf("in ten minutes it was tried %d times, want about twice a minute", n)
		}
		left.Store(1 << 40)
		time.Sleep(loop.RetryAfter)
		must(h, h.engine.WaitIdle(context.Background()))
		stop()
		h.complete()
	})
}
