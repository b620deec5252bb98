package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"cadastre/ca"
	"cadastre/internal/fault"
	"cadastre/internal/store"
)

func newAddress(g *global) *cobra.Command {
	cmd := newNoun("address", "Show or change the addresses that everything published names", "  cadastre address show\n  cadastre address change --passphrase-file FILE")
	cmd.AddCommand(addressShow(g), addressChange(g))
	return cmd
}

// addressStatus is what 'address show' prints.
type addressStatus struct {
	Published  ca.Addresses `json:"published"`  // what everything published names
	Configured ca.Addresses `json:"configured"` // what config.toml has
}

func addressShow(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "show",
		Short:   "Show the addresses that are published, and those of config.toml",
		Example: "  cadastre address show\n  cadastre address show -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, st, err := g.openStore()
			if err != nil {
				return err
			}
			defer func() { _ = st.Close() }()
			at, err := ca.PublishedAt(st)
			if err != nil {
				return err
			}
			s := addressStatus{at, c.policy.Addresses()}
			return g.print(cmd.OutOrStdout(), s, func(w io.Writer) {
				fmt.Fprintf(w, "published    %s %s\nconfigured   %s %s\n", s.Published.RRDPBase, s.Published.RsyncBase, s.Configured.RRDPBase, s.Configured.RsyncBase)
			})
		},
	}
}

// readdressed is what 'address change' prints.
type readdressed struct {
	Was      ca.Addresses `json:"was"`
	Now      ca.Addresses `json:"now"`
	VRPs     int          `json:"vrps"`
	Missing  []string     `json:"missing"` // VRPs that come back when parents elsewhere have certified
	Previous string       `json:"previous"`
	Peers    ca.Peers     `json:"peers"`
}

func addressChange(g *global) *cobra.Command {
	var secrets secretFlags
	cmd := &cobra.Command{
		Use:   "change",
		Short: "Issue everything anew for the addresses of config.toml",
		Long: "Changes the addresses that relying parties know. First stop the daemon and write the new rrdp_base, rsync_base, anchor_url and\n" +
			"service_base into config.toml. The command then makes a new data directory beside the present one, issues everything in it anew, with\n" +
			"new keys for all CAs but the trust anchor, checks that the VRPs are the same, and puts it in the place of the present one in one step.\n" +
			"When it fails, nothing has changed. The directory of before is kept beside it. It needs the passphrases of the keys and of the trust\n" +
			"anchor's key.\n\n" +
			"While it runs it serves what was published, at the old addresses, over RRDP and rsync; where it cannot, it says why and goes on. CAs\n" +
			"elsewhere are asked to come again. Nothing is served before it has begun, and from its end until the daemon is started.\n\n" +
			"The trust anchor's key stays, so the old TAL leads to the new address as long as the old host name and port lead to this daemon; give\n" +
			"out the new TAL ('cadastre tal') before they end. Without certificate in [tls], ca.pem is new too, and good for both host names.\n\n" +
			"CAs below parents elsewhere ask for a certificate with the new address when the daemon starts; until the parent has answered, their VRPs\n" +
			"are missing. Children elsewhere get new certificates by themselves; give them the new service URI with 'children response'. It is\n" +
			"refused while a transfer, a key roll or a move to another server is under way, and while publishers elsewhere have objects here, which\n" +
			"only they can sign anew.",
		Example: "  cadastre address change --passphrase-file /etc/cadastre/passphrase\n  cadastre address change --reason 'new host name' -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			done, err := g.changeAddress(cmd.Context(), &secrets)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), done, func(w io.Writer) { printReaddressed(w, g.data, done) })
		},
	}
	secrets.add(cmd)
	return cmd
}

