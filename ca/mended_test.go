package ca

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/ca/issued"
	"cadastre/federation"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/store"
	"cadastre/internal/updown"
)

// TestRestoredWithDelegatedCA: a restored backup comes to rest although a CA is elsewhere, of which there is no manifest to renew.
func TestRestoredWithDelegatedCA(t *testing.T) {
	inTestRegistry(t, tenants, func(h *testRegistry) {
		h.give("afrinic", "41.0.0.0/8")
		h.give("isp", "41.0.0.0/16")
		h.settle()
		d := newDelegated(h, "isp")
		atWork(h, func() { d.ask(&updown.Issue{Class: federation.TreeClass, Request: d.request(place)}) })
		must(t, os.Remove(HighWaterPath(h.dir)))
		h.restored = true
		h.reopen()
		must(t, h.engine.Settle(context.Background()))
		h.reader.Pause(true)
		for range 3 {
			wait, err := h.engine.Step(context.Background())
			must(t, err)
			if wait < time.Minute {
				t.Fatalf("at rest, and the next round is due in %s", wait)
			}
		}
	})
}

// TestRequestThatSoaks: a delegated CA's request that has to wait for a soak costs the engine no rounds, and is answered that it is
// scheduled.
func TestRequestThatSoaks(t *testing.T) {
	policy := testPolicy()
	policy.Soak = 30 * time.Minute
	synctest.Test(t, func(t *testing.T) {
		h := newTestRegistryWith(t, t.TempDir(), tenants, policy)
		defer func() { h.close() }()
		h.give("afrinic", "41.0.0.0/8")
		h.give("isp", "41.0.0.0/16")
		h.settle()
		time.Sleep(policy.Soak)
		d := newDelegated(h, "isp")
		ctx, end := context.WithCancel(context.Background())
		rounds, done := 0, make(chan error)
		h.reader.Pause(true)
		go func() {
			done <- h.runAlone(ctx, func(time.Time) error {
				if rounds++; rounds > 1000 {
					panic("the engine spins")
				}
				return nil
			})
		}()
		d.ask(&updown.Issue{Class: federation.TreeClass, Request: d.request(place)})
		h.give("afrinic", "45.0.0.0/8")
		h.give("isp", "45.0.0.0/16")
		must(t, h.engine.WaitIdle(ctx))
		begun := time.Now()
		d.refused(&updown.Issue{Class: federation.TreeClass, Request: d.request(place)}, updown.StatusScheduled)
		if took := time.Since(begun); took != federation.IssuePatience {
			t.Errorf("it was told to come again after %s", took)
		}
		time.Sleep(policy.Soak)
		if got := d.certified(d.list()); got != "41.0.0.0/16, 45.0.0.0/16" {
			t.Errorf("after the soak it has %s", got)
		}
		end()
		must(t, <-done)
	})
}

// TestRegistryThatCannotBeOpened: the decision that added it stands, in memory as in the store.
func TestRegistryThatCannotBeOpened(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		h.settle()
		h.seal()
		e, err := Open(h.store, h.dir, h.policy, h.engine.log)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(h.dir, "rrdp", "apnic"), nil, 0o600))
		_, err = e.Enrol(h.by(), holdings.Organisation{Handle: "apnic", Kind: holdings.RIR, Parent: "iana"})
		if err == nil {
			t.Fatal("a file in place of its folder is no error")
		}
		_, known, err := e.Organisation("apnic")
		must(t, err)
		if !known {
			t.Error("it is in the store and not in memory")
		}
		must(t, os.Remove(filepath.Join(h.dir, "rrdp", "apnic")))
		_, err = e.Enrol(h.by(), holdings.Organisation{Handle: "lir", Kind: holdings.LIR, Parent: "apnic"})
		must(t, err)
		again, err := Open(h.store, h.dir, h.policy, h.engine.log)
		must(t, err)
		if _, known, _ := again.Organisation("lir"); !known {
			t.Error("the next decision was written over the one before")
		}
		h.reopen()
	})
}

// TestRegistryBesideADaemon: a registry needs a repository, which a running daemon cannot open, by whichever decision it comes.
func TestRegistryBesideADaemon(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		peopled(h)
		nir := holdings.Organisation{Handle: "nic.example", Kind: holdings.NIR, Parent: "afrinic"}
		_, err := h.engine.Enrol(h.by(), nir)
		kindOf(h, err, fault.Busy, "nic.example", "stop the daemon")
		_, err = h.engine.DelegateNew(h.by(), nir, lease(h, "nic.example", "41.0.192.0/24"), Consent{})
		kindOf(h, err, fault.Busy, "nic.example", "stop the daemon")
		if _, known, _ := h.engine.Organisation("nic.example"); known || h.engine.Repositories()["nic.example"] != nil {
			t.Error("it is there")
		}
		h.settle()
	})
}

// TestDamagedRecordIsSaid: a roll whose authority can't be read is an error of the round and of what is shown, not a wrong time.
func TestDamagedRecordIsSaid(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		peopled(h)
		must(t, h.engine.RollKey(h.by(), "isp", time.Hour))
		h.settle()
		must(h, h.engine.issued.Load())
		_, err := h.store.Update(store.Any, func(w store.Writer) error {
			return w.Put(issued.Products, issued.Within(issued.Parse("isp~1"), "x.roa"), []byte("{"))
		})
		must(t, err)
		if _, err := h.engine.Keys("isp"); err == nil {
			t.Error("the keys are shown although a record of theirs can't be read")
		}
		h.engine.mu.RLock()
		_, err = h.engine.rollsAt()
		h.engine.mu.RUnlock()
		if err == nil {
			t.Error("it is reckoned when the roll goes on although its record can't be read")
		}
		h.reader.Pause(true)
	})
}
