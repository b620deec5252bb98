package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.etcd.io/bbolt"

	"cadastre/internal/store"
)

// scriptCommands are what scripts can say besides testscript's own words.
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"installation": doInstallation,
	"daemon":       doDaemon,
	"signal":       doSignal,
	"begin":        doBegin,
	"settle":       doSettle,
	"exits":        doExits,
	"refused":      doRefused,
	"json":         doJSON,
	"capture":      doCapture,
	"state":        doState,
	"fetch":        doFetch,
	"config":       doConfig,
	"ports":        doPorts,
	"occupy":       doOccupy,
	"free":         doFree,
	"smallDisk":    doSmallDisk,
	"fill":         doFill,
	"clock":        doClock,
	"stall":        doStall,
	"format":       doFormat,
	"noSecrets":    doNoSecrets,
	"inAWhile":     doInAWhile,
	"atLast":       doAtLast,
	"becomes":      doBecomes,
}

// doInstallation makes a data directory with P-256 keys, and what follows from delegated-north and roas.csv; 'installation empty'
// leaves it as init made it. More words go to init.
func doInstallation(ts *testscript.TestScript, _ bool, args []string) {
	empty := len(args) > 0 && args[0] == "empty"
	if empty {
		args = args[1:]
	}
	ts.Check(ts.Exec("cadastre", append([]string{"init", "--tree", "tree.toml", "--algorithm", "p-256", "--https-port", ts.Getenv("HTTPS"),
		"--rsync-port", ts.Getenv("RSYNC"), "--metrics", "127.0.0.1:" + ts.Getenv("METRICS")}, args...)...))
	// making keys in stock is not what is tested, nor how long one repository waits for another
	path := filepath.Join(ts.Getenv("CADASTRE_DATA"), "config.toml")
	text := strings.NewReplacer("pool = 1500", "pool = 8", `soak = "30m"`, `soak = "0s"`).Replace(ts.ReadFile(path))
	ts.Check(os.WriteFile(path, []byte(text), 0o600))
	if empty {
		return
	}
	ts.Check(ts.Exec("cadastre", "holdings", "import", "delegated-north"))
	ts.Check(ts.Exec("cadastre", "roa", "import", "roas.csv"))
	ts.Check(ts.Exec("cadastre", "serve", "--once"))
}

// doConfig changes a duration in config.toml: config notice 0s.
func doConfig(ts *testscript.TestScript, _ bool, args []string) {
	path := filepath.Join(ts.Getenv("CADASTRE_DATA"), "config.toml")
	text := regexp.MustCompile(`(?m)^(\s*`+args[0]+` = )".*"$`).ReplaceAllString(ts.ReadFile(path), `${1}"`+args[1]+`"`)
	ts.Check(os.WriteFile(path, []byte(text), 0o600))
}

// doPorts gives the installation that is made next ports of its own, after the first two.
func doPorts(ts *testscript.TestScript, _ bool, _ []string) {
	for _, name := range []string{"HTTPS", "RSYNC", "METRICS"} {
		ts.Setenv(name, strconv.Itoa(freePort()))
	}
}

// doBegin starts a daemon where the scripts run with one.
func doBegin(ts *testscript.TestScript, _ bool, _ []string) {
	if allDaemons(ts).always {
		doDaemon(ts, false, []string{"start"})
	}
}

// doSettle waits until what was decided is published, in the way that each kind of user has.
func doSettle(ts *testscript.TestScript, _ bool, _ []string) {
	if allDaemons(ts).always {
		ts.Check(ts.Exec("cadastre", "status", "--wait"))
		return
	}
	ts.Check(ts.Exec("cadastre", "serve", "--once"))
}

// doExits runs a program that must end with an exit status: exits 5 cadastre roa add …
func doExits(ts *testscript.TestScript, _ bool, args []string) {
	if got, want := exitStatus(ts.Exec(args[1], args[2:]...)), args[0]; strconv.Itoa(got) != want {
		ts.Fatalf("%s ended with %d, not with %s", strings.Join(args[1:], " "), got, want)
	}
}

