package daemon

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// shielded is in the environment of the process in which TestShield begins a daemon.
const shielded = "CADASTRE_TEST_SHIELD"

// TestShield begins a daemon in a process of its own, which tells of itself: none of the same user may trace it, and it leaves
// no core dump and may not allow itself one. It does so before it opens the directory, which there is none of here.
func TestShield(t *testing.T) {
	if dir := os.Getenv(shielded); dir != "" {
		tellShield(dir)
		return
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestShield$")
	command.Env = append(os.Environ(), shielded+"="+filepath.Join(t.TempDir(), "none"))
	said, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	for _, want := range []string{"dumpable before 1", "dumpable 0", "core 0 0"} {
		if !strings.Contains("\n"+string(said), "\n"+want+"\n") {
			t.Errorf("the process does not say %q, but:\n%s", want, said)
		}
	}
}

// tellShield prints what PR_GET_DUMPABLE and RLIMIT_CORE say, before a daemon is begun and after.
func tellShield(dir string) {
	dumpable := func() int {
		is, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		if err != nil {
			fmt.Println(err)
		}
		return is
	}
	var core unix.Rlimit
	// a machine that allows none from the start shows nothing: only root can raise that
	if unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}) != nil {
		fmt.Println("no core dump is allowed here, whatever the daemon does")
	}
	fmt.Println("dumpable before", dumpable())
	if b, err := begin(dir, &Options{}, slog.New(slog.DiscardHandler)); err == nil {
		fmt.Println("a daemon begins without a directory")
		b.end()
	}
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil {
		fmt.Println(err)
	}
	fmt.Println("dumpable", dumpable())
	fmt.Println("core", core.Cur, core.Max)
}
