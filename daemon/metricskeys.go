package daemon

import (
	"github.com/prometheus/client_golang/prometheus"

	"cadastre/ca"
)

// keyDescs describe the metrics of keys, long-lived and one-time.
type keyDescs struct {
	usable, deactivated, poolReady, poolSize *prometheus.Desc
}

func newKeyDescs(desc func(name, help string, labels ...string) *prometheus.Desc) keyDescs {
	return keyDescs{
		usable:      desc("keys_usable", "1 while what the long-lived keys are with can be used; 0 otherwise, and nothing can be signed."),
		deactivated: desc("keys_deactivated", "Long-lived keys that nothing uses any more and that are still to be destroyed."),
		poolReady:   desc("key_pool_ready", "One-time keys that are ready."),
		poolSize:    desc("key_pool_capacity", "One-time keys that a full pool has."),
	}
}

func (d *keyDescs) collect(status *ca.Status, gauge func(*prometheus.Desc, float64, ...string)) {
	gauge(d.usable, float64(count(status.Keys.Problem == "")))
	gauge(d.deactivated, float64(status.Keys.Deactivated))
	gauge(d.poolReady, float64(status.PoolReady))
	gauge(d.poolSize, float64(status.PoolSize))
}
