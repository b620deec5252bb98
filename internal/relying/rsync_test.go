package relying

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/object"
)

// rsyncWorld is a world that an rsync daemon serves beside the RRDP server. It gives the folder of the module too.
func rsyncWorld(t *testing.T) (*world, string) {
	t.Helper()
	if _, err := exec.LookPath("rsync"); err != nil {
		t.Skip("rsync is not installed")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	must(t, listener.Close())
	module := t.TempDir()
	must(t, os.Chmod(module, 0o755))
	config := filepath.Join(t.TempDir(), "rsyncd.conf")
	must(t, os.WriteFile(config, fmt.Appendf(nil, "use chroot = no\nreverse lookup = no\n[repo]\npath = %s\nread only = yes\nuid = %d\ngid = %d\n",
		module, os.Getuid(), os.Getgid()), 0o644))
	daemon := exec.Command("rsync", "--daemon", "--no-detach", "--address=127.0.0.1", fmt.Sprint("--port=", port), "--config="+config, "--log-file=/dev/stderr")
	stderr, err := daemon.StderrPipe()
	must(t, err)
	must(t, daemon.Start())
	t.Cleanup(func() { _ = daemon.Process.Kill(); _ = daemon.Wait() })
	log := bufio.NewReader(stderr)
	if line, err := log.ReadString('\n'); err != nil || !strings.Contains(line, "starting, listening") {
		t.Fatalf("the rsync daemon does not start: %s %v", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, log) }()
	for begun := time.Now(); ; { // it says so before it listens
		connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			must(t, connection.Close())
			break
		}
		if time.Since(begun) > time.Minute {
			t.Fatal(err)
		}
	}
	w := newWorldAt(t, fmt.Sprintf("rsync://127.0.0.1:%d/repo/", port), object.P256)
	w.writeModule(module)
	return w, module
}

// writeModule writes the objects as an rsync tree. Each version has modification times of its own: rsync takes a file
// of the same size and time as the same.
func (w *world) writeModule(folder string) {
	must(w.t, os.WriteFile(filepath.Join(folder, "ta.cer"), w.files["/ta.cer"], 0o644))
	for uri, object := range w.objects {
		path := filepath.Join(folder, strings.TrimPrefix(uri, w.base))
		must(w.t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(w.t, os.WriteFile(path, object, 0o644))
		made := time.Now().Add(time.Duration(w.number)*time.Minute - time.Hour)
		must(w.t, os.Chtimes(path, made, made))
	}
}

func TestRsyncAlone(t *testing.T) {
	w, module := rsyncWorld(t)
	o := w.options()
	o.NoRsync, o.RsyncOnly = false, true
	for range 2 {
		r := w.verify(o, "10.0.0.0/16")
		clean(t, r)
		if p := r.Repositories[0]; len(r.Repositories) != 1 || p.How != HowRsync || p.URI != w.base || w.requests() != "" {
			t.Errorf("%+v, with requests over HTTPS: %q", r.Repositories, w.requests())
		}
	}
	w.roas("10.1.0.0/16")
	w.writeModule(module)
	clean(t, w.verify(o, "10.1.0.0/16"))
	o.Offline = true
	clean(t, w.verify(o, "10.1.0.0/16"))
	o.Offline = false
	must(t, os.RemoveAll(filepath.Join(module, "ca")))
	finds(t, w.verify(o, "10.1.0.0/16"), "the last that was good")
	o.Fresh = true
	r := w.verify(o)
	finds(t, r, "the manifest is missing")
}

// TestRsyncInstead: a server of which RRDP fails is read over rsync, and one of which both fail from the cache.
func TestRsyncInstead(t *testing.T) {
	w, module := rsyncWorld(t)
	o := w.options()
	o.NoRsync = false
	clean(t, w.verify(o, "10.0.0.0/16"))
	w.roas("10.1.0.0/16")
	w.writeModule(module)
	w.change(func() { delete(w.files, "/notification.xml") })
	r := w.verify(o, "10.1.0.0/16")
	finds(t, r, "404")
	if len(r.Repositories) != 2 || r.Repositories[1].How != HowRsync {
		t.Errorf("%+v", r.Repositories)
	}
	o.Cache, o.Rsync = t.TempDir(), "false"
	r = w.verify(o)
	finds(t, r, "cannot be copied")
	w.publish()
	w.verify(o, "10.1.0.0/16")
	w.change(func() { delete(w.files, "/notification.xml") })
	finds(t, w.verify(o, "10.1.0.0/16"), "neither RRDP nor rsync works")
}

// TestAnchorOverRsync: the second URI of the locator is used when the first gives a certificate with another key.
func TestAnchorOverRsync(t *testing.T) {
	w, _ := rsyncWorld(t)
	o := w.options()
	o.NoRsync = false
	w.change(func() { w.files["/ta.cer"] = w.certify(w.ca, w.ca, "10.0.0.0/8") })
	r := w.verify(o, "10.0.0.0/16")
	finds(t, r, "has not the key of the trust anchor locator")
	if r.TrustAnchor != w.anchor() {
		t.Errorf("the trust anchor came from %s", r.TrustAnchor)
	}
}

func TestSplitModule(t *testing.T) {
	for uri, want := range map[string]string{
		"rsync://h/m/a/b.roa": "rsync://h/m/ a/b.roa true", "rsync://h:8730/m/": "rsync://h:8730/m/  true", "rsync://h/m/a/": "rsync://h/m/ a/ true",
		"rsync://h/m": "  false", "https://h/m/a": "  false", "rsync://h/m/../a": "  false", "rsync://h/m//a": "  false", "rsync:///m/a": "  false",
		"rsync://-oProxy/m/a": "  false", "rsync://h/m/a\\b": "  false", "rsync://h/./a": "  false",
	} {
		module, path, ok := splitModule(uri)
		if got := fmt.Sprint(module, " ", path, " ", ok); got != want {
			t.Errorf("%s: %q instead of %q", uri, got, want)
		}
	}
	if _, err := (&rsyncer{program: "true"}).file(t.Context(), account{}, "rsync://h/../x"); fault.KindOf(err) != fault.Invalid {
		t.Error(err)
	}
}
