package relying

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/relying/ccr"
	"cadastre/internal/validate"
)

func clean(t *testing.T, r *Report) {
	t.Helper()
	for _, f := range r.Findings {
		if f.Severity == validate.Error || strings.HasPrefix(f.Rule, "8182") || strings.HasPrefix(f.Rule, "9697") {
			t.Errorf("unexpected finding: %s", f)
		}
	}
}

func finds(t *testing.T, r *Report, says string) {
	t.Helper()
	for _, f := range r.Findings {
		if strings.Contains(f.String(), says) {
			return
		}
	}
	t.Errorf("no finding says %q: %v", says, r.Findings)
}

// TestLife follows one repository through an ordinary life: snapshot, nothing new, deltas, offline.
func TestLife(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	step := func(name, how, requests string, r *Report) {
		t.Helper()
		clean(t, r)
		if got := w.requests(); r.Repositories[0].How != how || got != requests {
			t.Errorf("%s: %s, with the requests %q instead of %q", name, r.Repositories[0].How, got, requests)
		}
	}
	step("first", HowSnapshot, "N /1/snapshot", w.verify(o, "10.0.0.0/16"))
	step("again", HowUnchanged, "N 304", w.verify(o, "10.0.0.0/16"))
	w.roas("10.0.0.0/16", "10.1.0.0/16")
	w.publish()
	w.roas("10.1.0.0/16", "10.2.0.0/16")
	w.publish()
	r := w.verify(o, "10.1.0.0/16", "10.2.0.0/16")
	step("two deltas", HowDeltas, "N /2/delta /3/delta", r)
	if p := r.Repositories[0]; p.Serial != 3 || p.Session != session1 || p.Deltas != 2 || p.Objects != 7 || p.URI != w.notify() {
		t.Errorf("the report says %+v", p)
	}
	step("once more", HowUnchanged, "N 304", w.verify(o, "10.1.0.0/16", "10.2.0.0/16"))
	o.Offline = true
	step("offline", HowCache, "", w.verify(o, "10.1.0.0/16", "10.2.0.0/16"))
}

// TestSnapshotInstead has reasons for which deltas will not do: the VRPs are right all the same.
func TestSnapshotInstead(t *testing.T) {
	for name, c := range map[string]struct {
		change   func(w *world) // after the second serial was published, the first is cached
		requests string
		says     string
	}{
		"session": {func(w *world) {
			w.session, w.serial, w.deltas = session2, 6, nil
			w.publish()
		}, "N /7/snapshot", "the session changed"},
		"gap": {func(w *world) {
			w.publishTimes(2)
			w.announceAgain(w.deltas[0], w.deltas[2])
		}, "N /4/snapshot", "no unbroken chain"},
		"old deltas gone": {func(w *world) {
			w.publishTimes(2)
			w.announceAgain(w.deltas[0])
		}, "N /4/snapshot", "no unbroken chain"},
		"bad delta hash": {func(w *world) {
			w.change(func() { w.files["/"+session1+"/2/delta.xml"] = []byte(w.root("delta", "")) })
		}, "N /2/delta /2/snapshot", "changes nothing"},
		"other delta": {func(w *world) {
			w.change(func() {
				path := "/" + session1 + "/2/delta.xml"
				w.files[path] = append(w.files[path], '\n')
			})
		}, "N /2/delta /2/snapshot", "as announced"},
		"no delta": {func(w *world) {
			w.change(func() { delete(w.files, "/"+session1+"/2/delta.xml") })
		}, "N /2/delta 404 /2/snapshot", "404"},
		"delta of another serial": {func(w *world) {
			w.change(func() {
				w.serial = 3
				attrs := w.file("delta", fmt.Sprintf("<withdraw uri=%q hash=\"%x\"/>", w.base+"ca/ca.crl", sha256.Sum256(nil)))
				w.serial = 2
				w.deltas[0] = fmt.Sprintf("<delta serial=\"2\" %s/>", attrs)
			})
			w.announceAgain(w.deltas[0])
		}, "N /3/delta /2/snapshot", "and serial 3, not of"},
		"delta that does not fit": {func(w *world) {
			w.change(func() {
				w.deltas[0] = fmt.Sprintf("<delta serial=\"2\" %s/>", w.file("delta", fmt.Sprintf("<withdraw uri=%q hash=\"%x\"/>", w.base+"ca/ca.crl", sha256.Sum256(nil))))
			})
			w.announceAgain(w.deltas[0])
		}, "N /2/delta /2/snapshot", "ca/ca.crl than is there"},
		"delta that repeats": {func(w *world) {
			w.change(func() {
				w.deltas[0] = fmt.Sprintf("<delta serial=\"2\" %s/>", w.file("delta", strings.Repeat("<publish uri=\"rsync://localhost/repo/x.roa\">MAA=</publish>", 2)))
			})
			w.announceAgain(w.deltas[0])
		}, "N /2/delta /2/snapshot", "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			clean(t, w.verify(w.options(), "10.0.0.0/16"))
			w.requests()
			w.roas("10.0.0.0/16", "10.1.0.0/16")
			w.publish()
			c.change(w)
			r := w.verify(w.options(), "10.0.0.0/16", "10.1.0.0/16")
			finds(t, r, c.says)
			if got := w.requests(); got != c.requests || r.Repositories[0].How != HowSnapshot {
				t.Errorf("requests %q instead of %q, %s", got, c.requests, r.Repositories[0].How)
			}
			again := w.verify(w.options(), "10.0.0.0/16", "10.1.0.0/16")
			if again.Repositories[0].How != HowUnchanged {
				t.Errorf("it is not settled afterwards: %s", again.Repositories[0].How)
			}
		})
	}
}

