package daemon

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// Addresses are the addresses that everything published names, and those of the configuration.
func Addresses(dir string) (published, configured ca.Addresses, err error) {
	c, st, err := openStore(dir)
	if err != nil {
		return published, configured, err
	}
	defer func() { _ = st.Close() }()
	published, err = ca.PublishedAt(st)
	return published, c.policy.Addresses(), err
}

// Readdressed is what became of a change of addresses.
type Readdressed struct {
	Was      ca.Addresses `json:"was"`
	Now      ca.Addresses `json:"now"`
	VRPs     int          `json:"vrps"`
	Missing  []string     `json:"missing"` // VRPs that come back when parents elsewhere have certified
	Previous string       `json:"previous"`
	Peers    ca.Peers     `json:"peers"`
}

// openStore opens the configuration and the store of the data directory, and nothing else.
func openStore(dir string) (*Config, *store.Bolt, error) {
	c, err := ReadConfig(dir)
	if err != nil {
		return nil, nil, err
	}
	st, err := store.Open(StorePath(dir), store.Options{})
	if fault.KindOf(err) == fault.Busy {
		return nil, nil, fault.New(fault.Busy, "a daemon holds %s: stop it first", dir)
	}
	return c, st, err
}

// rebuilt lists what is not copied into the new data directory with the rest: it is made anew, or prepareDirectory copies it by itself.
var rebuilt = []string{"store.db", "cadastre.sock", "rrdp", "rsync", "rsyncd", "www", "tls"}

// Readdress issues everything anew for the addresses of the configuration, in a new data directory beside the present one, and puts that in
// its place in one step. Meanwhile it serves what was published, and tells log what of that it cannot. When it fails, nothing has changed.
func Readdress(ctx context.Context, dir string, secrets Secrets, by holdings.By, log *slog.Logger) (_ *Readdressed, err error) {
	c, st, err := openStore(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = st.Close() }()
	at, err := ca.PublishedAt(st)
	if err != nil {
		return nil, err
	}
	done := &Readdressed{Was: at, Now: c.policy.Addresses(), Missing: []string{}}
	if done.Was == done.Now {
		return nil, fault.New(fault.BadInput, "%s has the addresses that are published already (%s, %s); write the new ones there first", ConfigPath(dir), at.RRDPBase, at.RsyncBase)
	}
	was := *c // with the addresses that are published
	was.RRDPBase, was.RsyncBase, was.Listen = at.RRDPBase, at.RsyncBase, c.listenedFor(at)
	was.policy.RRDPBase, was.policy.RsyncBase = at.RRDPBase, at.RsyncBase
	old, err := movable(dir, st, &was, done)
	if err != nil {
		return nil, err
	}
	before, err := old.Engine.VRPs()
	if err != nil {
		return nil, err
	}
	stop := old.serveMeanwhile(ctx, log)
	defer stop()
	keys, anchor, _, err := secrets()
	if err != nil {
		return nil, err
	}
	next := filepath.Clean(dir) + ".readdressed"
	if err := os.RemoveAll(next); err != nil { // of a try that was cut short
		return nil, fault.Wrap(err, "couldn't remove %s", next)
	}
	defer func() {
		_ = os.Remove(ca.HighWaterPath(next))
		if err != nil {
			_ = os.RemoveAll(next)
		}
	}()
	if err := prepareDirectory(dir, c, next, at); err != nil {
		return nil, err
	}
	after, err := issueAnew(ctx, c, next, keys, anchor, by)
	if err != nil {
		return nil, err
	}
	done.VRPs = len(after)
	for _, vrp := range before {
		if _, there := slices.BinarySearch(after, vrp); !there {
			done.Missing = append(done.Missing, vrp)
		}
	}
	if len(done.Missing) > 0 && len(done.Peers.Parents) == 0 {
		return nil, fault.New(fault.Internal, "%d VRPs would be missing at the new address, the first is %s; nothing was changed", len(done.Missing), done.Missing[0])
	}
	if err := syncAll(next); err != nil {
		return nil, err
	}
	stop() // what it serves is read from the directory that is about to have another name
	done.Previous, err = exchange(dir, next)
	return done, err
}

