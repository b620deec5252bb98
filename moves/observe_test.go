package moves

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/holdings"
	"cadastre/internal/due"
	"cadastre/internal/inr"
	"cadastre/internal/relying"
	"cadastre/internal/validate"
)

// TestCutShort: of a look that did not read all that is there, nothing is concluded from what it has not seen; what it has seen,
// it has.
func TestCutShort(t *testing.T) {
	block, err := inr.Parse("41.0.0.0/16")
	if err != nil {
		t.Fatal(err)
	}
	leg := holdings.Leg{To: "south/x", Resources: block}
	const uri, notify = "rsync://h.example/m/x.cer", "https://h.example/n.xml"
	for _, cut := range []string{"", "its time was over"} {
		r := &relying.Report{Cut: cut}
		if l := notShown(r, []string{uri}, "x", leg, nil); (l.For != needValid || l.Resources.String() != "41.0.0.0/16") || l.unsure != (cut != "") {
			t.Errorf("cut by %q: %+v", cut, l)
		}
		r.Authorities = []validate.AuthorityResult{{CertificateURI: uri, Notify: notify, Resources: block}}
		r.Repositories = []relying.Repository{{URI: notify, How: relying.HowSnapshot}}
		if l := notShown(r, []string{uri}, "x", leg, nil); l.For != "" {
			t.Errorf("cut by %q: %+v", cut, l)
		}
	}
}

// TestLooksAgain: what a step needs is looked at at once, although the look before it took long. A peer for which steps never end,
// and whose repository takes as long as it may, has it look for a third of the time at most.
func TestLooksAgain(t *testing.T) {
	const takes, never = 40500 * time.Millisecond, time.Duration(-1) // between two of the steps below
	looks := func(m *Mover, seconds int, since func() time.Time) time.Duration {
		began, first := time.Now(), never
		for range seconds {
			if report, _ := m.see(t.Context(), "south", "", "", since()); report != nil && first == never {
				first = time.Since(began)
			}
			time.Sleep(time.Second)
		}
		m.Rest()
		return first
	}
	for name, c := range map[string]struct {
		since func(began time.Time) time.Time
		hours int
		most  int
		first time.Duration
	}{
		"a step before":   {func(began time.Time) time.Time { return began.Add(-time.Hour) }, 1, 3600 / (lookShare * 40), 0},
		"a step now":      {func(began time.Time) time.Time { return began }, 1, 3600/(lookShare*40) + 1, 41 * time.Second},
		"steps all along": {func(time.Time) time.Time { return time.Now() }, 10, 36000 / 3 / 40, never},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				looked := 0
				m := &Mover{wake: due.NewSignal()}
				m.Look = func(context.Context, string, string, ...string) (*relying.Report, error) {
					looked++
					at := time.Now()
					time.Sleep(takes)
					return &relying.Report{At: at}, nil
				}
				looks(m, 1, time.Now) // the look before
				time.Sleep(time.Second)
				looked = 0
				began := time.Now()
				first := looks(m, 3600*c.hours, func() time.Time { return c.since(began) })
				if looked == 0 || looked > c.most || first != c.first {
					t.Errorf("it looked %d times, at most %d are right; what is asked for was there after %s, %s is right", looked, c.most, first, c.first)
				}
			})
		})
	}
}

// TestLookThatFails: of a look that failed the reason is told, although there is an older report.
func TestLookThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wrong error
		m := &Mover{wake: due.NewSignal()}
		m.Look = func(context.Context, string, string, ...string) (*relying.Report, error) {
			return &relying.Report{At: time.Now()}, wrong
		}
		_, _ = m.see(t.Context(), "south", "", "", time.Now())
		m.Rest()
		time.Sleep(time.Minute)
		wrong = errors.New("no route to host")
		step := time.Now()
		_, _ = m.see(t.Context(), "south", "", "", step)
		m.Rest()
		if report, err := m.see(t.Context(), "south", "", "", step); report != nil || !errors.Is(err, wrong) {
			t.Errorf("it says %v, %v", report, err)
		}
	})
}
