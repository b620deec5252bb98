package daemon

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"cadastre/aspa"
	"cadastre/ca"
	"cadastre/internal/fault"
	"cadastre/internal/peer"
	"cadastre/roa"
)

// metrics are the daemon's metrics. The engine feeds counters and histograms as its Observer; states are read when metrics are asked for.
type metrics struct {
	registry  *prometheus.Registry
	signed    prometheus.Counter
	signing   prometheus.Histogram
	published *prometheus.HistogramVec
	refused   *prometheus.CounterVec
	findings  prometheus.Counter
	messages  *prometheus.CounterVec
	progress  func(remaining int) // told how much is left; may be nil
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		signed:   prometheus.NewCounter(prometheus.CounterOpts{Name: "cadastre_objects_changed_total", Help: "Objects that were issued or withdrawn."}),
		signing: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "cadastre_batch_duration_seconds", Help: "From the start of a batch to its commit: signing, checking, storing.", NativeHistogramBucketFactor: 1.1,
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 14),
		}),
		published: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "cadastre_publication_duration_seconds", Help: "From the beginning of a change's last step to its serial being served.", NativeHistogramBucketFactor: 1.1,
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 14),
		}, []string{"registry"}),
		refused:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cadastre_plans_refused_total", Help: "Plans and decisions that were refused or failed, by kind of error."}, []string{"kind"}),
		findings: prometheus.NewCounter(prometheus.CounterOpts{Name: "cadastre_gate_findings_total", Help: "What the gate found wrong with what would have been published."}),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cadastre_messages_refused_total", Help: "Messages of peers that were refused without a signed reply, by reason."}, []string{"reason"}),
	}
	for _, kind := range fault.Kinds() {
		m.refused.WithLabelValues(kind.String())
	}
	for _, reason := range peer.Reasons {
		m.messages.WithLabelValues(reason)
	}
	m.registry.MustRegister(m.signed, m.signing, m.published, m.refused, m.findings, m.messages,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Signed and the following implement ca.Observer.
func (m *metrics) Signed(objects int, took time.Duration) {
	m.signed.Add(float64(objects))
	m.signing.Observe(took.Seconds())
}

func (m *metrics) Published(registry string, _ uint64, took time.Duration) {
	m.published.WithLabelValues(registry).Observe(took.Seconds())
}
func (m *metrics) Refused(kind fault.Kind) { m.refused.WithLabelValues(kind.String()).Inc() }
func (m *metrics) Findings(n int)          { m.findings.Add(float64(n)) }
func (m *metrics) Remaining(organisations int) {
	if m.progress != nil {
		m.progress(organisations)
	}
}

// messageRefused counts what the doors for peers refuse.
func (m *metrics) messageRefused(_, reason string) { m.messages.WithLabelValues(reason).Inc() }

// watchEscrow adds what there is to watch about deposits, and returns what counts one that failed.
func (m *metrics) watchEscrow(last func() time.Time) (failed func()) {
	failures := prometheus.NewCounter(prometheus.CounterOpts{Name: "cadastre_escrow_failures_total", Help: "Deposits that could not be made."})
	m.registry.MustRegister(failures, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "cadastre_escrow_last_deposit_timestamp_seconds", Help: "When the newest deposit was made; 0 while there is none.",
	}, func() float64 {
		if at := last(); !at.IsZero() {
			return float64(at.Unix())
		}
		return 0
	}))
	return failures.Inc
}

// stateCollector reads the state of an engine when metrics are asked for.
type stateCollector struct {
	engine *ca.Engine
	tls    func() time.Time // when the served TLS certificate ends

	firstExpiry, anchorNeeded, authorities, vrps, aspas, frozen, disputes, waiting, tlsExpiry, serial, age, objects, staged *prometheus.Desc
	waits                                                                                                                   *prometheus.Desc
	keys                                                                                                                    keyDescs
	peers                                                                                                                   peerDescs
	transfers                                                                                                               transferDescs
}

func newStateCollector(e *ca.Engine, tls func() time.Time) *stateCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("cadastre_"+name, help, labels, nil)
	}
	return &stateCollector{
		engine: e, tls: tls,
		firstExpiry:  desc("first_expiry_seconds", "Seconds until the first thing in the whole tree ends to be valid."),
		anchorNeeded: desc("anchor_needed_seconds", "Seconds until what the trust anchor's key signed last ends; the key has to have signed anew by then."),
		authorities:  desc("authorities", "Certification authorities, the trust anchor included."),
		vrps:         desc("vrps", "Validated ROA payloads that are issued."),
		aspas:        desc("aspas", "Validated ASPA payloads that are issued."),
		frozen:       desc("frozen", "1 while nothing is signed because something is wrong."),
		disputes:     desc("import_lines_disputed", "Lines of registries' last files that are left out because another registry's holders have that."),
		waiting:      desc("organisations_waiting", "Organisations that are to be planned or signed for, those in work included."),
		tlsExpiry:    desc("tls_expiry_seconds", "Seconds until the served TLS certificate ends."),
		serial:       desc("repository_serial", "Serial of a repository.", "registry"),
		age:          desc("repository_age_seconds", "Seconds since a repository last got a serial.", "registry"),
		objects:      desc("repository_objects", "Objects in a repository.", "registry"),
		staged:       desc("repository_staged", "1 while something is committed and not yet published.", "registry"),
		waits:        desc("waits", "What is decided and readers do not see yet, by what it waits for; work counts as one.", "kind"),
		keys:         newKeyDescs(desc),
		peers:        newPeerDescs(desc),
		transfers:    newTransferDescs(desc),
	}
}

// Describe implements prometheus.Collector.
func (c *stateCollector) Describe(out chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(c, out)
}

// Collect implements prometheus.Collector.
func (c *stateCollector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	status, err := c.engine.Status()
	if err != nil {
		out <- prometheus.NewInvalidMetric(c.frozen, err)
		return
	}
	gauge(c.firstExpiry, time.Until(status.FirstExpiry).Seconds())
	gauge(c.anchorNeeded, time.Until(status.AnchorNeeded).Seconds())
	gauge(c.authorities, float64(status.Authorities))
	counts := c.engine.Counts()
	gauge(c.vrps, float64(counts[roa.Kind]))
	gauge(c.aspas, float64(counts[aspa.Kind]))
	gauge(c.disputes, float64(status.Disputes))
	gauge(c.waiting, float64(status.Waiting))
	gauge(c.frozen, float64(count(status.Frozen != "")))
	gauge(c.tlsExpiry, time.Until(c.tls()).Seconds())
	c.keys.collect(status, gauge)
	c.transfers.collect(&status.Transfers, gauge)
	kinds := map[ca.WaitKind]int{}
	for _, w := range status.Waits {
		kinds[w.Kind]++
	}
	for _, kind := range ca.WaitKinds {
		gauge(c.waits, float64(kinds[kind]), string(kind))
	}
	for name, r := range status.Repositories {
		gauge(c.serial, float64(r.Serial), name)
		gauge(c.age, time.Since(r.Published).Seconds(), name)
		gauge(c.objects, float64(r.Objects), name)
		gauge(c.staged, float64(count(r.Staged)), name)
	}
	if err := c.peers.collect(c.engine, func(d *prometheus.Desc, v float64) { gauge(d, v) }); err != nil {
		out <- prometheus.NewInvalidMetric(c.peers.children, err)
	}
}
