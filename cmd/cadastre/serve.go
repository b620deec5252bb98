package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"cadastre/api"
	"cadastre/escrow"
	"cadastre/internal/fault"
	"cadastre/internal/front"
)

type serveOptions struct {
	secrets             secretFlags
	once                bool
	www, trace          string
	restored, takeClock bool
	ready               func(*installation) // called when the first plan is done; may be nil
}

func newServe(g *global) *cobra.Command {
	o := serveOptions{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon: sign what is due, publish, and serve RRDP and rsync",
		Long: "Runs the daemon. It keeps the RPKI as the ledger says, serves it over RRDP and rsync, and answers the other commands through a\n" +
			"Unix socket in the data directory. With --once it signs what is due, publishes, has transfers take the steps that they are\n" +
			"ready for, writes the RRDP and rsync trees to disk, and ends; it waits half a minute at most for what transfers look at.\n" +
			"CAs elsewhere that are below ours, or publish here, are answered beside RRDP (RFC 6492, RFC 8181), and so are other installations\n" +
			"that resources move to and come from. SIGTERM and SIGINT end it; SIGHUP has it look at the files of its TLS certificate now; by itself\n" +
			"it does so at a connection, ten seconds after the last time.",
		Example: "  cadastre serve --passphrase-file /etc/cadastre/passphrase\n  cadastre serve --once --www /var/www/rpki --passphrase-file /etc/cadastre/passphrase",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return g.serve(cmd.Context(), &o) },
	}
	o.secrets.add(cmd)
	cmd.Flags().BoolVar(&o.once, "once", false, "do what is due, write the trees, and end")
	cmd.Flags().StringVar(&o.trace, "trace", "", "write every message to and from peers, in the clear, to files in this folder")
	cmd.Flags().StringVar(&o.www, "www", "", "with --once: where the RRDP files go, for your web server (default DATA/www)")
	cmd.Flags().BoolVar(&o.restored, "restored", false, "the data directory is a restored backup: begin new RRDP sessions")
	cmd.Flags().BoolVar(&o.takeClock, "accept-clock", false, "trust the system clock, however far it is from the last commit")
	cmd.MarkFlagsMutuallyExclusive("once", "trace")
	return cmd
}

func (g *global) serve(ctx context.Context, o *serveOptions) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := shield(); err != nil {
		log.Warn("this process could not be kept from leaving a core dump, which would have keys in it", "error", err)
	}
	hangups := make(chan os.Signal, 1) // from here on a SIGHUP ends nothing
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	h, err := g.open(log)
	if err != nil {
		return err
	}
	defer h.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := newMetrics()
	h.engine.Observer = m
	m.progress = newProgress(os.Stderr, log)
	if err := h.engine.CheckHighWater(o.restored); err != nil {
		return err
	}
	if o.once {
		if err := h.unlock(ctx, o, log); err != nil {
			return err
		}
		return h.once(ctx, o)
	}
	ended := make(chan struct{})
	defer close(ended)
	go cutOff(ctx, ended, func() {
		log.Warn("what was under way is cut off, and begun anew at the next start", "after", endPatience)
		os.Exit(0)
	})
	return h.serve(ctx, o, m, hangups, log)
}

// endPatience is how long what is under way has to end when the daemon is to. A plan for a whole registry takes longer.
const endPatience = 8 * time.Second

// cutOff ends the program endPatience after ctx has ended, if it has not ended by then. Nothing is lost: all changes are transactions, as
// for a power cut.
func cutOff(ctx context.Context, ended <-chan struct{}, end func()) {
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	select {
	case <-ended:
	case <-time.After(endPatience):
		end()
	}
}

// unlock checks that the clock can be believed, and opens the keys. The trust anchor's is opened where its passphrase is
// at hand.
func (h *installation) unlock(ctx context.Context, o *serveOptions, log *slog.Logger) error {
	defer debug.FreeOSMemory() // what argon2 used is not needed again
	keys, anchor, own, err := o.secrets.read(false)
	if err != nil {
		return err
	}
	if !o.takeClock {
		h.engine.CheckClock(time.Now())
	}
	err = h.engine.Unseal(ctx, keys, anchor, h.config.Policy.Pool)
	if kind := fault.KindOf(err); !own && err != nil && (kind == fault.Secret || kind == fault.NotFound) {
		if err := h.engine.Unseal(ctx, keys, nil, h.config.Policy.Pool); err != nil {
			return err
		}
		log.Info("the trust anchor is offline; it is needed again by the time that its manifest nears its end", "why", err)
		return nil
	}
	return err
}

