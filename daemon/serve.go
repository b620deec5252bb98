package daemon

import (
	"context"
	"io"
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
	"golang.org/x/sync/errgroup"

	"cadastre/escrow"
	"cadastre/internal/fault"
	"cadastre/internal/front"
)

// Options are those of Serve and Once.
type Options struct {
	Secrets   Secrets
	Trace     string              // a folder for every message to and from peers, in the clear; empty: none. For Serve alone
	Restored  bool                // the data directory is a restored backup: begin new RRDP sessions
	TakeClock bool                // trust the system clock, however far it is from the last commit
	Progress  func(remaining int) // told how many organisations are left to be worked on; may be nil
	Ready     func(*Directory)    // called when the first plan is done; may be nil. For Serve alone
}

// Serve runs the daemon of a data directory until ctx ends. When that has ended, it ends the process if what is under way does not end soon.
func Serve(ctx context.Context, dir string, o *Options, log *slog.Logger) error {
	b, err := begin(dir, o, log)
	if err != nil {
		return err
	}
	defer b.end()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan struct{})
	defer close(ended)
	go cutOff(ctx, ended, func() {
		log.Warn("what was under way is cut off, and begun anew at the next start", "after", endPatience)
		os.Exit(0)
	})
	return b.serve(ctx, o, log)
}

// Once does what is due in a data directory, and leaves what is published in folders for others to serve: RRDP in www (empty: in the data
// directory). It tells out where they are.
func Once(ctx context.Context, dir, www string, o *Options, out io.Writer, log *slog.Logger) error {
	b, err := begin(dir, o, log)
	if err != nil {
		return err
	}
	defer b.end()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := b.unlock(ctx, o, log); err != nil {
		return err
	}
	if www == "" {
		www = filepath.Join(dir, "www")
	}
	return b.once(ctx, www, out)
}

// begun is a data directory that is opened for a daemon.
type begun struct {
	*Directory
	metrics *metrics
	hangups chan os.Signal // each SIGHUP, which ends nothing
}

func begin(dir string, o *Options, log *slog.Logger) (*begun, error) {
	if err := shield(); err != nil {
		log.Warn("this process could not be kept from leaving a core dump, which would have keys in it", "error", err)
	}
	b := &begun{metrics: newMetrics(), hangups: make(chan os.Signal, 1)}
	signal.Notify(b.hangups, syscall.SIGHUP)
	d, err := Open(dir, log)
	if err != nil {
		signal.Stop(b.hangups)
		return nil, err
	}
	b.Directory = d
	d.Engine.Observer = b.metrics
	b.metrics.progress = o.Progress
	if err := d.Engine.CheckHighWater(o.Restored); err != nil {
		b.end()
		return nil, err
	}
	return b, nil
}

func (b *begun) end() {
	b.Close()
	signal.Stop(b.hangups)
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
func (d *Directory) unlock(ctx context.Context, o *Options, log *slog.Logger) error {
	defer debug.FreeOSMemory() // what argon2 used is not needed again
	keys, anchor, own, err := o.Secrets()
	if err != nil {
		return err
	}
	if !o.TakeClock {
		d.Engine.CheckClock(time.Now())
	}
	err = d.Engine.Unseal(ctx, keys, anchor, d.Config.Policy.Pool)
	if kind := fault.KindOf(err); !own && err != nil && (kind == fault.Secret || kind == fault.NotFound) {
		if err := d.Engine.Unseal(ctx, keys, nil, d.Config.Policy.Pool); err != nil {
			return err
		}
		log.Info("the trust anchor is offline; it is needed again by the time that its manifest nears its end", "why", err)
		return nil
	}
	return err
}

// serve runs everything until ctx ends. What is published is served first, before the keys are opened, which takes time
// and perhaps a passphrase to be typed.
func (b *begun) serve(ctx context.Context, o *Options, log *slog.Logger) error {
	d, m := b.Directory, b.metrics
	pair, err := newKeyPair(d.Config, d.Path, log)
	if err != nil {
		return err
	}
	m.registry.MustRegister(newStateCollector(d.Engine, pair.expires))
	peers := &doorway{}
	public, err := d.publicHandler(peers)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	server, err := d.servePublic(ctx, group, public, pair, log)
	if err != nil {
		return err
	}
	m.watchFront(server)
	group.Go(func() error {
		reloadAt(ctx, b.hangups, pair, log)
		return nil
	})
	if err := d.unlock(ctx, o, log); err != nil {
		return err
	}
	d.Engine.Federation.Shares = d.Config.Limits.shares(d.Path)
	operators := d.Config.Limits.operators()
	m.registry.MustRegister(newSharesCollector(d.Engine.Federation.Shares))
	m.watchOperators(operators)
	m.watchLooks(d.Engine.Federation.Reading)
	if err := d.openDoors(peers, o.Trace, m.messageRefused); err != nil {
		return err
	}
	trees, err := d.openServed(log)
	if err != nil {
		return err
	}
	defer trees.close()
	d.Engine.Beyond = trees
	if err := d.serveSocket(ctx, group, operators, log); err != nil {
		return err
	}
	if d.Config.Listen.Metrics != "" {
		listener, err := net.Listen("tcp", d.Config.Listen.Metrics)
		if err != nil {
			return listenFault("listen.metrics", d.Config.Listen.Metrics, err)
		}
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
		runFront(ctx, group, front.New(mux, front.Limits{Connections: metricsConnections}, log), listener, nil)
	}
	if err := trees.startDaemon(); err != nil {
		return err
	}
	log.Info("serving", "https", d.Config.Listen.HTTPS, "rsync", d.Config.Listen.Rsync, "data", d.Path)
	group.Go(func() error { return trees.follow(ctx) })
	group.Go(func() error { return d.Engine.Run(ctx) })
	group.Go(func() error {
		d.Mover.Run(ctx)
		return nil
	})
	group.Go(func() error { return d.tidy(ctx, log) })
	group.Go(func() error {
		d.Engine.Routes.Run(ctx)
		return nil
	})
	if k := d.keeper(m, log); k != nil {
		group.Go(func() error { return k.Run(ctx) })
	}
	if o.Ready != nil {
		group.Go(func() error {
			if err := d.Engine.WaitIdle(ctx); err == nil {
				if err := trees.publishAll(ctx); err != nil {
					return err
				}
				o.Ready(d)
			}
			return nil
		})
	}
	return group.Wait()
}

// keeper makes deposits for a successor, nil where none is configured.
func (d *Directory) keeper(m *metrics, log *slog.Logger) *escrow.Keeper {
	if d.Config.Escrow.Dir == "" {
		return nil
	}
	k := &escrow.Keeper{Engine: d.Engine, Folder: d.Config.Escrow.Dir, Recipient: d.Config.Escrow.Recipient, Log: log}
	k.Failed = m.watchEscrow(k.Last)
	return k
}

// tidy compacts the repositories' segments where that is worth it, looking each minute.
func (d *Directory) tidy(ctx context.Context, log *slog.Logger) error {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := d.Engine.Compact(ctx); err != nil {
				log.Error("couldn't tidy up the segments; it will be tried again", "error", err)
			}
		}
	}
}
