package rsync

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cadastre/internal/fault"
)

// Names in the directory of a module.
const (
	treePrefix = "tree-"
	linkName   = "current" // to the visible tree, for those who serve with an rsync daemon of their own
	stateName  = "state.json"
)

// tree is one directory tree-SERIAL-N.
type tree struct {
	Name    string    `json:"name"`
	Session string    `json:"session"` // "" when what it holds is not known
	Serial  uint64    `json:"serial"`
	Retired time.Time `json:"retired,omitzero"` // when another took its place
}

// state is what is known of the trees, kept beside them.
type state struct {
	Visible *tree     `json:"visible"`
	Retired []*tree   `json:"retired"` // newest first
	Full    time.Time `json:"full"`    // when the bucket of switches is full again
}

// load finds the trees. The record says what they hold, the link says which one is visible, and the directory says which there
// are. Where these do not agree, the content of a tree counts as unknown: it is not built upon, and stays for its readers until
// its two hours are over.
func (t *Tree) load() (state, error) {
	var s state
	data, err := t.root.ReadFile(stateName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, fault.Wrap(err, "couldn't read the state of the rsync trees in %s", t.cfg.Dir)
	}
	if err != nil || json.Unmarshal(data, &s) != nil {
		s = state{}
	}
	names, err := os.ReadDir(t.cfg.Dir)
	if err != nil {
		return s, fault.Wrap(err, "couldn't list the rsync trees")
	}
	link, _ := t.root.Readlink(linkName)
	recorded := map[string]*tree{}
	for _, r := range s.Retired {
		if r != nil {
			recorded[r.Name] = r
		}
	}
	if s.Visible == nil || s.Visible.Name != link {
		s.Visible = &tree{Name: link} // shown, and by its empty session not built upon
	}
	s.Retired = nil
	found := false
	for _, n := range names {
		switch r := recorded[n.Name()]; {
		case !n.IsDir() || !strings.HasPrefix(n.Name(), treePrefix):
		case n.Name() == link:
			found = true
		case r != nil && !r.Retired.IsZero():
			r.Session = "" // not checked, and so not used again
			s.Retired = append(s.Retired, r)
		default:
			s.Retired = append(s.Retired, &tree{Name: n.Name(), Retired: time.Now()})
		}
	}
	if !found {
		s.Visible = nil
	}
	slices.SortFunc(s.Retired, func(a, b *tree) int { return b.Retired.Compare(a.Retired) })
	return s, nil
}

// save replaces the record.
func (t *Tree) save() error {
	data, err := json.MarshalIndent(t.state, "", "\t")
	if err != nil {
		return err
	}
	if err := t.root.WriteFile(stateName+".new", data, 0o600); err != nil {
		return err
	}
	return t.root.Rename(stateName+".new", stateName)
}

// forget takes a retired tree out of the record.
func (t *Tree) forget(r *tree) error {
	t.mu.Lock()
	t.state.Retired = slices.DeleteFunc(slices.Clone(t.state.Retired), func(other *tree) bool { return other == r })
	t.mu.Unlock()
	return t.save()
}

// sweep removes the trees that nobody can use any more, and what was built and never shown.
func (t *Tree) sweep() {
	for i, r := range slices.Clone(t.state.Retired) {
		unusable := r.Session == "" || i >= burst+int(quiet/t.cfg.Every)
		if !unusable || time.Since(r.Retired) < quiet {
			continue
		}
		if err := t.root.RemoveAll(r.Name); err != nil {
			t.cfg.Log.Warn("couldn't remove an old rsync tree", "tree", filepath.Join(t.cfg.Dir, r.Name), "error", err)
			continue
		}
		if err := t.forget(r); err != nil {
			t.cfg.Log.Warn("couldn't record that an old rsync tree is gone", "error", err)
		}
	}
	names, err := os.ReadDir(t.cfg.Dir)
	if err != nil {
		return
	}
	for _, n := range names {
		if strings.HasPrefix(n.Name(), treePrefix) && !t.knows(n.Name()) {
			_ = t.root.RemoveAll(n.Name()) // tried again the next time
		}
	}
}

func (t *Tree) knows(name string) bool {
	if t.state.Visible != nil && t.state.Visible.Name == name {
		return true
	}
	return slices.ContainsFunc(t.state.Retired, func(r *tree) bool { return r.Name == name })
}

// syncFilesystem makes everything that was written below a directory durable, in one go.
func syncFilesystem(dir string) error {
	d, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(d.Fd())), d.Close()) // a file descriptor is an int
}
