// Package process starts and ends the programs that proofs and measurements are about, and reads what the kernel says of
// them. It knows nothing of what they do.
package process

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

// Exit is the end of a program that says that something went wrong.
type Exit struct {
	Program string
	Status  int
	Stderr  string
	Stdout  string
}

func (e *Exit) Error() string {
	says := e.Stderr
	if says == "" {
		says = e.Stdout
	}
	return fmt.Sprintf("%s ended with %d: %s", e.Program, e.Status, says)
}

// Output runs a program to its end and returns what it prints, also where it fails with an *Exit.
func Output(ctx context.Context, environment []string, name string, args ...string) ([]byte, error) {
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
		err = &Exit{program, failed.ExitCode(), strings.TrimSpace(stderr.String()), strings.TrimSpace(stdout.String())}
	}
	return stdout.Bytes(), err
}

// Child is a program that runs beside this one.
type Child struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// Start starts a command that is ended by hand.
func Start(cmd *exec.Cmd) (*Child, error) {
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &Child{cmd, make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in its state
		close(c.done)
	}()
	return c, nil
}

// StartLogged starts a program that is ended by hand, and has all that it prints added to a file.
func StartLogged(log string, environment []string, name string, args ...string) (*Child, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // the child has its own
	cmd := exec.CommandContext(context.Background(), name, args...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stdout, cmd.Stderr = file, file
	return Start(cmd)
}

// PID is its process.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Done is closed when it has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Kill ends the process itself with -9, as the kernel does when memory runs out, and waits until it is gone.
func (c *Child) Kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
}

// Stop asks the process to end, as a service manager does, and waits until it is gone.
func (c *Child) Stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	<-c.done
}

// End ends the process and all of its group, at once. A child that is nil has ended.
func (c *Child) End() {
	if c != nil {
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
		<-c.done
	}
}

// Ended tells how it has ended, nil while it runs.
func (c *Child) Ended() error {
	select {
	case <-c.done:
		return fmt.Errorf("it has ended: %s", c.cmd.ProcessState)
	default:
		return nil
	}
}

// Succeeded tells whether it has ended, and well.
func (c *Child) Succeeded() bool {
	select {
	case <-c.done:
		return c.cmd.ProcessState.Success()
	default:
		return false
	}
}

// FreePorts is ports on loopback that nobody listens on.
func FreePorts(n int) ([]int, error) {
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
