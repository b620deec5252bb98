package ca

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"cadastre/federation"
	"cadastre/internal/updown"
)

// TestDelegatedPlaces: a delegated CA cannot have it certified that it publishes in our own module, or at a URI with a user in it.
func TestDelegatedPlaces(t *testing.T) {
	inTestRegistry(t, tenants, func(h *testRegistry) {
		h.give("afrinic", "41.0.0.0/8")
		h.give("isp", "41.0.0.0/16")
		h.settle()
		d := newDelegated(h, "isp")
		ours := h.policy.RsyncBase
		host := strings.TrimSuffix(strings.TrimPrefix(ours, "rsync://"), "/")
		atWork(h, func() {
			for _, place := range []string{
				ours + "afrinic/0123456789abcdef/", ours + "anything/", "rsync://" + strings.ToUpper(host) + "/afrinic/x/",
				"rsync://u:p@elsewhere.example/isp/", "rsync://u@" + host + "/afrinic/x/",
			} {
				d.refused(&updown.Issue{Class: federation.TreeClass, Request: d.request(place)}, updown.StatusIssueBadRequest)
			}
			if _, ok := d.ask(&updown.Issue{Class: federation.TreeClass, Request: d.request(place)}).(*updown.IssueResponse); !ok {
				t.Error("its own place was refused")
			}
		})
	})
}

// TestReissueWithinASecond: two requests one after the other are answered with two certificates, of which the second says what
// the second request says.
func TestReissueWithinASecond(t *testing.T) {
	inTestRegistry(t, tenants, func(h *testRegistry) {
		h.give("afrinic", "41.0.0.0/8")
		h.give("isp", "41.0.0.0/16")
		h.settle()
		d := newDelegated(h, "isp")
		atWork(h, func() {
			must(t, h.engine.WaitIdle(context.Background()))
			var last []byte
			for _, limit := range []string{"41.0.0.0/16", "41.0.1.0/24", "41.0.2.0/24"} {
				v4 := resources(t, limit)
				issued, ok := d.ask(&updown.Issue{Class: federation.TreeClass, Limit: updown.Limit{IPv4: &v4}, Request: d.request(place)}).(*updown.IssueResponse)
				if !ok || d.certified(&issued.Class) != limit || bytes.Equal(issued.Class.Certificates[0].Certificate, last) {
					t.Fatalf("asked for %s it was issued %+v", limit, issued)
				}
				last = issued.Class.Certificates[0].Certificate
			}
		})
	})
}
