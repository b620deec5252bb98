package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"cadastre/internal/object"
	"cadastre/test/internal/process"
)

// said is what an installation says that it keeps.
func (h *installation) said(ctx context.Context) (string, error) {
	var all strings.Builder
	for _, args := range [][]string{{"vrps"}, {"roa", "list"}, {"holdings", "list"}} {
		text, err := h.ask(ctx, args...)
		if err != nil {
			return "", err
		}
		all.Write(text)
	}
	return all.String(), nil
}

// corrupt is how a command ends that finds stored state damaged; full, that the disk is full or fails; doubted, that the clock
// cannot be believed.
const (
	corrupt = 9
	full    = 11
	doubted = 12
)

// flipping flips bits of the store while no daemon has it: nothing is said or signed that was not so.
func flipping(ctx context.Context, r *run, dir string) (string, error) {
	h, err := r.found(ctx, dir, p256)
	if err != nil {
		return "", err
	}
	if err := h.tell(ctx, "serve", "--once", "--passphrase-file", h.path("passphrase")); err != nil {
		return "", err
	}
	want, err := h.said(ctx)
	if err != nil {
		return "", err
	}
	path := filepath.Join(h.data(), "store.db")
	sane, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var errs []error
	noticed, trials := 0, 0
	try := func(what string, damaged []byte) error {
		trials++
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			return err
		}
		got, err := h.said(ctx)
		status, words := exitOf(err)
		switch {
		case ctx.Err() != nil || status < 0:
			return err
		case err == nil && got != want:
			errs = append(errs, fmt.Errorf("%s: it says another thing, and reports no damage", what))
		case err == nil:
		case refused(err, corrupt) != nil:
			errs = append(errs, fmt.Errorf("%s: it ended with %d: %.150s", what, status, words))
		default:
			noticed++
		}
		return nil
	}
	// a digit of an origin, wherever it stands
	for _, number := range []string{"37101", "37102", "37105"} {
		damaged := bytes.ReplaceAll(sane, []byte(number), []byte(number[:4]+"9"))
		if err := try("AS"+number+" became AS"+number[:4]+"9", damaged); err != nil {
			return "", err
		}
	}
	used := len(bytes.TrimRight(sane, "\x00")) // what follows is room for more
	for i := range 16 {
		damaged := bytes.Clone(sane)
		for range 6 {
			damaged[r.chance.IntN(used)] ^= 1 << r.chance.IntN(8)
		}
		if err := try(fmt.Sprintf("random flips %d", i), damaged); err != nil {
			return "", err
		}
	}
	for _, part := range []int{0, 4096, used / 8192 * 4096} {
		damaged := bytes.Clone(sane)
		clear(damaged[part : part+4096])
		if err := try(fmt.Sprintf("the page at %d is empty", part), damaged); err != nil {
			return "", err
		}
	}
	if err := try("half of it is gone", sane[:len(sane)/2]); err != nil {
		return "", err
	}
	if noticed < 4 {
		errs = append(errs, fmt.Errorf("only %d of %d were noticed", noticed, trials))
	}
	return fmt.Sprintf("%d damaged stores, %d refused, the others as good as whole", trials, noticed), errors.Join(errs...)
}

// segments flips an octet of one registry's segments: the others are served all the same.
func segments(ctx context.Context, r *run, dir string) (string, error) {
	h, err := r.foundAndServe(ctx, dir, p256)
	if err != nil {
		return "", err
	}
	h.daemon.Stop()
	files, err := filepath.Glob(filepath.Join(h.data(), "rrdp", "south", "*"))
	if err != nil {
		return "", err
	}
	flipped := ""
	for _, path := range files {
		octets, err := os.ReadFile(path)
		if err != nil || len(octets) < 200 {
			continue // a folder, or no segment
		}
		octets[len(octets)/2] ^= 1
		if err := os.WriteFile(path, octets, 0o600); err != nil {
			return "", err
		}
		flipped = path
	}
	if flipped == "" {
		return "", errors.New("no segment of south was found")
	}
	if err := h.serve(ctx); err != nil {
		return "", err
	}
	a, err := get(ctx, h.tls.Client, h.url("rrdp/north/notification.xml"))
	if err == nil && a.status != 200 {
		err = fmt.Errorf("the notification of north is answered with %d", a.status)
	}
	if err == nil {
		err = h.tell(ctx, "roa", "add", "102.16.1.0/24", "AS37100", "24")
	}
	return "", err
}

