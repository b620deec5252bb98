package daemon

import (
	"github.com/prometheus/client_golang/prometheus"

	"cadastre/api"
	"cadastre/internal/relying"
	"cadastre/internal/relying/sandbox"
	"cadastre/internal/shares"
)

// sharesCollector tells how much of their shares those who talk to the daemon have used up.
type sharesCollector struct {
	all shares.All

	used, refused, highest, memory, memoryLimit, displaced, free, floor, guests *prometheus.Desc
}

func newSharesCollector(all shares.All) *sharesCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("cadastre_"+name, help, labels, nil)
	}
	return &sharesCollector{
		all:         all,
		used:        desc("share_used_total", "What peers of a kind have used of a resource: requests, issuances, renewals, seconds of CPU, bytes written.", "kind", "resource"),
		refused:     desc("share_refused_total", "Requests that were refused because a share was used up.", "kind", "resource"),
		highest:     desc("share_highest_ratio", "How much of its share that peer has used up now that has used the most; 1 is all.", "kind", "resource"),
		memory:      desc("message_memory_bytes", "Memory that messages take which are being read or answered.", "senders"),
		memoryLimit: desc("message_memory_limit_bytes", "Memory that such messages may take."),
		displaced:   desc("messages_displaced_total", "Messages that had to give way to others because memory was short."),
		free:        desc("disk_free_bytes", "What is free on the disk of the data directory."),
		floor:       desc("disk_floor_bytes", "Below so much that is free nothing is taken from guests."),
		guests:      desc("guests_refused_total", "What guests wanted to write and could not, because the disk is short of room."),
	}
}

// Describe implements prometheus.Collector.
func (c *sharesCollector) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, out) }

// Collect implements prometheus.Collector.
func (c *sharesCollector) Collect(out chan<- prometheus.Metric) {
	metric := func(kind prometheus.ValueType, d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	for _, use := range c.all.Ledger.Uses() {
		labels := []string{use.Kind.String(), use.Resource.String()}
		metric(prometheus.CounterValue, c.used, use.Used, labels...)
		metric(prometheus.CounterValue, c.refused, float64(use.Refused), labels...)
		metric(prometheus.GaugeValue, c.highest, use.Highest, labels...)
	}
	memory := c.all.Memory.Stats()
	metric(prometheus.GaugeValue, c.memory, float64(memory.Known), "known")
	metric(prometheus.GaugeValue, c.memory, float64(memory.Strangers), "strangers")
	metric(prometheus.GaugeValue, c.memoryLimit, float64(memory.Size))
	metric(prometheus.CounterValue, c.displaced, float64(memory.Displaced))
	disk := c.all.Disk.Stats()
	metric(prometheus.GaugeValue, c.free, float64(disk.Free))
	metric(prometheus.GaugeValue, c.floor, float64(disk.Floor))
	metric(prometheus.CounterValue, c.guests, float64(disk.Refused))
}

// watchOperators adds the memory that large requests of operators take.
func (m *metrics) watchOperators(room *api.Room) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "cadastre_operator_memory_bytes", Help: "Memory that large requests of operators take."}, func() float64 { return float64(room.Held()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "cadastre_operator_memory_limit_bytes", Help: "Memory that such requests may take."}, func() float64 { return float64(room.Size()) }),
	)
}

// watchLooks adds what the processes have used that look at repositories of others.
func (m *metrics) watchLooks(limits relying.Limits) {
	counter := func(name, help string, of func(sandbox.Use) float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "cadastre_" + name, Help: help}, func() float64 { return of(sandbox.Used()) })
	}
	gauge := func(name, help string, of func(sandbox.Use) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "cadastre_" + name, Help: help}, func() float64 { return of(sandbox.Used()) })
	}
	m.registry.MustRegister(
		counter("looks_total", "Looks at repositories of others, each by a process of its own.", func(u sandbox.Use) float64 { return float64(u.Looks) }),
		counter("looks_failed_total", "Looks that came to nothing, since a limit of the process was reached, or nobody.", func(u sandbox.Use) float64 { return float64(u.Failed) }),
		counter("looks_cut_total", "Looks at which a limit left something out.", func(u sandbox.Use) float64 { return float64(u.Cut) }),
		counter("looks_seconds_total", "How long looks have taken.", func(u sandbox.Use) float64 { return u.Time.Seconds() }),
		counter("looks_cpu_seconds_total", "Processor time of looks.", func(u sandbox.Use) float64 { return u.CPU.Seconds() }),
		gauge("look_memory_highest_bytes", "Memory of that look which has taken the most so far.", func(u sandbox.Use) float64 { return float64(u.Memory) }),
		gauge("look_memory_limit_bytes", "Memory that a look may take.", func(sandbox.Use) float64 { return float64(limits.Process.Memory) }),
	)
}
