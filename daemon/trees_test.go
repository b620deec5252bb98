package daemon

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"cadastre/ca"
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
	d.Engine.Beyond = trees
	behind := func() (of []string) {
		for _, w := range d.Engine.Waits() {
			if w.Kind == ca.TreeBehind && w.On == ca.Ourselves {
				of = append(of, w.Of)
			}
		}
		return of
	}
	if of := behind(); len(of) == 0 {
		t.Error("no tree is behind before the first is made")
	}
	var publishers errgroup.Group
	for range 4 {
		publishers.Go(func() error { return trees.publishAll(t.Context()) })
	}
	if err := publishers.Wait(); err != nil {
		t.Error(err)
	}
	if of := behind(); len(of) > 0 {
		t.Errorf("the trees of %v are behind", of)
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
	// and nobody signs: the directory is open, and its keys are not
	if list := d.Engine.Waits(); len(list) != 1 || list[0].Kind != ca.NoDaemon || list[0].On != ca.Operator {
		t.Errorf("without a daemon it waits for %+v", list)
	}
	for name := range d.Engine.Repositories() {
		if _, err := os.Stat(filepath.Join(d.Path, "rsync", name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("there is a folder for the trees of %s (%v)", name, err)
		}
	}
}

// TestTrouble: what goes wrong again and again is said once, another fault is said, and so is the same one after it went well
// in between, or after so long that it may have been forgotten.
func TestTrouble(t *testing.T) {
	var tree trouble
	full, gone := errors.New("no room on the disk"), errors.New("no such folder")
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	try := func(what string, err error, said bool) {
		t.Helper()
		if resume := tree.turn.Resume(); resume.After(now) {
			if tree.begin(resume.Add(-time.Millisecond)) {
				t.Errorf("%s: it is tried before its pause is over", what)
			}
			now = resume
		}
		if !tree.begin(now) {
			t.Fatalf("%s: it is not tried", what)
		}
		if got := tree.failed(now, err); got != said {
			t.Errorf("%s: it is said: %v", what, got)
		}
	}
	try("the first failure", full, true)
	try("the same again", full, false)
	try("the same a third time", errors.New(full.Error()), false)
	try("another", gone, true)
	try("the other again", gone, false)
	try("it is well", nil, false)
	try("the same after it was well", gone, true)
	said := 0
	for range 20 {
		now = tree.turn.Resume()
		tree.begin(now)
		if tree.failed(now, gone) {
			if said++; tree.turn.Resume().Sub(now) < afterTrouble.Most {
				t.Errorf("the same is said again %s before the next try", tree.turn.Resume().Sub(now))
			}
		}
	}
	if said == 0 {
		t.Error("what fails on for an hour is never said again")
	}
}
