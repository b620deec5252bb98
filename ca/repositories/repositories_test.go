package repositories

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/ca/issued"
	"cadastre/internal/fault"
	"cadastre/internal/store"
	"cadastre/rrdp"
)

// elsewhere has one mirror.
type elsewhere struct{ mirror *rrdp.Repository }

func (m elsewhere) Mirror(name string) *rrdp.Repository {
	if name == "mirror" {
		return m.mirror
	}
	return nil
}

func (m elsewhere) MirrorOf(uri string) string {
	if strings.HasPrefix(uri, "rsync://elsewhere.example/") {
		return "mirror"
	}
	return ""
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open makes a set with the registries north and south, and a mirror, in a bubble of testing/synctest.
func open(t *testing.T, test func(t *testing.T, st store.Store, s *Set, mirror *rrdp.Repository)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		st, err := store.Open(filepath.Join(dir, "store"), store.Options{Create: true, NoSync: true})
		must(t, err)
		defer func() { _ = st.Close() }()
		policy := issued.DefaultPolicy()
		policy.RsyncBase, policy.RRDPBase = "rsync://rpki.example/", "https://rpki.example/rrdp/"
		at := Config(dir, &policy, "mirror")
		_, err = st.Update(store.Any, func(w store.Writer) error {
			return errors.Join(rrdp.Create(w, Config(dir, &policy, "north")), rrdp.Create(w, Config(dir, &policy, "south")), rrdp.Create(w, at))
		})
		must(t, err)
		mirror, err := rrdp.Open(st, at)
		must(t, err)
		s, err := Open(st, dir, &policy, []string{"north", "south"}, slog.New(slog.DiscardHandler))
		must(t, err)
		s.Mirror(elsewhere{mirror})
		test(t, st, s, mirror)
	})
}

func (s *Set) serial(registry string) uint64 {
	_, serial, _ := s.own[registry].Published()
	return serial
}

const (
	northern = "rsync://rpki.example/north/a/a.cer"
	southern = "rsync://rpki.example/south/a/a.cer"
	mirrored = "rsync://elsewhere.example/repo/a.cer"
)

// TestCommitIsOne: what lies in several repositories is committed together or not at all, and after a failure the next goes through.
func TestCommitIsOne(t *testing.T) {
	open(t, func(t *testing.T, _ store.Store, s *Set, _ *rrdp.Repository) {
		files := map[string][]byte{northern: {1}, southern: {2}, mirrored: {3}}
		full := fault.New(fault.Storage, "the disk is full")
		if err := s.CommitFiles(files, true, func(store.Writer) error { return full }); !errors.Is(err, full) {
			t.Fatalf("a transaction that fails: %v", err)
		}
		for uri := range files {
			if _, there := s.Get(uri); there {
				t.Errorf("%s is there", uri)
			}
		}
		lost := map[string][]byte{northern: {1}, "rsync://nobody.example/a.cer": {1}}
		if err := s.CommitFiles(lost, false, nil); fault.KindOf(err) != fault.Internal {
			t.Fatalf("an object of no repository: %v", err)
		}
		must(t, s.CommitFiles(files, true, nil))
		for uri, object := range files {
			if got, there := s.Get(uri); !there || got[0] != object[0] {
				t.Errorf("at %s there is %v", uri, got)
			}
		}
		if staged := s.Staged(); len(staged) != 2 || s.serial("north") != 0 {
			t.Errorf("a change of several repositories closes the serial of one: %v", staged)
		}
	})
}

// TestSerials: a change of one repository may close its serial in its own transaction, unless something else is staged or the last serial
// is a moment ago. The serial of a mirror is closed by CloseMirror alone.
func TestSerials(t *testing.T) {
	open(t, func(t *testing.T, _ store.Store, s *Set, mirror *rrdp.Repository) {
		north := map[string]bool{"north": true}
		if !s.MayClose(north) || s.MayClose(nil) || s.MayClose(map[string]bool{"north": true, "south": true}) {
			t.Error("what may close is wrong where nothing is staged")
		}
		must(t, s.CommitFiles(map[string][]byte{northern: {1}}, true, nil))
		if s.serial("north") != 1 || len(s.Staged()) != 0 {
			t.Errorf("it is at serial %d, and %v are staged", s.serial("north"), s.Staged())
		}
		if s.MayClose(north) {
			t.Error("two serials may follow each other at once")
		}
		if at, staged := s.NextSerial(); staged {
			t.Errorf("nothing is staged, and the next serial is at %s", at)
		}
		must(t, s.CommitFiles(map[string][]byte{northern: {2}}, false, nil))
		if at, staged := s.NextSerial(); !staged || at.IsZero() {
			t.Errorf("the next serial may come at once: %v, %s", staged, at)
		}
		must(t, s.CommitFiles(map[string][]byte{southern: {1}}, false, nil))
		time.Sleep(time.Minute)
		if at, staged := s.NextSerial(); s.MayClose(north) || !staged || !at.IsZero() {
			t.Errorf("another repository has something staged: %v, %s", staged, at)
		}
		must(t, s.Close("south"))
		if s.serial("south") != 1 || !s.MayClose(north) {
			t.Errorf("the other is at serial %d", s.serial("south"))
		}
		must(t, s.CommitFiles(map[string][]byte{mirrored: {1}}, true, nil))
		if !mirror.Staged() {
			t.Error("the mirror's serial is closed")
		}
		if closed, err := s.CloseMirror(mirror, func() bool { return false }); closed || err != nil || !mirror.Staged() {
			t.Errorf("closed before it may be: %v, %v", closed, err)
		}
		if closed, err := s.CloseMirror(mirror, func() bool { return true }); !closed || err != nil || mirror.Staged() {
			t.Errorf("not closed: %v, %v", closed, err)
		}
	})
}

// TestRestart: all begin a new session together, or none.
func TestRestart(t *testing.T) {
	open(t, func(t *testing.T, _ store.Store, s *Set, _ *rrdp.Repository) {
		must(t, s.CommitFiles(map[string][]byte{northern: {1}}, true, nil))
		was, _, _ := s.own["north"].Published()
		full := fault.New(fault.Storage, "the disk is full")
		if err := s.Restart(func(store.Writer) error { return full }); !errors.Is(err, full) {
			t.Fatalf("a transaction that fails: %v", err)
		}
		if now, _, _ := s.own["north"].Published(); now != was {
			t.Error("it has a new session")
		}
		must(t, s.Restart(func(store.Writer) error { return nil }))
		if now, _, _ := s.own["north"].Published(); now == was {
			t.Error("it has the session of before")
		}
		must(t, s.Compact(context.Background(), []string{"north", "south"}))
	})
}

// TestAdd: a registry that a decision added has a repository once that is opened.
func TestAdd(t *testing.T) {
	open(t, func(t *testing.T, st store.Store, s *Set, _ *rrdp.Repository) {
		if s.Named("east") != nil {
			t.Fatal("it is there already")
		}
		_, err := st.Update(store.Any, func(w store.Writer) error { return s.Create(w, "east") })
		must(t, err)
		must(t, s.Add("east"))
		must(t, s.CommitFiles(map[string][]byte{"rsync://rpki.example/east/a.cer": {1}}, true, nil))
		if s.serial("east") != 1 {
			t.Errorf("it is at serial %d", s.serial("east"))
		}
	})
}
