// Package krill runs Krill, the CA that Cadastre has to get on with, for proofs.
package krill

import (
	"context"
	"encoding/json"
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

// Krill is one installation of Krill in its testbed mode: a trust anchor, a CA 'testbed' under it that holds everything,
// and a publication server.
type Krill struct {
	home  string // folder of the programs
	dir   string
	tls   *localtls.Authority
	https int // port
	rsync int // port

	daemon, rsyncd *process.Child
	entitled       map[string]Resources // of each child
}

const krillToken = "secret"

// Testbed is the name of the CA that holds everything.
const Testbed = "testbed"

// krillConfig is krill.conf. Its own rsync and HTTPS are what validators fetch from, and all messages are kept.
const krillConfig = `storage_uri = "%[1]s/data"
ip = "127.0.0.1"
port = %[2]d
https_mode = "existing"
service_uri = "https://localhost:%[2]d/"
log_type = "stderr"
log_level = "info"
admin_token = "%[4]s"
unix_socket_enabled = false
bgp_riswhois_enabled = false
rfc6492_log_dir = "%[1]s/6492"
rfc8181_log_dir = "%[1]s/8181"

[testbed]
rrdp_base_uri = "https://localhost:%[2]d/rrdp/"
rsync_jail = "rsync://localhost:%[3]d/repo/"
ta_aia = "rsync://localhost:%[3]d/ta/ta.cer"
ta_uri = "https://localhost:%[2]d/ta/ta.cer"
`

const krillRsync = `use chroot = no
address = 127.0.0.1
port = %[2]d
reverse lookup = no
[repo]
path = %[1]s/data/repo/rsync/current
[ta]
path = %[1]s/ta
`

// Start starts Krill and its rsync daemon, and waits until its CA is certified for everything.
func Start(ctx context.Context, home, dir string, authority *localtls.Authority) (*Krill, error) {
	k := &Krill{home: home, dir: dir, tls: authority, entitled: map[string]Resources{}}
	ports, err := process.FreePorts(2)
	if err != nil {
		return nil, err
	}
	k.https, k.rsync = ports[0], ports[1]
	err = os.MkdirAll(k.Path("ta"), 0o755) // read by programs that are not root
	if err == nil {
		_, _, err = k.tls.Give(k.Path("data", "ssl"))
	}
	err = errors.Join(
		err,
		os.WriteFile(k.Path("krill.conf"), fmt.Appendf(nil, krillConfig, k.dir, k.https, k.rsync, krillToken), 0o600),
		os.WriteFile(k.Path("rsyncd.conf"), fmt.Appendf(nil, krillRsync, k.dir, k.rsync), 0o644),
	)
	if err != nil {
		return nil, err
	}
	// with KRILL_TEST it takes localhost for a host, and tries again after seconds rather than minutes
	if k.daemon, err = process.StartLogged(k.Path("krill.log"), []string{"KRILL_TEST=1"}, filepath.Join(k.home, "krill"), "-c", k.Path("krill.conf")); err != nil {
		return nil, err
	}
	if k.rsyncd, err = process.StartLogged(k.Path("rsyncd.log"), nil, "rsync", "--daemon", "--no-detach", "--config="+k.Path("rsyncd.conf")); err != nil {
		k.End()
		return nil, err
	}
	if err := k.awaitReady(ctx); err != nil {
		k.End()
		return nil, err
	}
	return k, nil
}

func (k *Krill) awaitReady(ctx context.Context) error {
	err := process.Until(ctx, 30*time.Second, func() error {
		if err := k.daemon.Ended(); err != nil {
			return err
		}
		if _, err := k.tls.Fetch(ctx, k.URL("rrdp/notification.xml")); err != nil {
			return err
		}
		if held, err := k.CA(Testbed).Holds(ctx); err != nil || !strings.Contains(held, "0.0.0.0/0") {
			return errors.Join(err, fmt.Errorf("its CA holds %q", held))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("Krill is not ready: %w; see %s", err, k.Path("krill.log"))
	}
	for file, url := range map[string]string{k.Path("ta", "ta.cer"): "ta/ta.cer", k.TAL(): "ta/ta.tal"} {
		text, err := k.tls.Fetch(ctx, k.URL(url))
		if err == nil {
			err = os.WriteFile(file, text, 0o644) // for programs that are not root
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Path is something in its folder.
func (k *Krill) Path(parts ...string) string {
	return filepath.Join(append([]string{k.dir}, parts...)...)
}

// TAL is the file of its trust anchor locator.
func (k *Krill) TAL() string { return k.Path("krill.tal") }

// URL is where it serves a path.
func (k *Krill) URL(path string) string {
	return "https://localhost:" + strconv.Itoa(k.https) + "/" + path
}

// End ends it and its rsync daemon.
func (k *Krill) End() {
	k.daemon.End()
	k.rsyncd.End()
}

// c runs krillc and returns what it prints.
func (k *Krill) c(ctx context.Context, args ...string) ([]byte, error) {
	return process.Soon(ctx, []string{"KRILL_CLI_SERVER=" + k.URL(""), "KRILL_CLI_TOKEN=" + krillToken}, filepath.Join(k.home, "krillc"), args...)
}

// Change runs krillc for what may have a CA sign a new manifest. Krill signs two in one second with one thisUpdate, and
// the newest rpki-client, where it has seen the first, does not take the second: so a second passes first.
func (k *Krill) Change(ctx context.Context, args ...string) error {
	select {
	case <-time.After(1100 * time.Millisecond):
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err := k.c(ctx, args...)
	return err
}

// ask runs krillc and reads its answer as JSON.
func (k *Krill) ask(ctx context.Context, answer any, args ...string) error {
	text, err := k.c(ctx, append([]string{"-f", "json"}, args...)...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("krillc %s: its JSON cannot be read: %w", strings.Join(args, " "), err)
	}
	return nil
}

// Registers makes a CA a publisher at Krill's server, and returns the repository_response. The parts that this and the following play are
// those of test/interop.
func (k *Krill) Registers(ctx context.Context, publisher, request string) ([]byte, error) {
	return k.c(ctx, "pubserver", "publishers", "add", "--publisher", publisher, "--request", request)
}

// Adopts makes a CA a child of the CA 'testbed', and returns the parent_response.
func (k *Krill) Adopts(ctx context.Context, child, of, request string) ([]byte, error) {
	k.entitled[child] = ParseResources(of)
	return k.c(ctx, append([]string{"children", "add", "--ca", Testbed, "--child", child, "--request", request}, k.entitled[child].Flags()...)...)
}

// Grants gives a child more resources. Krill is told the whole, not the difference.
func (k *Krill) Grants(ctx context.Context, child, more string) error {
	return k.entitle(ctx, child, k.entitled[child].With(ParseResources(more)))
}

// Takes takes resources away from a child.
func (k *Krill) Takes(ctx context.Context, child, less string) error {
	return k.entitle(ctx, child, k.entitled[child].Without(ParseResources(less)))
}

func (k *Krill) entitle(ctx context.Context, child string, r Resources) error {
	k.entitled[child] = r
	return k.Change(ctx, append([]string{"children", "update", "--ca", Testbed, "--child", child}, r.Flags()...)...)
}

// Published is how many objects a publisher has at its server.
func (k *Krill) Published(ctx context.Context, publisher string) (int, error) {
	var shown struct {
		Files []any `json:"current_files"`
	}
	err := k.ask(ctx, &shown, "pubserver", "publishers", "show", "--publisher", publisher)
	return len(shown.Files), err
}
