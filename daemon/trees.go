package daemon

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cadastre/ca"
	"cadastre/internal/due"
	"cadastre/internal/fault"
	"cadastre/internal/validate"
	"cadastre/rrdp"
	"cadastre/rsync"
)

// trees is the rsync side of a data directory: a tree for each registry, the trust anchor's module, and the daemon over them.
type trees struct {
	of     *Directory
	log    *slog.Logger
	trees  map[string]*rsync.Tree
	daemon *rsync.Daemon // nil: rsync is not served

	waiting bool // rsyncd could not be started, for want of room on the disk; of the one who follows

	hasty  atomic.Bool       // somebody waits for the trees: they are due at once
	failed sync.Map          // by registry: why its tree could not be published last, an error
	mu     sync.Mutex        // held by whoever publishes: a tree takes one at a time
	served map[string]string // module -> path that the daemon was last told
}

// openTrees opens the tree of each registry.
func (d *Directory) openTrees(log *slog.Logger) (*trees, error) {
	t := d.noTrees(log)
	for name := range d.Engine.Repositories() {
		tree, err := rsync.OpenTree(rsync.Config{
			Dir: filepath.Join(d.Path, "rsync", name), Base: d.Config.RsyncBase + name + "/", MTime: objectTime, Log: log,
			Every: treesEvery(d.Config.policy.Soak),
		})
		if err != nil {
			t.close()
			return nil, err
		}
		t.trees[name] = tree
	}
	return t, nil
}

// openServed opens the trees that the daemon serves: without an address for rsync there are none.
func (d *Directory) openServed(log *slog.Logger) (*trees, error) {
	if d.Config.Listen.Rsync == "" {
		return d.noTrees(log), nil
	}
	return d.openTrees(log)
}

func (d *Directory) noTrees(log *slog.Logger) *trees {
	return &trees{of: d, log: log, trees: map[string]*rsync.Tree{}, served: map[string]string{}}
}

// putAnchor writes the trust anchor's certificate into its module. mu is held.
func (t *trees) putAnchor() error {
	certificate, err := t.of.Engine.Anchor()
	if err != nil {
		return err
	}
	return rsync.PutFile(t.anchorDir(), "ta.cer", certificate, objectTime("ta.cer", certificate))
}

// treesEvery is how long a serial may wait for its tree. What one repository says is built on in another after the soak, and
// readers over rsync too must have seen it by then: half of the soak is theirs. Zero is as long as usual.
func treesEvery(soak time.Duration) time.Duration {
	if usual := 15 * time.Minute; soak <= 0 || soak/2 >= usual {
		return 0
	}
	return max(soak/2, time.Second)
}

func (t *trees) anchorDir() string { return filepath.Join(t.of.Path, "rsync", "ta") }

// objectTime is the time that an object says of itself. What is published was checked before, so that it always has one.
func objectTime(uri string, object []byte) time.Time {
	at, err := validate.MTime(uri, object)
	if err != nil {
		return time.Unix(0, 0)
	}
	return at
}

// startDaemon starts rsyncd with what is there. A machine without rsync serves RRDP alone, which is said; so does one with a
// full disk on which something is missing, until there is room.
func (t *trees) startDaemon() error {
	err := t.tryDaemon()
	switch {
	case fault.KindOf(err) == fault.NotFound:
		t.log.Warn("rsync is not served: install it (apt-get install rsync) and start again; RRDP is served", "why", err)
		return nil
	case fault.KindOf(err) == fault.Storage:
		t.log.Error("rsync is not served until there is room on the disk; RRDP is served", "error", err)
		t.waiting = true
		return nil
	}
	return err
}

func (t *trees) tryDaemon() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	address := t.of.Config.Listen.Rsync
	if address == "" {
		return nil
	}
	if err := t.putAnchor(); err != nil {
		return err
	}
	modules := []rsync.Module{{Name: "ta", Path: t.anchorDir(), Comment: "trust anchor certificate"}}
	served := map[string]string{}
	for name, tree := range t.trees {
		if path := tree.Path(); path != "" {
			modules = append(modules, rsync.Module{Name: name, Path: path, Comment: moduleComment(name)})
			served[name] = path
		}
	}
	daemon, err := rsync.Start(rsync.DaemonConfig{Dir: filepath.Join(t.of.Path, "rsyncd"), Address: address, Log: t.log, Modules: modules})
	if err != nil {
		return err
	}
	t.daemon, t.served, t.waiting = daemon, served, false
	return nil
}

