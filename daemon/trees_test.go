package daemon

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"
)

// TestTreesTakeTurns has several publish at once, as the demonstration does beside the daemon's own round: a tree takes
// one at a time.
func TestTreesTakeTurns(t *testing.T) {
	d := openTest(t)
	trees, err := d.openTrees(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer trees.close()
	var publishers errgroup.Group
	for range 4 {
		publishers.Go(func() error { return trees.publishAll(t.Context()) })
	}
	if err := publishers.Wait(); err != nil {
		t.Error(err)
	}
	for name, repository := range d.Engine.Repositories() {
		session, serial, _ := repository.Published()
		if s, n := trees.trees[name].Serial(); serial > 0 && (s != session || n != serial) {
			t.Errorf("the tree of %s is at serial %d of %s, and its repository at %d of %s", name, n, s, serial, session)
		}
	}
}

// TestNoTrees: a daemon that serves no rsync builds no tree for it, and nothing waits for one.
func TestNoTrees(t *testing.T) {
	d := openTest(t)
	d.Config.Listen.Rsync = ""
	trees, err := d.openServed(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer trees.close()
	if err := trees.publishAll(t.Context()); err != nil {
		t.Error(err)
	}
	if list := trees.Waits(); len(list) > 0 {
		t.Errorf("%v is waited for", list)
	}
	for name := range d.Engine.Repositories() {
		if _, err := os.Stat(filepath.Join(d.Path, "rsync", name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("there is a folder for the trees of %s (%v)", name, err)
		}
	}
}
