package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"cadastre/roa"
	"cadastre/test/internal/process"
)

// daemon is a cadastre that serves AFRINIC in a process of its own.
type daemon struct {
	program, dir, passphrase string
	port                     int
	process                  *process.Child // nil while there is none
	client                   *http.Client
}

func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Stderr = os.Stderr
	return c
}

// newDaemon makes a data directory with AFRINIC of 2023 and the announcements in it.
func (b *bench) newDaemon(ctx context.Context, name, algorithm string) (*daemon, error) {
	d, err := b.emptyDaemon(ctx, name, algorithm)
	if err != nil {
		return nil, err
	}
	if err := d.cadastre(ctx, "holdings", "import", filepath.Join(b.shared, registry2023)); err != nil {
		return nil, err
	}
	rows, err := b.someAnnouncements()
	if err != nil {
		return nil, err
	}
	if err := d.cadastre(ctx, "roa", "import", "--only-held", rows); err != nil {
		return nil, err
	}
	b.daemon = d
	return d, nil
}

// emptyDaemon makes a data directory with the registries and nothing that they hold.
func (b *bench) emptyDaemon(ctx context.Context, name, algorithm string) (*daemon, error) {
	d := &daemon{program: b.program, dir: filepath.Join(b.work, name), passphrase: filepath.Join(b.work, "passphrase")}
	treeFile := filepath.Join(b.work, "tree.toml")
	err := errors.Join(os.WriteFile(d.passphrase, []byte("of the benches\n"), 0o600), os.WriteFile(treeFile, []byte(tree), 0o600))
	if err != nil {
		return nil, err
	}
	ports, err := process.FreePorts(2)
	if err != nil {
		return nil, err
	}
	d.port = ports[0]
	if err := d.cadastre(ctx, "init", "--tree", treeFile, "--passphrase-file", d.passphrase, "--algorithm", algorithm, "--https-port", strconv.Itoa(ports[0]), "--rsync-port", strconv.Itoa(ports[1])); err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(filepath.Join(d.dir, "tls", "ca.pem"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	d.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}, Timeout: time.Minute}
	return d, nil
}

// someAnnouncements is a file with as many of the announcements as are to be taken.
func (b *bench) someAnnouncements() (string, error) {
	f, err := os.Open(filepath.Join(b.shared, announcements))
	if err != nil {
		return "", err
	}
	defer f.Close()
	rows, err := roa.ParseCSV(announcements, f)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	for _, row := range rows[:min(b.rows, len(rows))] {
		fmt.Fprintf(&text, "%s,AS%d\n", row.Prefix, row.Origin)
	}
	path := filepath.Join(b.work, "announcements.csv")
	return path, os.WriteFile(path, text.Bytes(), 0o600)
}

// cadastre runs one command on the data directory.
func (d *daemon) cadastre(ctx context.Context, args ...string) error {
	_, err := d.output(ctx, args...)
	return err
}

func (d *daemon) output(ctx context.Context, args ...string) ([]byte, error) {
	c := command(ctx, d.program, append([]string{"--data", d.dir}, args...)...)
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("cadastre %s: %w", args[0], err)
	}
	return out, nil
}

// notification fetches the notification and returns its serial.
func (d *daemon) notification(ctx context.Context) (uint64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://localhost:%d/rrdp/afrinic/notification.xml", d.port), nil)
	if err != nil {
		return 0, err
	}
	response, err := d.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return 0, errors.Join(err, fmt.Errorf("the notification: %s", response.Status))
	}
	found := serialPattern.FindSubmatch(text)
	if found == nil {
		return 0, errors.New("the notification has no serial")
	}
	return strconv.ParseUint(string(found[1]), 10, 64)
}

var serialPattern = regexp.MustCompile(`session_id="[^"]*" serial="([0-9]+)"`)
