package ca

import (
	"context"
	"crypto"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/ca/issued"
	"cadastre/ca/loop"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/object"
	"cadastre/internal/principal"
	"cadastre/keys"
	"cadastre/roa"
)

// TestOneBadAuthorityHoldsUpNobody: an authority whose work the gate refuses is quarantined. The others grow, publish and renew;
// the one is tried again and again, not often, and comes back by itself when what was wrong with it is right.
func TestOneBadAuthorityHoldsUpNobody(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		peopled(h)
		is, err := h.engine.issued.Read(issued.Parse("other"))
		must(h, err)
		// its manifests list, from now on, what is not there
		is.Products["ghost.cer"] = issued.Product{Name: "ghost.cer", Says: issued.Parse("nobody"), Expires: time.Now().Add(year)}
		h.intend("41.0.64.0/24,AS37009\n41.0.0.0/24,AS37008\n177.0.0.0/23,AS28005")
		kindOf(h, h.engine.Settle(context.Background()), fault.Invalid, "other")
		if got := h.reader.VRPs(); !slices.Contains(got, "41.0.0.0/24,24,AS37008") || !slices.Contains(got, "177.0.0.0/23,23,AS28005") || slices.Contains(got, "41.0.64.0/24,24,AS37009") {
			h.Errorf("the VRPs are %v", got)
		}
		status, err := h.engine.Status()
		must(h, err)
		if len(status.Waits) != 1 || status.Waits[0].Of != "other" || status.Waits[0].Kind != Quarantined || !strings.Contains(status.Waits[0].Error, "ghost") {
			h.Errorf("what is quarantined is %+v", status.Waits)
		}

		h.reader.Pause(true) // what other published ends, and there will be findings
		stop := h.run()
		h.give("isp", "41.0.128.0/24")
		h.intend("41.0.128.0/24,AS37007")
		kindOf(h, h.engine.WaitIdle(context.Background()), fault.Invalid, "other")
		refused := h.reader.Refusals(fault.Invalid)
		time.Sleep(10 * day)
		if n := h.reader.Refusals(fault.Invalid) - refused; n < 200 || n > 2*250 {
			h.Errorf("in ten days the work of other was refused %d times, want its manifest and its ROAs once an hour", n)
		}
		h.reader.Read("ten days without other") // fails nothing while it rests
		if got := h.reader.VRPs(); len(got) != 7 || !slices.Contains(got, "41.0.128.0/24,24,AS37007") {
			h.Errorf("ten days later the VRPs are %v", got)
		}
		for _, f := range h.reader.Last().Findings {
			if !strings.Contains(f.URI, is.Path) {
				h.Errorf("others suffer: %s", f)
			}
		}

		stop()
		is, _ = h.engine.issued.Read(issued.Parse("other"))
		delete(is.Products, "ghost.cer")
		stop = h.run()
		time.Sleep(2 * time.Hour)
		must(h, h.engine.WaitIdle(context.Background()))
		stop()
		h.reader.Forgive()
		h.reader.Read("the end")
		h.complete()
		if status, _ := h.engine.Status(); len(status.Waits) > 0 {
			h.Errorf("this is still quarantined: %v", status.Waits)
		}
	})
}

// repeating is an algorithm whose source of chance repeats itself: from when it is told to, it makes the key with an identifier that it
// has made before once more, some times.
type repeating struct {
	object.Algorithm
	mu    sync.Mutex
	made  map[object.KeyIdentifier]crypto.Signer
	again object.KeyIdentifier
	times int
}

func (r *repeating) Generate() (crypto.Signer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.times > 0 {
		r.times--
		return r.made[r.again], nil
	}
	key, err := r.Algorithm.Generate()
	if err != nil {
		return nil, err
	}
	public, err := object.PublicKeyOf(key)
	r.made[public.ID] = key
	return key, err
}

// repeat has a key made again, some times.
func (r *repeating) repeat(key object.KeyIdentifier, times int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.again, r.times = key, times
}

// drawFrom has the test registry make its keys with an algorithm, of which the pool has one ready.
func (h *testRegistry) drawFrom(a object.Algorithm) {
	h.seal()
	ctx, cancel := context.WithCancel(context.Background())
	h.engine.pool = keys.NewPool(ctx, a, 1)
	var err error
	h.engine.keeper, err = h.engine.openKeeper(secret, h.engine.pool)
	must(h, err)
	h.seal = func() { cancel(); h.engine.pool.Wait() }
}

