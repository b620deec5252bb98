package rsync

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cadastre/internal/fault"
)

// module is one name that the daemon serves.
type module struct {
	path    string // the real directory: never a link
	comment string
}

// Module is a directory that the daemon serves under a name.
type Module struct{ Name, Path, Comment string }

// newModule finds the real directory of a module. It fails with BadInput on what an rsyncd.conf cannot say.
func newModule(m Module) (module, error) {
	path, err := filepath.Abs(m.Path)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return module{}, fault.Wrap(err, "couldn't find the directory of the rsync module %s", m.Name)
	}
	if !plainName(m.Name) || strings.ContainsAny(path+m.Comment, "\r\n%\\#;") {
		return module{}, fault.New(fault.BadInput, "the rsync module %q in %q cannot be served: '%%', ';', '#', '\\' and line ends have a meaning in its configuration", m.Name, path)
	}
	return module{path: path, comment: m.Comment}, nil
}

func (d *Daemon) configPath() string { return filepath.Join(d.cfg.Dir, "rsyncd.conf") }

// SetModule makes the daemon serve a directory under a name, for connections from now on; those that are under way stay
// with the directory that they began with. It fails with BadInput on what an rsyncd.conf cannot say.
func (d *Daemon) SetModule(name, path, comment string) error {
	m, err := newModule(Module{name, path, comment})
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	next := maps.Clone(d.modules)
	next[name] = m
	if err := d.write(next); err != nil {
		return err
	}
	d.modules = next
	return nil
}

// configure writes the configuration of the modules as they are.
func (d *Daemon) configure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.write(d.modules)
}

// write replaces the configuration at once, so that a connection reads the old one or the new one. Where it is right already
// nothing is written: a daemon that starts on a full disk serves what is there.
func (d *Daemon) write(modules map[string]module) error {
	if err := os.MkdirAll(d.cfg.Dir, 0o700); err != nil {
		return fault.Wrap(err, "couldn't make the directory of the rsync daemon")
	}
	text := []byte(d.text(modules))
	if was, err := os.ReadFile(d.configPath()); err == nil && bytes.Equal(was, text) {
		return nil
	}
	next := d.configPath() + ".new"
	err := os.WriteFile(next, text, 0o600)
	if err == nil {
		err = os.Rename(next, d.configPath())
	}
	return fault.Wrap(err, "couldn't write the configuration of the rsync daemon")
}

// text is an rsyncd.conf (rsyncd.conf(5)). Started as root, the daemon confines each connection to its directory and to
// the rights of nobody; otherwise it has the rights of the one who started it, on files that everybody may read.
func (d *Daemon) text(modules map[string]module) string {
	var b strings.Builder
	line := func(name string, value any) { fmt.Fprintf(&b, "%s = %v\n", name, value) }
	line("port", d.port)
	if d.host != "" {
		line("address", d.host)
	}
	if os.Geteuid() == 0 {
		line("use chroot", "yes")
		line("uid", "nobody")
		line("gid", "nogroup")
	} else {
		line("use chroot", "no")
	}
	line("lock file", filepath.Join(d.cfg.Dir, "rsyncd.lock"))
	line("max connections", d.cfg.MaxConnections)
	line("timeout", 300)
	line("read only", "yes")
	line("list", "yes")
	line("numeric ids", "yes")
	line("munge symlinks", "no")
	line("reverse lookup", "no")
	line("transfer logging", "no")
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		fmt.Fprintf(&b, "\n[%s]\n", name)
		line("path", modules[name].path)
		if c := modules[name].comment; c != "" {
			line("comment", c)
		}
	}
	return b.String()
}

// PutFile puts one file into a directory that a module serves, for what is not in a repository: the trust anchor's
// certificate. A reader sees the old one or the new one. dir is made if need be; the file is written beside it first.
func PutFile(dir, name string, data []byte, mtime time.Time) error {
	if !plainName(name) {
		return fault.New(fault.BadInput, "%q is no name for a file in an rsync module", name)
	}
	if was, err := os.ReadFile(filepath.Join(dir, name)); err == nil && bytes.Equal(was, data) {
		return nil // nothing is written where it is right already: the disk may be full
	}
	next := strings.TrimSuffix(dir, "/") + "." + name + ".new"
	err := os.MkdirAll(dir, 0o755) // the daemon reads it as nobody
	if err == nil {
		err = writeSynced(next, data)
	}
	if err == nil {
		err = errors.Join(os.Chmod(next, 0o644), os.Chmod(dir, 0o755), os.Chtimes(next, mtime, mtime)) // as above
	}
	if err == nil {
		err = os.Rename(next, filepath.Join(dir, name))
	}
	if err == nil {
		err = os.Chtimes(dir, dirTime, dirTime)
	}
	return fault.Wrap(err, "couldn't write %s", filepath.Join(dir, name))
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(filepath.Clean(path), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644) // the world reads it
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}
