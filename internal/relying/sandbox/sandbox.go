// Package sandbox reads repositories in a process of its own. What repositories send is hostile, and whoever signs must not share
// memory, files, time or secrets with what reads it. A process that signs starts its own program once more, with nothing in its
// environment. That process first bounds what it may use (relying.Limits). The one that signs takes one answer of bounded length
// from it, and ends it when its time is over.
//
// Main has to be the first call of the program's main, and of TestMain where a test looks at repositories.
package sandbox

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/relying"
	"cadastre/internal/validate"
)

// argument has the program read repositories.
const argument = "read-repositories"

// settings are the variables of our environment that the process gets, in its order and not in its environment: how to reach
// others, and whose TLS certificates to believe.
var settings = [...]string{"HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"}

// order is what a process is to do: to verify, or, with a certificate, to read what its CA publishes.
type order struct {
	Options     relying.Options
	Certificate []byte            `json:",omitempty"`
	Settings    map[string]string `json:",omitempty"`
}

// answer is what a process hands back: a report, what a CA publishes, or the kind and text of an error.
type answer struct {
	Report    json.RawMessage     `json:",omitempty"` // of relying.Report.Pack
	Published *validate.Published `json:",omitempty"`
	Kind      *fault.Kind         `json:",omitempty"`
	Text      string              `json:",omitempty"` // of an error
}

// ready tells that Main was called: else the program started once more would do something else.
var ready atomic.Bool

// Main returns at once, unless this process was started to read repositories: then it reads them, and ends the process.
func Main() {
	ready.Store(true)
	if len(os.Args) == 2 && os.Args[1] == argument {
		os.Exit(serve(os.Stdin, os.Stdout))
	}
}

// Verify is relying.Verify in a process of its own.
func Verify(ctx context.Context, options relying.Options) (*relying.Report, error) {
	a, err := run(ctx, order{Options: options})
	if err != nil {
		return nil, err
	}
	report, err := relying.Unpack(a.Report)
	if err == nil && report.Cut != "" {
		used.mu.Lock()
		used.Cut++
		used.mu.Unlock()
	}
	return report, err
}

// Use is what the looks of this process at repositories have used so far.
type Use struct {
	Looks  int64
	Failed int64         // whose process ended, or was ended, without an answer; an error is an answer
	Cut    int64         // at which a limit left something out
	Time   time.Duration // from start to end, all together
	CPU    time.Duration // the same
	Memory int64         // the most octets that any one process had
}

var used struct {
	mu sync.Mutex
	Use
}

// Used is what looks have used so far.
func Used() Use {
	used.mu.Lock()
	defer used.mu.Unlock()
	return used.Use
}

// count adds a process that has ended.
func count(state *os.ProcessState, took time.Duration, failed bool) {
	used.mu.Lock()
	defer used.mu.Unlock()
	used.Looks++
	used.Time += took
	used.CPU += state.UserTime() + state.SystemTime()
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		used.Memory = max(used.Memory, usage.Maxrss<<10)
	}
	if failed {
		used.Failed++
	}
}

// Publication is relying.Publication in a process of its own.
func Publication(ctx context.Context, options relying.Options, certificate []byte) (*validate.Published, error) {
	a, err := run(ctx, order{Options: options, Certificate: certificate})
	if err != nil {
		return nil, err
	}
	if a.Published == nil {
		return nil, fault.New(fault.Internal, "the process that reads repositories has said nothing")
	}
	return a.Published, nil
}

