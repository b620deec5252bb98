package rsync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/store"
	"cadastre/rrdp"
)

const base = "rsync://rpki.example.net/test/"

// registry is a repository with a tree beside it.
type registry struct {
	t    testing.TB
	st   store.Store
	repo *rrdp.Repository
	tree *Tree
	cfg  Config
	want map[string]string // path to object
}

// objectTime takes the time of an object from its first ten characters.
func objectTime(_ string, object []byte) time.Time {
	var seconds int64
	_, _ = fmt.Sscanf(string(object), "%10d", &seconds)
	return time.Unix(seconds, 0)
}

func newRegistry(t testing.TB, dir string) *registry {
	t.Helper()
	st, err := store.Open(filepath.Join(dir, "store"), store.Options{Create: true, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	cfg := rrdp.Config{Name: "test", Dir: filepath.Join(dir, "segments"), BaseURI: "https://rpki.example.net/rrdp/test/"}
	if _, err := st.Update(store.Any, func(w store.Writer) error { return rrdp.Create(w, cfg) }); err != nil {
		t.Fatal(err)
	}
	repo, err := rrdp.Open(st, cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := &registry{t: t, st: st, repo: repo, want: map[string]string{}}
	r.cfg = Config{Dir: filepath.Join(dir, "rsync", "test"), Base: base, MTime: objectTime, noSync: true}
	r.reopen()
	t.Cleanup(func() {
		_ = r.tree.Close()
		_ = st.Close()
	})
	return r
}

// reopen is a restart.
func (r *registry) reopen() {
	r.t.Helper()
	tree, err := OpenTree(r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.tree = tree
}

// serial publishes one serial by RRDP. An empty object withdraws.
func (r *registry) serial(changes map[string]string) rrdp.View {
	r.t.Helper()
	var list []rrdp.Change
	for name, object := range changes {
		c := rrdp.Change{URI: base + name}
		if object != "" {
			c.Object = []byte(object)
			r.want[name] = object
		} else {
			delete(r.want, name)
		}
		list = append(list, c)
	}
	b, err := r.repo.Prepare(list, true)
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.st.Update(store.Any, b.Write); err != nil {
		r.t.Fatal(err)
	}
	b.Apply()
	v, _ := r.repo.View()
	return v
}

func (r *registry) publish(v rrdp.View) {
	r.t.Helper()
	if err := r.tree.Publish(r.t.Context(), v); err != nil {
		r.t.Fatal(err)
	}
	r.check()
}

// contents reads the files below a directory, and checks modes and the times of directories.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.IsDir() {
			if info.Mode().Perm() != 0o755 || !info.ModTime().Equal(dirTime) {
				t.Errorf("%s has mode %o and time %v", path, info.Mode().Perm(), info.ModTime())
			}
			return nil
		}
		if info.Mode() != 0o644 {
			t.Errorf("%s has mode %o", path, info.Mode())
		}
		data, err := os.ReadFile(path)
		out[strings.TrimPrefix(path, dir+"/")] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (r *registry) check() {
	r.t.Helper()
	if got := contents(r.t, r.tree.Path()); !maps.Equal(got, r.want) {
		r.t.Fatalf("the tree has %v, wanted %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(r.want)))
	}
	link, err := filepath.EvalSymlinks(filepath.Join(r.cfg.Dir, linkName))
	if err != nil || link != r.tree.Path() {
		r.t.Fatalf("the link leads to %q (%v), the visible tree is %q", link, err, r.tree.Path())
	}
}

func (r *registry) trees() []string {
	found, _ := filepath.Glob(filepath.Join(r.cfg.Dir, treePrefix+"*"))
	return found
}

func object(at int, text string) string { return fmt.Sprintf("%010d %s", at, text) }

// TestPool publishes every 15 minutes for two days: each tree that was visible stays as it was for two hours, there are
// never more than twelve, and they are used again.
func TestPool(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, dir)
		type shown struct {
			path  string
			files map[string]string
			until time.Time
		}
		var history []shown
		inodes := map[uint64]bool{}
		for i := range 200 {
			changes := map[string]string{fmt.Sprintf("ca%d/a.mft", i%3): object(1000+i, "manifest"), fmt.Sprintf("roa/%d/x.roa", i): object(i, "roa")}
			if i > 5 {
				changes[fmt.Sprintf("roa/%d/x.roa", i-5)] = ""
			}
			v := r.serial(changes)
			if at, due := r.tree.Due(v.Session, v.Serial); !due {
				t.Fatal("a new serial is not due")
			} else if wait := time.Until(at); !at.IsZero() && wait > 0 {
				time.Sleep(wait)
			}
			before := r.tree.Path()
			r.publish(v)
			for j := range history {
				if history[j].path == before {
					history[j].until = time.Now().Add(quiet)
				}
			}
			history = append(history, shown{path: r.tree.Path(), files: maps.Clone(r.want)})
			for _, h := range history {
				if (h.until.IsZero() || time.Now().Before(h.until)) && !maps.Equal(contents(t, h.path), h.files) {
					t.Fatalf("%s was changed before its time", h.path)
				}
			}
			if n := len(r.trees()); n > 12 {
				t.Fatalf("%d trees", n)
			}
			info, _ := os.Stat(r.tree.Path())
			inodes[info.Sys().(*syscall.Stat_t).Ino] = true
			if _, due := r.tree.Due(v.Session, v.Serial); due {
				t.Fatal("what is out is due still")
			}
		}
		if len(inodes) > 20 {
			t.Errorf("200 switches made %d new trees", len(inodes))
		}
	})
}

// TestSameSecond: an object that is replaced by one of the same size and second gets a later time, and keeps it.
func TestSameSecond(t *testing.T) {
	r := newRegistry(t, t.TempDir())
	stat := func() time.Time {
		info, err := os.Stat(filepath.Join(r.tree.Path(), "a.mft"))
		if err != nil {
			t.Fatal(err)
		}
		return info.ModTime()
	}
	for i, text := range []string{"x", "y", "z"} {
		r.publish(r.serial(map[string]string{"a.mft": object(5000, text)}))
		if got := stat().Unix(); got != int64(5000+i) {
			t.Errorf("object %d has the time %d", i, got)
		}
	}
	r.publish(r.serial(map[string]string{"b.mft": object(1, "b")}))
	if got := stat().Unix(); got != 5002 {
		t.Errorf("an object that did not change has the time %d", got)
	}
	r.publish(r.serial(map[string]string{"a.mft": object(9000, "later")}))
	if got := stat().Unix(); got != 9000 {
		t.Errorf("an object of its own second has the time %d", got)
	}
}

// TestDamage: whatever has happened to the directory between two runs, the next Publish makes it right.
func TestDamage(t *testing.T) {
	in := func(r *registry, name string) string { return filepath.Join(r.tree.Path(), name) }
	for name, damage := range map[string]func(r *registry) error{
		"nothing":       func(*registry) error { return nil },
		"file gone":     func(r *registry) error { return os.Remove(in(r, "a/1.roa")) },
		"file changed":  func(r *registry) error { return os.WriteFile(in(r, "a/1.roa"), []byte("x"), 0o600) },
		"file empty":    func(r *registry) error { return os.Truncate(in(r, "a/1.roa"), 0) },
		"file more":     func(r *registry) error { return os.WriteFile(in(r, "z.roa"), []byte("x"), 0o600) },
		"state gone":    func(r *registry) error { return os.Remove(filepath.Join(r.cfg.Dir, stateName)) },
		"state damaged": func(r *registry) error { return os.WriteFile(filepath.Join(r.cfg.Dir, stateName), []byte("{"), 0o600) },
		"state of null": func(r *registry) error {
			return os.WriteFile(filepath.Join(r.cfg.Dir, stateName), []byte(`{"retired":[null]}`), 0o600)
		},
		"link gone":          func(r *registry) error { return os.Remove(filepath.Join(r.cfg.Dir, linkName)) },
		"visible tree gone":  func(r *registry) error { return os.RemoveAll(r.tree.Path()) },
		"all gone":           func(r *registry) error { return os.RemoveAll(r.cfg.Dir) },
		"half-built tree":    func(r *registry) error { return os.Mkdir(filepath.Join(r.cfg.Dir, "tree-3-1"), 0o755) },
		"crash after switch": relink,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t, t.TempDir())
			r.publish(r.serial(map[string]string{"a/1.roa": object(1, "one"), "b/1.roa": object(1, "two")}))
			r.publish(r.serial(map[string]string{"b/2.roa": object(2, "three")}))
			if err := damage(r); err != nil {
				t.Fatal(err)
			}
			r.reopen()
			v, _ := r.repo.View()
			if _, due := r.tree.Due(v.Session, v.Serial); !due {
				t.Error("after a start the tree is to be checked")
			}
			r.publish(v)
			r.publish(r.serial(map[string]string{"b/2.roa": "", "c/d/e.roa": object(3, "deep")}))
		})
	}
}

