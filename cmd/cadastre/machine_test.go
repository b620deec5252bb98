package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// listeners are the ports that scripts have taken, by number; no two scripts share one.
var listeners sync.Map

// doOccupy listens on a port of localhost until doFree, or the end of the script.
func doOccupy(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:"+args[0])
	ts.Check(err)
	listeners.Store(args[0], l)
	ts.Defer(func() { _ = l.Close() })
}

func doFree(ts *testscript.TestScript, _ bool, args []string) {
	l, _ := listeners.LoadAndDelete(args[0])
	ts.Check(l.(net.Listener).Close())
}

// smallDiskSize holds a store, which takes 16 MiB when it is new, and little more.
const smallDiskSize = "size=40m"

// mayMount tells whether this process may mount disks; root in a container often may not.
var mayMount = sync.OnceValue(func() bool {
	path, err := os.MkdirTemp("", "cadastre-mount-*")
	if err != nil {
		return false
	}
	defer os.Remove(path) //nolint:errcheck // it is empty
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, smallDiskSize); err != nil {
		return false
	}
	return syscall.Unmount(path, 0) == nil
})

// doSmallDisk mounts a disk of its own at a folder.
func doSmallDisk(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	ts.Check(os.Mkdir(path, 0o755))
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, smallDiskSize); err != nil {
		ts.Fatalf("couldn't mount a small disk: %v", err)
	}
	ts.Defer(func() {
		theDaemon(ts).kill()
		_ = syscall.Unmount(path, syscall.MNT_DETACH)
	})
}

// doFill fills the disk of a folder to its last byte, with a file filler, or filler.2 where that is there.
func doFill(ts *testscript.TestScript, _ bool, args []string) {
	path := filepath.Join(ts.MkAbs(args[0]), "filler")
	if _, err := os.Stat(path); err == nil {
		path += ".2"
	}
	f, err := os.Create(path)
	ts.Check(err)
	for size := 1 << 20; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			ts.Fatalf("couldn't fill the disk: %v", err)
		}
	}
	ts.Check(f.Close())
}
