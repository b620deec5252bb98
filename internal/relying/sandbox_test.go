package relying_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/relying"
	"cadastre/internal/relying/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	m.Run()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// apart are the options of a world as a daemon has them.
func apart(w *relying.World) relying.Options {
	o := w.Options()
	o.Limits, o.Fresh, o.Only = relying.ForDaemon(), true, true
	return o
}

// TestSandbox: what a process of its own says is what one in this process would.
func TestSandbox(t *testing.T) {
	w := relying.NewWorld(t)
	o := apart(w)
	r, err := sandbox.Verify(t.Context(), o)
	must(t, err)
	own, err := relying.Verify(t.Context(), o)
	must(t, err)
	if len(r.VRPs) != 1 || !slices.Equal(r.VRPs, own.VRPs) || len(r.Authorities) != len(own.Authorities) || r.Objects != own.Objects ||
		!r.Earliest.Equal(own.Earliest) || len(r.Findings) != len(own.Findings) || r.TrustAnchor != own.TrustAnchor {
		t.Errorf("%+v\nis not\n%+v", r, own)
	}
	for i, a := range r.Authorities {
		b := own.Authorities[i]
		if a.CertificateURI != b.CertificateURI || a.SKI != b.SKI || !a.Resources.Equal(b.Resources) || !slices.Equal(a.VRPs, b.VRPs) || !slices.Equal(a.Subordinates, b.Subordinates) {
			t.Errorf("the authority %+v is not %+v", a, b)
		}
	}
	ours, err := own.CCR().Encode()
	must(t, err)
	if differences, err := relying.CompareCCR(r, ours); err != nil || len(differences) > 0 {
		t.Errorf("their CCRs differ: %v, %v", differences, err)
	}
}

// TestSandboxErrors: an error keeps its kind.
func TestSandboxErrors(t *testing.T) {
	w := relying.NewWorld(t)
	o := apart(w)
	o.TAL = filepath.Join(t.TempDir(), "none")
	if _, err := sandbox.Verify(t.Context(), o); fault.KindOf(err) != fault.NotFound {
		t.Errorf("%v", err)
	}
	o = apart(w)
	o.Limits.Process.Answer = 100
	if _, err := sandbox.Verify(t.Context(), o); fault.KindOf(err) != fault.Unreachable || !strings.Contains(err.Error(), "longer than 100 octets") {
		t.Errorf("%v", err)
	}
	if _, err := sandbox.Publication(t.Context(), apart(w), []byte("no certificate")); fault.KindOf(err) != fault.Unreachable {
		t.Errorf("%v", err)
	}
}

// TestSandboxMemory: what needs more memory than it may have ends by itself, and costs nobody else anything.
func TestSandboxMemory(t *testing.T) {
	w := relying.NewWorld(t)
	o := apart(w)
	_, err := sandbox.Verify(t.Context(), o)
	must(t, err)
	w.DeltaBomb(40, 4_000_000)
	o.Limits.Held, o.Limits.Process.Memory = 1<<40, 96<<20 // as if nothing else bounded it
	if _, err := sandbox.Verify(t.Context(), o); fault.KindOf(err) != fault.Unreachable || !strings.Contains(err.Error(), "ended") {
		t.Errorf("%v", err)
	}
	o.Limits = relying.ForDaemon()
	r, err := sandbox.Verify(t.Context(), o)
	must(t, err)
	if len(r.VRPs) != 1 || r.Repositories[0].How != relying.HowSnapshot {
		t.Errorf("a delta that is too large is not replaced by the snapshot: %+v", r.Repositories)
	}
}

// TestSandboxTime: a process that does not come to an end is ended.
func TestSandboxTime(t *testing.T) {
	w := relying.NewWorld(t)
	w.Override(func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	})
	o := apart(w)
	o.Limits.Run.Time, o.Limits.Process.Grace = time.Second, time.Second
	if _, err := sandbox.Verify(t.Context(), o); fault.KindOf(err) != fault.Unreachable || !strings.Contains(err.Error(), "took longer than 2s") {
		t.Errorf("%v", err)
	}
}

// probe is a program in the place of rsync that writes into a folder what it finds about itself, and goes on for ever.
const probe = `#!/bin/sh
D=%s
env > $D/environment
tr '\0' '\n' < /proc/$PPID/environ > $D/reader
cat /proc/$PPID/limits > $D/limits
cat /proc/$PPID/stat > $D/stat
echo $$ > $D/pid.new && mv $D/pid.new $D/pid
exec sleep 1000
`

// TestSandboxConfined: neither the process nor the rsync that it starts has anything in its environment, the process is bounded,
// and both end with who asked.
func TestSandboxConfined(t *testing.T) {
	t.Setenv("CADASTRE_PASSPHRASE", "a secret")
	w := relying.NewWorld(t)
	dir := t.TempDir()
	o := apart(w)
	o.NoRsync, o.RsyncOnly = false, true
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))                                             // where the daemon finds rsync
	must(t, os.WriteFile(filepath.Join(dir, "rsync"), fmt.Appendf(nil, probe, dir), 0o755)) //nolint:gosec // a program
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := sandbox.Verify(ctx, o)
		ended <- err
	}()
	file := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		return strings.TrimSpace(string(text))
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "pid")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("rsync was not started")
		}
	}
	if text := file("reader"); text != "" {
		t.Errorf("the process has %q in its environment", text)
	}
	if strings.Contains(file("environment"), "CADASTRE") {
		t.Error("rsync has our environment")
	}
	for line := range strings.Lines(file("limits")) {
		for name, want := range map[string]int64{
			"Max data size": o.Limits.Process.Memory, "Max cpu time": int64(o.Limits.Process.CPU.Seconds()), "Max core file size": 0,
			"Max file size": o.Limits.Process.FileSize, "Max open files": int64(o.Limits.Process.Files),
		} {
			if rest, ok := strings.CutPrefix(line, name); ok && strings.Fields(rest)[1] != strconv.FormatInt(want, 10) {
				t.Errorf("%s is not %d", strings.TrimSpace(line), want)
			}
		}
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("who asked has gone, and there is an answer")
	}
	pid, err := strconv.Atoi(file("pid"))
	must(t, err)
	for deadline := time.Now().Add(time.Minute); syscall.Kill(pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && strings.Contains(string(stat), ") Z ") {
			break // dead, and nobody has asked how it ended yet
		}
		if time.Now().After(deadline) {
			t.Fatal("what the process started goes on")
		}
	}
}

// BenchmarkSandbox is what a process of its own costs: a look at a repository that is cached and has not changed.
func BenchmarkSandbox(b *testing.B) {
	for name, verify := range map[string]func(context.Context, relying.Options) (*relying.Report, error){"apart": sandbox.Verify, "within": relying.Verify} {
		b.Run(name, func(b *testing.B) {
			w := relying.NewWorld(b)
			o := apart(w)
			for b.Loop() {
				_, err := verify(b.Context(), o)
				must(b, err)
			}
		})
	}
}
