package main

import (
	"sync"
	"time"
)

// outages are the times when the daemon was dead by our own hand. What a reader cannot fetch then is no fault.
type outages struct {
	mu    sync.Mutex
	spans []outage
}

// outage is one of them; to is zero while it lasts.
type outage struct{ from, to time.Time }

// aftermath is how long after an outage a reader may still speak of it: it tells what it met when it has read the rest.
const aftermath = 15 * time.Second

func (o *outages) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := len(o.spans); n > 0 && o.spans[n-1].to.IsZero() {
		return
	}
	o.spans = append(o.spans, outage{from: time.Now()})
}

func (o *outages) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := len(o.spans); n > 0 && o.spans[n-1].to.IsZero() {
		o.spans[n-1].to = time.Now()
	}
}

// excuse tells whether what a reader says at a time may come from an outage.
func (o *outages) excuse(at time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.spans {
		if !at.Before(s.from.Add(-time.Second)) && (s.to.IsZero() || at.Before(s.to.Add(aftermath))) {
			return true
		}
	}
	return false
}