// run starts a process, waits for its answer until its time is over, and then ends whatever it started and left behind.
func run(ctx context.Context, o order) (*answer, error) {
	if !ready.Load() {
		return nil, fault.New(fault.Internal, "this program cannot read repositories: its main has to call sandbox.Main first")
	}
	program, err := os.Executable()
	if err != nil {
		return nil, fault.Wrap(err, "the program that reads repositories cannot be found")
	}
	if found, err := exec.LookPath(cmp.Or(o.Options.Rsync, "rsync")); err == nil { // the process has no PATH to find it by
		o.Options.Rsync = found
	}
	o.Settings = map[string]string{}
	for _, name := range settings {
		if value := os.Getenv(name); value != "" {
			o.Settings[name] = value
		}
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, fault.Wrap(err, "the order to read repositories cannot be written")
	}
	bounds := o.Options.Limits
	ctx, cancel := context.WithTimeout(ctx, bounds.Run.Time+bounds.Process.Grace)
	defer cancel()
	command := exec.CommandContext(ctx, program, argument)
	command.Args[0] = os.Args[0]
	command.Env = []string{}
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = time.Second
	said := &bounded{most: 4 << 10}
	command.Stderr = said
	out := &bounded{most: bounds.Process.Answer, full: cancel}
	command.Stdout = out
	begun := time.Now()
	in, err := command.StdinPipe() // stays open: the process ends when it is closed, also where ours is killed
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		return nil, fault.Wrap(err, "a process that reads repositories cannot be started")
	}
	_, _ = in.Write(append(text, '\n')) // one that does not read it ends, and says why
	err = command.Wait()
	_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL) // what it started and left behind
	count(command.ProcessState, time.Since(begun), err != nil || out.over || ctx.Err() != nil)
	switch {
	case out.over:
		return nil, fault.New(fault.Unreachable, "the repositories cannot be read: the answer is longer than %d octets", bounds.Process.Answer)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fault.New(fault.Unreachable, "the repositories cannot be read: it took longer than %s", bounds.Run.Time+bounds.Process.Grace)
	case ctx.Err() != nil:
		return nil, fault.New(fault.Unreachable, "the walk was broken off: %w", ctx.Err())
	case err != nil:
		return nil, fault.New(fault.Unreachable, "the repositories cannot be read: the process that does it ended: %w%s", err, said.firstLine())
	}
	var a answer
	if err := json.Unmarshal(out.kept.Bytes(), &a); err != nil {
		return nil, fault.New(fault.Internal, "what the process that reads repositories says cannot be read: %w", err)
	}
	if a.Kind != nil {
		return nil, fault.New(*a.Kind, "%s", a.Text)
	}
	return &a, nil
}

// bounded keeps what is written to it up to a bound, drops the rest, and calls full when there is a rest. The buffer is not
// embedded: io.Copy would fill it past the bound with its ReadFrom.
type bounded struct {
	kept bytes.Buffer
	most int64
	over bool
	full func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if left := b.most - int64(b.kept.Len()); int64(len(p)) > left {
		b.kept.Write(p[:left])
		if b.over = true; b.full != nil {
			b.full()
		}
		return len(p), nil
	}
	return b.kept.Write(p)
}

// firstLine is the first line of what was said, to follow a sentence.
func (b *bounded) firstLine() string {
	line, _, _ := strings.Cut(strings.TrimSpace(b.kept.String()), "\n")
	if line == "" {
		return ""
	}
	return ": " + line
}

// serve is the process: it reads an order, bounds itself, and writes the answer.
func serve(in io.Reader, out io.Writer) int {
	reader := bufio.NewReader(in)
	line, err := reader.ReadBytes('\n')
	var o order
	if err == nil {
		err = json.Unmarshal(line, &o)
	}
	if err == nil {
		err = confine(o.Options.Limits)
	}
	for _, name := range settings {
		if value := o.Settings[name]; err == nil && value != "" {
			err = os.Setenv(name, value)
		}
	}
	if err != nil {
		return say(out, answer{}, fault.New(fault.Internal, "no order to read repositories: %w", err))
	}
	go func() {
		_, _ = io.Copy(io.Discard, reader)
		if syscall.Getpgrp() == os.Getpid() { // else it was started by hand
			_ = syscall.Kill(0, syscall.SIGKILL)
		}
		os.Exit(1) // who wanted to know is gone
	}()
	var a answer
	if o.Certificate != nil {
		a.Published, err = relying.Publication(context.Background(), o.Options, o.Certificate)
		return say(out, a, err)
	}
	report, err := relying.Verify(context.Background(), o.Options)
	if err == nil {
		a.Report, err = report.Pack()
	}
	return say(out, a, err)
}

// say writes an answer, or an error in its place.
func say(out io.Writer, a answer, err error) int {
	if err != nil {
		kind := fault.KindOf(err)
		a = answer{Kind: &kind, Text: err.Error()}
	}
	if json.NewEncoder(out).Encode(a) != nil {
		return 1
	}
	return 0
}
