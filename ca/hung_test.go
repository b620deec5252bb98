package ca

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/federation"
	"cadastre/internal/envelopetest"
	"cadastre/internal/fault"
	"cadastre/internal/setup"
	"cadastre/internal/updown"
)

// TestHungPeersDelayNothing: while a parent and a publication server take messages and never answer, another parent is asked
// and certifies, growth there is followed, and ROAs are published.
func TestHungPeersDelayNothing(t *testing.T) {
	federate(t, func(t *testing.T, f *federated) {
		_, identity, err := envelopetest.NewIdentity(time.Now())
		must(t, err)
		parent := f.hung()
		must(t, f.below.engine.Federation.AddParent(f.below.by(), "isp", "a-hung", (&setup.ParentResponse{
			ServiceURI: "https://" + hungHost + "/", ChildHandle: "isp", ParentHandle: "hung", TrustAnchor: identity,
		}).XML()))
		<-parent.came
		server := f.hung()
		must(t, f.below.engine.Federation.ConfigureRemote(f.below.by(), "isp", (&setup.RepositoryResponse{
			ServiceURI: "https://" + hungHost + "/", PublisherHandle: "isp", SIABase: "rsync://" + hungHost + "/isp/", TrustAnchor: identity,
		}).XML()))
		<-server.came

		f.introduce("other")
		f.until("the other parent certifies", func() bool { return holdingOf(f.below, "other").String() == "41.0.0.0/16" })
		f.below.intend("41.0.1.0/24,AS37000")
		f.below.intend("102.0.1.0/24,AS37001") // of the organisation whose peers hang
		must(t, f.below.engine.WaitIdle(t.Context()))
		if !f.prints("41.0.1.0/24,24,AS37000") || !f.prints("102.0.1.0/24,24,AS37001") {
			t.Error("ROAs were not issued")
		}
		f.below.waitsOn(Server, "server isp")
		f.above.give("isp", "41.1.0.0/16")
		must(t, f.below.engine.Federation.RefreshParents(t.Context(), "other", "above"))
		if got := holdingOf(f.below, "other").String(); got != "41.0.0.0/15" {
			t.Errorf("after growth at the other parent it holds %s", got)
		}
		if err := f.below.engine.Federation.WaitSent(t.Context()); fault.KindOf(err) != fault.Unreachable || !strings.Contains(err.Error(), "of isp elsewhere did not answer within 30s") {
			t.Errorf("who waits for what is unsent at the server that hangs is told: %v", err)
		}
		if !parent.still() || !server.still() {
			t.Error("all of that had to wait until a call on a peer that hangs was given up")
		}
	})
}

// TestAskedWhileAsked: what is decided while a parent is being asked is not forgotten until the next time that it would be
// asked anyway.
func TestAskedWhileAsked(t *testing.T) {
	federate(t, func(t *testing.T, f *federated) {
		f.introduce("other")
		f.until("the parent certifies", func() bool { return holdingOf(f.below, "other").String() == "41.0.0.0/16" })
		asked, answer := make(chan struct{}, 1), make(chan *updown.ListResponse)
		f.answers(func(string, updown.Body) updown.Body {
			asked <- struct{}{}
			return <-answer
		})
		f.below.engine.Federation.AskSoon()
		<-asked
		f.answers(nil)
		f.below.engine.Federation.AskSoon()
		synctest.Wait()
		f.above.give("isp", "41.1.0.0/16")
		answer <- &updown.ListResponse{}
		time.Sleep(federation.AskEvery / 2)
		if got := holdingOf(f.below, "other").String(); got != "41.0.0.0/15" {
			t.Errorf("it holds %s", got)
		}
	})
}

// TestParentThatTakesItsTime: while a parent has not certified a key it is in the list of waits, and not after that.
func TestParentThatTakesItsTime(t *testing.T) {
	federate(t, func(t *testing.T, f *federated) {
		var asked, ready atomic.Bool
		f.answers(func(_ string, body updown.Body) updown.Body {
			if _, is := body.(*updown.Issue); !is || ready.Load() {
				return nil
			}
			asked.Store(true)
			return &updown.Error{Status: updown.StatusScheduled}
		})
		f.introduce("other")
		f.until("the parent is asked", asked.Load)
		f.below.waitsOn(Elsewhere, "parent other")
		ready.Store(true)
		f.until("the parent certifies", func() bool { return holdingOf(f.below, "other").String() == "41.0.0.0/16" })
		must(t, f.below.engine.WaitIdle(t.Context()))
		f.below.waitsOn(Elsewhere)
	})
}
