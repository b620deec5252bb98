package daemon

import (
	"errors"

	"golang.org/x/sys/unix"
)

// shield keeps what is in this process's memory, which is keys, from files and from other processes of the same user: no core
// dump is written, and none may trace it (core(5), PR_SET_DUMPABLE in prctl(2)).
func shield() error {
	return errors.Join(
		unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}),
		unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0),
	)
}