func printReaddressed(w io.Writer, data string, done *readdressed) {
	fmt.Fprintf(w, "%s publishes at %s and %s now: %d VRPs\n", data, done.Now.RRDPBase, done.Now.RsyncBase, done.VRPs)
	if len(done.Missing) > 0 {
		fmt.Fprintf(w, "%d VRPs are missing until parents elsewhere have certified the new address, which they are asked for when the daemon starts\n", len(done.Missing))
	}
	for _, told := range []struct{ command, what string }{
		{"children response", strings.Join(done.Peers.Children, " ")},
		{"publishers response", strings.Join(done.Peers.Publishers, " ")},
	} {
		if told.what != "" {
			fmt.Fprintf(w, "print the file anew for each of these with 'cadastre %s', and hand it over: %s\n", told.command, told.what)
		}
	}
	fmt.Fprintf(w, "what was before is in %s; remove it when all is well\ngive out the new TAL ('cadastre tal'), then: cadastre serve --data %s\n", done.Previous, data)
}

// openStore opens the configuration and the store of the data directory, and nothing else.
func (g *global) openStore() (*config, *store.Bolt, error) {
	c, err := readConfig(g.data)
	if err != nil {
		return nil, nil, err
	}
	st, err := store.Open(g.storePath(), store.Options{})
	if fault.KindOf(err) == fault.Busy {
		return nil, nil, fault.New(fault.Busy, "a daemon holds %s: stop it first", g.data)
	}
	return c, st, err
}

// rebuilt lists what is not copied into the new data directory: it is made anew, or comes from elsewhere.
var rebuilt = []string{"store.db", "cadastre.sock", "rrdp", "rsync", "rsyncd", "www", "tls"}

