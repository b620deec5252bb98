package rsync

import (
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cadastre/internal/fault"
)

func needRsync(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("rsync"); err != nil {
		t.Skip("there is no rsync program on this machine")
	}
}

// freePort is a port on which nobody listens.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func startDaemon(t *testing.T) *Daemon {
	t.Helper()
	needRsync(t)
	d, err := Start(DaemonConfig{Dir: t.TempDir(), Address: freePort(t), Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Stop)
	return d
}

func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// fetch is what a relying party does.
func fetch(d *Daemon, module, to string, options ...string) error {
	args := append([]string{"-rt", "--delete", "--no-motd", "--timeout=30"}, options...)
	out, err := exec.Command("rsync", append(args, "rsync://"+d.cfg.Address+"/"+module+"/", to+"/")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// TestReaders: while trees are switched without a pause, each reader that comes to its end has one serial and no other,
// though all objects of a URI have the same size and say that they are of the same second.
func TestReaders(t *testing.T) {
	d := startDaemon(t)
	r := newRegistry(t, t.TempDir())
	const files = 150
	next := 0
	publishNext := func() {
		next++
		changes := map[string]string{}
		for i := range files {
			if i == 0 || (i+next)%3 > 0 { // some stay as they are, the first never does
				changes[fmt.Sprintf("ca%02d/%d.roa", i%13, i)] = fmt.Sprintf("%s %06d %s", object(1000, "serial"), next, strings.Repeat("x", 3000))
			}
		}
		changes[fmt.Sprintf("only/%d.roa", next)] = object(1000, "once")
		if next > 1 {
			changes[fmt.Sprintf("only/%d.roa", next-1)] = ""
		}
		r.publish(r.serial(changes))
		if err := d.SetModule("test", r.tree.Path(), "a registry"); err != nil {
			t.Fatal(err)
		}
	}
	publishNext()
	published := sync.Map{} // serial to what it has
	remember := func() {
		published.Store(next, maps.Clone(r.want))
	}
	remember()
	var seen sync.Map // serials that readers had
	begun := time.Now()
	enough := func() bool { // a busy machine takes its time
		n := 0
		seen.Range(func(any, any) bool { n++; return true })
		took := time.Since(begun)
		return took > 5*time.Second/2 && n >= 3 || took > 3*time.Minute || t.Failed()
	}
	var readers sync.WaitGroup
	type finding struct {
		serial int
		files  map[string]string
	}
	found := make(chan finding, 10_000)
	for i := range 4 {
		dir := t.TempDir()
		readers.Go(func() {
			for !enough() {
				var options []string
				if i == 0 {
					options = []string{"--bwlimit=1500"}
				}
				if err := fetch(d, "test", dir, options...); err != nil {
					t.Errorf("reader %d: %v", i, err)
					return
				}
				got := map[string]string{}
				serial := 0
				_ = filepath.WalkDir(dir, func(path string, e os.DirEntry, _ error) error {
					if !e.IsDir() {
						data, _ := os.ReadFile(path)
						got[strings.TrimPrefix(path, dir+"/")] = string(data)
						if strings.Contains(path, "/only/") {
							serial, _ = strconv.Atoi(strings.TrimSuffix(e.Name(), ".roa"))
						}
					}
					return nil
				})
				seen.Store(serial, true)
				found <- finding{serial, got}
			}
		})
	}
	for !enough() {
		publishNext()
		remember()
	}
	readers.Wait()
	close(found)
	reads := 0
	serials := map[int]bool{}
	for f := range found {
		reads++
		serials[f.serial] = true
		want, _ := published.Load(f.serial)
		if want == nil || !maps.Equal(f.files, want.(map[string]string)) {
			t.Fatalf("a reader of serial %d has other files, %d of them", f.serial, len(f.files))
		}
	}
	t.Logf("%d switches, %d reads of %d different serials", next, reads, len(serials))
	if len(serials) < 3 {
		t.Errorf("readers have seen %d serials only", len(serials))
	}
}

// TestSlowReader holds one transfer open over switches.
func TestSlowReader(t *testing.T) {
	d := startDaemon(t)
	r := newRegistry(t, t.TempDir())
	set := func(text string) {
		changes := map[string]string{}
		for i := range 40 {
			changes[fmt.Sprintf("%d.roa", i)] = object(1000, text+strings.Repeat("x", 20_000))
		}
		r.publish(r.serial(changes))
		if err := d.SetModule("test", r.tree.Path(), ""); err != nil {
			t.Fatal(err)
		}
	}
	set("first ")
	slow, fast := t.TempDir(), t.TempDir()
	done := make(chan error, 1)
	go func() { done <- fetch(d, "test", slow, "--bwlimit=400") }() // two seconds
	time.Sleep(500 * time.Millisecond)                              // it is somewhere in the middle, whenever exactly
	set("second")
	if err := fetch(d, "test", fast); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		t.Skipf("the slow reader was too fast to be overtaken (%v)", err)
	default:
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{slow: "first ", fast: "second"} {
		for i := range 40 {
			data, _ := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%d.roa", i)))
			if !strings.Contains(string(data), want) {
				t.Fatalf("%s/%d.roa is not of the %s serial", dir, i, want)
			}
		}
	}
}

// TestModules: the trust anchor's certificate, the list of modules, and no way to write or to leave a module.
func TestModules(t *testing.T) {
	d := startDaemon(t)
	ta := filepath.Join(t.TempDir(), "ta")
	at := time.Unix(1_700_000_000, 0)
	for _, data := range []string{"old", "new"} {
		if err := PutFile(ta, "ta.cer", []byte(data), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.SetModule("ta", ta, "trust anchor"); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "current")
	if err := os.Symlink(ta, link); err != nil {
		t.Fatal(err)
	}
	if err := d.SetModule("link", link, ""); err != nil {
		t.Fatal(err)
	}
	if conf, err := os.ReadFile(d.configPath()); err != nil || strings.Contains(string(conf), link) {
		t.Errorf("the daemon is given a link to follow (%v)", err)
	}
	to := t.TempDir()
	if err := fetch(d, "ta", to); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(to, "ta.cer"))
	if err != nil || !info.ModTime().Equal(at) || info.Size() != 3 {
		t.Errorf("the certificate arrived as %v, %v", info, err)
	}
	list, err := exec.Command("rsync", "rsync://"+d.cfg.Address+"/").Output()
	if err != nil || !strings.Contains(string(list), "ta ") || !strings.Contains(string(list), "trust anchor") {
		t.Errorf("the list of modules is %q, %v", list, err)
	}
	if err := exec.Command("rsync", filepath.Join(to, "ta.cer"), "rsync://"+d.cfg.Address+"/ta/x.cer").Run(); err == nil {
		t.Error("a client could write")
	}
	outside := t.TempDir()
	_ = fetch(d, "ta/../..", outside) // the program takes this for the module itself
	if found, _ := filepath.Glob(outside + "/*"); len(found) > 1 {
		t.Errorf("a client could leave the module and found %v", found)
	}
	for _, bad := range []string{"a b", "", ".x", "a]\npath=/"} {
		if err := d.SetModule(bad, ta, ""); fault.KindOf(err) != fault.BadInput {
			t.Errorf("module %q: %v", bad, err)
		}
	}
}

// TestEnvironment: the child has nothing of our environment, where passphrases may be, in its own but PATH and TZ.
func TestEnvironment(t *testing.T) {
	t.Setenv("CADASTRE_PASSPHRASE", "that nobody may read")
	d := startDaemon(t)
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", d.pid.Load()))
	if err != nil {
		t.Skipf("the environment of another process cannot be read here: %v", err)
	}
	for entry := range strings.SplitSeq(strings.TrimSuffix(string(env), "\x00"), "\x00") {
		if name, _, _ := strings.Cut(entry, "="); name != "LC_ALL" && name != "PATH" && name != "TZ" {
			t.Errorf("the rsync daemon finds %s in its environment", name)
		}
	}
}

// TestNothingToWrite: a daemon that starts with the modules that it had leaves its configuration alone.
func TestNothingToWrite(t *testing.T) {
	needRsync(t)
	ta := filepath.Join(t.TempDir(), "ta")
	if err := PutFile(ta, "ta.cer", []byte("x"), dirTime); err != nil {
		t.Fatal(err)
	}
	cfg := DaemonConfig{Dir: t.TempDir(), Address: freePort(t), Log: testLog(t), Modules: []Module{{"ta", ta, "trust anchor"}}}
	var before os.FileInfo
	for range 2 {
		d, err := Start(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := fetch(d, "ta", t.TempDir()); err != nil {
			t.Error(err)
		}
		after, err := os.Stat(d.configPath())
		if err != nil || before != nil && !os.SameFile(before, after) {
			t.Errorf("the configuration was written anew (%v)", err)
		}
		before = after
		d.Stop()
	}
}

// TestRestart: a daemon that is killed comes back.
func TestRestart(t *testing.T) {
	d := startDaemon(t)
	ta := filepath.Join(t.TempDir(), "ta")
	if err := PutFile(ta, "ta.cer", []byte("x"), dirTime); err != nil {
		t.Fatal(err)
	}
	if err := d.SetModule("ta", ta, ""); err != nil {
		t.Fatal(err)
	}
	first := d.pid.Load()
	if err := syscall.Kill(int(first), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if second := d.pid.Load(); second != 0 && second != first && fetch(d, "ta", t.TempDir()) == nil {
			break
		}
		if time.Since(begun) > 10*time.Second {
			t.Fatal("the daemon did not come back")
		}
	}
	d.Stop()
	if err := fetch(d, "ta", t.TempDir()); err == nil {
		t.Error("the daemon answers after Stop")
	}
}

func TestStartRefused(t *testing.T) {
	needRsync(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for name, c := range map[string]struct {
		cfg  DaemonConfig
		want fault.Kind
	}{
		"port taken":     {DaemonConfig{Address: taken.Addr().String()}, fault.Busy},
		"no program":     {DaemonConfig{Address: "127.0.0.1:8873", Program: "no-such-rsync"}, fault.NotFound},
		"no address":     {DaemonConfig{Address: "somewhere"}, fault.BadInput},
		"a name":         {DaemonConfig{Address: "localhost:8873"}, fault.BadInput},
		"not ours":       {DaemonConfig{Address: "192.0.2.1:8873"}, fault.Unreachable},
		"no such daemon": {DaemonConfig{Address: freePort(t), Program: "true"}, fault.Unreachable},
	} {
		c.cfg.Dir = t.TempDir()
		d, err := Start(c.cfg)
		if err == nil {
			d.Stop()
		}
		if fault.KindOf(err) != c.want {
			t.Errorf("%s: %v, of kind %v", name, err, fault.KindOf(err))
		}
	}
}

// TestAsNobody runs three of the tests with a daemon once more without the rights of root, and so without chroot.
func TestAsNobody(t *testing.T) {
	needRsync(t)
	setpriv, err := exec.LookPath("setpriv")
	if os.Geteuid() != 0 || err != nil {
		t.Skip("to become nobody takes root and setpriv")
	}
	dir, err := os.MkdirTemp("/tmp", "rsync-nobody")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "rsync.test")
	if out, err := exec.Command("cp", self, program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command(setpriv, "--reuid=65534", "--regid=65534", "--clear-groups",
		program, "-test.run=^(TestReaders|TestModules|TestSlowReader)$", "-test.v")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS") != 3 && !strings.Contains(string(out), "--- SKIP") {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}

// TestOrphan: when this program is killed, its daemon does not stay behind and hold the port.
func TestOrphan(t *testing.T) {
	needRsync(t)
	if dir := os.Getenv("RSYNC_TEST_DAEMON"); dir != "" { // in the program that is killed
		if _, err := Start(DaemonConfig{Dir: dir, Address: os.Getenv("RSYNC_TEST_ADDRESS")}); err != nil {
			t.Fatal(err)
		}
		fmt.Println("started")
		select {}
	}
	address := freePort(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestOrphan$")
	cmd.Env = append(os.Environ(), "RSYNC_TEST_DAEMON="+t.TempDir(), "RSYNC_TEST_ADDRESS="+address)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Errorf("the daemon was not started: %v", err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			return
		}
		if time.Since(begun) > 5*time.Second {
			t.Fatal("the daemon is there still")
		}
	}
}
