package rsync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cadastre/internal/fault"
	"cadastre/rrdp"
)

// quiet is how long a tree that was visible stays untouched.
const quiet = 2 * time.Hour

// A switch of trees costs a whole new one for two hours, so they are paced: three at once, then one every 15 minutes, or
// as Config says. In two hours that is eleven, and with the visible one twelve trees.
const (
	usually = 15 * time.Minute
	burst   = 3
)

// Config of a Tree.
type Config struct {
	Dir   string                                    // directory of this module's trees, and of nothing else
	Base  string                                    // what the URIs begin with: "rsync://host[:port]/MODULE/"
	MTime func(uri string, object []byte) time.Time // modification time that an object gives its file; whole seconds
	Every time.Duration                             // between two trees, when there are many; 0: 15 minutes
	Log   *slog.Logger                              // nil for none

	noSync bool // tests that switch all the time do not wait for a disk that others use
}

// Tree is the trees of one module, of which one is visible. One goroutine at a time may publish.
type Tree struct {
	cfg  Config
	root *os.Root

	mu      sync.Mutex // guards what follows against Path, Serial and Due
	state   state
	checked bool // the visible tree was found to be what it says, since the start
}

// OpenTree opens the trees in a directory, which is made if it is not there. What it finds there is not trusted: the first
// Publish checks it against the repository.
func OpenTree(cfg Config) (*Tree, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Every <= 0 {
		cfg.Every = usually
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil { // the daemon reads it as nobody
		return nil, fault.Wrap(err, "couldn't make the directory of the rsync trees")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fault.Wrap(err, "couldn't find the rsync trees")
	}
	cfg.Dir = dir
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault.Wrap(err, "couldn't open the rsync trees")
	}
	t := &Tree{cfg: cfg, root: root}
	if t.state, err = t.load(); err != nil {
		_ = root.Close()
		return nil, err
	}
	return t, nil
}

// Close lets go of the directory.
func (t *Tree) Close() error { return t.root.Close() }

// Path is the directory of the visible tree, "" before the first.
func (t *Tree) Path() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state.Visible == nil {
		return ""
	}
	return filepath.Join(t.cfg.Dir, t.state.Visible.Name)
}

// Serial is the session and serial that the visible tree has.
func (t *Tree) Serial() (session string, serial uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state.Visible == nil {
		return "", 0
	}
	return t.state.Visible.Session, t.state.Visible.Serial
}

// Due says when a tree for the current serial of a repository should be published: the zero time for at once, and false
// when it is out already.
func (t *Tree) Due(session string, serial uint64) (at time.Time, due bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v := t.state.Visible; v != nil && t.checked && v.Session == session && v.Serial == serial || serial == 0 {
		return time.Time{}, false
	}
	at = t.state.Full.Add(-(burst - 1) * t.cfg.Every)
	// the first after a start is not waited for, nor is a clock that has gone back
	if now := time.Now(); !t.checked || t.state.Visible == nil || !at.After(now) || at.Sub(now) > burst*t.cfg.Every {
		return time.Time{}, true
	}
	return at, true
}

// Publish makes the state of a view visible, whatever Due says. It fails with Storage when the disk does; the tree that
// was visible then still is, and Publish may be called again. When ctx ends it stops at once, as if it had failed.
func (t *Tree) Publish(ctx context.Context, v rrdp.View) error {
	t.sweep()
	if err := t.check(ctx, v); err != nil {
		return fault.Wrap(err, "couldn't check the rsync tree in %s", t.cfg.Dir)
	}
	if old := t.state.Visible; old != nil && old.Session == v.Session && old.Serial == v.Serial {
		return nil
	}
	next, err := t.build(ctx, v)
	if err == nil {
		err = t.show(next)
	}
	return fault.Wrap(err, "couldn't write the rsync tree of serial %d in %s", v.Serial, t.cfg.Dir)
}

// build makes a tree with the state of a view, out of sight.
func (t *Tree) build(ctx context.Context, v rrdp.View) (*tree, error) {
	next := &tree{Session: v.Session, Serial: v.Serial, Name: t.freeName(v.Serial)}
	if spare := t.spare(v); spare != nil {
		// from here on it is no tree that could be trusted after a crash
		if err := t.forget(spare); err != nil {
			return nil, err
		}
		if err := t.root.Rename(spare.Name, next.Name); err != nil {
			return nil, err
		}
		changed, withdrawn, _ := v.Since(spare.Serial)
		return next, t.bring(ctx, next, v, changed, withdrawn)
	}
	if err := t.mkdir(next.Name); err != nil {
		return nil, err
	}
	if old := t.state.Visible; old != nil && old.Session == v.Session {
		if changed, withdrawn, ok := v.Since(old.Serial); ok {
			if err := t.linkAll(ctx, old, next); err != nil {
				return nil, err
			}
			return next, t.bring(ctx, next, v, changed, withdrawn)
		}
	}
	var all []rrdp.Object
	for o := range v.All() {
		all = append(all, o)
	}
	return next, t.bring(ctx, next, v, all, nil)
}

// spare is a tree that has had its time of quiet and can be brought to the view, the newest of those; nil if there is none.
func (t *Tree) spare(v rrdp.View) *tree {
	for _, r := range t.state.Retired {
		if r.Session != v.Session || time.Since(r.Retired) < quiet {
			continue
		}
		if _, _, ok := v.Since(r.Serial); ok {
			return r
		}
	}
	return nil
}

// show makes a tree the visible one: durable first, then the link, then the record of it.
func (t *Tree) show(next *tree) error {
	if !t.cfg.noSync {
		if err := syncFilesystem(t.cfg.Dir); err != nil {
			return err
		}
	}
	if err := t.root.Remove(linkName + ".new"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := t.root.Symlink(next.Name, linkName+".new"); err != nil {
		return err
	}
	if err := t.root.Rename(linkName+".new", linkName); err != nil {
		return err
	}
	now := time.Now()
	after := t.state
	if old := after.Visible; old != nil {
		retired := *old
		retired.Retired = now
		after.Retired = append([]*tree{&retired}, after.Retired...)
	}
	after.Visible = next
	if after.Full.Before(now) {
		after.Full = now
	}
	after.Full = after.Full.Add(t.cfg.Every)
	t.mu.Lock()
	t.state, t.checked = after, true
	t.mu.Unlock()
	return t.save()
}

// freeName is a name that no tree has.
func (t *Tree) freeName(serial uint64) string {
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s%d-%d", treePrefix, serial, n)
		if _, err := t.root.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return name
		}
	}
}
