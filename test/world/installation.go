package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"cadastre/test/internal/process"
)

// installation is the installation that is proven: its program, its data directory, and its daemon while one runs.
type installation struct {
	program string
	dir     string // of this run
	data    string
	suite   []string // flags for our own validator
	https   int      // port
	rsync   int      // port
	client  *http.Client

	daemon  *process.Child
	outages outages
	peak    uint64 // memory of any daemon so far, in bytes
}

// buildInstallation builds the program, with the tag that has it make its keys of primes that other keys have, too (package internal/pairedkeys): the
// search for primes is most of the work otherwise, and says nothing here. What the program is run on comes with init.
func buildInstallation(ctx context.Context, s settings, dir string) (*installation, error) {
	h := &installation{program: filepath.Join(dir, "cadastre"), dir: dir, data: filepath.Join(dir, "data")}
	if s.algorithm != rsa {
		h.suite = []string{"--p256"}
	}
	if err := os.Setenv("CADASTRE_PAIRED_KEYS", filepath.Join(dir, "paired-keys")); err != nil { // of all programs that are started from here
		return nil, err
	}
	if _, err := process.Output(ctx, nil, "go", "build", "-tags", "paired", "-o", h.program, "./cmd/cadastre"); err != nil {
		return nil, err
	}
	for _, port := range []*int{&h.https, &h.rsync} {
		var err error
		if *port, err = freePort(); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(h.passphrase(), []byte("of the world\n"), 0o600); err != nil {
		return nil, err
	}
	tree := "[[organisation]]\nhandle = \"iana\"\nkind = \"root\"\n\n[[organisation]]\nhandle = \"afrinic\"\nkind = \"rir\"\nparent = \"iana\"\n"
	return h, os.WriteFile(h.path("tree.toml"), []byte(tree), 0o600)
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // it is there at once
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

func (h *installation) path(name string) string { return filepath.Join(h.dir, name) }
func (h *installation) passphrase() string      { return h.path("passphrase") }
func (h *installation) tal() string             { return h.path("cadastre.tal") }
func (h *installation) roots() string           { return h.path("ca.pem") }

// init makes the data directory, and puts locator and TLS authority where the validators can read them.
func (h *installation) init(ctx context.Context, algorithm string) error {
	_, err := h.run(ctx, "init", "--tree", h.path("tree.toml"), "--passphrase-file", h.passphrase(), "--algorithm", algorithm,
		"--https-port", strconv.Itoa(h.https), "--rsync-port", strconv.Itoa(h.rsync))
	if err != nil {
		return err
	}
	if err := h.shortenSoak(); err != nil {
		return err
	}
	tal, err := h.run(ctx, "tal")
	if err != nil {
		return err
	}
	roots, err := os.ReadFile(filepath.Join(h.data, "tls", "ca.pem"))
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(roots)
	h.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}}
	// both are public, and read by programs that are not root
	return errors.Join(os.WriteFile(h.tal(), tal, 0o644), os.WriteFile(h.roots(), roots, 0o644))
}

// soak is how long what one repository says is to be seen before another builds on it. All is settled only when that is over; what
// has to wait for readers is proven by 'make moves'.
const soak = "1m"

// shortenSoak changes the soak in what init wrote.
func (h *installation) shortenSoak() error {
	return process.Configure(h.data, nil, map[string]any{"soak": soak})
}

// run runs one command on the data directory, or through its daemon. It fails with a *process.Exit unless the command says that
// all is well.
func (h *installation) run(ctx context.Context, args ...string) ([]byte, error) {
	return process.Output(ctx, nil, h.program, append(args, "--data", h.data)...)
}

// ask runs a command and reads its answer as JSON.
func (h *installation) ask(ctx context.Context, answer any, args ...string) error {
	stdout, err := h.run(ctx, append(args, "-o", "json")...)
	if err != nil {
		return err
	}
	return decode(stdout, answer)
}

func decode(text []byte, answer any) error {
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("its JSON cannot be read: %w", err)
	}
	return nil
}

// vrps is what 'cadastre vrps' says that every validator must print.
func (h *installation) vrps(ctx context.Context) ([]string, error) {
	stdout, err := h.run(ctx, "vrps")
	return strings.Fields(string(stdout)), err
}

// status is what this program reads of 'cadastre status'.
type status struct {
	Revision     uint64 `json:"revision"`
	Settled      bool   `json:"settled"`
	Authorities  int    `json:"authorities"`
	Intents      int    `json:"intents"`
	Repositories map[string]struct {
		Session string `json:"session"`
		Serial  uint64 `json:"serial"`
		Objects int    `json:"objects"`
		Notify  string `json:"notify"`
	} `json:"repositories"`
}

func (h *installation) status(ctx context.Context, flags ...string) (s status, err error) {
	return s, h.ask(ctx, &s, append([]string{"status"}, flags...)...)
}

// settle waits until every decision is published.
func (h *installation) settle(ctx context.Context) (status, error) {
	ctx, cancel := context.WithTimeout(ctx, 25*time.Minute)
	defer cancel()
	return h.status(ctx, "--wait")
}

// begin starts the daemon and does not wait for it.
func (h *installation) begin() error {
	log, err := os.OpenFile(h.path("serve.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()               // the child has its own
	cmd := exec.CommandContext(context.Background(), // it is ended by hand, at moments of our choosing
		h.program, "serve", "--data", h.data, "--passphrase-file", h.passphrase())
	cmd.Stderr = log
	h.daemon, err = process.Start(cmd)
	return err
}

// awaitServing waits until a notification can be had, and tells how long that took.
func (h *installation) awaitServing(ctx context.Context) (time.Duration, error) {
	begun := time.Now()
	url := fmt.Sprintf("https://localhost:%d/rrdp/iana/notification.xml", h.https)
	for time.Since(begun) < time.Minute {
		if err := h.daemon.Ended(); err != nil {
			return 0, fmt.Errorf("the daemon does not start: %w; see %s", err, h.path("serve.log"))
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return 0, err
		}
		if answer, err := h.client.Do(request); err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				h.outages.end()
				return time.Since(begun), nil
			}
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return 0, err
		}
	}
	return 0, errors.New("the daemon serves nothing after a minute")
}

// serve starts the daemon and waits until it serves.
func (h *installation) serve(ctx context.Context) (time.Duration, error) {
	if err := h.begin(); err != nil {
		return 0, err
	}
	return h.awaitServing(ctx)
}

// kill ends the daemon with -9.
func (h *installation) kill() {
	h.peak = max(h.peak, h.daemon.PeakMemory())
	h.outages.begin()
	h.daemon.Kill()
}

func (h *installation) end() {
	h.daemon.End()
}
