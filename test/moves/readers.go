package main

import (
	"bytes"
	"context"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	newest     = "rpki-client-newest"
	routinator = "routinator"
	fort       = "fort-1.6.6"
)

// reader is a validator that fetches again and again, with a cache of its own.
type reader struct {
	*sightings
	name  string
	front *front // that it fetches through, nil where it fetches directly

	cancel context.CancelFunc
	ended  chan struct{}
}

// read starts a reader under the trust anchors of houses.
func (r *run) read(houses []*house, w *world, name, validator string, f *front, flags ...string) *reader {
	ctx, cancel := context.WithCancel(context.Background())
	d := &reader{sightings: newSightings(w), name: name, front: f, cancel: cancel, ended: make(chan struct{})}
	r.readers = append(r.readers, d)
	environment := []string{"RP_HOME=" + r.rpHome}
	if f != nil {
		environment = append(environment, "http_proxy="+f.url())
	}
	look := func(h *house) ([]byte, error) {
		args := append([]string{validator, h.tal(), r.tls.Roots, r.path("cache-" + strings.ReplaceAll(name, " ", "-") + "-" + h.name)}, flags...)
		return within(ctx, 5*time.Minute, environment, filepath.Join(r.shared, "rp", "vrps"), args...)
	}
	go func() {
		defer close(d.ended)
		runtime.LockOSThread() // see init
		for ctx.Err() == nil {
			began := time.Now()
			var text []byte
			var err error
			for _, h := range houses {
				var part []byte
				if part, err = look(h); err != nil {
					break
				}
				text = append(text, part...)
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
				d.take(began, ended, seen)
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
