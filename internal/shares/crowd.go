package shares

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// slots is how many a Crowd has in each of its two tables.
const slots = 4096

// Crowd limits how often each of many callers calls, before they have proven who they are, and how many of its calls are under
// way. Its memory does not grow with their number: each caller is counted in one slot of each of two tables, and is refused only
// where both slots are used up. The slots are drawn at random for each Crowd, so whoever wants to keep one other caller out has to
// use up nearly all slots of both tables.
type Crowd struct {
	rate   Rate
	atOnce int

	mu     sync.Mutex
	seeds  [2]maphash.Seed
	tables [2][slots]struct {
		budget
		calls int
	}
}

// NewCrowd makes a crowd whose callers may each call at a rate, and have so many calls under way.
func NewCrowd(rate Rate, atOnce int) *Crowd {
	return &Crowd{rate: rate, atOnce: atOnce, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
}

// Caller is who calls: a network, and the handle that it calls at.
type Caller struct {
	Network netip.Prefix
	Handle  string
}

// Place is where a call is counted. It has to be left.
type Place [2]int

// Enter lets a call in, or says why not: "rate" or "busy".
func (c *Crowd) Enter(who Caller, now time.Time) (at Place, refused string) {
	for i, seed := range c.seeds {
		at[i] = int(maphash.Comparable(seed, who) % slots)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	allowed, free := false, false
	for i, slot := range at {
		s := &c.tables[i][slot]
		allowed = s.take(c.rate, 1, now) || allowed
		free = free || s.calls < c.atOnce
	}
	switch {
	case !allowed:
		return at, "rate"
	case !free:
		return at, "busy"
	}
	for i, slot := range at {
		c.tables[i][slot].calls++
	}
	return at, ""
}

// Leave ends a call that was let in.
func (c *Crowd) Leave(at Place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, slot := range at {
		c.tables[i][slot].calls--
	}
}

// Bucket is one rate that many share. The zero value is full. It is safe for concurrent use.
type Bucket struct {
	mu sync.Mutex
	budget
}

// Take takes one if there is one.
func (b *Bucket) Take(r Rate, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.take(r, 1, now)
}