// filling has no room left for what is written: what was acknowledged stays, what is published stays served.
func filling(ctx context.Context, r *run, dir string) (string, error) {
	h, err := r.found(ctx, dir, p256)
	if err != nil {
		return "", err
	}
	if err := h.tell(ctx, "serve", "--once", "--passphrase-file", h.path("passphrase")); err != nil {
		return "", err
	}
	// the file is as large as it may become at once, and mostly empty: writes beyond this fail
	h.launch = []string{"prlimit", fmt.Sprintf("--fsize=%d", 600<<10)}
	if err := h.serve(ctx); err != nil {
		return "", err
	}
	var acknowledged []string
	refusals := 0
	for i := range 30 {
		var rows strings.Builder
		var vrps []string
		rows.WriteString("prefix,origin,maxlength\n")
		for n := range 200 {
			fmt.Fprintf(&rows, "102.17.%d.0/24,AS%d,\n", n, 1000+i)
			vrps = append(vrps, fmt.Sprintf("102.17.%d.0/24,24,AS%d", n, 1000+i))
		}
		if err := os.WriteFile(h.path("more.csv"), []byte(rows.String()), 0o600); err != nil {
			return "", err
		}
		err := h.tell(ctx, "roa", "import", h.path("more.csv"))
		switch status, said := exitOf(err); status {
		case 0:
			acknowledged = append(acknowledged, vrps...)
		case full:
			refusals++
		default:
			return "", fmt.Errorf("it ended with %d: %.300s; the daemon says: %s", status, said, h.lastWords())
		}
		if refusals > 1 {
			break
		}
	}
	if refusals == 0 {
		return "", skipped("the store did not grow")
	}
	if err := h.daemon.Ended(); err != nil {
		return "", err
	}
	if a, err := get(ctx, h.tls.Client, h.url("rrdp/north/notification.xml")); err != nil || a.status != 200 {
		return "", fmt.Errorf("what is published is not served: %d, %w", a.status, err)
	}
	h.daemon.Stop()
	h.launch = nil
	if err := errors.Join(h.serve(ctx), h.settle(ctx)); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d acknowledged, %d refused", len(acknowledged), refusals), h.has(ctx, acknowledged)
}

