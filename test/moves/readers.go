package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"cadastre/test/internal/attestations"
)

const (
	newest     = "rpki-client-newest"
	routinator = "routinator"
	fort       = "fort-1.6.6"
)

// reader is a validator that fetches again and again, with a cache of its own.
type reader struct {
	*observations
	name  string
	front *front // that it fetches through, nil where it fetches directly

	cancel context.CancelFunc
	ended  chan struct{}
}

// read starts a reader under the trust anchors of installations.
func (r *run) read(installations []*installation, w *world, name, validator string, f *front, flags ...string) *reader {
	ctx, cancel := context.WithCancel(context.Background())
	d := &reader{observations: newObservations(w), name: name, front: f, cancel: cancel, ended: make(chan struct{})}
	r.readers = append(r.readers, d)
	environment := []string{"RP_HOME=" + r.rpHome}
	if f != nil {
		environment = append(environment, "http_proxy="+f.url(), "https_proxy="+f.url())
	}
	look := func(h *installation) ([]byte, error) {
		args := append([]string{validator, h.tal(), r.tls.Roots, r.cache(name, h)}, flags...)
		return within(ctx, 5*time.Minute, environment, filepath.Join(r.shared, "rp", "vrps"), args...)
	}
	go func() {
		defer close(d.ended)
		runtime.LockOSThread() // see init
		for ctx.Err() == nil {
			began := time.Now()
			var text []byte
			var err error
			var aspas map[string]bool
			for _, h := range installations {
				var part []byte
				if part, err = look(h); err != nil {
					break
				}
				text = append(text, part...)
				lines, known, err2 := attestations.Read(filepath.Join(r.cache(name, h), "aspas"))
				if err = err2; err != nil {
					break
				}
				if known && aspas == nil {
					aspas = map[string]bool{}
				}
				for _, line := range lines {
					aspas[line] = true
				}
			}
			ended := time.Now()
			if ctx.Err() != nil {
				return
			}
			seen := vrps{}
			for line := range bytes.Lines(text) {
				v, err2 := readVRP(strings.TrimSpace(string(line)))
				if err2 != nil {
					err = err2
					break
				}
				seen[v] = true
			}
			if err != nil {
				d.fails(began, ended, err)
			} else {
				if fault := d.take(began, ended, seen, aspas); fault {
					r.keepObservation(d, installations, text, ended)
				}
			}
			_ = pause(ctx, r.every)
		}
	}()
	return d
}

func (d *reader) stop() {
	d.cancel()
	<-d.ended
	if d.front != nil {
		d.front.close()
	}
}

// keepObservation keeps what a reader saw when something was missing, and its logs, for whoever looks for the reason.
func (r *run) keepObservation(d *reader, installations []*installation, text []byte, at moment) {
	dir := r.path("missed", strings.ReplaceAll(d.name, " ", "-")+"-"+at.Format("150405"))
	if os.MkdirAll(dir, 0o755) != nil {
		return // it is told without
	}
	_ = os.WriteFile(filepath.Join(dir, "vrps"), text, 0o644)
	var lines []string
	for _, n := range d.world.missing(d.seenLast(), at, d.aged) {
		lines = append(lines, n.vrp.String()+"\n")
	}
	_ = os.WriteFile(filepath.Join(dir, "missing"), []byte(strings.Join(lines, "")), 0o644)
	for _, h := range installations {
		if log, err := os.ReadFile(filepath.Join(r.cache(d.name, h), "log")); err == nil {
			_ = os.WriteFile(filepath.Join(dir, "log-"+h.name), log, 0o644)
		}
	}
}

// cache is the folder that a reader keeps for what is below an installation's trust anchor.
func (r *run) cache(name string, h *installation) string {
	return r.path("cache-" + strings.ReplaceAll(name, " ", "-") + "-" + h.name)
}
