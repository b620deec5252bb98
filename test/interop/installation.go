package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"cadastre/test/internal/localtls"
	"cadastre/test/internal/process"
)

// installation is one installation of Cadastre: a data directory with IANA, one registry and its holders, and the daemon.
type installation struct {
	name    string // of its trust anchor
	program string
	dir     string
	tls     *localtls.Authority
	https   int // port
	rsync   int // port
	daemon  *process.Child
}

const (
	ours     = "ours"  // the name of the trust anchor, where there is one of ours
	registry = "north" // the handle of its registry
)

const tree = `[[organisation]]
handle = "iana"
kind = "root"

[[organisation]]
handle = "north"
kind = "rir"
parent = "iana"
`

// brief is what the policy of an installation waits for, so that a run need not.
const brief = "5s"

// startInstallation makes an installation whose registry holds resources, and starts its daemon.
func (s *scene) startInstallation(ctx context.Context, name, holds string) (*installation, error) {
	h := &installation{name: name, program: s.cadastre, dir: s.path(name), tls: s.tls}
	ports, err := process.FreePorts(2)
	if err != nil {
		return nil, err
	}
	h.https, h.rsync = ports[0], ports[1]
	s.installations = append(s.installations, h)
	if err := h.init(ctx); err != nil {
		return nil, err
	}
	if err := h.run(ctx, append([]string{"holdings", "delegate", "--to", registry}, strings.Fields(holds)...)...); err != nil {
		return nil, err
	}
	h.daemon, err = process.StartLogged(h.path("serve.log"), nil, h.program, "serve", "--data", h.data(), "--passphrase-file", h.path("passphrase"), "--trace", h.path("trace"))
	if err != nil {
		return nil, err
	}
	return h, h.awaitReady(ctx)
}

func (h *installation) init(ctx context.Context) error {
	err := errors.Join(
		os.MkdirAll(h.path("trace"), 0o755),
		os.WriteFile(h.path("passphrase"), []byte("of the proof\n"), 0o600),
		os.WriteFile(h.path("tree.toml"), []byte(tree), 0o600),
	)
	if err != nil {
		return err
	}
	err = h.run(ctx, "init", "--tree", h.path("tree.toml"), "--passphrase-file", h.path("passphrase"), "--https-port", strconv.Itoa(h.https), "--rsync-port", strconv.Itoa(h.rsync))
	if err != nil {
		return err
	}
	if err := h.configure(); err != nil {
		return err
	}
	tal, err := h.ask(ctx, "tal")
	if err != nil {
		return err
	}
	return os.WriteFile(h.tal(), tal, 0o644) // for programs that are not root
}

// configure changes what init wrote: the TLS certificate that all daemons of the run have, and what takes days.
func (h *installation) configure() error {
	certificate, key, err := h.tls.Give(h.path("tls"))
	if err != nil {
		return err
	}
	return process.Configure(h.data(), map[string]any{"certificate": certificate, "key": key}, map[string]any{"notice": brief, "soak": brief})
}

func (h *installation) awaitReady(ctx context.Context) error {
	err := process.Until(ctx, time.Minute, func() error {
		if err := h.daemon.Ended(); err != nil {
			return err
		}
		_, err := h.tls.Fetch(ctx, fmt.Sprintf("https://localhost:%d/rrdp/%s/notification.xml", h.https, registry))
		return err
	})
	if err != nil {
		return fmt.Errorf("%s is not ready: %w", h.name, err)
	}
	return h.settle(ctx)
}

func (h *installation) path(name string) string { return filepath.Join(h.dir, name) }
func (h *installation) data() string            { return h.path("data") }
func (h *installation) tal() string             { return h.path("cadastre.tal") }
func (h *installation) end()                    { h.daemon.End() }

// ask runs one command on the data directory, or through its daemon, and returns what it prints.
func (h *installation) ask(ctx context.Context, args ...string) ([]byte, error) {
	return process.Soon(ctx, nil, h.program, append(args, "--data", h.data())...)
}

// askJSON runs a command and reads its answer as JSON.
func (h *installation) askJSON(ctx context.Context, answer any, args ...string) error {
	return process.JSON(ctx, nil, answer, h.program, append(args, "-o", "json", "--data", h.data())...)
}

// run is ask where nothing that is printed matters.
func (h *installation) run(ctx context.Context, args ...string) error {
	_, err := h.ask(ctx, args...)
	return err
}

// settle waits until every decision so far is published.
func (h *installation) settle(ctx context.Context) error { return h.run(ctx, "status", "--wait") }