// movable opens the directory for the addresses that are published, and checks that they may change now.
func movable(dir string, st *store.Bolt, was *Config, done *Readdressed) (*Directory, error) {
	e, err := ca.Open(st, dir, was.policy, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	if err := e.CheckHighWater(false); err != nil {
		return nil, err
	}
	if err := e.CheckMovable(); err != nil {
		return nil, err
	}
	if done.Peers, err = e.Peers(); err != nil {
		return nil, err
	}
	return &Directory{Path: dir, Config: was, store: st, Engine: e}, nil
}

// listenedFor is where a daemon listened for former addresses: where config.toml says, but at the port of a former address where
// the present one is reached at the port that is listened on, without anything between.
func (c *Config) listenedFor(was ca.Addresses) listenConfig {
	former := func(listen, now, was string, usual int) string {
		host, port, err := net.SplitHostPort(listen)
		next, err1 := url.Parse(now)
		last, err2 := url.Parse(was)
		if errors.Join(err, err1, err2) != nil || port != strconv.Itoa(PortOf(next, usual)) {
			return listen
		}
		return net.JoinHostPort(host, strconv.Itoa(PortOf(last, usual)))
	}
	l := c.Listen
	l.HTTPS, l.Rsync = former(l.HTTPS, c.RRDPBase, was.RRDPBase, 443), former(l.Rsync, c.RsyncBase, was.RsyncBase, 873)
	return l
}

// serveMeanwhile serves what is published, and nothing new, until the function that it gives is called. What cannot be served is told:
// another program may serve it, or have the port.
func (d *Directory) serveMeanwhile(ctx context.Context, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	if err := d.serveRRDP(ctx, group, log); err != nil {
		log.Warn("RRDP is not served meanwhile", "address", d.Config.RRDPBase, "why", err)
	}
	trees, err := d.openServed(log)
	if err == nil {
		if err = trees.tryDaemon(); err != nil {
			trees.close()
		}
	}
	if err != nil {
		log.Warn("rsync is not served meanwhile", "address", d.Config.RsyncBase, "why", err)
	}
	served := err == nil
	return sync.OnceFunc(func() {
		cancel()
		if err := group.Wait(); err != nil {
			log.Warn("RRDP was not served to the end", "address", d.Config.RRDPBase, "why", err)
		}
		if served {
			trees.close()
		}
	})
}

// serveRRDP serves what is published over RRDP, and asks peers to come again.
func (d *Directory) serveRRDP(ctx context.Context, group *errgroup.Group, log *slog.Logger) error {
	pair, err := newKeyPair(d.Config, d.Path, log)
	if err != nil {
		return err
	}
	public, err := d.publicHandler(&doorway{})
	if err != nil {
		return err
	}
	_, err = d.servePublic(ctx, group, public, pair, log)
	return err
}

// prepareDirectory copies to next what stays of the data directory.
func prepareDirectory(dir string, c *Config, next string, was ca.Addresses) error {
	if err := os.Mkdir(next, 0o700); err != nil {
		return fault.Wrap(err, "couldn't make %s", next)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fault.Wrap(err, "couldn't read %s", dir)
	}
	for _, entry := range entries {
		if slices.Contains(rebuilt, entry.Name()) {
			continue
		}
		if err := copyTree(filepath.Join(dir, entry.Name()), filepath.Join(next, entry.Name())); err != nil {
			return fault.Wrap(err, "couldn't copy %s", entry.Name())
		}
	}
	if err := copyTree(StorePath(dir), filepath.Join(next, "store.db")); err != nil {
		return fault.Wrap(err, "couldn't copy the store")
	}
	u, err := url.Parse(was.RRDPBase)
	if err != nil {
		return fault.New(fault.Corrupt, "the address %q that is published cannot be read", was.RRDPBase)
	}
	tls := filepath.Join(dir, "tls")
	if _, err := os.Stat(tls); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if c.TLS.Certificate == "" && c.host() != u.Hostname() {
		return makeTLS(filepath.Join(next, "tls"), c.host(), u.Hostname())
	}
	return fault.Wrap(copyTree(tls, filepath.Join(next, "tls")), "couldn't copy %s", tls)
}

// issueAnew has everything issued in a prepared directory, and gives the VRPs.
func issueAnew(ctx context.Context, c *Config, next string, keys, anchor []byte, by holdings.By) ([]string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := store.Open(filepath.Join(next, "store.db"), store.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = st.Close() }()
	if by.Reason == "" {
		by.Reason = "the addresses were changed to " + c.RRDPBase + " and " + c.RsyncBase
	}
	if err := ca.Readdress(st, next, c.policy, anchor, by); err != nil {
		return nil, err
	}
	e, err := ca.Open(st, next, c.policy, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	e.CheckClock(time.Now())
	if err := e.Unseal(ctx, keys, anchor, c.Policy.Pool); err != nil {
		return nil, err
	}
	if err := e.Settle(ctx); err != nil {
		return nil, err
	}
	return e.VRPs()
}

// exchange puts next, which is on the disk, in the place of data, in one step, and gives the name under which what was there is kept.
func exchange(data, next string) (string, error) {
	if err := unix.Renameat2(unix.AT_FDCWD, next, unix.AT_FDCWD, filepath.Clean(data), unix.RENAME_EXCHANGE); err != nil {
		return "", fault.Wrap(err, "couldn't put %s in the place of %s, which must be a folder and neither a mount point nor a link; nothing was changed", next, data)
	}
	previous := filepath.Clean(data) + ".before-" + time.Now().UTC().Format("20060102T150405Z")
	if err := os.Rename(next, previous); err != nil {
		return next, nil //nolint:nilerr // it is there under the other name
	}
	return previous, nil
}

func syncAll(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(d.Fd())), d.Close()) // a file descriptor is an int
}