func (g *global) changeAddress(ctx context.Context, secrets *secretFlags) (_ *readdressed, err error) {
	c, st, err := g.openStore()
	if err != nil {
		return nil, err
	}
	defer func() { _ = st.Close() }()
	at, err := ca.PublishedAt(st)
	if err != nil {
		return nil, err
	}
	done := &readdressed{Was: at, Now: c.policy.Addresses(), Missing: []string{}}
	if done.Was == done.Now {
		return nil, fault.New(fault.BadInput, "%s has the addresses that are published already (%s, %s); write the new ones there first", configPath(g.data), at.RRDPBase, at.RsyncBase)
	}
	was := *c // with the addresses that are published
	was.RRDPBase, was.RsyncBase, was.Listen = at.RRDPBase, at.RsyncBase, c.listenedFor(at)
	was.policy.RRDPBase, was.policy.RsyncBase = at.RRDPBase, at.RsyncBase
	old, err := g.movable(st, &was, done)
	if err != nil {
		return nil, err
	}
	before, err := old.engine.VRPs()
	if err != nil {
		return nil, err
	}
	stop := old.serveMeanwhile(ctx, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	defer stop()
	keys, anchor, _, err := secrets.read(false)
	if err != nil {
		return nil, err
	}
	next := filepath.Clean(g.data) + ".readdressed"
	if err := os.RemoveAll(next); err != nil { // of a try that was cut short
		return nil, fault.Wrap(err, "couldn't remove %s", next)
	}
	defer func() {
		_ = os.Remove(ca.HighWaterPath(next))
		if err != nil {
			_ = os.RemoveAll(next)
		}
	}()
	if err := g.prepareDirectory(c, next, at); err != nil {
		return nil, err
	}
	after, err := g.issueAnew(ctx, c, next, keys, anchor)
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
	done.Previous, err = exchange(g.data, next)
	return done, err
}

// movable opens the directory for the addresses that are published, and checks that they may change now.
func (g *global) movable(st *store.Bolt, was *config, done *readdressed) (*installation, error) {
	e, err := ca.Open(st, g.data, was.policy, slog.New(slog.DiscardHandler))
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
	return &installation{dir: g.data, config: was, store: st, engine: e}, nil
}

// listenedFor is where a daemon listened for former addresses: where config.toml says, but at the port of a former address where
// the present one is reached at the port that is listened on, without anything between.
func (c *config) listenedFor(was ca.Addresses) listenConfig {
	former := func(listen, now, was string, usual int) string {
		host, port, err := net.SplitHostPort(listen)
		next, err1 := url.Parse(now)
		last, err2 := url.Parse(was)
		if errors.Join(err, err1, err2) != nil || port != strconv.Itoa(portOf(next, usual)) {
			return listen
		}
		return net.JoinHostPort(host, strconv.Itoa(portOf(last, usual)))
	}
	l := c.Listen
	l.HTTPS, l.Rsync = former(l.HTTPS, c.RRDPBase, was.RRDPBase, 443), former(l.Rsync, c.RsyncBase, was.RsyncBase, 873)
	return l
}

// serveMeanwhile serves what is published, and nothing new, until the function that it gives is called. What cannot be served is told:
// another program may serve it, or have the port.
func (h *installation) serveMeanwhile(ctx context.Context, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	if err := h.serveRRDP(ctx, group, log); err != nil {
		log.Warn("RRDP is not served meanwhile", "address", h.config.RRDPBase, "why", err)
	}
	trees, err := h.openServed(log)
	if err == nil {
		if err = trees.tryDaemon(); err != nil {
			trees.close()
		}
	}
	if err != nil {
		log.Warn("rsync is not served meanwhile", "address", h.config.RsyncBase, "why", err)
	}
	served := err == nil
	return sync.OnceFunc(func() {
		cancel()
		if err := group.Wait(); err != nil {
			log.Warn("RRDP was not served to the end", "address", h.config.RRDPBase, "why", err)
		}
		if served {
			trees.close()
		}
	})
}

// serveRRDP serves what is published over RRDP, and asks peers to come again.
func (h *installation) serveRRDP(ctx context.Context, group *errgroup.Group, log *slog.Logger) error {
	pair, err := newKeyPair(h.config, h.dir, log)
	if err != nil {
		return err
	}
	public, err := h.publicHandler(&doorway{})
	if err != nil {
		return err
	}
	_, err = h.servePublic(ctx, group, public, pair, log)
	return err
}

// prepareDirectory copies to next what stays of the data directory.
func (g *global) prepareDirectory(c *config, next string, was ca.Addresses) error {
	if err := os.Mkdir(next, 0o700); err != nil {
		return fault.Wrap(err, "couldn't make %s", next)
	}
	entries, err := os.ReadDir(g.data)
	if err != nil {
		return fault.Wrap(err, "couldn't read %s", g.data)
	}
	for _, entry := range entries {
		if slices.Contains(rebuilt, entry.Name()) {
			continue
		}
		if err := copyTree(filepath.Join(g.data, entry.Name()), filepath.Join(next, entry.Name())); err != nil {
			return fault.Wrap(err, "couldn't copy %s", entry.Name())
		}
	}
	if err := copyTree(g.storePath(), filepath.Join(next, "store.db")); err != nil {
		return fault.Wrap(err, "couldn't copy the store")
	}
	u, err := url.Parse(was.RRDPBase)
	if err != nil {
		return fault.New(fault.Corrupt, "the address %q that is published cannot be read", was.RRDPBase)
	}
	tls := filepath.Join(g.data, "tls")
	if _, err := os.Stat(tls); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if c.TLS.Certificate == "" && c.host() != u.Hostname() {
		return makeTLS(filepath.Join(next, "tls"), c.host(), u.Hostname())
	}
	return fault.Wrap(copyTree(tls, filepath.Join(next, "tls")), "couldn't copy %s", tls)
}

// issueAnew has everything issued in a prepared directory, and gives the VRPs.
func (g *global) issueAnew(ctx context.Context, c *config, next string, keys, anchor []byte) ([]string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := store.Open(filepath.Join(next, "store.db"), store.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = st.Close() }()
	by := g.by()
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

// copyTree copies a file, a link or a folder with all in it; a socket or the like is left out.
func copyTree(from, to string) error {
	info, err := os.Lstat(from)
	switch {
	case err != nil:
		return err
	case info.Mode().IsRegular():
		return copyFile(from, to, info.Mode().Perm())
	case info.Mode().Type() == fs.ModeSymlink:
		link, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(link, to)
	case !info.IsDir():
		return nil
	}
	if err := os.Mkdir(to, info.Mode().Perm()); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := copyTree(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
