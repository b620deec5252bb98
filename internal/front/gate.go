package front

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// NetworkOf is the network of a client as far as one tells clients apart: /24 of IPv4, /48 of IPv6. The address may have
// a port. All that is no IP address is one network, the zero prefix.
func NetworkOf(address string) netip.Prefix {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		with, err := netip.ParseAddrPort(address)
		if err != nil {
			return netip.Prefix{}
		}
		ip = with.Addr()
	}
	ip = ip.Unmap().WithZone("")
	bits := 48
	if ip.Is4() {
		bits = 24
	}
	network, _ := ip.Prefix(bits) // of as many bits as there are
	return network
}

// gate counts connections and lets no more be open than its limits.
type gate struct {
	total, perNetwork  int
	displaced, refused atomic.Int64

	mu       sync.Mutex
	open     int
	networks map[netip.Prefix]map[*conn]struct{}
}

func newGate(total, perNetwork int) *gate {
	return &gate{total: total, perNetwork: perNetwork, networks: map[netip.Prefix]map[*conn]struct{}{}}
}

func (g *gate) stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Stats{Open: g.open, Limit: g.total, Networks: len(g.networks), Displaced: g.displaced.Load(), Refused: g.refused.Load()}
}

// listen has a listener's connections counted.
func (g *gate) listen(l net.Listener) net.Listener { return &listener{Listener: l, gate: g} }

type listener struct {
	net.Listener
	gate *gate
}

// Accept gives the next connection that is let in.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if counted := l.gate.enter(c); counted != nil {
			return counted, nil
		}
		_ = c.Close() // nothing was said to it
	}
}

// enter lets a connection in, in place of another where there is no room. It is nil where no other may be closed for it.
func (g *gate) enter(c net.Conn) *conn {
	network := NetworkOf(c.RemoteAddr().String())
	counted := &conn{Conn: c, gate: g, network: network, opened: time.Now()}
	g.mu.Lock()
	defer g.mu.Unlock()
	var out *conn
	switch own := g.networks[network]; {
	case len(own) >= g.perNetwork && !network.Addr().IsLoopback():
		out = longestWaitedFor(nil, own)
	case g.open < g.total:
		g.add(counted)
		return counted
	default:
		out = g.heaviest(own)
	}
	if out == nil {
		g.refused.Add(1)
		return nil
	}
	g.displaced.Add(1)
	g.remove(out)
	_ = out.Conn.Close() // its reads and writes fail
	g.add(counted)
	return counted
}

// heaviest is the connection to be closed for a newcomer: of its own network where none has more, and otherwise of one
// that has the most. mu is held.
func (g *gate) heaviest(own map[*conn]struct{}) (out *conn) {
	most := 0
	for _, of := range g.networks {
		most = max(most, len(of))
	}
	if len(own) == most {
		return longestWaitedFor(nil, own)
	}
	for _, of := range g.networks {
		if len(of) == most {
			out = longestWaitedFor(out, of)
		}
	}
	return out
}

// longestWaitedFor is the connection whose client made progress the longest ago. Those that wait for us are left alone.
func longestWaitedFor(longest *conn, of map[*conn]struct{}) *conn {
	for c := range of {
		if c.working.Load() <= 0 && (longest == nil || c.progress.Load() < longest.progress.Load() ||
			c.progress.Load() == longest.progress.Load() && c.opened.Before(longest.opened)) {
			longest = c
		}
	}
	return longest
}

// add and remove keep count of a connection. mu is held.
func (g *gate) add(c *conn) {
	c.progress.Store(time.Since(started).Nanoseconds())
	of := g.networks[c.network]
	if of == nil {
		of = map[*conn]struct{}{}
		g.networks[c.network] = of
	}
	of[c] = struct{}{}
	g.open++
}

func (g *gate) remove(c *conn) {
	of := g.networks[c.network]
	if _, in := of[c]; !in {
		return
	}
	delete(of, c)
	if len(of) == 0 {
		delete(g.networks, c.network)
	}
	g.open--
}

// started is what progress is counted from: the monotonic clock, in a number that is read and written without a lock.
var started = time.Now()

// conn is one connection of a client.
type conn struct {
	net.Conn
	gate    *gate
	network netip.Prefix
	opened  time.Time

	progress atomic.Int64 // when bytes last passed, in nanoseconds since started
	working  atomic.Int64 // its requests that wait for us, not for the client
}

// begin and end say that a request waits for us, and that it does not any more.
func (c *conn) begin() {
	if c != nil {
		c.working.Add(1)
	}
}

func (c *conn) end() {
	if c != nil {
		c.working.Add(-1)
	}
}

func (c *conn) passed(n int) {
	if n > 0 {
		c.progress.Store(time.Since(started).Nanoseconds())
	}
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.passed(n)
	return n, err
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.passed(n)
	return n, err
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.gate.mu.Lock()
	c.gate.remove(c)
	c.gate.mu.Unlock()
	return c.Conn.Close()
}