// publishTimes publishes the same VRPs anew, n times.
func (w *world) publishTimes(n int) {
	for range n {
		w.roas("10.0.0.0/16", "10.1.0.0/16")
		w.publish()
	}
}

// announceAgain announces the present snapshot with other deltas.
func (w *world) announceAgain(deltas ...string) {
	w.change(func() {
		path := fmt.Sprintf("/%s/%d/snapshot.xml", w.session, w.serial)
		w.announce(fmt.Sprintf("uri=%q hash=\"%x\"", w.url(path), sha256.Sum256(w.files[path])), deltas...)
	})
}

// TestDesynchronised is RFC 9697: a delta that was announced before has another hash now.
func TestDesynchronised(t *testing.T) {
	w := newWorld(t)
	w.publishTimes(1)
	clean(t, w.verify(w.options(), "10.0.0.0/16", "10.1.0.0/16"))
	w.publishTimes(1)
	w.change(func() { w.deltas[1] = strings.Replace(w.deltas[1], `hash="`, `hash="`+strings.Repeat("0", 63), 1) })
	w.deltas[1] = fmt.Sprintf("<delta serial=\"2\" uri=%q hash=\"%064x\"/>", w.url("/x.xml"), 7)
	w.announceAgain(w.deltas...)
	r := w.verify(w.options(), "10.0.0.0/16", "10.1.0.0/16")
	finds(t, r, "the delta of serial 2 is another one than before")
	if r.Repositories[0].How != HowSnapshot {
		t.Error(r.Repositories[0].How)
	}
}

// TestSerialWentBack is a server that was restored from a backup and kept its session.
func TestSerialWentBack(t *testing.T) {
	w := newWorld(t)
	w.publishTimes(3)
	w.verify(w.options(), "10.0.0.0/16", "10.1.0.0/16")
	w.serial, w.deltas = 1, nil
	w.publishTimes(1)
	finds(t, w.verify(w.options(), "10.0.0.0/16", "10.1.0.0/16"), "the serial went back from 4 to 2")
}