// once does what is due and leaves the trees on disk: all that can be written is, whatever fails.
func (h *installation) once(ctx context.Context, o *serveOptions) error {
	if err := h.engine.Frozen(); err != nil {
		return err
	}
	www := o.www
	if www == "" {
		www = filepath.Join(h.dir, "www")
	}
	trees, err := h.openTrees(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer trees.close()
	if err := h.carry(ctx, func() error { return h.writeAll(ctx, www, trees) }); err != nil {
		return err
	}
	fmt.Printf("RRDP is in %s, rsync in %s (a module for each folder, its path is the link 'current' in it)\n", www, filepath.Join(h.dir, "rsync"))
	for name, repository := range h.engine.Repositories() {
		if _, serial, _ := repository.Published(); serial == 0 {
			fmt.Printf("nothing is published in %s yet\n", name)
		}
	}
	return nil
}

// writeAll writes what others serve: RRDP, the trust anchor, the public record, and the rsync trees. What fails keeps nothing else
// from being written.
func (h *installation) writeAll(ctx context.Context, www string, trees *trees) error {
	var failed error
	for name, repository := range h.engine.Repositories() {
		if _, serial, _ := repository.Published(); serial > 0 {
			failed = errors.Join(failed, repository.WriteStatic(filepath.Join(www, "rrdp", name)))
		}
	}
	certificate, err := h.engine.Anchor()
	if err == nil {
		err = writeAnchor(filepath.Join(www, "ta"), certificate)
	}
	failed = errors.Join(failed, err)
	rirs, err := h.rirs()
	if err == nil {
		err = newTransferLogs(h.engine, rirs).write(www)
	}
	return firstOf(errors.Join(failed, err, trees.publishAll(ctx)))
}

// firstOf is the first of several errors, which has a kind and one sentence.
func firstOf(err error) error {
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) {
		return firstOf(several.Unwrap()[0])
	}
	return err
}

// A run of 'serve --once' waits for the next look or call of a transfer that is due within soon, and for patience at most altogether. What is
// due later is left to the next run.
const (
	soon     = 5 * time.Second
	patience = 30 * time.Second
)

// carry does what is due, writes what others serve, and takes the steps of transfers that can be taken now. It waits for the looks and calls
// that a step began, and for those that are due soon, and then takes the steps that these allow. If some work is refused, all else is still
// written.
func (h *installation) carry(ctx context.Context, write func() error) error {
	looked, left := false, patience
	for {
		settled := h.engine.Settle(ctx)
		if err := write(); err != nil {
			return err
		}
		if err := errors.Join(settled, h.engine.Federation.SendStaged(ctx)); err != nil {
			return firstOf(err)
		}
		wait, err := h.mover.Step(ctx)
		if err != nil {
			return err
		}
		status, err := h.engine.Status()
		switch {
		case err != nil:
			return err
		case wait <= 0 || status.Waiting > 0:
			looked = false
		case !looked && h.mover.Rest():
			looked = true
		case wait <= min(soon, left):
			left -= wait
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(wait):
			}
			looked = false
		default:
			return nil
		}
	}
}

func writeAnchor(dir string, der []byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fault.Wrap(err, "couldn't make %s", dir)
	}
	return fault.Wrap(os.WriteFile(filepath.Join(dir, "ta.cer"), der, 0o644), "couldn't write the trust anchor's certificate")
}

