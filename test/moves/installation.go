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

// installation is one installation of Cadastre: a data directory, and the daemon.
type installation struct {
	name        string // of its trust anchor
	program     string
	environment []string
	dir         string
	tls         *localtls.Authority
	https       int // port
	rsync       int // port
	soak        time.Duration
	daemon      *process.Child
	kills       int
}

const (
	builds = 5 * time.Second // of the soak while nothing is moving yet
	pool   = 64              // keys that a killed daemon takes with it
)

// newInstallation makes an installation with the organisations of a tree. Its daemon is not started.
func (r *run) newInstallation(ctx context.Context, name, tree string) (*installation, error) {
	h := &installation{name: name, program: r.cadastre, environment: r.keys, dir: r.path(name), tls: r.tls, soak: builds}
	ports, err := process.FreePorts(2)
	if err != nil {
		return nil, err
	}
	h.https, h.rsync = ports[0], ports[1]
	r.installations = append(r.installations, h)
	err = errors.Join(
		os.MkdirAll(h.path("trace"), 0o755),
		os.WriteFile(h.path("passphrase"), []byte("of the proof\n"), 0o600),
		os.WriteFile(h.path("tree.toml"), []byte(tree), 0o600),
	)
	if err != nil {
		return nil, err
	}
	err = h.run(ctx, "init", "--tree", h.path("tree.toml"), "--passphrase-file", h.path("passphrase"), "--https-port", strconv.Itoa(h.https), "--rsync-port", strconv.Itoa(h.rsync))
	if err != nil {
		return nil, err
	}
	if err := h.configure(); err != nil {
		return nil, err
	}
	tal, err := h.ask(ctx, "tal")
	if err != nil {
		return nil, err
	}
	return h, os.WriteFile(h.tal(), tal, 0o644) // for programs that are not root
}

// configure changes config.toml: the TLS certificate that all daemons of the run have, and what takes hours.
func (h *installation) configure() error {
	certificate, key, err := h.tls.Give(h.path("tls"))
	if err != nil {
		return err
	}
	roots, err := os.ReadFile(h.tls.Roots)
	if err != nil {
		return err
	}
	// for the daemon's own relying party
	if err := os.WriteFile(filepath.Join(h.data(), "tls", "ca.pem"), roots, 0o644); err != nil {
		return err
	}
	return process.Configure(h.data(), map[string]any{"certificate": certificate, "key": key}, map[string]any{"notice": h.soak.String(), "soak": h.soak.String(), "pool": pool})
}

// serve starts the daemon and waits until it serves.
func (h *installation) serve(ctx context.Context) (err error) {
	h.daemon, err = process.StartLogged(h.path("serve.log"), h.environment, h.program, "serve", "--data", h.data(), "--passphrase-file", h.path("passphrase"), "--trace", h.path("trace"))
	if err != nil {
		return err
	}
	// a command would work on the data directory itself as long as the daemon does not have it
	err = h.daemon.Answers(ctx, 2*time.Minute, filepath.Join(h.data(), "cadastre.sock"))
	if err != nil {
		return fmt.Errorf("%s does not serve: %w; see %s", h.name, err, h.path("serve.log"))
	}
	return nil
}

// restart kills the daemon with -9 and starts it again.
func (h *installation) restart(ctx context.Context) error {
	h.kills++
	h.daemon.Kill()
	return h.serve(ctx)
}

func (h *installation) path(name string) string { return filepath.Join(h.dir, name) }
func (h *installation) data() string            { return h.path("data") }
func (h *installation) tal() string             { return h.path("cadastre.tal") }
func (h *installation) end()                    { h.daemon.End() }

// ask runs one command on the data directory, or through its daemon, and returns what it prints.
func (h *installation) ask(ctx context.Context, args ...string) ([]byte, error) {
	return process.Soon(ctx, h.environment, h.program, append(args, "--data", h.data())...)
}

// askJSON runs a command and reads its answer as JSON.
func (h *installation) askJSON(ctx context.Context, answer any, args ...string) error {
	return process.JSON(ctx, h.environment, answer, h.program, append(args, "-o", "json", "--data", h.data())...)
}

// run is ask where nothing that is printed matters.
func (h *installation) run(ctx context.Context, args ...string) error {
	_, err := h.ask(ctx, args...)
	return err
}

// status is what this program reads of 'cadastre status'.
type status struct {
	Settled      bool `json:"settled"`
	Authorities  int  `json:"authorities"`
	Repositories map[string]struct {
		Serial  uint64 `json:"serial"`
		Objects int    `json:"objects"`
		Notify  string `json:"notify"`
	} `json:"repositories"`
}

func (h *installation) status(ctx context.Context) (s status, err error) {
	return s, h.askJSON(ctx, &s, "status")
}

// settle waits until every decision so far is published.
func (h *installation) settle(ctx context.Context) error {
	_, err := within(ctx, 20*time.Minute, h.environment, h.program, "status", "--wait", "--data", h.data())
	return err
}

// vrps is what 'cadastre vrps' says that every validator must print.
func (h *installation) vrps(ctx context.Context) ([]string, error) {
	text, err := h.ask(ctx, "vrps")
	return strings.Fields(string(text)), err
}

// errors is an error where the daemon's log has one.
func (h *installation) errors() error {
	log, err := os.ReadFile(h.path("serve.log"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "level=ERROR") || strings.HasPrefix(line, "panic") || strings.HasPrefix(line, "cadastre:") {
			return errors.New(strings.TrimSpace(line))
		}
	}
	return nil
}
