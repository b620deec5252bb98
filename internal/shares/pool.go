package shares

import (
	"cmp"
	"net/netip"
	"sync"

	"cadastre/internal/fault"
)

// ErrDisplaced is the error of who has to give way in a Pool.
var ErrDisplaced = fault.New(fault.Busy, "there is no room for this message beside those of others; send it again soon")

// Pool is memory for what comes in, divided among those who send it. Who is not known yet, because nothing authentic has
// come from its network for its handle, is a stranger. Strangers have a quarter of it, and one message alone among them up to three
// quarters. Those who are known have three quarters. Where there is no room for more, whoever has the most of a side gives way: of
// the networks the one that has the most (among strangers), then of its handles, then of its messages. So the largest is asked
// first. A message that has come whole does not give way: it is soon done with.
type Pool struct {
	size int64

	mu        sync.Mutex
	held      map[*Holding]struct{}
	bytes     [2]int64 // of strangers, of known ones
	most      int64
	displaced int64
}

// NewPool makes a pool of so many bytes.
func NewPool(size int64) *Pool { return &Pool{size: size, held: map[*Holding]struct{}{}} }

// Owner is who sends a message, as far as that can be told before it is read.
type Owner struct {
	Network netip.Prefix
	Handle  string
	Known   bool // authentic messages of this handle have come from this network
}

// Holding is what one message holds of a Pool. It is used by one goroutine, but for what the pool does with it.
type Holding struct {
	pool   *Pool
	owner  Owner
	cancel func()
	bytes  int64
	whole  bool // it has come, and is soon done with
	gone   bool
}

const (
	strangers = 0
	known     = 1
)

func (h *Holding) side() int {
	if h.owner.Known {
		return known
	}
	return strangers
}

// Open begins a message. cancel is called, by another goroutine, when it has to give way; Grow fails from then on.
func (p *Pool) Open(owner Owner, cancel func()) *Holding {
	h := &Holding{pool: p, owner: owner, cancel: cancel}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held[h] = struct{}{}
	return h
}

// Grow takes n bytes more, or gives ErrDisplaced.
func (h *Holding) Grow(n int64) error {
	p := h.pool
	p.mu.Lock()
	var out []*Holding
	for !h.gone && !p.fits(h, n) {
		heaviest := p.heaviest(h, n)
		p.remove(heaviest)
		heaviest.gone = true
		p.displaced++
		if heaviest != h {
			out = append(out, heaviest)
		}
	}
	failed := h.gone
	if !failed {
		h.bytes += n
		p.bytes[h.side()] += n
		p.most = max(p.most, p.bytes[0]+p.bytes[1])
	}
	p.mu.Unlock()
	for _, one := range out {
		one.cancel()
	}
	if failed {
		return ErrDisplaced
	}
	return nil
}

// Whole says that the message has come whole: from then on it does not have to give way. It gives ErrDisplaced where that was
// before.
func (h *Holding) Whole() error {
	h.pool.mu.Lock()
	defer h.pool.mu.Unlock()
	if h.gone {
		return ErrDisplaced
	}
	h.whole = true
	return nil
}

// Shrink gives n bytes back.
func (h *Holding) Shrink(n int64) {
	h.pool.mu.Lock()
	defer h.pool.mu.Unlock()
	if !h.gone {
		h.bytes -= n
		h.pool.bytes[h.side()] -= n
	}
}

// Close ends a message and gives all of it back.
func (h *Holding) Close() {
	h.pool.mu.Lock()
	defer h.pool.mu.Unlock()
	h.pool.remove(h)
	h.gone = true
}

// remove forgets a holding. mu is held.
func (p *Pool) remove(h *Holding) {
	if _, there := p.held[h]; there {
		delete(p.held, h)
		p.bytes[h.side()] -= h.bytes
	}
}

// fits tells whether n bytes more have room. mu is held.
func (p *Pool) fits(h *Holding, n int64) bool {
	quarter := p.size / 4
	if h.side() == known {
		return p.bytes[known]+n <= p.size-quarter
	}
	return p.bytes[strangers]+n <= quarter || p.bytes[strangers] == h.bytes && h.bytes+n <= p.size-quarter
}

// sender is what messages are counted by: strangers by network and then by handle, who is known by handle.
type sender struct {
	network netip.Prefix
	handle  string
}

func (h *Holding) sender() sender {
	if h.owner.Known {
		return sender{handle: h.owner.Handle}
	}
	return sender{h.owner.Network, h.owner.Handle}
}

// heaviest is who gives way so that h can have n more, perhaps h itself. mu is held.
func (p *Pool) heaviest(h *Holding, n int64) *Holding {
	of := h.sender()
	networks, senders := map[netip.Prefix]int64{of.network: n}, map[sender]int64{of: n}
	for one := range p.held {
		if one.side() == h.side() {
			networks[one.sender().network] += one.bytes
			senders[one.sender()] += one.bytes
		}
	}
	heaviest, has := h, h.bytes+n
	for one := range p.held {
		if one.side() != h.side() || one == h || one.whole {
			continue
		}
		a, b := one.sender(), heaviest.sender()
		order := cmp.Or(cmp.Compare(networks[a.network], networks[b.network]), cmp.Compare(senders[a], senders[b]), cmp.Compare(one.bytes, has))
		if order > 0 {
			heaviest, has = one, one.bytes
		}
	}
	return heaviest
}

// PoolStats is how a Pool stands.
type PoolStats struct {
	Size, Strangers, Known int64 // bytes
	Most                   int64 // that were ever held at one time
	Displaced              int64 // messages that had to give way
}

// Stats reads how the pool stands.
func (p *Pool) Stats() PoolStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return PoolStats{p.size, p.bytes[strangers], p.bytes[known], p.most, p.displaced}
}
