package ca

import (
	"context"
	"testing"
	"time"

	"cadastre/ca/issued"
	"cadastre/federation"
	"cadastre/internal/updown"
)

// TestGreedyDelegatedCA: one that asks again and again, and hangs up, takes neither the serials of its registry from others nor
// room on its CRL; what its organisation gets is certified all the same.
func TestGreedyDelegatedCA(t *testing.T) {
	inTestRegistry(t, tenants, func(h *testRegistry) {
		h.give("afrinic", "41.0.0.0/8 AS37000-AS37099")
		h.give("isp", "41.0.0.0/16")
		h.give("other", "41.2.0.0/16")
		h.settle()
		d := newDelegated(h, "isp")
		atWork(h, func() {
			d.ask(&updown.Issue{Class: federation.TreeClass, Request: d.request(place)})
			for range 400 {
				text, err := (&updown.Message{Sender: "isp", Recipient: "afrinic", Body: &updown.Issue{Class: federation.TreeClass, Request: d.request(place)}}).XML()
				must(t, err)
				ctx, hangUp := context.WithTimeout(context.Background(), time.Second)
				_, err = h.engine.Federation.AnswerUpDown(ctx, "isp", text, newStamp())
				must(t, err)
				hangUp()
				time.Sleep(100 * time.Millisecond)
			}
			begun := time.Now()
			h.intend("41.2.0.0/24,AS37001")
			must(t, h.engine.WaitIdle(context.Background()))
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("another holder's change took %s to be published", took)
			}
			is, err := h.engine.issued.Read(issued.Parse("afrinic"))
			must(t, err)
			if n := len(is.Revoked); n > 3*federation.ChildBurst {
				t.Errorf("the CRL lists %d certificates", n)
			}
			d.refused(&updown.Issue{Class: federation.TreeClass, Request: d.request(place)}, updown.StatusScheduled)
			h.give("isp", "41.3.0.0/16")
			must(t, h.engine.WaitIdle(context.Background()))
			if _, ok := d.ask(&updown.Issue{Class: federation.TreeClass, Request: d.request(place)}).(*updown.IssueResponse); !ok {
				t.Error("what its organisation got it can't have certified")
			}
		})
	})
}
