package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// validators times our validator and the newest rpki-client on the same repository, with everything fetched before.
func (b *bench) validators(ctx context.Context) error {
	home := os.Getenv("RP_HOME")
	if home == "" {
		home = "/opt/rp"
	}
	theirs := filepath.Join(home, "rpki-client-newest")
	if _, err := os.Stat(theirs); err != nil {
		return fmt.Errorf("rpki-client is not there (%w); ../shared/rp/install brings it", err)
	}
	d := b.daemon
	if d == nil {
		return fmt.Errorf("the figure of the validators needs the repository of the others: add 'change' to -only")
	}
	if err := d.start(ctx); err != nil {
		return err
	}
	defer d.stop()
	if err := d.cadastre(ctx, "status", "--wait"); err != nil {
		return err
	}
	tal, err := d.output(ctx, "tal")
	if err != nil {
		return err
	}
	open := filepath.Join(b.work, "open")
	cache, out, ours := filepath.Join(open, "cache"), filepath.Join(open, "out"), filepath.Join(b.work, "verify-cache")
	for _, dir := range []string{open, cache, out} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	talFile, caFile := filepath.Join(open, "cadastre.tal"), filepath.Join(open, "ca.pem")
	pem, err := os.ReadFile(filepath.Join(d.dir, "tls", "ca.pem"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(talFile, tal, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(caFile, pem, 0o644); err != nil {
		return err
	}
	if os.Getuid() == 0 {
		if err := command(ctx, "chown", "-R", "_rpki-client", cache, out).Run(); err != nil {
			return err
		}
	}
	rpkiClient := func(network ...string) (time.Duration, error) {
		c := exec.CommandContext(ctx, theirs, append(network, "-j", "-t", talFile, "-d", cache, out)...)
		c.Env = append(os.Environ(), "SSL_CERT_FILE="+caFile)
		start := time.Now()
		text, err := c.CombinedOutput()
		if err != nil {
			return 0, fmt.Errorf("rpki-client: %w: %s", err, text)
		}
		return time.Since(start), nil
	}
	verify := func(network ...string) (time.Duration, error) {
		start := time.Now()
		text, err := d.output(ctx, append([]string{"verify", talFile, "--cache", ours, "--tls-ca", caFile}, network...)...)
		if err == nil && !strings.Contains(string(text), " 0 errors") {
			err = fmt.Errorf("our validator found errors: %s", text)
		}
		return time.Since(start), err
	}
	if _, err := rpkiClient(); err != nil {
		return err
	}
	if _, err := verify("--no-rsync"); err != nil {
		return err
	}
	d.stop()
	var mine, other []time.Duration
	for range 5 {
		one, err := verify("--offline")
		if err != nil {
			return err
		}
		mine = append(mine, one)
		if one, err = rpkiClient("-n"); err != nil {
			return err
		}
		other = append(other, one)
	}
	b.add(figure{
		name: "our validator, files cached, median of 5", value: secs(median(mine)), bound: "the newest rpki-client -n: " + secs(median(other)), aim: "faster",
		ok: median(mine) < median(other),
	})
	return nil
}
