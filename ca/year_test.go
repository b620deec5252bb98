package ca

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/internal/slowtest"
)

// years is how a run of TestAYear is: how many holders, each with a ROA, for how long, and under which policy.
type years struct {
	holders int
	days    int
	policy  func(*Policy)
}

// TestAYear lets an engine run for more than a year of virtual time, stopped and started anew now and then. At each hour the
// first thing in the whole tree to end is hours ahead; each week a validator finds all VRPs and nothing to remark; manifest
// numbers only grow. With CADASTRE_SLOW=1 it is a thousand holders, with 0.3 three hundred.
func TestAYear(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	longer := func(p *Policy) { // ten times fewer manifests: what is tested is certificates and ROAs
		p.ManifestLife, p.ManifestSlack, p.Jitter, p.Grid = 12*day, 2*day, 2*day, time.Hour
	}
	runs := map[string]years{"as it is": {20, 40, nil}, "400 days": {30, 400, longer}}
	if share, slow := slowtest.Share(t); slow {
		holders := int(1000 * share)
		runs = map[string]years{"as it is, many": {holders, 40, nil}, "400 days of many": {holders, 400, longer}}
	}
	for name, y := range runs {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			synctest.Test(t, func(t *testing.T) { y.pass(t) })
			t.Logf("%d days of %d holders took %s", y.days, y.holders, time.Since(start).Round(time.Millisecond))
		})
	}
}

func (y years) pass(t *testing.T) {
	policy := testPolicy()
	if y.policy != nil {
		y.policy(&policy)
	}
	h := newTestRegistryWith(t, t.TempDir(), registries, policy)
	defer func() { h.close() }()
	half := y.holders / 2
	h.imports(extended(h, "afrinic", 1, many("41", half)), extended(h, "lacnic", 1, many("200", half/2)+strings.ReplaceAll(many("177", half-half/2), "ZA|", "BR|")))
	var csv strings.Builder
	for line := range strings.Lines(many("41", half) + many("200", half/2) + many("177", half-half/2)) {
		fmt.Fprintf(&csv, "%s/24,AS37000\n", strings.Split(line, "|")[2])
	}
	h.intend(csv.String())
	must(t, h.engine.Settle(context.Background()))
	h.complete()
	h.reader.Pause(true)
	stop := h.run()
	ahead := policy.ManifestSlack - policy.Grid - time.Hour
	end := time.Now().Add(time.Duration(y.days) * day)
	for hour := 0; time.Now().Before(end) && !t.Failed(); hour++ {
		time.Sleep(time.Hour)
		synctest.Wait()
		if first, holder, _ := h.engine.FirstExpiry(); time.Until(first) < ahead {
			t.Errorf("on day %d something of %s ends in %s, and %s should always be left", hour/24, holder, time.Until(first), ahead)
		}
		if hour%(24*7) == 0 {
			h.reader.Pause(false)
			h.reader.Read(fmt.Sprintf("day %d", hour/24))
			h.complete()
			h.reader.Pause(true)
		}
		if hour%(24*29) == 24*17 { // stopped, and started an hour later
			stop()
			h.seal()
			time.Sleep(time.Hour)
			h.open(anchorSecret)
			stop = h.run()
		}
	}
	stop()
	must(t, h.engine.Settle(context.Background()))
	h.reader.Pause(false)
	h.reader.Read("the end")
	h.complete()
	if n := h.reader.Refusals(); n > 0 {
		t.Errorf("something was refused\n%s", h.log)
	}
}
