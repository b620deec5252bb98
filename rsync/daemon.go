package rsync

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"cadastre/internal/fault"
)

// DaemonConfig says how the daemon is run.
type DaemonConfig struct {
	Dir            string // for its configuration and lock file
	Address        string // to listen on: "host:port", the host an IP address or empty for all
	Program        string // "rsync" where empty
	MaxConnections int    // 0 for 500
	Modules        []Module
	Log            *slog.Logger
}

// Daemon runs rsync as a daemon and watches it: when it ends, it is started again, after a wait that grows from one
// second to a minute. The rsync program reads its configuration anew for each connection, so SetModule needs no signal,
// and no connection that is under way notices.
type Daemon struct {
	cfg     DaemonConfig
	program string
	host    string
	port    int
	cancel  context.CancelFunc
	done    chan struct{}
	ended   chan error   // tells of the end of the first child, if Start still waits for it
	pid     atomic.Int64 // of the child, 0 while there is none

	mu      sync.Mutex // guards modules
	modules map[string]module
}

// waits is how long the watch waits before it starts a child that ended again: one after the other, the last again and again. It begins anew
// when a child has run for the time settled.
var waits = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second, time.Minute}

const (
	settled  = time.Minute
	patience = 5 * time.Second // for the child to listen, and to end
	handover = time.Second     // for the child of a predecessor to end
)

// Start starts the daemon with the modules of its configuration and waits until it answers. It fails with NotFound when there is no rsync
// program, with Busy when the port is taken, and with Unreachable when the daemon does not answer; the caller may then go on without. It fails
// with BadInput on an address that is none, and on a module that an rsyncd.conf cannot say.
func Start(cfg DaemonConfig) (*Daemon, error) {
	if cfg.Program == "" {
		cfg.Program = "rsync"
	}
	if cfg.MaxConnections == 0 {
		cfg.MaxConnections = 500
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	program, err := exec.LookPath(cfg.Program)
	if err != nil {
		return nil, fault.New(fault.NotFound, "there is no rsync program (%q) on this machine: install it ('apt-get install rsync') to serve over rsync too", cfg.Program)
	}
	// the program reads the configuration again and again, and need not stay where it was started
	if cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
		return nil, fault.Wrap(err, "couldn't find the directory of the rsync daemon")
	}
	d := &Daemon{cfg: cfg, program: program, modules: map[string]module{}, done: make(chan struct{}), ended: make(chan error, 1)}
	for _, m := range cfg.Modules {
		if d.modules[m.Name], err = newModule(m); err != nil {
			return nil, err
		}
	}
	if err := d.address(); err != nil {
		return nil, err
	}
	if err := d.configure(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	go d.watch(ctx)
	if err := d.await(); err != nil {
		d.Stop()
		return nil, err
	}
	return d, nil
}

// address takes the address apart and makes sure that nobody listens there. When our own predecessor was killed, its rsync
// is told by the kernel and ends a moment later; that moment is waited for.
func (d *Daemon) address() error {
	host, port, err := net.SplitHostPort(d.cfg.Address)
	if err == nil {
		d.port, err = strconv.Atoi(port)
	}
	if err != nil || d.port < 1 || d.port > 65535 || host != "" && net.ParseIP(host) == nil {
		return fault.New(fault.BadInput, "%q is no address for the rsync daemon: give IP:PORT or :PORT", d.cfg.Address)
	}
	d.host = host
	probe, err := new(net.ListenConfig).Listen(context.Background(), "tcp", d.cfg.Address)
	for begun := time.Now(); errors.Is(err, syscall.EADDRINUSE) && time.Since(begun) < handover; {
		time.Sleep(10 * time.Millisecond)
		probe, err = new(net.ListenConfig).Listen(context.Background(), "tcp", d.cfg.Address)
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fault.New(fault.Busy, "the rsync daemon cannot listen on %s, because another program does: stop that one or choose another port", d.cfg.Address)
	case errors.Is(err, os.ErrPermission):
		return fault.New(fault.BadInput, "the rsync daemon may not listen on %s: choose a port above 1023 or start as root", d.cfg.Address)
	case err != nil:
		return fault.Wrap(err, "the rsync daemon cannot listen on %s", d.cfg.Address)
	}
	return fault.Wrap(probe.Close(), "the rsync daemon cannot listen on %s", d.cfg.Address)
}

// await waits until the child greets on the port. The greeting is read, for the child calls a reader that hangs up before
// it an error.
func (d *Daemon) await() error {
	host := d.host
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(d.port)))
		if err == nil {
			deadline, _ := ctx.Deadline()
			_ = conn.SetDeadline(deadline)
			_, err = bufio.NewReader(conn).ReadString('\n')
			_ = conn.Close()
		}
		if err == nil {
			return nil
		}
		select {
		case err := <-d.ended:
			return fault.New(fault.Unreachable, "the rsync daemon has ended at once (%v): what it printed is in the log", err)
		case <-ctx.Done():
			return fault.New(fault.Unreachable, "the rsync daemon does not answer on %s after %v: what it printed is in the log", d.cfg.Address, patience)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop ends the daemon and its connections and waits for that.
func (d *Daemon) Stop() {
	d.cancel()
	<-d.done
}

// watch runs the child again and again. It keeps to one thread, because the kernel sends the signal that ends the child
// when the thread that started it ends (prctl(2), PR_SET_PDEATHSIG), not when the process does.
func (d *Daemon) watch(ctx context.Context) {
	defer close(d.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for failures := 0; ; failures++ {
		begun := time.Now()
		err := d.run(ctx)
		if ctx.Err() != nil {
			return
		}
		select {
		case d.ended <- err:
		default:
		}
		if time.Since(begun) > settled {
			failures = 0
		}
		wait := waits[min(failures, len(waits)-1)]
		d.cfg.Log.Error("the rsync daemon has ended and is started again", "error", err, "in", wait)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// environment is all that the child and its connections find in theirs. The connections may run as nobody, and our own environment may have
// passphrases.
func environment() []string {
	env := []string{"LC_ALL=C"}
	for _, name := range []string{"PATH", "TZ"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// run is one life of the child.
func (d *Daemon) run(ctx context.Context) error {
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	// the program is the operator's choice, the arguments are ours
	cmd := exec.CommandContext(ctx, d.program, "--daemon", "--no-detach", "--config="+d.configPath(), "--log-file=/dev/stderr")
	cmd.Stdout, cmd.Stderr, cmd.Env = in, in, environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	// its connections are its children, in its group
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = patience
	err = cmd.Start()
	_ = in.Close()
	if err != nil {
		_ = out.Close()
		return err
	}
	d.pid.Store(int64(cmd.Process.Pid))
	read := make(chan struct{})
	go func() {
		defer close(read)
		d.relay(out)
	}()
	err = cmd.Wait()
	d.pid.Store(0)
	// what is left of its group: transfers of a child that was killed
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	<-read
	_ = out.Close()
	if err == nil {
		err = errors.New("it ended without an error")
	}
	return err
}

// relay passes on what the daemon says.
func (d *Daemon) relay(from io.Reader) {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		line := lines.Text()
		level := slog.LevelDebug
		if strings.Contains(line, "error") || strings.Contains(line, "failed") || strings.Contains(line, "vanished") {
			level = slog.LevelWarn
		}
		d.cfg.Log.Log(context.Background(), level, "rsync: "+line)
	}
}