// relink makes the link lead to the tree before, as if the record of the switch had been lost.
func relink(r *registry) error {
	link := filepath.Join(r.cfg.Dir, linkName)
	return errors.Join(os.Remove(link), os.Symlink("tree-1-1", link))
}

// TestNewSession builds a whole new tree when the history has ended, without giving unchanged files a new time.
func TestNewSession(t *testing.T) {
	r := newRegistry(t, t.TempDir())
	r.publish(r.serial(map[string]string{"a.roa": object(7, "one"), "b.roa": object(7, "two")}))
	r.publish(r.serial(map[string]string{"a.roa": object(7, "six")}))
	b, err := r.repo.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.st.Update(store.Any, b.Write); err != nil {
		t.Fatal(err)
	}
	b.Apply()
	v, _ := r.repo.View()
	r.publish(v)
	if info, _ := os.Stat(filepath.Join(r.tree.Path(), "a.roa")); info.ModTime().Unix() != 8 {
		t.Errorf("a.roa has the time %d", info.ModTime().Unix())
	}
}

// TestFailure: a disk that fails leaves the visible tree, and the next Publish is as if nothing had been.
func TestFailure(t *testing.T) {
	if os.Getenv("RSYNC_TEST_FULL") == "" {
		// in a program of its own: 'go test' writes files in this one, and the limit would hold for those too
		cmd := exec.Command(os.Args[0], "-test.run=^TestFailure$")
		cmd.Env = append(os.Environ(), "RSYNC_TEST_FULL=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	r := newRegistry(t, t.TempDir())
	r.publish(r.serial(map[string]string{"a.roa": object(1, "one")}))
	before := maps.Clone(r.want)
	v := r.serial(map[string]string{"a.roa": object(2, "two"), "b/c.roa": strings.Repeat("x", 5000)})
	limit(t, 3000, func() {
		if err := r.tree.Publish(r.t.Context(), v); fault.KindOf(err) != fault.Storage {
			t.Errorf("the error is %v", err)
		}
	})
	if got := contents(t, r.tree.Path()); !maps.Equal(got, before) {
		t.Fatalf("after a failure the tree has %v", got)
	}
	r.publish(v)
	if n := len(r.trees()); n != 2 {
		t.Errorf("there are %d trees", n)
	}
}

// TestEnded: a tree that is built when the program is to end is given up, wherever it is, and the next Publish is as if nothing had been.
func TestEnded(t *testing.T) {
	r := newRegistry(t, t.TempDir())
	r.publish(r.serial(map[string]string{"a/1.roa": object(1, "one"), "b/1.roa": object(1, "two")}))
	before := maps.Clone(r.want)
	ended, end := context.WithCancel(t.Context())
	end()
	for _, restarted := range []bool{false, true} {
		if restarted {
			r.reopen()
		}
		v := r.serial(map[string]string{"a/2.roa": object(2, fmt.Sprint(restarted))})
		if err := r.tree.Publish(ended, v); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
		if got := contents(t, r.tree.Path()); !maps.Equal(got, before) {
			t.Errorf("it shows %v", got)
		}
		r.publish(v)
		before = maps.Clone(r.want)
	}
}

// BenchmarkTree is for each directory of five files: links to all of it, and the look that a start takes.
func BenchmarkTree(b *testing.B) {
	const directories = 2000
	r := newRegistry(b, b.TempDir())
	all := map[string]string{}
	for i := range directories {
		for j := range 5 {
			all[fmt.Sprintf("%08d/0/%d.roa", i, j)] = object(i, strings.Repeat("x", 1900))
		}
	}
	r.publish(r.serial(all))
	v, _ := r.repo.View()
	made := 0
	for name, fn := range map[string]func() error{
		"link": func() error {
			made++
			next := &tree{Name: fmt.Sprintf("tree-0-%d", made)}
			return errors.Join(r.tree.mkdir(next.Name), r.tree.linkAll(b.Context(), r.tree.state.Visible, next))
		},
		"check": func() error {
			r.tree.checked = false
			return r.tree.check(b.Context(), v)
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := fn(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/directories, "ns/directory")
		})
	}
}

// limit runs fn with no file allowed to grow above n bytes: writes fail with EFBIG.
func limit(t *testing.T, n uint64, fn func()) {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old) }()
	fn()
}

func TestRelative(t *testing.T) {
	for uri, want := range map[string]string{
		base + "a/b.roa":                       "a/b.roa",
		base + "A-_9.cer":                      "A-_9.cer",
		base:                                   "",
		base + "a//b":                          "",
		base + "a/":                            "",
		base + "../b":                          "",
		base + "a/../b":                        "",
		base + ".hidden":                       "",
		base + "a b":                           "",
		base + "a%2e":                          "",
		base + strings.Repeat("x", 256):        "",
		"rsync://rpki.example.net/testing/a":   "",
		"rsync://rpki.example.org/test/a":      "",
		"https://rpki.example.net/test/a":      "",
		"rsync://rpki.example.net/test/a\x00b": "",
	} {
		got, err := relative(base, uri)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q gives %q, %v", uri, got, err)
		}
	}
}

func FuzzRelative(f *testing.F) {
	f.Add(base + "a/b.roa")
	f.Add(base + "../../etc/passwd")
	f.Fuzz(func(t *testing.T, uri string) {
		path, err := relative(base, uri)
		if err == nil && (!filepath.IsLocal(path) || base+path != uri || filepath.Clean(path) != path) {
			t.Errorf("%q becomes the path %q", uri, path)
		}
	})
}