// has is an error where a VRP that was acknowledged is not there.
func (h *installation) has(ctx context.Context, acknowledged []string) error {
	vrps, err := h.vrps(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, v := range vrps {
		there[v] = true
	}
	for _, v := range acknowledged {
		if !there[v] {
			return fmt.Errorf("%s was acknowledged and is lost", v)
		}
	}
	return nil
}

// killing kills the daemon while ROAs are added.
func killing(ctx context.Context, r *run, dir string) (string, error) {
	h, err := r.foundAndServe(ctx, dir, p256)
	if err != nil {
		return "", err
	}
	var acknowledged []string
	kills, n := 0, 0
	for kills < 5 {
		add := func() error {
			n++
			prefix := fmt.Sprintf("102.%d.%d.0/24", 16+n/256, n%256)
			vrp := fmt.Sprintf("%s,24,AS37100", prefix)
			_, err := process.Soon(ctx, nil, h.program, "roa", "add", prefix, "AS37100", "24", "--data", h.data())
			if err == nil {
				acknowledged = append(acknowledged, vrp)
			}
			return err
		}
		for range 1 + r.chance.IntN(4) {
			if err := add(); err != nil {
				return "", err
			}
		}
		killed := time.AfterFunc(time.Duration(r.chance.Int64N(int64(120*time.Millisecond))), h.daemon.Kill)
		_ = add() // it may fail, and is then not acknowledged
		killed.Stop()
		h.daemon.Kill()
		kills++
		if err := h.serve(ctx); err != nil {
			return "", err
		}
	}
	if err := h.settle(ctx); err != nil {
		return "", err
	}
	if err := h.has(ctx, acknowledged); err != nil {
		return "", err
	}
	text, err := h.ask(ctx, "verify", h.tal(), "--p256", "--tls-ca", h.tls.Roots, "--cache", h.path("cache"), "--no-rsync", "--vrps")
	if err != nil {
		return "", err
	}
	vrps, err := h.vrps(ctx)
	if err == nil && strings.Join(strings.Fields(string(text)), "\n") != strings.Join(vrps, "\n") {
		err = errors.New("what a relying party sees is not what is meant")
	}
	return fmt.Sprintf("%d kills, %d acknowledged", kills, len(acknowledged)), err
}

// clockOf gets hold of the daemon's clock, or skips.
func (h *installation) clockOf() (*timeshift, error) {
	t, err := newTimeshift(h.daemon.PID())
	if err != nil {
		return nil, skipped("the daemon's clock cannot be set here: %v", err)
	}
	return t, nil
}

// frozen waits until the daemon says that it signs nothing.
func (h *installation) frozenWithin(ctx context.Context, most time.Duration) error {
	return process.Until(ctx, most, func() error {
		s, err := h.status(ctx)
		if err == nil && s.Frozen == "" {
			err = errors.New("it is not frozen")
		}
		return err
	})
}

// leaping puts the clock 58 minutes ahead, in one step and in many.
func leaping(ctx context.Context, r *run, dir string) (string, error) {
	var errs []error
	for _, steps := range []struct {
		what string
		by   time.Duration
		n    int
	}{{"one step of 58 minutes ahead", 58 * time.Minute, 1}, {"ten steps of 4 minutes ahead", 4 * time.Minute, 10}, {"one step of 58 minutes back", -58 * time.Minute, 1}} {
		h, err := r.foundAndServe(ctx, filepath.Join(dir, strings.ReplaceAll(steps.what, " ", "-")), p256)
		if err != nil {
			return "", err
		}
		clock, err := h.clockOf()
		if err != nil {
			return "", err
		}
		var ahead []string // acknowledged while the clock was wrong
		for i := range steps.n {
			if err := clock.step(steps.by); err != nil {
				return "", err
			}
			prefix := fmt.Sprintf("102.16.%d.0/24", i)
			if err := h.tell(ctx, "roa", "add", prefix, "AS37100", "24"); err == nil {
				ahead = append(ahead, prefix+",24,AS37100")
			}
			if err := pause(ctx, 700*time.Millisecond); err != nil {
				return "", err
			}
		}
		if err := h.frozenWithin(ctx, 10*time.Second); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", steps.what, err))
		} else if err := refused(h.tell(ctx, "status", "--wait"), doubted); err != nil {
			errs = append(errs, fmt.Errorf("%s: it is frozen, and 'status --wait': %w", steps.what, err))
		}
		if a, err := get(ctx, h.tls.Client, h.url("rrdp/north/notification.xml")); err != nil || a.status != 200 {
			errs = append(errs, fmt.Errorf("%s: what is published is not served: %d, %w", steps.what, a.status, err))
		}
		clock.close()
		// with the true clock again, signing goes on, all that was acknowledged comes, and a relying party has nothing to say against it
		h.daemon.Stop()
		if err := h.serve(ctx); err != nil {
			return "", err
		}
		now, err := h.status(ctx)
		if err != nil {
			return "", err
		}
		if now.Frozen != "" {
			errs = append(errs, fmt.Errorf("%s: with the true clock again: %s", steps.what, now.Frozen))
		}
		if steps.n > 1 {
			continue // the first step was believed: nothing is dated before what was signed then, which is minutes ahead
		}
		if err := h.settle(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: with the true clock again: %w", steps.what, err))
			continue
		}
		if err := h.has(ctx, ahead); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", steps.what, err))
		}
		text, err := h.ask(ctx, "verify", h.tal(), "--p256", "--tls-ca", h.tls.Roots, "--cache", h.path("cache"), "--no-rsync", "--vrps")
		vrps, err2 := h.vrps(ctx)
		if err != nil || err2 != nil || strings.Join(strings.Fields(string(text)), "\n") != strings.Join(vrps, "\n") {
			errs = append(errs, fmt.Errorf("%s: with the true clock again a relying party sees something else, or %w", steps.what, errors.Join(err, err2)))
		}
	}
	return "", errors.Join(errs...)
}

