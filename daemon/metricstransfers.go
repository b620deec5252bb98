package daemon

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cadastre/ca"
)

// transferDescs is what there is to watch about transfers.
type transferDescs struct {
	transfers, open, disputed, held, oldest *prometheus.Desc
}

func newTransferDescs(desc func(name, help string, labels ...string) *prometheus.Desc) transferDescs {
	return transferDescs{
		transfers: desc("transfers", "Transfers of resources from one holder to another, by state.", "state"),
		open:      desc("transfers_open", "Transfers with something still to be done."),
		disputed:  desc("transfers_disputed", "Transfers that are parked by a dispute, with both sides valid."),
		held:      desc("transfers_held", "Transfers that wait until their source releases them."),
		oldest:    desc("transfers_oldest_waiting_seconds", "Seconds since the open transfer that took no step for the longest time took its last; 0 while none is open."),
	}
}

func (d *transferDescs) collect(c *ca.TransferCounts, gauge func(*prometheus.Desc, float64, ...string)) {
	for state, n := range c.States {
		gauge(d.transfers, float64(n), string(state))
	}
	gauge(d.open, float64(c.Open))
	gauge(d.disputed, float64(c.Disputed))
	gauge(d.held, float64(c.Held))
	waiting := 0.0
	if !c.Oldest.IsZero() {
		waiting = time.Since(c.Oldest).Seconds()
	}
	gauge(d.oldest, waiting)
}
