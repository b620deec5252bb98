// Package front is the HTTP server that strangers reach. It bounds what each of them can hold of it: connections, time,
// and streams of HTTP/2.
//
// A client has to make progress. Each read of a request's body and each write of an answer has a deadline (Pace), for
// HTTP/1.1 and for HTTP/2 alike. A client that stalls loses its request; over HTTP/1.1 that is its connection.
//
// Connections have a limit that leaves file descriptors for the rest of the program (Room). At the limit a newcomer is
// let in all the same, in place of a connection of the network that has the most: of those, the one that has been
// waited for longest. Connections whose requests wait for us are not closed for a newcomer; where there are only such, the
// newcomer is refused. So it takes clients from as many networks as there are connections to shut another out.
package front

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Limits bound one server. The zero value of a field means its default.
type Limits struct {
	Connections int // open at one time; default Room's, at most MostConnections
	PerNetwork  int // of those, from one network (NetworkOf); default an eighth, at least 4; loopback has no such limit
	Pace        Pace
}

const (
	// MostConnections is how many connections a server has at most where its configuration does not say.
	MostConnections = 2048

	headerTime  = 10 * time.Second // for the TLS handshake, and for a request's header
	idleTime    = time.Minute      // for the next request on a connection
	headerBytes = 16 << 10
	streams     = 32        // requests at one time on a connection of HTTP/2
	window      = 256 << 10 // bytes of bodies that a connection of HTTP/2 may send unread
)

// Server serves HTTP to strangers.
type Server struct {
	http *http.Server
	gate *gate
}

// New makes a server for a handler.
func New(handler http.Handler, limits Limits, log *slog.Logger) *Server {
	if limits.Connections == 0 {
		limits.Connections = min(MostConnections, Room())
	}
	if limits.PerNetwork == 0 {
		limits.PerNetwork = max(4, limits.Connections/8)
	}
	pace := limits.Pace.orDefault()
	s := &Server{gate: newGate(limits.Connections, limits.PerNetwork)}
	s.http = &http.Server{
		Handler: Paced(handler, pace), ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: headerBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: streams, MaxReceiveBufferPerConnection: window, MaxReceiveBufferPerStream: window,
			SendPingTimeout: pace.Stall, PingTimeout: pace.Stall, WriteByteTimeout: pace.Stall,
		},
		ConnContext: withConn,
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s
}

// Serve serves until Shutdown; then its error is http.ErrServerClosed. Without a TLS configuration it serves in the clear.
func (s *Server) Serve(listener net.Listener, config *tls.Config) error {
	listener = s.gate.listen(listener)
	if config != nil {
		listener = tls.NewListener(listener, config)
	}
	return s.http.Serve(listener)
}

// Shutdown lets requests that are under way finish until ctx ends, and cuts off what is left then.
func (s *Server) Shutdown(ctx context.Context) {
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close()
	}
}

// Stats is how a server's connections stand.
type Stats struct {
	Open      int   // connections
	Limit     int   // of them
	Networks  int   // that they come from
	Displaced int64 // connections that were closed for a newcomer
	Refused   int64 // newcomers that were closed at once
}

// Stats reads how the connections stand now.
func (s *Server) Stats() Stats { return s.gate.stats() }
