package moves

import (
	"sync"
	"time"

	"cadastre/internal/fault"
)

// allowed is how many octets of new reports one installation may send in a day. A report that is the same as before is not counted.
const allowed = 64 << 20

// allowances is how many more octets of reports each installation may send. They are limited because reports are kept for good: in the
// log of decisions, and as evidence.
type allowances struct {
	mu sync.Mutex
	of map[string]*allowance
}

type allowance struct {
	left float64
	at   time.Time
}

// spend takes octets from what a peer has left. It fails with Refused if that is too little.
func (a *allowances) spend(peer string, octets int, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of == nil {
		a.of = map[string]*allowance{}
	}
	one := a.of[peer]
	if one == nil {
		one = &allowance{left: allowed, at: now}
		a.of[peer] = one
	}
	const each = float64(allowed) / float64(24*time.Hour)
	one.left, one.at = min(allowed, one.left+each*float64(max(now.Sub(one.at), 0))), now
	if float64(octets) > one.left {
		return fault.New(fault.Refused, "%s has said %d MB of new things about transfers within a day, and no more is kept of it; say it later", peer, allowed>>20)
	}
	one.left -= float64(octets)
	return nil
}