// TestAKeyMadeTwice: an authority whose key is that of another below the same CA does not take that one's certificate from it. It
// gets another key.
func TestAKeyMadeTwice(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		twice := &repeating{Algorithm: object.P256, made: map[object.KeyIdentifier]crypto.Signer{}}
		h.drawFrom(twice)
		peopled(h)
		h.take("other", "41.0.64.0/18")
		h.settle()
		isp, err := h.engine.issued.Read(issued.Parse("isp"))
		must(h, err)
		twice.repeat(isp.KeyID, 2) // for the authority, whichever of the two that fill the pool comes first
		h.drawFrom(twice)
		h.give("other", "41.0.64.0/18")
		kindOf(h, h.engine.Settle(context.Background()), fault.Internal, "isp")
		if now := h.engine.issued.Authority(issued.Parse("isp")); h.engine.issued.Authority(issued.Parse("other")) != nil || now.CertSerial.Cmp(isp.CertSerial) != 0 {
			h.Error("the certificate of isp has been replaced")
		}
		stop := h.run()
		time.Sleep(2 * time.Hour)
		must(h, h.engine.WaitIdle(context.Background()))
		stop()
		h.complete()
	})
}

// TestFullDisk fills the disk that the repositories are on: the error is clear, readers are served, and the next try works.
func TestFullDisk(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		peopled(h)
		small := filepath.Join(h.dir, "rrdp", "afrinic")
		h.onSmallDisk(small)
		h.reopen()
		full := filepath.Join(small, "full")
		fill(h, full)
		h.intend("41.0.64.0/24,AS37009\n177.0.0.0/23,AS28005")
		err := h.engine.Settle(context.Background())
		kindOf(h, err, fault.Storage, "afrinic", "no space left")
		h.reader.Read("a full disk")
		if n := len(h.reader.VRPs()); n != 5 && n != 6 {
			h.Errorf("with a full disk the VRPs are %v", h.reader.VRPs())
		}
		stop := h.run()
		synctest.Wait()
		failing := slices.DeleteFunc(h.engine.Waits(), func(w Wait) bool { return w.Kind != Failing })
		if len(failing) != 1 || failing[0].On != Operator || failing[0].Since.IsZero() || !strings.Contains(failing[0].Error, "no space left") {
			h.Errorf("with a full disk it waits for %+v", h.engine.Waits())
		}
		kindOf(h, h.engine.WaitOut(context.Background()), fault.Storage, "no space left")
		must(h, os.Remove(full))
		time.Sleep(2 * loop.RetryAfter)
		must(h, h.engine.WaitIdle(context.Background()))
		if list := h.engine.Waits(); len(list) > 0 {
			h.Errorf("with room it still waits for %+v", list)
		}
		stop()
		h.settle()
		h.reopen()
		h.settle()
	})
}

// onSmallDisk puts a directory with what is in it on a file system of a megabyte.
func (h *testRegistry) onSmallDisk(dir string) {
	h.Helper()
	copied := dir + ".copy"
	must(h, os.CopyFS(copied, os.DirFS(dir)))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		h.Skipf("a small file system can't be mounted here: %v", err)
	}
	h.unmount = func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }
	must(h, os.CopyFS(dir, os.DirFS(copied)))
}

func fill(h *testRegistry, path string) {
	h.Helper()
	f, err := os.Create(path)
	must(h, err)
	block := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(block)
	}
	_ = f.Close()
}

// TestDecisionsWhileItRuns has four people decide while the engine runs. With -race it looks for what is not guarded.
func TestDecisionsWhileItRuns(t *testing.T) {
	inTestRegistry(t, forest, func(h *testRegistry) {
		peopled(h)
		stop := h.run()
		ended := make(chan error)
		for who := range 4 {
			go func() { ended <- h.busy(who) }()
		}
		for range 4 {
			must(h, <-ended)
		}
		must(h, h.engine.WaitIdle(context.Background()))
		stop()
		h.reader.Insist(h.wanted())
		h.complete()
		synctest.Wait()
	})
}

// busy enrols a holder of its own, and gives and takes.
func (h *testRegistry) busy(who int) error {
	for i := range 6 {
		handle := fmt.Sprintf("holder-%d-%d", who, i)
		by := holdings.By{Who: principal.Principal{Name: handle}, Reason: "busy", Time: time.Now()}
		if _, err := h.engine.Enrol(by, holdings.Organisation{Handle: handle, Parent: []string{"afrinic", "nic.br"}[i%2], Kind: holdings.LIR}); err != nil {
			return err
		}
		prefix := fmt.Sprintf("%s.%d.0/24", []string{"41.0", "177.1"}[i%2], 192+8*who+i)
		d := lease(h, handle, prefix)
		if _, err := h.engine.Delegate(by, d, Consent{}); err != nil {
			return err
		}
		row, err := roa.ParseRow(prefix, fmt.Sprint(39000+i))
		if err != nil {
			return err
		}
		if _, err := h.engine.AddIntents([]roa.Row{row}, roa.Options{Holder: handle, By: holdings.By{Who: principal.Principal{Name: handle}, Time: time.Now()}}, Consent{}); err != nil {
			return err
		}
		if _, err := h.engine.Status(); err != nil {
			return err
		}
		if i%3 == 0 {
			if _, err := h.engine.Revoke(by, handle, d.Resources, Consent{Unbraked: true}); err != nil {
				return err
			}
		}
		time.Sleep(time.Duration(who*i) * 100 * time.Millisecond)
	}
	return nil
}