func moduleComment(registry string) string { return "RPKI repository " + registry }

// serve tells the daemon of a tree's newest directory.
func (t *trees) serve(name string, tree *rsync.Tree) error {
	path := tree.Path()
	if t.daemon == nil || path == "" || t.served[name] == path {
		return nil
	}
	if err := t.daemon.SetModule(name, path, moduleComment(name)); err != nil {
		return err
	}
	t.served[name] = path
	return nil
}

// follow publishes trees as their repositories go on, until ctx ends. What fails is tried again after a pause that grows with
// each failure, and told when it fails in a new way.
func (t *trees) follow(ctx context.Context) error {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	troubles := map[string]*trouble{}
	try := func(what string, do func() error) {
		if troubles[what] == nil {
			troubles[what] = &trouble{}
		}
		if troubles[what].begin(time.Now()) {
			if err := do(); ctx.Err() == nil && troubles[what].failed(time.Now(), err) {
				t.log.Error("couldn't publish a tree for rsync; the last one is served on, and it is tried again", "registry", what, "error", err)
			}
		}
	}
	for {
		if t.waiting {
			try("ta", t.tryDaemon)
		}
		hasty := t.hasty.Swap(false)
		repositories := t.of.Engine.Repositories()
		for name, tree := range t.trees {
			session, serial, _ := repositories[name].Published()
			if at, due := tree.Due(session, serial); !due || time.Now().Before(at) && !hasty {
				continue
			}
			try(name, func() error { return t.publish(ctx, name, repositories[name]) })
			if ctx.Err() != nil {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// trouble is what goes wrong again and again.
type trouble struct {
	turn due.Turn
	said string
}

// afterTrouble is the pause between two tries of what failed.
var afterTrouble = due.Backoff{First: time.Second, Most: 5 * time.Minute}

// begin begins a try, if one may begin now.
func (t *trouble) begin(now time.Time) bool { return !now.Before(t.turn.Resume()) && t.turn.Begin(now) }

// failed notes how a try ended, and tells whether that is worth saying: it failed in another way than before, or for the
// first time in so long that it may have been forgotten.
func (t *trouble) failed(now time.Time, err error) bool {
	if t.turn.End(now, err, afterTrouble); err == nil {
		t.said = ""
		return false
	}
	again := t.said == err.Error() && t.turn.Resume().Sub(now) < afterTrouble.Most
	t.said = err.Error()
	return !again
}

// Waits and Hasten implement ca.Beyond.
func (t *trees) Waits() (list []ca.Wait) {
	repositories := t.of.Engine.Repositories()
	for _, name := range slices.Sorted(maps.Keys(t.trees)) {
		session, serial, _ := repositories[name].Published()
		if at, due := t.trees[name].Due(session, serial); due {
			w := ca.Wait{Kind: ca.TreeBehind, Of: name, Until: at.UTC()}
			if err, failed := t.failed.Load(name); failed {
				w.Error, w.Fault = err.(error).Error(), fault.KindOf(err.(error))
			}
			list = append(list, w)
		}
	}
	return list
}

// Hasten has the trees published without the usual pause.
func (t *trees) Hasten() { t.hasty.Store(true) }

// publish brings a tree to the serial that its repository has, and notes where that fails.
func (t *trees) publish(ctx context.Context, name string, repository *rrdp.Repository) error {
	err := t.tryPublish(ctx, name, repository)
	if err != nil {
		t.failed.Store(name, err)
	} else {
		t.failed.Delete(name)
	}
	return err
}

func (t *trees) tryPublish(ctx context.Context, name string, repository *rrdp.Repository) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	view, ok := repository.View()
	if !ok {
		return nil
	}
	if err := t.trees[name].Publish(ctx, view); err != nil {
		return err
	}
	return t.serve(name, t.trees[name])
}

// publishAll brings every tree to the serial that its repository has.
func (t *trees) publishAll(ctx context.Context) error {
	t.mu.Lock()
	failed := t.putAnchor()
	t.mu.Unlock()
	repositories := t.of.Engine.Repositories()
	for name := range t.trees {
		failed = errors.Join(failed, t.publish(ctx, name, repositories[name]))
	}
	return failed
}

func (t *trees) close() {
	if t.daemon != nil {
		t.daemon.Stop()
	}
	for _, tree := range t.trees {
		_ = tree.Close()
	}
}
