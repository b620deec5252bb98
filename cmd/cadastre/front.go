package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"cadastre/internal/fault"
	"cadastre/internal/front"
)

// metricsConnections is how many connections the listener for metrics has at one time.
const metricsConnections = 8

// limitsConfig is what those who may talk to the daemon can use of it. A number that is 0 or absent means the default, which
// docs/limits.md lists.
type limitsConfig struct {
	Connections           int `toml:"connections,omitempty"`             // to listen.https, at one time
	ConnectionsPerNetwork int `toml:"connections_per_network,omitempty"` // of those, from one /24 of IPv4 or /48 of IPv6
}

func (c *limitsConfig) check() error {
	for _, one := range []struct {
		key   string
		value int
	}{
		{"connections", c.Connections}, {"connections_per_network", c.ConnectionsPerNetwork},
	} {
		if one.value < 0 {
			return fault.New(fault.BadInput, "limits.%s is %d; it must be a number above 0, or 0 for the default", one.key, one.value)
		}
	}
	if room := front.Room(); c.Connections > room {
		return fault.New(fault.BadInput, "limits.connections is %d, and with the limit of open files of this process (ulimit -n) there is room for %d: raise that limit, or lower limits.connections", c.Connections, room)
	}
	return nil
}

// front makes the limits of the server that strangers reach.
func (c *limitsConfig) front() front.Limits {
	return front.Limits{Connections: c.Connections, PerNetwork: c.ConnectionsPerNetwork}
}

// runFront serves until ctx ends, and then lets requests that are under way finish.
func runFront(ctx context.Context, group *errgroup.Group, server *front.Server, listener net.Listener, config *tls.Config) {
	group.Go(func() error {
		if err := server.Serve(listener, config); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		server.Shutdown(end)
		return nil
	})
}

// watchFront adds how the public listener's connections stand to the metrics.
func (m *metrics) watchFront(server *front.Server) {
	gauge := func(name, help string, of func(front.Stats) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(of(server.Stats())) })
	}
	counter := func(name, help string, of func(front.Stats) int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(of(server.Stats())) })
	}
	m.registry.MustRegister(
		gauge("cadastre_connections", "Connections that are open to the public listener.", func(s front.Stats) int { return s.Open }),
		gauge("cadastre_connections_limit", "Connections that may be open to the public listener at one time.", func(s front.Stats) int { return s.Limit }),
		gauge("cadastre_connections_networks", "Networks (/24 and /48) that connections to the public listener come from.", func(s front.Stats) int { return s.Networks }),
		counter("cadastre_connections_displaced_total", "Connections that were closed for a newcomer because the limit was reached.", func(s front.Stats) int64 { return s.Displaced }),
		counter("cadastre_connections_refused_total", "Newcomers that were closed because the limit was reached.", func(s front.Stats) int64 { return s.Refused }),
	)
}
