package federation

import (
	"sync"
	"time"

	"cadastre/ca/issued"
	"cadastre/internal/inr"
	"cadastre/internal/updown"
)

// What a delegated CA asks for costs its issuer a serial, a signature and, where it replaces a certificate, a place on the CRL for as
// long as that would have lasted. So each has a share of what may be issued, and all below one registry together have a quarter of
// its serials: what they ask for, and have revoked again, leaves half of them for others.
const (
	ChildBurst     = 16 // issuances at once
	ChildRefill    = 2 * time.Hour
	childrenBurst  = 30 // of all delegated CAs of a registry
	childrenRefill = 320 * time.Second
)

// ration is how much there is of something: so many at once, and one more each time that refill has passed.
type ration struct {
	of     string
	burst  int
	refill time.Duration
}

// appetite is how far shares are used. It is safe for concurrent use.
type appetite struct {
	mu   sync.Mutex
	full map[string]time.Time // when each will be whole again; one that is not named is
}

// take uses one of each share, or none where one of them has none left.
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

// afford tells a delegated CA to come again that has used up its share. What it asks for because its organisation's holding is
// another than its certificate says costs it nothing: that is not its own doing. It is used within Change.
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

// sameLimit tells whether two requests ask for the same part of what there is.
func sameLimit(a, b updown.Limit) bool {
	for _, pair := range [][2]*inr.Set{{a.AS, b.AS}, {a.IPv4, b.IPv4}, {a.IPv6, b.IPv6}} {
		if (pair[0] == nil) != (pair[1] == nil) || pair[0] != nil && !pair[0].Equal(*pair[1]) {
			return false
		}
	}
	return true
}
