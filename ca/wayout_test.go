package ca

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cadastre/federation"
	"cadastre/internal/envelopetest"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/setup"
	"cadastre/internal/updown"
)

// TestWayOut: an organisation whose publication server takes nothing can be brought home, moved to another server, and its key roll
// given up, at any time.
func TestWayOut(t *testing.T) {
	federate(t, func(t *testing.T, f *federated) {
		_, identity, err := envelopetest.NewIdentity(time.Now())
		must(t, err)
		configure := func(base string) error {
			return f.below.engine.Federation.ConfigureRemote(f.below.by(), "isp", (&setup.RepositoryResponse{
				ServiceURI: "https://" + hungHost + "/", PublisherHandle: "isp", SIABase: base, TrustAnchor: identity,
			}).XML())
		}
		own := f.below.engine.policy.RsyncBase
		for _, base := range []string{own + "afrinic/", own + "elsewhere/x/", strings.ToUpper(own[:len("rsync://")]) + own[len("rsync://"):]} {
			if err := configure(base); fault.KindOf(err) != fault.BadInput {
				t.Errorf("%s as a place elsewhere: %v", base, err)
			}
		}
		rolling := func() (next bool) {
			e := f.below.engine
			e.mu.RLock()
			defer e.mu.RUnlock()
			for line, roll := range e.rolls {
				next = next || line.Holder == "isp" && roll.Next != 0
			}
			return next
		}
		f.hung()
		must(t, configure("rsync://"+hungHost+"/one/"))
		must(t, f.below.engine.WaitIdle(t.Context()))
		if !rolling() {
			t.Fatal("it does not move to the server elsewhere")
		}
		if err := f.below.engine.RollKey(f.below.by(), "isp", 0); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "--abandon") {
			t.Errorf("a roll within a roll: %v", err)
		}
		must(t, configure("rsync://"+hungHost+"/two/"))
		must(t, f.below.engine.Federation.LeaveRemote(f.below.by(), "isp"))
		f.below.intend("102.0.1.0/24,AS37001")
		f.until("it is at home", func() bool { return !rolling() })
		must(t, f.below.engine.RollKey(f.below.by(), "isp", 24*time.Hour))
		must(t, f.below.engine.WaitIdle(t.Context()))
		must(t, f.below.engine.AbandonRoll(f.below.by(), "isp"))
		must(t, f.below.engine.WaitIdle(t.Context()))
		if rolling() {
			t.Error("the roll goes on")
		}
		if err := f.below.engine.AbandonRoll(f.below.by(), "isp"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("no roll is given up: %v", err)
		}
		must(t, f.below.engine.RollKey(f.below.by(), "isp", 0))
		if !f.prints("102.0.1.0/24,24,AS37001") {
			t.Error("a ROA is gone")
		}
	})
}

// TestManyClasses: a parent that names hundreds of resource classes makes as many authorities as may be, and those that are known go on.
func TestManyClasses(t *testing.T) {
	federate(t, func(t *testing.T, f *federated) {
		f.introduce("other")
		f.until("the parent certifies", func() bool { return holdingOf(f.below, "other").String() == "41.0.0.0/16" })
		list := &updown.ListResponse{}
		for i := range 400 {
			list.Classes = append(list.Classes, updown.Class{Name: fmt.Sprint("class", i), Resources: inr.Set{}})
		}
		must(t, f.below.engine.Federation.TakeList("above", list))
		f.below.engine.mu.RLock()
		defer f.below.engine.mu.RUnlock()
		classes := f.below.engine.peers.Parent("above").Classes
		if len(classes) != f.below.engine.policy.ParentClasses || classes[federation.SourceName("above", federation.TreeClass)] == nil {
			t.Errorf("%d classes are known", len(classes))
		}
	})
}
