package rsync

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path"
	"time"

	"cadastre/rrdp"
)

// bring makes the files of a tree that nobody sees what the view has: those of changed objects, and none at the withdrawn
// URIs.
func (t *Tree) bring(ctx context.Context, next *tree, v rrdp.View, changed []rrdp.Object, withdrawn []string) error {
	touched := map[string]bool{next.Name: true}
	for _, uri := range withdrawn {
		name, err := relative(t.cfg.Base, uri)
		if err != nil {
			return err
		}
		if err := t.root.Remove(path.Join(next.Name, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		t.prune(next.Name, path.Dir(name), touched)
	}
	for _, o := range changed {
		if err := ctx.Err(); err != nil {
			return err
		}
		name, err := relative(t.cfg.Base, o.URI)
		if err != nil {
			return err
		}
		object, err := v.Read(o)
		if err != nil {
			return err
		}
		if err := t.mkdirs(next.Name, path.Dir(name), touched); err != nil {
			return err
		}
		if err := t.put(next, name, o.URI, object); err != nil {
			return err
		}
	}
	for dir := range touched {
		if err := t.root.Chtimes(dir, dirTime, dirTime); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// put makes one file. It never writes into a file that is there: it may be linked from a visible tree. Where the visible
// tree has the same bytes, its file is linked, with its time. Where it has others, the time of the new file is later: a
// reader compares sizes and times alone, and would keep the old one if two objects of the same size had the same second.
func (t *Tree) put(next *tree, name, uri string, object []byte) error {
	target := path.Join(next.Name, name)
	if err := t.root.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	at := t.cfg.MTime(uri, object).Truncate(time.Second)
	if old := t.state.Visible; old != nil {
		shown := path.Join(old.Name, name)
		if was, err := t.root.ReadFile(shown); err == nil {
			if bytes.Equal(was, object) {
				return t.root.Link(shown, target)
			}
			info, err := t.root.Stat(shown)
			if err != nil {
				return err
			}
			if !at.After(info.ModTime()) {
				at = info.ModTime().Add(time.Second)
			}
		}
	}
	f, err := t.root.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(object)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return t.root.Chtimes(target, at, at)
}

// mkdir makes a directory that everyone may read, whatever the umask.
func (t *Tree) mkdir(name string) error {
	if err := t.root.Mkdir(name, 0o755); err != nil {
		return err
	}
	return t.root.Chmod(name, 0o755)
}

// mkdirs makes the directories down to dir below a tree, and notes those whose times change.
func (t *Tree) mkdirs(tree, dir string, touched map[string]bool) error {
	at := path.Join(tree, dir)
	if touched[at] {
		return nil
	}
	touched[at] = true
	if dir == "." {
		return nil
	}
	if _, err := t.root.Lstat(at); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := t.mkdirs(tree, path.Dir(dir), touched); err != nil {
		return err
	}
	return t.mkdir(at)
}

// prune removes directories that have become empty, from dir upwards.
func (t *Tree) prune(tree, dir string, touched map[string]bool) {
	for ; dir != "."; dir = path.Dir(dir) {
		at := path.Join(tree, dir)
		if t.root.Remove(at) != nil { // not empty
			touched[at] = true
			return
		}
		delete(touched, at)
	}
	touched[tree] = true
}

// linkAll makes a new tree of hard links to the files of another.
func (t *Tree) linkAll(ctx context.Context, from, to *tree) error {
	old, err := t.openTree(from.Name)
	if err != nil {
		return err
	}
	next, err := t.openTree(to.Name)
	if err != nil {
		return errors.Join(err, old.Close())
	}
	return old.link(ctx, next)
}

// check compares the visible tree with the repository after a start, until a tree was found right or was written anew. A tree
// that is not what it says, or of which the repository does not know what it should be, is not built upon.
func (t *Tree) check(ctx context.Context, v rrdp.View) error {
	old := t.state.Visible
	if t.checked || old == nil {
		return nil
	}
	good, err := t.matches(ctx, old, v)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.checked = good
	if !good {
		t.cfg.Log.Warn("the rsync tree is not what the repository has and is written anew", "tree", old.Name, "serial", old.Serial)
		old.Session = ""
	}
	return nil
}

// matches says whether the files of a tree are the objects of its serial, as far as the view still knows them.
func (t *Tree) matches(ctx context.Context, old *tree, v rrdp.View) (bool, error) {
	if old.Session != v.Session {
		return false, nil
	}
	changed, withdrawn, ok := v.Since(old.Serial)
	if !ok {
		return false, nil
	}
	want := map[string][32]byte{}
	for o := range v.All() {
		want[o.URI] = o.Hash
	}
	since := map[string]bool{} // what these had is not known any more
	for _, o := range changed {
		since[o.URI] = true
		delete(want, o.URI)
	}
	for _, uri := range withdrawn {
		since[uri] = true
	}
	dir, err := t.openTree(old.Name)
	if err != nil {
		return false, err
	}
	var buf []byte
	skip := func(path string) bool { return since[t.cfg.Base+path] }
	good, err := dir.read(ctx, &buf, skip, func(path string, object []byte) bool {
		uri := t.cfg.Base + path
		hash, there := want[uri]
		delete(want, uri)
		return there && sha256.Sum256(object) == hash
	})
	return good && len(want) == 0, err
}