// TestOldCopyStays: whatever a server does, what was good before is used, and the finding says so.
func TestOldCopyStays(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(w *world, rw http.ResponseWriter, r *http.Request) bool // of all but the trust anchor
		says  string
	}{
		"dead": {func(_ *world, rw http.ResponseWriter, _ *http.Request) bool {
			http.Error(rw, "no", http.StatusBadGateway)
			return true
		}, "502"},
		"no XML": {func(_ *world, rw http.ResponseWriter, _ *http.Request) bool {
			_, _ = fmt.Fprint(rw, "<html>")
			return true
		}, "no root element <notification>"},
		"huge": {func(_ *world, rw http.ResponseWriter, _ *http.Request) bool {
			for range 100 {
				if _, err := rw.Write(bytes.Repeat([]byte(" "), 10_000)); err != nil {
					break
				}
			}
			return true
		}, "larger than the limit"},
		"slow": {func(_ *world, rw http.ResponseWriter, r *http.Request) bool {
			_, _ = fmt.Fprint(rw, "<")
			rw.(http.Flusher).Flush()
			<-r.Context().Done()
			return true
		}, "no byte came"},
		"another origin": {func(w *world, rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/notification.xml" {
				_, _ = fmt.Fprint(rw, w.root("notification", fmt.Sprintf("<snapshot uri=\"https://example.net/s.xml\" hash=\"%064x\"/>", 1)))
				return true
			}
			return false
		}, "not its own origin"},
		"redirect elsewhere": {func(_ *world, rw http.ResponseWriter, r *http.Request) bool {
			http.Redirect(rw, r, "https://example.net/", http.StatusFound)
			return true
		}, "redirects to another origin"},
		"redirect for ever": {func(_ *world, rw http.ResponseWriter, r *http.Request) bool {
			http.Redirect(rw, r, r.URL.Path, http.StatusFound)
			return true
		}, "redirects too often"},
		"snapshot with another hash": {func(_ *world, rw http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "snapshot.xml") {
				_, _ = fmt.Fprint(rw, strings.Replace("<snapshot xmlns=\"http://www.ripe.net/rpki/rrdp\" version=\"1\" session_id=\"S\" serial=\"1\"/>", "S", session2, 1))
				return true
			}
			return false
		}, "as announced"},
		"unasked 304": {func(_ *world, rw http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "snapshot.xml") {
				rw.WriteHeader(http.StatusNotModified)
				return true
			}
			return false
		}, "304"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			o := w.options()
			o.Limits.Notice = 100_000
			clean(t, w.verify(o, "10.0.0.0/16"))
			w.session, w.serial, w.deltas = session2, 0, nil
			w.roas("10.9.0.0/16")
			w.publish()
			w.change(func() {
				w.override = func(rw http.ResponseWriter, r *http.Request) bool {
					return r.URL.Path != "/ta.cer" && c.serve(w, rw, r)
				}
			})
			patient := o.Limits.Stall
			if name == "slow" {
				o.Limits.Stall = 200 * time.Millisecond
			}
			r := w.verify(o, "10.0.0.0/16")
			o.Limits.Stall = patient
			finds(t, r, c.says)
			finds(t, r, "the objects of serial 1 in the cache are used")
			if fault.KindOf(r.Err()) != fault.Invalid || r.Repositories[0].How != HowCache {
				t.Errorf("%v, %+v", r.Err(), r.Repositories[0])
			}
			w.change(func() { w.override = nil })
			w.verify(o, "10.9.0.0/16")
		})
	}
}

func TestRedirectWithinTheOrigin(t *testing.T) {
	w := newWorld(t)
	w.change(func() {
		w.override = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/notification.xml" {
				return false
			}
			if r.URL.Query().Has("here") {
				return false
			}
			http.Redirect(rw, r, "/notification.xml?here", http.StatusFound)
			return true
		}
	})
	clean(t, w.verify(w.options(), "10.0.0.0/16"))
}

// TestDamagedCache: bits that rot, or a file that is cut or gone, cost a snapshot and no more.
func TestDamagedCache(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"bit": func(dir string) error {
			path := filepath.Join(dir, "objects-a")
			data, err := os.ReadFile(path)
			if err == nil {
				data[len(data)/2] ^= 1
				err = os.WriteFile(path, data, 0o644)
			}
			return err
		},
		"cut":        func(dir string) error { return os.Truncate(filepath.Join(dir, "objects-a"), 1000) },
		"no objects": func(dir string) error { return os.Remove(filepath.Join(dir, "objects-a")) },
		"bad state":  func(dir string) error { return os.WriteFile(filepath.Join(dir, stateFile), []byte("{"), 0o644) },
		"other state": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, stateFile), []byte(`{"notify":"x","pack":"../x"}`), 0o644)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.verify(w.options(), "10.0.0.0/16")
			must(t, damage(w.cached()))
			r := w.verify(w.options(), "10.0.0.0/16")
			finds(t, r, "it is fetched again")
			if r.Repositories[0].How != HowSnapshot || r.Err() != nil {
				t.Errorf("%s, %v", r.Repositories[0].How, r.Err())
			}
		})
	}
}