// serve runs everything until ctx ends. What is published is served first, before the keys are opened, which takes time
// and perhaps a passphrase to be typed.
func (h *installation) serve(ctx context.Context, o *serveOptions, m *metrics, hangups <-chan os.Signal, log *slog.Logger) error {
	pair, err := newKeyPair(h.config, h.dir, log)
	if err != nil {
		return err
	}
	m.registry.MustRegister(newEngineCollector(h.engine, pair.expires))
	peers := &doorway{}
	public, err := h.publicHandler(peers)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	server, err := h.servePublic(ctx, group, public, pair, log)
	if err != nil {
		return err
	}
	m.watchFront(server)
	group.Go(func() error {
		reloadAt(ctx, hangups, pair, log)
		return nil
	})
	if err := h.unlock(ctx, o, log); err != nil {
		return err
	}
	h.engine.Federation.Shares = h.config.Limits.shares(h.dir)
	operators := h.config.Limits.operators()
	m.registry.MustRegister(newSharesCollector(h.engine.Federation.Shares))
	m.watchOperators(operators)
	m.watchLooks(h.engine.Federation.Reading)
	if err := h.openDoors(peers, o.trace, m.messageRefused); err != nil {
		return err
	}
	trees, err := h.openServed(log)
	if err != nil {
		return err
	}
	defer trees.close()
	h.engine.Beyond = trees
	if err := h.serveSocket(ctx, group, operators, log); err != nil {
		return err
	}
	if h.config.Listen.Metrics != "" {
		listener, err := net.Listen("tcp", h.config.Listen.Metrics)
		if err != nil {
			return listenFault("listen.metrics", h.config.Listen.Metrics, err)
		}
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
		runFront(ctx, group, front.New(mux, front.Limits{Connections: metricsConnections}, log), listener, nil)
	}
	if err := trees.startDaemon(); err != nil {
		return err
	}
	log.Info("serving", "https", h.config.Listen.HTTPS, "rsync", h.config.Listen.Rsync, "data", h.dir)
	group.Go(func() error { return trees.follow(ctx) })
	group.Go(func() error { return h.engine.Run(ctx) })
	group.Go(func() error {
		h.mover.Run(ctx)
		return nil
	})
	group.Go(func() error { return h.tidy(ctx, log) })
	group.Go(func() error {
		h.engine.Routes.Run(ctx)
		return nil
	})
	if k := h.keeper(m, log); k != nil {
		group.Go(func() error { return k.Run(ctx) })
	}
	if o.ready != nil {
		group.Go(func() error {
			if err := h.engine.WaitIdle(ctx); err == nil {
				if err := trees.publishAll(ctx); err != nil {
					return err
				}
				o.ready(h)
			}
			return nil
		})
	}
	return group.Wait()
}

// servePublic serves what strangers reach until ctx ends.
func (h *installation) servePublic(ctx context.Context, group *errgroup.Group, public http.Handler, pair *keyPair, log *slog.Logger) (*front.Server, error) {
	listener, err := net.Listen("tcp", h.config.Listen.HTTPS)
	if err != nil {
		return nil, listenFault("listen.https", h.config.Listen.HTTPS, err)
	}
	server := front.New(public, h.config.Limits.front(), log)
	runFront(ctx, group, server, listener, &tls.Config{GetCertificate: pair.get, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}})
	return server, nil
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

// keeper makes deposits for a successor, nil where none is configured.
func (h *installation) keeper(m *metrics, log *slog.Logger) *escrow.Keeper {
	if h.config.Escrow.Dir == "" {
		return nil
	}
	k := &escrow.Keeper{Engine: h.engine, Folder: h.config.Escrow.Dir, Recipient: h.config.Escrow.Recipient, Log: log}
	k.Failed = m.watchEscrow(k.Last)
	return k
}

// tidy compacts the repositories' segments where that is worth it, looking each minute.
func (h *installation) tidy(ctx context.Context, log *slog.Logger) error {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := h.engine.Compact(ctx); err != nil {
				log.Error("couldn't tidy up the segments; it will be tried again", "error", err)
			}
		}
	}
}

// publicHandler serves what relying parties fetch, the public record of transfers, and the doors for peers, and nothing else.
func (h *installation) publicHandler(peers *doorway) (http.Handler, error) {
	certificate, err := h.engine.Anchor()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	peers.mount(mux)
	for name, repository := range h.engine.Repositories() {
		mux.Handle("/rrdp/"+name+"/", repository)
	}
	rirs, err := h.rirs()
	if err != nil {
		return nil, err
	}
	mux.Handle("GET /transfers/", newTransferLogs(h.engine, rirs))
	mux.HandleFunc("GET /ta/ta.cer", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/pkix-cert")
		w.Header().Set("Cache-Control", "max-age=3600")
		_, _ = w.Write(certificate)
	})
	return mux, nil
}

// serveSocket opens the door for the other commands. A socket that a dead daemon left is removed: the store's lock
// says that no other is alive.
func (h *installation) serveSocket(ctx context.Context, group *errgroup.Group, room *api.Room, log *slog.Logger) error {
	path := filepath.Join(h.dir, "cadastre.sock")
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
	serveOperators(ctx, group, listener, api.AtSocket(api.New(h.engine, h.mover, h.dir, room), log))
	return nil
}

func listenFault(key, address string, err error) error {
	if fault.KindOf(err) == fault.Busy {
		return fault.New(fault.Busy, "the address %s is taken by another program: stop that one, or change %s in config.toml", address, key)
	}
	return fault.New(fault.BadInput, "couldn't listen on %s (%s in config.toml): %w", address, key, err)
}

// serveOperators serves who may open the socket until ctx ends, and then lets requests that are under way finish. What
// strangers reach is served by package front.
func serveOperators(ctx context.Context, group *errgroup.Group, listener net.Listener, server *http.Server) {
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := server.Shutdown(end); err != nil {
			_ = server.Close()
		}
		return nil
	})
}
