package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"syscall"
	"time"

	"cadastre/api"
	"cadastre/ca"
	"cadastre/test/internal/process"
)

// startTime is the most that a daemon may take until it answers.
const startTime = 5 * time.Minute

// start starts the daemon and returns when it answers on its socket. It fails when it has ended before that.
func (d *daemon) start(ctx context.Context) error {
	if err := d.launch(); err != nil {
		return err
	}
	return d.answers(ctx)
}

// launch starts the daemon and waits for nothing.
func (d *daemon) launch() (err error) {
	d.process, err = process.StartLogged(d.dir+".log", nil, d.program, "--data", d.dir, "serve", "--passphrase-file", d.passphrase)
	return err
}

// answers returns when the process that launch started answers on its socket; when it does not, it is stopped. That its
// HTTPS port answers would say nothing, because an earlier daemon may still be there.
func (d *daemon) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	client := d.api()
	for {
		_, err := api.Call[api.Nothing, *ca.Status](ctx, client, "/status", api.Nothing{})
		if err == nil {
			return nil
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-d.process.Done():
			return fmt.Errorf("the daemon does not start: %w; see %s.log", d.process.Ended(), d.dir)
		case <-ctx.Done():
			d.stop()
			return fmt.Errorf("the daemon does not answer (%w); see %s.log", err, d.dir)
		}
	}
}

// api is the daemon's socket, as long as it is the process that launch started that listens there.
func (d *daemon) api() *api.Client {
	pid := d.process.PID()
	return &api.Client{HTTP: &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(d.dir, "cadastre.sock"))
		if err != nil {
			return nil, err
		}
		listener, err := listenerOf(c.(*net.UnixConn))
		if err == nil && listener != pid {
			err = fmt.Errorf("process %d listens on the socket, not %d", listener, pid)
		}
		if err != nil {
			_ = c.Close()
			return nil, err
		}
		return c, nil
	}}}}
}

// listenerOf is the process that listens on the other end of a connection.
func listenerOf(c *net.UnixConn) (pid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var peer *syscall.Ucred
	if failed := raw.Control(func(fd uintptr) {
		peer, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); failed != nil {
		return 0, failed
	}
	if err != nil {
		return 0, err
	}
	return int(peer.Pid), nil
}

// stop ends the daemon, if there is one, and returns when it has ended.
func (d *daemon) stop() {
	if d.process != nil {
		d.process.Stop()
		d.process = nil
	}
}
