package rsync

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// directory is an open directory of a tree. What is in it is reached from it, and not from the root anew: a tree of a large registry has
// tens of thousands of directories. No link is followed.
type directory struct {
	*os.File
	path string // below the tree; "" for the tree itself
}

// openTree opens the directory of a tree.
func (t *Tree) openTree(name string) (directory, error) {
	f, err := t.root.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	return directory{File: f}, err
}

func (d directory) fd() int { return int(d.Fd()) } // a file descriptor is an int

// down opens a directory in this one.
func (d directory) down(name string) (directory, error) {
	fd, err := unix.Openat(d.fd(), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return directory{}, &fs.PathError{Op: "open", Path: path.Join(d.path, name), Err: err}
	}
	return directory{os.NewFile(uintptr(fd), name), path.Join(d.path, name)}, nil // #nosec G115 -- as above
}

// makeDown makes a directory in this one that everyone may read, whatever the umask, and opens it.
func (d directory) makeDown(name string) (directory, error) {
	if err := unix.Mkdirat(d.fd(), name, 0o755); err != nil {
		return directory{}, &fs.PathError{Op: "mkdir", Path: path.Join(d.path, name), Err: err}
	}
	next, err := d.down(name)
	if err == nil {
		err = next.Chmod(0o755)
	}
	return next, err
}

// settle gives a directory the time that all have, once it is as it is to be.
func (d directory) settle() error {
	at := unix.NsecToTimespec(dirTime.UnixNano())
	return unix.UtimesNanoAt(d.fd(), ".", []unix.Timespec{at, at}, 0)
}

// link makes hard links in a new directory to all that is in this one, to any depth.
func (d directory) link(ctx context.Context, to directory) (err error) {
	defer func() { err = errors.Join(err, d.Close(), to.Close()) }()
	entries, err := d.ReadDir(-1)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !e.IsDir() {
			if err := unix.Linkat(d.fd(), e.Name(), to.fd(), e.Name(), 0); err != nil {
				return &fs.PathError{Op: "link", Path: path.Join(to.path, e.Name()), Err: err}
			}
			continue
		}
		from, err := d.down(e.Name())
		if err != nil {
			return err
		}
		next, err := to.makeDown(e.Name())
		if err != nil {
			return errors.Join(err, from.Close())
		}
		if err := from.link(ctx, next); err != nil {
			return err
		}
	}
	return to.settle()
}

// read gives each file in this directory, to any depth, by its path below the tree, until take is false; skip names those that are not
// read. The octets are take's until it returns.
func (d directory) read(ctx context.Context, buf *[]byte, skip func(path string) bool, take func(path string, object []byte) bool) (all bool, err error) {
	defer func() { err = errors.Join(err, d.Close()) }()
	entries, err := d.ReadDir(-1)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		name := path.Join(d.path, e.Name())
		if e.IsDir() {
			next, err := d.down(e.Name())
			if err != nil {
				return false, err
			}
			if all, err := next.read(ctx, buf, skip, take); !all || err != nil {
				return false, err
			}
			continue
		}
		if skip(name) {
			continue
		}
		object, err := d.file(e.Name(), buf)
		if err != nil {
			return false, err
		}
		if !take(name, object) {
			return false, nil
		}
	}
	return true, nil
}

// file reads a file of this directory into a buffer, which grows as it must.
func (d directory) file(name string, buf *[]byte) (object []byte, err error) {
	fd, err := unix.Openat(d.fd(), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path.Join(d.path, name), Err: err}
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	for n := 0; ; {
		if n == len(*buf) {
			*buf = append(*buf, make([]byte, max(n, 16<<10))...)
		}
		got, err := unix.Read(fd, (*buf)[n:])
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, &fs.PathError{Op: "read", Path: path.Join(d.path, name), Err: err}
		case got == 0:
			return (*buf)[:n], nil
		default:
			n += got
		}
	}
}