func exitStatus(err error) int {
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		return ended.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

var (
	logLine   = regexp.MustCompile(`(?m)^time=.*\n`)
	unfitting = regexp.MustCompile(`%!|panic|goroutine|<nil>|\.go:\d|0x[0-9a-f]{6}`)
)

// doRefused runs a program that must end with an exit status and one clear sentence: refused 5 cadastre roa add …
func doRefused(ts *testscript.TestScript, neg bool, args []string) {
	doExits(ts, neg, args)
	said := logLine.ReplaceAllString(ts.ReadFile("stderr"), "")
	sentence, ours := strings.CutPrefix(strings.TrimSuffix(said, "\n"), "cadastre: ")
	if !ours || strings.Contains(sentence, "\n") || len(sentence) < 15 || len(sentence) > 500 || unfitting.MatchString(sentence) {
		ts.Fatalf("this is not one clear sentence: %q", said)
	}
}

// doJSON checks the JSON that was printed last: json vrps_lost.0.prefix 192.0.2.0/24; len is how many there are.
func doJSON(ts *testscript.TestScript, neg bool, args []string) {
	var value any
	decoder := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	decoder.UseNumber()
	ts.Check(decoder.Decode(&value))
	if decoder.More() {
		ts.Fatalf("more follows the JSON")
	}
	for step := range strings.SplitSeq(args[0], ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[step]
			if step == "len" {
				value = len(v)
			}
		case []any:
			if step == "len" {
				value = len(v)
				continue
			}
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(v) {
				ts.Fatalf("%s: no %q in a list of %d", args[0], step, len(v))
			}
			value = v[i]
		default:
			value = nil
		}
	}
	if got := fmt.Sprint(value); (got == args[1]) == neg {
		ts.Fatalf("%s is %q; wanted %q (negated: %v)", args[0], got, args[1], neg)
	}
}

// doCapture sets a variable to the first group of an expression in what was printed last, on either stream:
// capture CODE '--code ([0-9a-f]{8})'.
func doCapture(ts *testscript.TestScript, _ bool, args []string) {
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout") + ts.ReadFile("stderr"))
	if found == nil {
		ts.Fatalf("%s was not printed", args[1])
	}
	ts.Setenv(args[0], found[1])
}

// doInAWhile sets WHEN to a moment ahead, and doAtLast waits until it is past.
func doInAWhile(ts *testscript.TestScript, _ bool, args []string) {
	ahead, err := time.ParseDuration(args[0])
	ts.Check(err)
	ts.Setenv("WHEN", time.Now().Add(ahead).UTC().Format(time.RFC3339))
}

func doAtLast(ts *testscript.TestScript, _ bool, _ []string) {
	when, err := time.Parse(time.RFC3339, ts.Getenv("WHEN"))
	ts.Check(err)
	time.Sleep(time.Until(when.Add(100 * time.Millisecond)))
}

// doBecomes runs a program until what it prints matches, whether it fails meanwhile or not, for what daemons do by
// themselves: becomes ' active ' cadastre keys show acme.
func doBecomes(ts *testscript.TestScript, neg bool, args []string) {
	wanted := regexp.MustCompile("(?m)" + args[0])
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		if wanted.MatchString(ts.ReadFile("stdout")) != neg {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s goes on to print (negated: %v; %v)\n%s", strings.Join(args[1:], " "), neg, err, ts.ReadFile("stdout"))
		}
	}
}

// doState writes all that commands say of the data directory to a file, so that two can be compared.
func doState(ts *testscript.TestScript, _ bool, args []string) {
	var all bytes.Buffer
	for _, words := range []string{"decisions", "holdings list", "roa list", "vrps"} {
		ts.Check(ts.Exec("cadastre", append(strings.Fields(words), "-o", "json")...))
		all.WriteString(ts.ReadFile("stdout"))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), all.Bytes(), 0o644))
}

// doClock has the store remember that its last commit was in a while from now, such as 48h or -2000h.
func doClock(ts *testscript.TestScript, _ bool, args []string) {
	shift, err := time.ParseDuration(args[0])
	ts.Check(err)
	st, err := store.Open(filepath.Join(ts.Getenv("CADASTRE_DATA"), "store.db"), store.Options{})
	ts.Check(err)
	text, err := json.Marshal(time.Now().Add(shift).UTC())
	ts.Check(err)
	_, err = st.Update(store.Any, func(w store.Writer) error { return w.Put(named("engine"), []byte("clock"), text) })
	ts.Check(errors.Join(err, st.Close()))
}

// doFormat has the store say that it is of a format.
func doFormat(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseUint(args[0], 10, 64)
	ts.Check(err)
	db, err := bbolt.Open(filepath.Join(ts.Getenv("CADASTRE_DATA"), "store.db"), 0o600, nil)
	ts.Check(err)
	err = db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("format"), binary.BigEndian.AppendUint64(nil, n))
	})
	ts.Check(errors.Join(err, db.Close()))
}

