package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"cadastre/api"
	"cadastre/internal/fault"
	"cadastre/internal/front"
)

// metricsConnections is how many connections the listener for metrics has at one time.
const metricsConnections = 8

// servePublic serves what strangers reach until ctx ends.
func (d *Directory) servePublic(ctx context.Context, group *errgroup.Group, public http.Handler, pair *keyPair, log *slog.Logger) (*front.Server, error) {
	listener, err := net.Listen("tcp", d.Config.Listen.HTTPS)
	if err != nil {
		return nil, listenFault("listen.https", d.Config.Listen.HTTPS, err)
	}
	server := front.New(public, d.Config.Limits.front(), log)
	runFront(ctx, group, server, listener, &tls.Config{GetCertificate: pair.get, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}})
	return server, nil
}

// publicHandler serves what relying parties fetch, the public record of transfers, and the doors for peers, and nothing else.
func (d *Directory) publicHandler(peers *doorway) (http.Handler, error) {
	certificate, err := d.Engine.Anchor()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	peers.mount(mux)
	for name, repository := range d.Engine.Repositories() {
		mux.Handle("/rrdp/"+name+"/", repository)
	}
	rirs, err := d.rirs()
	if err != nil {
		return nil, err
	}
	mux.Handle("GET /transfers/", newTransferLogs(d.Engine, rirs))
	mux.HandleFunc("GET /ta/ta.cer", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/pkix-cert")
		w.Header().Set("Cache-Control", "max-age=3600")
		_, _ = w.Write(certificate)
	})
	return mux, nil
}

// serveSocket opens the door for the other commands. A socket that a dead daemon left is removed: the store's lock
// says that no other is alive.
func (d *Directory) serveSocket(ctx context.Context, group *errgroup.Group, room *api.Room, log *slog.Logger) error {
	path := SocketPath(d.Path)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.Wrap(err, "couldn't replace the socket %s", path)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return fault.Wrap(err, "couldn't listen on the socket %s", path)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return fault.Wrap(err, "couldn't close the socket %s to others", path)
	}
	serveOperators(ctx, group, listener, api.AtSocket(api.New(d.Engine, d.Mover, d.Path, room), log))
	return nil
}

// serveOperators serves who may open the socket until ctx ends, and then lets requests that are under way finish. What
// strangers reach is served by package front.
func serveOperators(ctx context.Context, group *errgroup.Group, listener net.Listener, server *http.Server) {
	runServer(ctx, group, func() error { return server.Serve(listener) }, func(end context.Context) {
		if err := server.Shutdown(end); err != nil {
			_ = server.Close()
		}
	})
}

func listenFault(key, address string, err error) error {
	if fault.KindOf(err) == fault.Busy {
		return fault.New(fault.Busy, "the address %s is taken by another program: stop that one, or change %s in config.toml", address, key)
	}
	return fault.New(fault.BadInput, "couldn't listen on %s (%s in config.toml): %w", address, key, err)
}

// reloadAt looks at the TLS certificate's files at each signal, until ctx ends.
func reloadAt(ctx context.Context, hangups <-chan os.Signal, pair *keyPair, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			pair.reload()
			log.Info("SIGHUP: the TLS certificate's files were looked at; all else in config.toml needs a restart", "tls_until", pair.expires())
		}
	}
}

// runFront serves until ctx ends, and then lets requests that are under way finish.
func runFront(ctx context.Context, group *errgroup.Group, server *front.Server, listener net.Listener, config *tls.Config) {
	runServer(ctx, group, func() error { return server.Serve(listener, config) }, server.Shutdown)
}

// runServer serves until ctx ends, and then has the server shut down. Requests that are under way have five seconds to finish.
func runServer(ctx context.Context, group *errgroup.Group, serve func() error, shutdown func(context.Context)) {
	group.Go(func() error {
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		shutdown(end)
		return nil
	})
}
