package ca

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/federation"
	"cadastre/internal/envelope"
	"cadastre/internal/envelopetest"
	"cadastre/internal/setup"
	"cadastre/internal/updown"
)

// authorised has an organisation of the second test registry be certified by the first, with a ROA on that.
func (f *federated) authorised() {
	f.below.Helper()
	f.introduce("other")
	f.until("the parent certifies", func() bool { return holdingOf(f.below, "other").String() == "41.0.0.0/16" })
	f.below.intend("41.0.1.0/24,AS37000")
	f.until("the ROA is issued", func() bool { return f.prints("41.0.1.0/24,24,AS37000") })
}

// TestRefusalsKeepProducts: that a parent refuses to issue takes nothing away.
func TestRefusalsKeepProducts(t *testing.T) {
	for _, status := range []int{updown.StatusIssueNoClass, updown.StatusIssueNoResources, updown.StatusIssueKeyUsed} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			federate(t, func(t *testing.T, f *federated) {
				f.authorised()
				refused := 0
				f.answers(func(_ string, body updown.Body) updown.Body {
					if _, ok := body.(*updown.Issue); ok {
						refused++
						return &updown.Error{Status: status}
					}
					return nil
				})
				f.above.give("isp", "41.1.0.0/16") // which the one below asks for
				for range 3 {
					time.Sleep(day)
					if !f.prints("41.0.1.0/24,24,AS37000") {
						t.Fatal("the ROA is gone")
					}
				}
				if list, err := f.below.engine.Parents("other"); err != nil || list[0].Error == "" || refused < 2 {
					t.Errorf("it was refused %d times; %+v, %v", refused, list, err)
				}
				f.answers(nil)
				f.until("it has what it was refused", func() bool { return holdingOf(f.below, "other").String() == "41.0.0.0/15" })
			})
		})
	}
}

// TestVanishedClass: a class that a parent does not name any more keeps its products as long as the certificate is
// published, and loses them when it is not: after minutes where that can be seen, and after a week where it cannot.
func TestVanishedClass(t *testing.T) {
	t.Parallel()
	nothing := func(_ string, body updown.Body) updown.Body {
		switch body.(type) {
		case *updown.List:
			return &updown.ListResponse{}
		case *updown.Revoke:
			return &updown.Error{Status: updown.StatusRevokeNoClass}
		}
		return &updown.Error{Status: updown.StatusIssueNoClass}
	}
	t.Run("seen", func(t *testing.T) {
		federate(t, func(t *testing.T, f *federated) {
			f.authorised()
			f.answers(nothing)
			time.Sleep(3 * day)
			if !f.prints("41.0.1.0/24,24,AS37000") {
				t.Error("the ROA went while its CA's certificate was published")
			}
			must(t, f.above.engine.Federation.RemoveChild(f.above.by(), "isp")) // its certificate is withdrawn
			f.until("what rested on the certificate is withdrawn", func() bool { return !f.prints("41.0.1.0/24,24,AS37000") })
			f.until("the key is not known any more", func() bool { return !f.below.engine.Federation.GivesUp([]string{"other"}) })
		})
	})
	t.Run("named again", func(t *testing.T) {
		federate(t, func(t *testing.T, f *federated) {
			f.authorised()
			f.answers(nothing)
			time.Sleep(day)
			f.answers(nil)
			time.Sleep(day)
			if list, err := f.below.engine.Parents("other"); err != nil || list[0].Error != "" || !f.prints("41.0.1.0/24,24,AS37000") {
				t.Errorf("it stands so: %+v, %v", list, err)
			}
		})
	})
	t.Run("not seen", func(t *testing.T) {
		federate(t, func(t *testing.T, f *federated) {
			f.authorised()
			f.answers(nothing)
			f.below.engine.Federation.LookAt = unseen
			must(t, f.above.engine.Federation.RemoveChild(f.above.by(), "isp"))
			time.Sleep(federation.LostForGood - time.Hour)
			if !f.prints("41.0.1.0/24,24,AS37000") {
				t.Error("the ROA went although nobody saw that its CA's certificate was gone")
			}
			time.Sleep(2 * time.Hour)
			if f.prints("41.0.1.0/24,24,AS37000") {
				t.Error("the ROA is there after more than a week")
			}
		})
	})
	t.Run("removed on both sides", func(t *testing.T) {
		federate(t, func(t *testing.T, f *federated) {
			f.authorised()
			must(t, f.above.engine.Federation.RemoveChild(f.above.by(), "isp")) // from now on it answers this child no more
			must(t, f.below.engine.Federation.RemoveParent(f.below.by(), "other", "above"))
			f.until("the parent is forgotten", func() bool { return len(f.below.engine.peers.Parents()) == 0 })
		})
	})
}

// TestOneRequestAtATime: while a child's request is worked on, another one gets 1101, by the doors as the daemon opens them.
func TestOneRequestAtATime(t *testing.T) {
	inTestRegistry(t, tenants, func(h *testRegistry) {
		h.give("afrinic", "41.0.0.0/8")
		h.give("isp", "41.0.0.0/16")
		h.settle()
		key, certificate, err := envelopetest.NewIdentity(time.Now())
		must(t, err)
		self, err := envelope.NewSigner(key, certificate)
		must(t, err)
		_, err = h.engine.Federation.AddChild(h.by(), "isp", (&setup.ChildRequest{ChildHandle: "isp", TrustAnchor: certificate}).XML())
		must(t, err)
		doors, err := h.engine.Federation.Doors(nil, nil)
		must(t, err)
		ours, err := h.engine.Federation.Introduction()
		must(t, err)
		trust, err := envelope.ParseTrust(ours)
		must(t, err)
		send := func(body updown.Body) updown.Body {
			text, err := (&updown.Message{Sender: "isp", Recipient: "afrinic", Body: body}).XML()
			must(t, err)
			message, err := self.Sign(text, time.Now())
			must(t, err)
			w := httptest.NewRecorder()
			doors.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/rfc6492/isp", bytes.NewReader(message)))
			if w.Code != http.StatusOK {
				t.Fatalf("%d: %s", w.Code, w.Body)
			}
			opened, err := trust.Open(w.Body.Bytes(), time.Now())
			must(t, err)
			m, err := updown.Parse(opened.Content)
			must(t, err)
			return m.Body
		}
		status := func(body updown.Body) int {
			if wrong, ok := body.(*updown.Error); ok {
				return wrong.Status
			}
			return 0
		}
		d := newDelegatedKey(h, "isp")
		first := make(chan updown.Body)
		go func() { first <- send(&updown.Issue{Class: federation.TreeClass, Request: d.request(place)}) }()
		synctest.Wait() // nobody works on it, so that it waits until its patience ends
		if got := status(send(&updown.List{})); got != updown.StatusAlreadyProcessing {
			t.Errorf("the second request is answered with status %d", got)
		}
		if got := status(<-first); got != updown.StatusScheduled {
			t.Errorf("the first request is answered with status %d", got)
		}
		if body, ok := send(&updown.List{}).(*updown.ListResponse); !ok {
			t.Errorf("when the first is answered, the next gets %+v", body)
		}
	})
}