// daemonOf is the daemon of a data directory.
type daemonOf struct {
	cmd   *exec.Cmd
	ended chan error
}

// daemons is those of a script.
type daemons struct {
	always bool                 // the scripts run with one
	of     map[string]*daemonOf // by data directory
}

func (d *daemons) kill() {
	for _, one := range d.of {
		one.kill()
	}
}

type daemonsKeyType struct{}

var daemonsKey daemonsKeyType

func allDaemons(ts *testscript.TestScript) *daemons { return ts.Value(daemonsKey).(*daemons) }

// theDaemon is that of the data directory that CADASTRE_DATA names.
func theDaemon(ts *testscript.TestScript) *daemonOf {
	all, dir := allDaemons(ts), ts.Getenv("CADASTRE_DATA")
	if all.of == nil {
		all.of = map[string]*daemonOf{}
	}
	if all.of[dir] == nil {
		all.of[dir] = &daemonOf{}
	}
	return all.of[dir]
}

func (d *daemonOf) kill() {
	if d.cmd != nil {
		_ = d.cmd.Process.Kill()
		<-d.ended //nolint:errcheck // it was killed
		d.cmd = nil
	}
}

// doDaemon does what its first word says: start [flags of serve] starts a daemon and returns when it answers; stop
// ends it as systemd does, ended waits until it has ended well, and crash ends it as a power cut does. What it logs is in
// daemon.log. OPENFILES is its limit of open files.
func doDaemon(ts *testscript.TestScript, _ bool, args []string) {
	d := theDaemon(ts)
	switch args[0] {
	case "start":
		d.start(ts, args[1:])
	case "stop", "ended":
		if args[0] == "stop" {
			ts.Check(d.cmd.Process.Signal(syscall.SIGTERM))
		}
		select {
		case err := <-d.ended:
			d.cmd = nil
			if exitStatus(err) != 0 {
				ts.Fatalf("the daemon did not end well: %v\n%s", err, ts.ReadFile("daemon.log"))
			}
		case <-time.After(2 * time.Minute):
			ts.Fatalf("the daemon does not end")
		}
	case "crash":
		d.kill()
	default:
		ts.Fatalf("daemon start, stop or crash")
	}
}

// doSignal sends the daemon a signal: HUP or TERM.
func doSignal(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(theDaemon(ts).cmd.Process.Signal(map[string]os.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM}[args[0]]))
}

func (d *daemonOf) start(ts *testscript.TestScript, flags []string) {
	path, err := exec.LookPath(filepath.Join(binFolder(ts), "cadastre"))
	ts.Check(err)
	log, err := os.OpenFile(ts.MkAbs("daemon.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	ts.Check(err)
	defer log.Close() //nolint:errcheck // the daemon has its own
	cmd := exec.Command(path, append([]string{"serve"}, flags...)...)
	if files := ts.Getenv("OPENFILES"); files != "" {
		cmd = exec.Command("sh", append([]string{"-c", `ulimit -n "$0" && exec "$@"`, files, path, "serve"}, flags...)...)
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), log, log
	cmd.Env = append(os.Environ(), "GORACE="+raceDetector, "CADASTRE_DATA="+ts.Getenv("CADASTRE_DATA"), "CADASTRE_PASSPHRASE="+ts.Getenv("CADASTRE_PASSPHRASE"), "PATH="+ts.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	ts.Check(cmd.Start())
	ts.Check(os.WriteFile(ts.MkAbs("daemon.pid"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o644))
	d.cmd, d.ended = cmd, make(chan error, 1)
	go func() { d.ended <- cmd.Wait() }()
	socket := filepath.Join(ts.Getenv("CADASTRE_DATA"), "cadastre.sock")
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("unix", socket); err == nil {
			_ = c.Close()
			return
		}
		select {
		case err := <-d.ended:
			d.cmd = nil
			ts.Fatalf("the daemon ended: %v\n%s", err, ts.ReadFile("daemon.log"))
		default:
		}
		if time.Now().After(deadline) {
			ts.Fatalf("the daemon does not answer\n%s", ts.ReadFile("daemon.log"))
		}
	}
}

// binFolder is where testscript put the programs of TestMain.
func binFolder(ts *testscript.TestScript) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, "cadastre")); err == nil {
			return dir
		}
	}
	ts.Fatalf("the program is not in PATH")
	return ""
}
