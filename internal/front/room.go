package front

import (
	"os"
	"syscall"
)

// reserve is how many file descriptors strangers leave: a quarter of all, and no fewer than these. They are for what
// opens files and sockets beside: the operators' socket, the store, segments, trees for rsync, peers that are called on.
const reserve = 32

// fewest is how many connections there are in any case.
const fewest = 4

// Room is how many connections there may be beside the files that are open now, with a reserve for those that will be.
func Room() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fewest
	}
	files := int(min(limit.Cur, 1<<30))
	return max(fewest, files-max(reserve, files/4)-openFiles())
}

// openFiles is how many file descriptors are in use; 0 where the system does not tell.
func openFiles() int {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0
	}
	defer dir.Close() //nolint:errcheck // it was only read
	names, _ := dir.Readdirnames(-1)
	return len(names)
}
