package ca

import (
	"context"
	"testing"
	"time"

	"cadastre/ca/issued"
	"cadastre/federation"
	"cadastre/internal/updown"
)

// TestSilence: a delegated CA that publishes nothing valid is warned about, and has its certificates revoked when the time is
// over; not while it could not be seen, and not when it was seen in between.
func TestSilence(t *testing.T) {
	inTestRegistry(t, tenants, func(h *testRegistry) {
		h.give("afrinic", "41.0.0.0/8")
		h.give("isp", "41.0.0.0/16")
		h.settle()
		d := newDelegated(h, "isp")
		atWork(h, func() {
			d.ask(&updown.Issue{Class: federation.TreeClass, Request: d.request(place)})
			above := h.engine.issued.Authority(issued.Parse("afrinic")).CertificateURI
			own := d.list().Certificates[0].URLs[0]
			start := time.Now()
			look := func(after time.Duration, certificates int, seen ...string) {
				t.Helper()
				all := map[string]bool{}
				for _, uri := range seen {
					all[uri] = true
				}
				must(t, h.engine.Federation.JudgeChildren(all, start.Add(after)))
				must(t, h.engine.WaitIdle(context.Background()))
				if got := len(d.list().Certificates); got != certificates {
					t.Errorf("%s after, having seen %v, it has %d certificates, not %d", after, seen, got, certificates)
				}
			}
			look(31*day, 1, above)
			look(100*day, 1)
			look(40*day, 1, above, own)
			look(100*day, 1, above)
			if some := h.engine.Federation.OnlyDelegated(map[string]bool{above: true, own: true}); len(some) != 1 || !some[own] {
				t.Errorf("of a look that was cut short %v counts, and only what was seen of delegated CAs may", some)
			}
			look(131*day, 0, above)
		})
	})
}
