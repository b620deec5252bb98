package peer

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"cadastre/internal/front"
	"cadastre/internal/shares"
)

// Rates where a Door has no others, and that of repeats.
var (
	usualRate      = shares.Rate{PerSecond: 20, Burst: 100}   // of a network at a handle
	usualStrangers = shares.Rate{PerSecond: 100, Burst: 500}  // at handles that are not registered, all together
	usualChecks    = shares.Rate{PerSecond: 500, Burst: 1000} // of signatures, for networks that are not known
	usualRepeats   = shares.Rate{PerSecond: 1, Burst: 10}     // of messages of a handle that came before
)

// orRate is a rate, or another where it is not set.
func orRate(r, usual shares.Rate) shares.Rate {
	if r == (shares.Rate{}) {
		return usual
	}
	return r
}

// limits counts who calls how much. Door.init makes it ready.
type limits struct {
	once   sync.Once
	memory *shares.Pool     // where the door has none from outside
	crowds [2]*shares.Crowd // of networks from which nothing authentic has come, and of those that are known

	repeats *shares.Crowd // messages that came before, by handle
	replies replies

	unknown shares.Bucket // calls at handles that are not registered
	checks  shares.Bucket // signatures that are checked for networks that are not known

	mu       sync.Mutex
	known    map[string]*[networksKnown]netip.Prefix // by handle, the newest first
	answered map[string]bool                         // handles whose message is being answered
}

// networksKnown is how many networks are remembered for each handle. Each has sent a message that its peer had signed.
const networksKnown = 4

func (d *Door) init() {
	l := &d.limits
	l.once.Do(func() {
		l.memory, l.known, l.answered = d.Memory, map[string]*[networksKnown]netip.Prefix{}, map[string]bool{}
		if l.memory == nil {
			l.memory = shares.NewPool(8 * d.MaxBody)
		}
		l.repeats = shares.NewCrowd(usualRepeats, 1)
		for i := range l.crowds {
			l.crowds[i] = shares.NewCrowd(orRate(d.Rate, usualRate), callsAtOnce)
		}
	})
}

func (d *Door) memory() *shares.Pool {
	d.init()
	return d.limits.memory
}

// owner is who calls, as far as that can be told before the message is read.
func (d *Door) owner(r *http.Request, handle string) shares.Owner {
	d.init()
	o := shares.Owner{Network: front.NetworkOf(r.RemoteAddr), Handle: handle}
	l := &d.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	if of := l.known[handle]; of != nil {
		for _, network := range of {
			o.Known = o.Known || network == o.Network && network.IsValid()
		}
	}
	return o
}

// enter admits a call to a registered handle, or says why not. What it admits has to leave.
func (d *Door) enter(o shares.Owner, now time.Time) (leave func(), refused string) {
	crowd := d.limits.crowds[0]
	if o.Known {
		crowd = d.limits.crowds[1]
	}
	place, refused := crowd.Enter(shares.Caller{Network: o.Network, Handle: o.Handle}, now)
	return func() { crowd.Leave(place) }, refused
}

// proven remembers that a network has sent an authentic message of a handle.
func (d *Door) proven(o shares.Owner) {
	if o.Known || !o.Network.IsValid() {
		return
	}
	l := &d.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.known[o.Handle]
	if of == nil {
		of = new([networksKnown]netip.Prefix)
		l.known[o.Handle] = of
	}
	copy(of[1:], of[:networksKnown-1])
	of[0] = o.Network
}

// repeats counts a message that came before, and tells whether it is answered.
func (d *Door) repeats(handle string) bool {
	place, refused := d.limits.repeats.Enter(shares.Caller{Handle: handle}, time.Now())
	if refused == "" {
		d.limits.repeats.Leave(place)
	}
	return refused == ""
}

// begin takes the turn of a handle, or says that it is taken. Who has it has to end it.
func (l *limits) begin(handle string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.answered[handle] {
		return false
	}
	l.answered[handle] = true
	return true
}

func (l *limits) end(handle string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.answered, handle)
}
