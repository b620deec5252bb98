package main

import (
	"log/slog"
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
		publishers.Go(trees.publishAll)
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
