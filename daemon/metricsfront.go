package daemon

import (
	"github.com/prometheus/client_golang/prometheus"

	"cadastre/internal/front"
)

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