// TestTornAppend: what stands behind the recorded size is what a broken run left; it is not read, and the next delta overwrites it.
func TestTornAppend(t *testing.T) {
	w := newWorld(t)
	w.verify(w.options(), "10.0.0.0/16")
	file, err := os.OpenFile(filepath.Join(w.cached(), "objects-a"), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = file.WriteString("half a record")
	must(t, err)
	must(t, file.Close())
	w.publishTimes(1)
	for range 2 {
		r := w.verify(w.options(), "10.0.0.0/16", "10.1.0.0/16")
		clean(t, r)
		if how := r.Repositories[0].How; how == HowSnapshot {
			t.Error("the snapshot was fetched again")
		}
	}
}

func TestErrors(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		change func(*Options)
		kind   fault.Kind
	}{
		"no TAL":           {func(o *Options) { o.TAL += "x" }, fault.NotFound},
		"TAL that is none": {func(o *Options) { o.TAL = o.TLSRoots }, fault.BadInput},
		"no roots":         {func(o *Options) { o.TLSRoots += "x" }, fault.NotFound},
		"roots, not PEM":   {func(o *Options) { o.TLSRoots = o.TAL }, fault.BadInput},
		"nothing cached":   {func(o *Options) { o.Offline = true }, fault.Unreachable},
		"contradiction":    {func(o *Options) { o.RsyncOnly = true }, fault.BadInput},
		"untrusted TLS":    {func(o *Options) { o.TLSRoots = "" }, fault.Unreachable},
		"cache is a file":  {func(o *Options) { o.Cache = o.TAL }, fault.Internal},
		"no rsync":         {func(o *Options) { o.NoRsync, o.RsyncOnly, o.Rsync = false, true, "/no/such/rsync" }, fault.BadInput},
	} {
		o := w.options()
		o.Cache = t.TempDir()
		c.change(&o)
		if r, err := Verify(t.Context(), o); r != nil || fault.KindOf(err) != c.kind {
			t.Errorf("%s: %v (%v)", name, err, fault.KindOf(err))
		}
	}
	r, err := newRun(w.options())
	must(t, err)
	defer r.close()
	if _, err := Verify(t.Context(), w.options()); fault.KindOf(err) != fault.Busy {
		t.Errorf("two on one cache: %v", err)
	}
}

func TestCancelled(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := Verify(ctx, w.options()); err == nil {
		t.Errorf("a report came after the end: %v", r)
	}
}

// TestReport looks at the forms of a report.
func TestReport(t *testing.T) {
	w := newWorld(t)
	r := w.verify(w.options(), "10.0.0.0/16")
	var text, vrps bytes.Buffer
	must(t, r.WriteText(&text))
	must(t, r.WriteVRPs(&vrps))
	for _, says := range []string{"snapshot, session " + session1 + ", serial 1, 6 objects", "of 2 authorities", "1 VRPs, 0 errors", "valid until"} {
		if !strings.Contains(text.String(), says) {
			t.Errorf("the text does not say %q:\n%s", says, text.String())
		}
	}
	if vrps.String() != "10.0.0.0/16,16,AS64500\n" {
		t.Errorf("VRPs are written as %q", vrps.String())
	}
	data, err := json.Marshal(r)
	must(t, err)
	for _, says := range []string{`"vrps":[{"prefix":"10.0.0.0/16"`, `"how":"snapshot"`, `"session":"` + session1} {
		if !strings.Contains(string(data), says) {
			t.Errorf("the JSON does not say %q:\n%s", says, data)
		}
	}
	der, err := r.CCR().Encode()
	must(t, err)
	c, err := ccr.Decode(der)
	must(t, err)
	if len(c.Manifests) != 2 || len(c.ROAs) != 1 || len(c.TrustAnchors) != 1 || c.TrustAnchors[0] != ccr.KeyID(w.ta.ID) {
		t.Errorf("the CCR has %+v", c)
	}
	if d, err := CompareCCR(r, der); err != nil || len(d) > 0 {
		t.Errorf("a report differs from its own CCR: %v, %v", d, err)
	}
	w.roas("10.1.0.0/16")
	w.publish()
	if d, err := CompareCCR(w.verify(w.options(), "10.1.0.0/16"), der); err != nil || len(d) != 4 {
		t.Errorf("other manifests and ROAs differ in %v, %v", d, err)
	}
}
