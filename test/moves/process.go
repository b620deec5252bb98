package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
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
	says    string // both of its outputs
}

func (e *exit) Error() string {
	return fmt.Sprintf("%s ended with %d: %s", e.program, e.status, e.says)
}

// output runs a program to its end and returns what it prints, also where it fails with an *exit.
func output(ctx context.Context, environment []string, name string, args ...string) ([]byte, error) {
	return outputWithin(ctx, 2*time.Minute, environment, name, args...)
}

// outputWithin is output for what may take longer.
func outputWithin(ctx context.Context, most time.Duration, environment []string, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...) // the programs are those that the run is about
	cmd.Env = append(os.Environ(), environment...)
	ownGroup(cmd)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	program := strings.Join(append([]string{filepath.Base(name)}, args...), " ")
	var failed *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s took too long, or was interrupted", program)
	case errors.As(err, &failed):
		err = &exit{program, failed.ExitCode(), strings.TrimSpace(stderr.String() + stdout.String())}
	}
	return stdout.Bytes(), err
}

// child is a program that runs beside this one, and logs to a file.
type child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// start starts a program that is ended by hand.
func start(log string, environment []string, name string, args ...string) (*child, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // the child has its own
	cmd := exec.CommandContext(context.Background(), name, args...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stdout, cmd.Stderr = file, file
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

// end ends the process and all of its group.
func (c *child) end() {
	if c != nil {
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
		<-c.done
	}
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

// freePorts is ports on loopback that nobody listens on.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0") // it is there at once
		if err != nil {
			return nil, err
		}
		defer func() { _ = listener.Close() }() // held until all are found, so that they differ
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// kill ends the process itself with -9, as the kernel does when memory runs out, and waits until it is gone.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
}
