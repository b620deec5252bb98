package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ownGroup makes a command the leader of a process group that ends with this program, however this program ends.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
}

// exit is the end of a program that says that something went wrong.
type exit struct {
	program string
	status  int
	stderr  string
}

func (e *exit) Error() string {
	return fmt.Sprintf("%s ended with %d: %s", e.program, e.status, e.stderr)
}

// output runs a program to its end and returns what it prints, also where it fails with an *exit.
func output(ctx context.Context, environment []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...) // the programs are those that the run is about
	cmd.Env = append(os.Environ(), environment...)
	ownGroup(cmd)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var failed *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s took too long, or was interrupted", filepath.Base(name))
	case errors.As(err, &failed):
		program := strings.Join(append([]string{filepath.Base(name)}, args...), " ")
		err = &exit{program, failed.ExitCode(), strings.TrimSpace(stderr.String())}
	}
	return stdout.Bytes(), err
}

// child is a program that runs beside this one.
type child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

func start(cmd *exec.Cmd) (*child, error) {
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd, make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in its state
		close(c.done)
	}()
	return c, nil
}

// kill ends the process itself with -9, as the kernel does when memory runs out, and waits until it is gone.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
}

// end ends the process and all of its group.
func (c *child) end() {
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	<-c.done
}

// ended tells how, nil while it runs.
func (c *child) ended() error {
	select {
	case <-c.done:
		return fmt.Errorf("it has ended: %s", c.cmd.ProcessState)
	default:
		return nil
	}
}

// peakMemory is the most memory that it has had so far, in bytes (VmHWM of proc(5)).
func (c *child) peakMemory() uint64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var kilobytes uint64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); err == nil {
			return kilobytes << 10
		}
	}
	return 0
}
