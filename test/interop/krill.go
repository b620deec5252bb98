package main

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

	"cadastre/test/internal/process"
)

// krill is one installation of Krill in its testbed mode: a trust anchor, a CA 'testbed' under it that holds everything,
// and a publication server.
type krill struct {
	home  string // folder of the programs
	dir   string
	tls   *tlsAuthority
	https int // port
	rsync int // port

	daemon, rsyncd *process.Child
	entitled       map[string]resources // of each child
}

const (
	krillToken  = "secret"
	krillAnchor = "Krill's" // the name of its trust anchor
	testbed     = "testbed" // the name of its CA
)

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

// startKrill starts Krill and its rsync daemon, and waits until its CA is certified for everything.
func (s *scene) startKrill(ctx context.Context) (*krill, error) {
	k := &krill{home: s.rpHome, dir: s.path("krill"), tls: s.tls, entitled: map[string]resources{}}
	ports, err := process.FreePorts(2)
	if err != nil {
		return nil, err
	}
	k.https, k.rsync = ports[0], ports[1]
	s.krill = k
	err = os.MkdirAll(k.path("ta"), 0o755) // read by programs that are not root
	if err == nil {
		_, _, err = k.tls.give(k.path("data", "ssl"))
	}
	err = errors.Join(
		err,
		os.WriteFile(k.path("krill.conf"), fmt.Appendf(nil, krillConfig, k.dir, k.https, k.rsync, krillToken), 0o600),
		os.WriteFile(k.path("rsyncd.conf"), fmt.Appendf(nil, krillRsync, k.dir, k.rsync), 0o644),
	)
	if err != nil {
		return nil, err
	}
	// with KRILL_TEST it takes localhost for a host, and tries again after seconds rather than minutes
	if k.daemon, err = process.StartLogged(k.path("krill.log"), []string{"KRILL_TEST=1"}, filepath.Join(k.home, "krill"), "-c", k.path("krill.conf")); err != nil {
		return nil, err
	}
	if k.rsyncd, err = process.StartLogged(k.path("rsyncd.log"), nil, "rsync", "--daemon", "--no-detach", "--config="+k.path("rsyncd.conf")); err != nil {
		return nil, err
	}
	return k, k.awaitReady(ctx)
}

func (k *krill) awaitReady(ctx context.Context) error {
	err := until(ctx, 30*time.Second, func() error {
		if err := k.daemon.Ended(); err != nil {
			return err
		}
		if _, err := k.tls.fetch(ctx, k.url("rrdp/notification.xml")); err != nil {
			return err
		}
		if held, err := k.ca(testbed).holds(ctx); err != nil || !strings.Contains(held, "0.0.0.0/0") {
			return errors.Join(err, fmt.Errorf("its CA holds %q", held))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("Krill is not ready: %w", err) //nolint:staticcheck // it is a name
	}
	for file, url := range map[string]string{k.path("ta", "ta.cer"): "ta/ta.cer", k.tal(): "ta/ta.tal"} {
		text, err := k.tls.fetch(ctx, k.url(url))
		if err == nil {
			err = os.WriteFile(file, text, 0o644) // for programs that are not root
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (k *krill) path(parts ...string) string {
	return filepath.Join(append([]string{k.dir}, parts...)...)
}
func (k *krill) tal() string { return k.path("krill.tal") }

func (k *krill) url(path string) string {
	return "https://localhost:" + strconv.Itoa(k.https) + "/" + path
}

func (k *krill) end() {
	k.daemon.End()
	k.rsyncd.End()
}

// c runs krillc and returns what it prints.
func (k *krill) c(ctx context.Context, args ...string) ([]byte, error) {
	return output(ctx, []string{"KRILL_CLI_SERVER=" + k.url(""), "KRILL_CLI_TOKEN=" + krillToken}, filepath.Join(k.home, "krillc"), args...)
}

// change runs krillc for what may have a CA sign a new manifest. Krill signs two in one second with one thisUpdate, and
// the newest rpki-client, where it has seen the first, does not take the second: so a second passes first.
func (k *krill) change(ctx context.Context, args ...string) error {
	select {
	case <-time.After(1100 * time.Millisecond):
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err := k.c(ctx, args...)
	return err
}

// ask runs krillc and reads its answer as JSON.
func (k *krill) ask(ctx context.Context, answer any, args ...string) error {
	text, err := k.c(ctx, append([]string{"-f", "json"}, args...)...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("krillc %s: its JSON cannot be read: %w", strings.Join(args, " "), err)
	}
	return nil
}

// registers implements server.
func (k *krill) registers(ctx context.Context, publisher, request string) ([]byte, error) {
	return k.c(ctx, "pubserver", "publishers", "add", "--publisher", publisher, "--request", request)
}

// adopts implements parent, as its CA 'testbed' does.
func (k *krill) adopts(ctx context.Context, child, of, request string) ([]byte, error) {
	k.entitled[child] = parseResources(of)
	return k.c(ctx, append([]string{"children", "add", "--ca", testbed, "--child", child, "--request", request}, k.entitled[child].flags()...)...)
}

// grants implements parent. Krill is told the whole, not the difference.
func (k *krill) grants(ctx context.Context, child, more string) error {
	return k.entitle(ctx, child, k.entitled[child].with(parseResources(more)))
}

// takes implements parent.
func (k *krill) takes(ctx context.Context, child, less string) error {
	return k.entitle(ctx, child, k.entitled[child].without(parseResources(less)))
}

func (k *krill) entitle(ctx context.Context, child string, r resources) error {
	k.entitled[child] = r
	return k.change(ctx, append([]string{"children", "update", "--ca", testbed, "--child", child}, r.flags()...)...)
}

// published is how many objects a publisher has at its server.
func (k *krill) published(ctx context.Context, publisher string) (int, error) {
	var shown struct {
		Files []any `json:"current_files"`
	}
	err := k.ask(ctx, &shown, "pubserver", "publishers", "show", "--publisher", publisher)
	return len(shown.Files), err
}
