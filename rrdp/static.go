package rrdp

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"cadastre/internal/fault"
)

// ours is the names that WriteStatic gives and may remove: of files, their gzip forms, and what an interrupted run left.
var ours = regexp.MustCompile(`^(snapshot|delta)-[0-9]+-[0-9a-f]{32}\.xml(\.gz)?(\.new)?$`)

// WriteStatic writes what the service would serve into a directory, for a web server that serves it at BaseURI: each
// file and, with .gz behind its name, its gzip form (nginx: gzip_static). Files that are there already are left as they
// are, the notification is replaced last and at once, and files that nobody has been told of for two hours are removed.
// The times of the files are those of their serials. It fails with Storage when the disk does; the notification that was
// there still stands then.
func (r *Repository) WriteStatic(dir string) error {
	return fault.Wrap(r.writeStatic(dir), "couldn't write the RRDP files of %s", r.cfg.Name)
}

func (r *Repository) writeStatic(dir string) error {
	f := r.front.Load()
	if f == nil {
		return fault.New(fault.NotFound, "nothing is published yet")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { // the world reads it
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	for _, file := range f.files {
		if !file.until.IsZero() {
			continue
		}
		for _, packed := range []bool{false, true} {
			if err := r.writeFile(root, f, file, packed); err != nil {
				return err
			}
		}
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	for name, body := range map[string][]byte{notificationName + ".gz": f.packed, notificationName: f.notification} {
		if err := replace(root, name, f.at, func(w io.Writer) error { _, err := w.Write(body); return err }); err != nil {
			return err
		}
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	return sweep(root, f)
}

// writeFile writes one form of a file unless it is there.
func (r *Repository) writeFile(root *os.Root, f *front, file *published, packed bool) error {
	name := file.name
	if packed {
		name += ".gz"
	}
	if _, err := root.Stat(name); err == nil {
		return nil // its name stands for its bytes
	}
	d, err := r.document(f, file, packed)
	if err != nil {
		return err
	}
	return replace(root, name, file.at, func(w io.Writer) error {
		_, err := io.CopyBuffer(w, struct{ io.Reader }{d.open()}, make([]byte, readSize))
		return err
	})
}

// replace puts a whole file at a name, or leaves what is there.
func replace(root *os.Root, name string, at time.Time, write func(io.Writer) error) error {
	next := name + ".new"
	f, err := root.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644) // the world reads it
	if err != nil {
		return err
	}
	err = errors.Join(write(f), f.Sync(), f.Close())
	if err == nil {
		err = root.Chtimes(next, at, at)
	}
	if err == nil {
		err = root.Rename(next, name)
	}
	if err != nil {
		return errors.Join(err, root.Remove(next))
	}
	return nil
}

// sweep removes the files that are served no more.
func sweep(root *os.Root, f *front) error {
	now := time.Now()
	return fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !ours.MatchString(path) {
			return err
		}
		name := path
		if filepath.Ext(name) == ".gz" {
			name = name[:len(name)-len(".gz")]
		}
		if file := f.files[name]; file != nil && file.servedAt(now) {
			return nil
		}
		return root.Remove(path)
	})
}
