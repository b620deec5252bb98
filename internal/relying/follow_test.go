package relying

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"cadastre/internal/fault"
)

// following runs Follow in the background and gives its steps one by one.
func following(t *testing.T, o Options) func() Step {
	steps := make(chan Step)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Follow(ctx, o, 5*time.Millisecond, func(s Step) {
			select {
			case steps <- s:
			case <-ctx.Done():
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Follow ended with %v", err)
		}
	})
	return func() Step {
		t.Helper()
		select {
		case s := <-steps:
			return s
		case <-time.After(3 * time.Minute):
			t.Fatal("no step comes")
			return Step{}
		}
	}
}

// text is a step in a line.
func (s Step) text() string {
	return fmt.Sprintf("%d: %d VRPs, gained %v, lost %v, jump %q", s.Serial, s.VRPs, s.Gained, s.Lost, s.Jump)
}

func (s Step) expect(t *testing.T, want string) {
	t.Helper()
	if s.text() != want {
		t.Errorf("step %s\ninstead of %s", s.text(), want)
	}
}

// TestFollow publishes several serials at once and expects a step for each.
func TestFollow(t *testing.T) {
	w := newWorld(t)
	next := following(t, w.options())
	next().expect(t, `0: 1 VRPs, gained [10.0.0.0/16,16,AS64500], lost [], jump "this is the first step"`)
	var quiet []byte
	w.change(func() {
		quiet = w.files["/notification.xml"]
		w.override = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/notification.xml" {
				_, _ = rw.Write(quiet) // nothing new is announced until all three serials are there
			}
			return r.URL.Path == "/notification.xml"
		}
	})
	for _, prefixes := range [][]string{{"10.0.0.0/16", "10.1.0.0/16"}, {"10.1.0.0/16"}, {"10.1.0.0/16", "10.2.0.0/16"}} {
		w.roas(prefixes...)
		w.publish()
	}
	w.change(func() { w.override = nil })
	next().expect(t, `2: 2 VRPs, gained [10.1.0.0/16,16,AS64500], lost [], jump ""`)
	next().expect(t, `3: 1 VRPs, gained [], lost [10.0.0.0/16,16,AS64500], jump ""`)
	s := next()
	s.expect(t, `4: 2 VRPs, gained [10.2.0.0/16,16,AS64500], lost [], jump ""`)
	if s.Repository != w.notify() || s.Session != session1 || s.Report.Errors() != 0 || s.Report.Repositories[0].Serial != 4 {
		t.Errorf("the step says %+v", s)
	}
	w.change(func() { w.session, w.serial, w.deltas = session2, 8, nil })
	w.roas("10.3.0.0/16")
	w.publish()
	s = next()
	if s.Serial != 9 || s.Session != session2 || !strings.Contains(s.Jump, "the session changed") || len(s.Lost) != 2 {
		t.Errorf("a new session gives %s", s.text())
	}
}

// TestFollowSeesHarm publishes one serial without a ROA that its manifest lists: what that does to VRPs shows at that serial alone.
func TestFollowSeesHarm(t *testing.T) {
	w := newWorld(t)
	next := following(t, w.options())
	next()
	w.objects = map[string][]byte{}
	for uri, object := range w.published {
		if !strings.HasSuffix(uri, ".roa") {
			w.objects[uri] = object
		}
	}
	w.publish()
	s := next()
	if s.Serial != 2 || s.VRPs != 0 || len(s.Lost) != 1 || s.Report.Errors() == 0 {
		t.Errorf("a ROA that the manifest lists is gone, and the step is %s with %v", s.text(), s.Findings)
	}
	w.roas("10.0.0.0/16")
	w.publish()
	if s := next(); s.Serial != 3 || s.VRPs != 1 || s.Report.Errors() != 0 {
		t.Errorf("all is good again, and the step is %s with %v", s.text(), s.Findings)
	}
}

// TestFollowGoesOn: a server that fails for a while is a finding, a broken delta is a jump, and neither is an end.
func TestFollowGoesOn(t *testing.T) {
	w := newWorld(t)
	next := following(t, w.options())
	next()
	w.change(func() {
		w.override = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/notification.xml" {
				http.Error(rw, "down", http.StatusServiceUnavailable)
			}
			return r.URL.Path == "/notification.xml"
		}
	})
	if s := next(); s.Report != nil || s.VRPs != 1 || len(s.Findings) != 1 || !strings.Contains(s.Findings[0].Text, "503") {
		t.Errorf("while the server is down the step is %s with %v", s.text(), s.Findings)
	}
	w.roas("10.1.0.0/16")
	w.publish()
	w.change(func() {
		w.override = nil
		delete(w.files, "/"+session1+"/2/delta.xml")
	})
	for {
		s := next()
		if s.Report == nil {
			continue // from before it was up again
		}
		if s.Serial != 2 || !strings.Contains(s.Jump, "404") || len(s.Gained) != 1 {
			t.Errorf("a delta is missing, and the step is %s", s.text())
		}
		break
	}
	w.change(func() { w.files["/ta.cer"] = w.certify(w.ta, w.ta, "10.0.0.0/9, AS64500") })
	if s := next(); !strings.Contains(s.Jump, "new certificate") {
		t.Errorf("the trust anchor changed, and the step is %s", s.text())
	}
}

func TestFollowRefuses(t *testing.T) {
	w := newWorld(t)
	for _, change := range []func(*Options){func(o *Options) { o.Offline = true }, func(o *Options) { o.RsyncOnly, o.NoRsync = true, false }} {
		o := w.options()
		change(&o)
		if err := Follow(t.Context(), o, time.Hour, nil); fault.KindOf(err) != fault.BadInput {
			t.Error(err)
		}
	}
	o := w.options()
	w.change(func() { delete(w.files, "/ta.cer") })
	if err := Follow(t.Context(), o, time.Hour, nil); fault.KindOf(err) != fault.Unreachable || errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
