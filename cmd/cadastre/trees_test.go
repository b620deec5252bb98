package main

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
	h := openInstallation(t)
	trees, err := h.openTrees(slog.New(slog.DiscardHandler))
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
	for name, repository := range h.engine.Repositories() {
		session, serial, _ := repository.Published()
		if s, n := trees.trees[name].Serial(); serial > 0 && (s != session || n != serial) {
			t.Errorf("the tree of %s is at serial %d of %s, and its repository at %d of %s", name, n, s, serial, session)
		}
	}
}

// TestNoTrees: a daemon that serves no rsync builds no tree for it, and nothing waits for one.
func TestNoTrees(t *testing.T) {
	h := openInstallation(t)
	h.config.Listen.Rsync = ""
	trees, err := h.openServed(slog.New(slog.DiscardHandler))
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
	for name := range h.engine.Repositories() {
		if _, err := os.Stat(filepath.Join(h.dir, "rsync", name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("there is a folder for the trees of %s (%v)", name, err)
		}
	}
}
