package loop

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/ca/agenda"
	"cadastre/ca/issue"
	"cadastre/ca/issued"
)

// TestProgress: who waits is told once, waiting wakes the loop, and a failure has one beginning until the work succeeds.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, told := NewProgress(), make(chan error)
		wait := func() { go func() { told <- p.WaitIdle(t.Context()) }() }
		wait()
		synctest.Wait()
		select {
		case <-p.wake:
		default:
			t.Error("the loop is not woken")
		}
		full := errors.New("the disk is full")
		p.Tell(full)
		if err := <-told; !errors.Is(err, full) {
			t.Errorf("it is told %v", err)
		}
		wait()
		synctest.Wait()
		p.Tell(nil)
		if err := <-told; err != nil {
			t.Errorf("it is told %v", err)
		}
		ended, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		if err := p.WaitIdle(ended); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with nobody who tells: %v", err)
		}
		p.note(full)
		begun, _ := p.Failing()
		time.Sleep(time.Minute)
		p.note(full)
		if since, err := p.Failing(); !since.Equal(begun) || !errors.Is(err, full) {
			t.Errorf("it fails since %s: %v", since, err)
		}
		p.note(nil)
		if _, err := p.Failing(); err != nil {
			t.Errorf("it fails: %v", err)
		}
		step := p.NextStep()
		p.stepped.Beat()
		<-step
	})
}

// TestOvertaken: a decision about an organisation overtakes each batch with something of it, whichever generation of its key that is.
func TestOvertaken(t *testing.T) {
	for _, name := range []issued.Name{{Holder: "isp"}, {Holder: "isp", Generation: 1}, {Holder: "isp", Source: "a-parent"}, {Holder: "isp", Key: "0a"}} {
		l := &Loop{agenda: agenda.New(nil)}
		b := &issue.Batch{Changes: map[issued.Name]*issue.Change{name: {}}}
		l.agenda.Touch("shop")
		if l.overtaken(b) {
			t.Errorf("a decision about another overtakes a batch of %s", name)
		}
		l.agenda.Touch("isp")
		if !l.overtaken(b) {
			t.Errorf("a decision about its organisation does not overtake a batch of %s", name)
		}
	}
}