// serials has a delegated CA ask and hang up for as long as it takes to use up what a registry may publish within hours. The
// daemon's time goes by faster meanwhile.
func serials(ctx context.Context, r *run, dir string) (string, error) {
	h, err := r.foundAndServe(ctx, dir, p256)
	if err != nil {
		return "", err
	}
	clock, err := h.clockOf()
	if err != nil {
		return "", err
	}
	defer clock.close()
	c, err := h.delegate(ctx, "north/mallory")
	if err != nil {
		return "", err
	}
	p, err := h.register(ctx, "churner")
	if err != nil {
		return "", err
	}
	began := time.Now()
	key, err := object.P256.Generate()
	if err != nil {
		return "", err
	}
	for n := range 200 {
		request, err := issue(key, p.base, fmt.Sprintf("%sx%d.mft", p.base, n), p.notify)
		if err != nil {
			return "", err
		}
		message, err := c.message(request, time.Now().Add(clock.wall))
		if err != nil {
			return "", err
		}
		hangUp, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		_, _ = post(hangUp, c.client, c.url, c.contentType, message) // what is answered does not matter
		cancel()
		if err := clock.pass(time.Second); err != nil {
			return "", err
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
	}
	at, err := h.status(ctx)
	if err != nil {
		return "", err
	}
	reader := newReader(h, func(time.Duration, error) {})
	if err := reader.look(ctx); err != nil {
		return "", err
	}
	asked := time.Now()
	if err := h.tell(ctx, "roa", "add", "102.16.7.0/24", "AS37100", "24"); err != nil {
		return "", err
	}
	err = process.Until(ctx, 15*time.Second, func() error {
		err := reader.look(ctx)
		if err == nil && reader.saw("102.16.7.0/24,24,AS37100").IsZero() {
			err = errors.New("the ROA that another holder added is not published")
		}
		return err
	})
	return fmt.Sprintf("200 requests in %.0f s, serial %d; then another's ROA was published after %.1f s", asked.Sub(began).Seconds(), at.Repositories["north"].Serial, time.Since(asked).Seconds()), err
}

// ending asks a daemon that has much to plan to end.
func ending(ctx context.Context, r *run, dir string) (string, error) {
	h, err := r.found(ctx, dir, rsa2048)
	if err != nil {
		return "", err
	}
	var rows strings.Builder
	rows.WriteString("prefix,origin,maxlength\n")
	for i := range 600 {
		fmt.Fprintf(&rows, "102.%d.%d.0/24,AS37100,\n", 20+i/256, i%256)
	}
	if err := os.WriteFile(h.path("many.csv"), []byte(rows.String()), 0o600); err != nil {
		return "", err
	}
	if err := h.tell(ctx, "roa", "import", h.path("many.csv")); err != nil {
		return "", err
	}
	if err := h.serve(ctx); err != nil {
		return "", err
	}
	if err := pause(ctx, time.Second); err != nil {
		return "", err
	}
	began := time.Now()
	if err := syscall.Kill(h.daemon.PID(), syscall.SIGTERM); err != nil {
		return "", err
	}
	select {
	case <-h.daemon.Done():
	case <-time.After(10 * time.Second):
		return "", errors.New("10 s after SIGTERM it still runs")
	}
	return fmt.Sprintf("after %.1f s", time.Since(began).Seconds()), nil
}
