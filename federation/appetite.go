package federation

import (
	"sync"
	"time"

	"cadastre/ca/issued"
	"cadastre/internal/inr"
	"cadastre/internal/updown"
)

// Each certificate that a delegated CA asks for costs its issuer a serial and a signature. If it replaces another, that one stays on
// the CRL until it would have ended. So each delegated CA has a share, and all delegated CAs below one registry together have a
// quarter of the serials that a repository may close. If each of these certificates is revoked again, half of the serials are left.
const (
	ChildBurst     = 16 // issuances at once
	ChildRefill    = 2 * time.Hour
	childrenBurst  = 30 // of all delegated CAs of a registry
	childrenRefill = 320 * time.Second
)

// ration is a share: burst many at once, and one more after each refill.
type ration struct {
	of     string
	burst  int
	refill time.Duration
}

// appetite keeps how far each share is used. It is safe for concurrent use.
type appetite struct {
	mu   sync.Mutex
	full map[string]time.Time // when each share will be whole again; a share that is not in the map is whole
}

// take uses one of each share. If one of them has none left it uses nothing and returns false.
func (a *appetite) take(now time.Time, shares ...ration) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range shares {
		if issued.Later(a.full[s.of], now).Add(s.refill).After(now.Add(time.Duration(s.burst) * s.refill)) {
			return false
		}
	}
	if a.full == nil {
		a.full = map[string]time.Time{}
	}
	for _, s := range shares {
		a.full[s.of] = issued.Later(a.full[s.of], now).Add(s.refill)
	}
	return true
}

// afford counts a request against the shares of the delegated CA and of its registry. If one is used up it fails with 1104. A request
// that is made because the organisation's holding has changed is not counted. It is used within Change.
func (f *Federation) afford(tx *Tx, holder string, key *ChildKey) error {
	is, was := f.host.Authority(key.Authority), f.Peers.Key(key.Authority)
	if is != nil && was != nil && was.Place == key.Place && sameLimit(was.Limit, key.Limit) && !is.Certified.Equal(key.Granted) {
		return nil
	}
	own := ration{"child " + holder, ChildBurst, ChildRefill}
	if f.appetite.take(time.Now(), own, ration{"registry " + tx.Ledger.Registry(holder), childrenBurst, childrenRefill}) {
		return nil
	}
	return &updown.Error{Status: updown.StatusScheduled, Description: "so many certificates were issued to you of late that this one has to wait; ask again in some hours"}
}

// sameLimit tells whether two requests ask for the same part of a class.
func sameLimit(a, b updown.Limit) bool {
	for _, pair := range [][2]*inr.Set{{a.AS, b.AS}, {a.IPv4, b.IPv4}, {a.IPv6, b.IPv6}} {
		if (pair[0] == nil) != (pair[1] == nil) || pair[0] != nil && !pair[0].Equal(*pair[1]) {
			return false
		}
	}
	return true
}
