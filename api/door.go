package api

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/principal"
)

// behalf is the header of a request that says on whose behalf an operator acts, percent-encoded (RFC 3986, section 2.1).
const behalf = "Cadastre-On-Behalf-Of"

type peerKey struct{}

// peer is the account at the other end of a connection.
type peer struct {
	uid int
	err error
}

// AtSocket makes the server for operators at the daemon's Unix socket. Each request is one of the account that opened the connection, as
// the kernel names it.
func AtSocket(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, connection net.Conn) context.Context {
			uid, err := principal.UIDOf(connection)
			return context.WithValue(ctx, peerKey{}, peer{uid, err})
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p := r.Context().Value(peerKey{}).(peer)
			if p.err != nil {
				fail(w, p.err, nil)
				return
			}
			// the name is asked for here, not above: a directory of users may be slow, and keep no other from connecting
			who := principal.Operator(principal.Account(p.uid), principal.Socket)
			handler.ServeHTTP(w, r.WithContext(principal.In(r.Context(), who)))
		}),
	}
}

// asking is the context of a request, with on whose behalf it is made. It fails with Forbidden if who asks lacks a right.
func asking(r *http.Request, needs principal.Rights) (context.Context, error) {
	who := principal.Of(r.Context())
	if who.Name == "" {
		return nil, fault.New(fault.Forbidden, "nobody is named who asks: send requests through the socket in the data directory")
	}
	whom, err := url.PathUnescape(r.Header.Get(behalf))
	if err != nil {
		return nil, fault.New(fault.BadInput, "couldn't read the header %s: %w", behalf, err)
	}
	if who, err = who.ActingFor(whom); err != nil {
		return nil, err
	}
	return principal.In(r.Context(), who), who.May(needs)
}
