package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cadastre/internal/publication"
	"cadastre/test/internal/process"
)

const krillToken = "secret" // of a server that lives for this run

// krillConfig is krill.conf of a publication server alone, which makes a serial a second, as ours does.
const krillConfig = `storage_uri = "%[1]s/data"
ip = "127.0.0.1"
port = %[2]d
service_uri = "https://localhost:%[2]d/"
log_type = "stderr"
log_level = "warn"
admin_token = "%[3]s"
unix_socket_enabled = false
bgp_riswhois_enabled = false
rrdp_delta_interval_min_seconds = 1
`

// krillSpeed is how many objects a second Krill's publication server takes, with fewer publishers than ours has: it needs
// minutes for more, and the more it has, the slower it is.
func (b *bench) krillSpeed(ctx context.Context) (float64, error) {
	home := cmp.Or(os.Getenv("RP_HOME"), "/opt/rp")
	program, control := filepath.Join(home, "krill"), filepath.Join(home, "krillc")
	if _, err := os.Stat(program); err != nil {
		return 0, errors.New("Krill is not on this machine: '../shared/rp/install --krill' puts it there") //nolint:staticcheck // it is a name
	}
	dir := filepath.Join(b.work, "krill")
	ports, err := process.FreePorts(1)
	if err != nil {
		return 0, err
	}
	config := filepath.Join(dir, "krill.conf")
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(config, fmt.Appendf(nil, krillConfig, dir, ports[0], krillToken), 0o600)); err != nil {
		return 0, err
	}
	daemon, err := process.StartLogged(filepath.Join(b.work, "krill.log"), []string{"KRILL_TEST=1"}, program, "-c", config)
	if err != nil {
		return 0, err
	}
	defer daemon.End()
	server := fmt.Sprintf("https://localhost:%d/", ports[0])
	krillc := func(args ...string) ([]byte, error) {
		return process.Output(ctx, []string{"KRILL_CLI_SERVER=" + server, "KRILL_CLI_TOKEN=" + krillToken}, control, args...)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		_, err := krillc("pubserver", "server", "init", "--rrdp", server+"rrdp/", "--rsync", "rsync://localhost/repo/")
		if err == nil {
			break
		}
		if ended := daemon.Ended(); ended != nil || time.Now().After(deadline) || ctx.Err() != nil {
			return 0, fmt.Errorf("Krill is not ready: %w", errors.Join(ended, err)) //nolint:staticcheck // it is a name
		}
	}
	c, err := newCrowd()
	if err != nil {
		return 0, err
	}
	err = c.join(krillCrowdSize, func(handle string, request []byte) ([]byte, error) {
		file := filepath.Join(dir, "request.xml")
		if err := os.WriteFile(file, request, 0o600); err != nil {
			return nil, err
		}
		return krillc("pubserver", "publishers", "add", "--publisher", handle, "--request", file)
	})
	if err != nil {
		return 0, err
	}
	if _, err := c.round(ctx, c.members, func(m *member) *publication.Query { return m.adds(crowdObjects) }); err != nil {
		return 0, err
	}
	var best time.Duration
	for i, callers := range []int{1, 4, atOnce} { // whatever suits it best
		c.atOnce = callers
		cpu := daemon.CPU()
		took, err := c.changed(ctx, c.members, i)
		if err != nil {
			return 0, err
		}
		each := (daemon.CPU() - cpu) / time.Duration(len(c.members))
		fmt.Printf("  Krill with %d callers at once: %s for %d objects, %s of CPU each\n", callers, secs(took), len(c.members), ms(each))
		if best == 0 || took < best {
			best = took
		}
	}
	return float64(len(c.members)) / best.Seconds(), nil
}
