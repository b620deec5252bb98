package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/validate"
	"cadastre/rrdp"
	"cadastre/rsync"
)

// trees is the rsync side of a house: a tree for each registry, the trust anchor's module, and the daemon over them.
type trees struct {
	house  *house
	log    *slog.Logger
	trees  map[string]*rsync.Tree
	daemon *rsync.Daemon // nil: rsync is not served

	mu     sync.Mutex        // held by whoever publishes: a tree takes one at a time
	served map[string]string // module -> path that the daemon was last told
}

func (h *house) openTrees(log *slog.Logger) (*trees, error) {
	t := &trees{house: h, log: log, trees: map[string]*rsync.Tree{}, served: map[string]string{}}
	for name := range h.engine.Repositories() {
		tree, err := rsync.OpenTree(rsync.Config{
			Dir: filepath.Join(h.dir, "rsync", name), Base: h.config.RsyncBase + name + "/", MTime: objectTime, Log: log,
			Every: treesEvery(h.config.policy.Soak),
		})
		if err != nil {
			t.close()
			return nil, err
		}
		t.trees[name] = tree
	}
	certificate, err := h.engine.Anchor()
	if err != nil {
		return nil, err
	}
	return t, rsync.PutFile(t.anchorDir(), "ta.cer", certificate, objectTime("ta.cer", certificate))
}

// treesEvery is how long a serial may wait for its tree. What one repository says is built on in another after the soak, and
// readers over rsync too must have seen it by then: half of the soak is theirs. Zero is as long as usual.
func treesEvery(soak time.Duration) time.Duration {
	if usual := 15 * time.Minute; soak <= 0 || soak/2 >= usual {
		return 0
	}
	return max(soak/2, time.Second)
}

func (t *trees) anchorDir() string { return filepath.Join(t.house.dir, "rsync", "ta") }

// objectTime is the time that an object says of itself. What is published was checked before, so that it always has one.
func objectTime(uri string, object []byte) time.Time {
	at, err := validate.MTime(uri, object)
	if err != nil {
		return time.Unix(0, 0)
	}
	return at
}

// startDaemon starts rsyncd. A machine without rsync serves RRDP alone, which is said.
func (t *trees) startDaemon() error {
	address := t.house.config.Listen.Rsync
	if address == "" {
		return nil
	}
	daemon, err := rsync.Start(rsync.DaemonConfig{Dir: filepath.Join(t.house.dir, "rsyncd"), Address: address, Log: t.log})
	if fault.KindOf(err) == fault.NotFound {
		t.log.Warn("rsync is not served: install it (apt-get install rsync) and start again; RRDP is served", "why", err)
		return nil
	}
	if err != nil {
		return err
	}
	t.daemon = daemon
	if err := daemon.SetModule("ta", t.anchorDir(), "trust anchor certificate"); err != nil {
		return err
	}
	for name, tree := range t.trees {
		if err := t.serve(name, tree); err != nil {
			return err
		}
	}
	return nil
}

// serve tells the daemon of a tree's newest directory.
func (t *trees) serve(name string, tree *rsync.Tree) error {
	path := tree.Path()
	if t.daemon == nil || path == "" || t.served[name] == path {
		return nil
	}
	if err := t.daemon.SetModule(name, path, "RPKI repository "+name); err != nil {
		return err
	}
	t.served[name] = path
	return nil
}

// follow publishes trees as their repositories go on, until ctx ends.
func (t *trees) follow(ctx context.Context) error {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		for name, repository := range t.house.engine.Repositories() {
			session, serial, _ := repository.Published()
			if at, due := t.trees[name].Due(session, serial); !due || time.Now().Before(at) {
				continue
			}
			if err := t.publish(name, repository); err != nil {
				t.log.Error("couldn't publish a tree for rsync; the last one is served on", "registry", name, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (t *trees) publish(name string, repository *rrdp.Repository) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	view, ok := repository.View()
	if !ok {
		return nil
	}
	if err := t.trees[name].Publish(view); err != nil {
		return err
	}
	return t.serve(name, t.trees[name])
}

// publishAll brings every tree to the serial that its repository has.
func (t *trees) publishAll() error {
	for name, repository := range t.house.engine.Repositories() {
		if err := t.publish(name, repository); err != nil {
			return err
		}
	}
	return nil
}

func (t *trees) close() {
	if t.daemon != nil {
		t.daemon.Stop()
	}
	for _, tree := range t.trees {
		_ = tree.Close()
	}
}
