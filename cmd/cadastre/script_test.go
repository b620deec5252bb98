package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"cadastre/internal/relying/sandbox"
	"cadastre/keys"
	"cadastre/testdata"
)

// TestMain lets scripts run this test binary as the program itself, with passphrases that are cheap to stretch: they start it
// a thousand times. More of them run at once than there are cores: most of their time they wait for a serial's second to be
// over, or for rsyncd.
func TestMain(m *testing.M) {
	sandbox.Main()
	if err := flag.Set("test.parallel", strconv.Itoa(3*runtime.NumCPU())); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"cadastre": func() {
		keys.NewCost = keys.Cost{Time: 1, MemoryKiB: 1 << 10, Threads: 1}
		main()
	}})
}

// raceDetector is what the race detector is told in a program of a script: else it waits for a second at its end.
const raceDetector = "atexit_sleep_ms=0"

const testPassphrase = "the passphrase that no log may show"

// TestScripts runs each script of testdata/script in a fresh folder, with a registry's files in it (testdata/registry, and one of the demonstration's),
// ports of its own, and a data directory named by CADASTRE_DATA that 'installation' fills. The commands are in commands_test.go.
func TestScripts(t *testing.T) { runScripts(t, "script", false) }

// TestWithoutDaemon and TestWithDaemon run the same scripts: who types commands need not know whether a daemon runs.
func TestWithoutDaemon(t *testing.T) { runScripts(t, "both", false) }
func TestWithDaemon(t *testing.T)    { runScripts(t, "both", true) }

func runScripts(t *testing.T, folder string, daemon bool) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", folder),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                scriptCommands,
		Condition: func(name string) (bool, error) {
			switch name {
			case "root":
				return os.Geteuid() == 0, nil
			case "daemon":
				return daemon, nil
			case "mount":
				return mayMount(), nil
			}
			return false, fmt.Errorf("there is no condition %q", name)
		},
		Setup: func(e *testscript.Env) error {
			d := &daemons{always: daemon}
			e.Values[daemonsKey] = d
			e.Defer(d.kill)
			e.Setenv("CADASTRE_DATA", filepath.Join(e.WorkDir, "data"))
			e.Setenv("CADASTRE_PASSPHRASE", testPassphrase)
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("GORACE", raceDetector)
			for _, name := range []string{"HTTPS", "RSYNC", "METRICS"} {
				e.Setenv(name, fmt.Sprint(freePort()))
				e.Setenv(name+"2", fmt.Sprint(freePort())) // for scripts with two installations
			}
			north, err := testdata.Demonstration.ReadFile("demonstration/delegated-north")
			if err == nil {
				err = os.WriteFile(filepath.Join(e.WorkDir, "delegated-north"), north, 0o600)
			}
			return errors.Join(err, os.CopyFS(e.WorkDir, os.DirFS(filepath.Join("testdata", "registry"))))
		},
	})
}

var ports = struct {
	sync.Mutex
	next int
}{next: 20000 + rand.IntN(8000)}

// freePort is a port of localhost that nobody listens on, below those that the system gives out by itself, and never
// the same twice.
func freePort() int {
	ports.Lock()
	defer ports.Unlock()
	for {
		ports.next++
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", ports.next)); err == nil {
			_ = l.Close()
			return ports.next
		}
	}
}
