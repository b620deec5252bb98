package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/object"
	"cadastre/internal/store"
)

// initOptions is what a new data directory is made from.
type initOptions struct {
	tree                 string
	host                 string
	httpsPort, rsyncPort int
	metrics              string
	algorithm            string
	secrets              secretFlags
}

// secretFlags name where passphrases come from.
type secretFlags struct{ file, anchorFile string }

func (s *secretFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.file, "passphrase-file", "", "file with the passphrase of the keys (else CADASTRE_PASSPHRASE, else it is asked for)")
	cmd.Flags().StringVar(&s.anchorFile, "anchor-passphrase-file", "", "file with the passphrase of the trust anchor's key (else CADASTRE_ANCHOR_PASSPHRASE, else the same as that of the keys)")
}

// read reads both; own tells whether the anchor was given one of its own.
func (s *secretFlags) read(confirm bool) (keys, anchor []byte, own bool, err error) {
	if keys, err = passphrase(s.file, "CADASTRE_PASSPHRASE", "keys", confirm); err != nil {
		return nil, nil, false, err
	}
	if s.anchorFile == "" && os.Getenv("CADASTRE_ANCHOR_PASSPHRASE") == "" {
		return keys, keys, false, nil
	}
	anchor, err = passphrase(s.anchorFile, "CADASTRE_ANCHOR_PASSPHRASE", "trust anchor's key", confirm)
	return keys, anchor, true, err
}

func newInit(g *global) *cobra.Command {
	o := initOptions{}
	cmd := &cobra.Command{
		Use:   "init --tree FILE",
		Short: "Make a new data directory: store, trust anchor, registries, configuration",
		Long: "Makes a new data directory. The tree file names the organisations at the top:\n\n" +
			"  [[organisation]]\n  handle = \"iana\"\n  kind = \"root\"\n\n" +
			"  [[organisation]]\n  handle = \"lacnic\"          # also its name in delegated-extended files, unless statistics = \"…\"\n  kind = \"rir\"\n  parent = \"iana\"\n\n" +
			"  [[organisation]]\n  handle = \"nic.br\"          # serves records of these countries in its RIR's file\n  kind = \"nir\"\n  parent = \"lacnic\"\n  countries = [\"BR\"]\n",
		Example: "  cadastre init --data /var/lib/cadastre --tree tree.toml --host rpki.example.net --passphrase-file /etc/cadastre/passphrase\n  cadastre init --data trial --tree tree.toml   # serves on localhost",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := g.initialise(cmd, &o); err != nil {
				return err
			}
			return g.printMade(cmd)
		},
	}
	cmd.Flags().StringVar(&o.tree, "tree", "", "TOML file of the root, the RIRs and the NIRs")
	cmd.Flags().StringVar(&o.host, "host", "localhost", "the host that relying parties know")
	o.addAddresses(cmd)
	cmd.Flags().StringVar(&o.algorithm, "algorithm", object.RSA.Name(), "rsa-2048, or p-256 for trials that relying parties follow only when told to")
	o.secrets.add(cmd)
	_ = cmd.MarkFlagRequired("tree")
	return cmd
}

// madeAs is what init prints.
type madeAs struct {
	Data         string    `json:"data"`
	Config       string    `json:"config"`
	AnchorKey    string    `json:"anchor_key"`
	AnchorNeeded time.Time `json:"anchor_needed_by"`
}

func (g *global) printMade(cmd *cobra.Command) error {
	s, err := ask[api.Nothing, *ca.Status](cmd.Context(), g, "/status", api.Nothing{})
	if err != nil {
		return err
	}
	made := madeAs{g.data, configPath(g.data), filepath.Join(g.data, "anchor.key"), s.AnchorNeeded}
	return g.print(cmd.OutOrStdout(), made, func(w io.Writer) {
		fmt.Fprintf(w, "%s is ready; look at %s, then: cadastre serve --data %s\n", made.Data, made.Config, made.Data)
		fmt.Fprintf(w, "the trust anchor's key is %s: it can be taken away, and is needed again before %s\n", made.AnchorKey, made.AnchorNeeded.Format(time.DateOnly))
	})
}

func (o *initOptions) addAddresses(cmd *cobra.Command) {
	cmd.Flags().IntVar(&o.httpsPort, "https-port", 8443, "port of RRDP")
	cmd.Flags().IntVar(&o.rsyncPort, "rsync-port", 8873, "port of rsync; 0 for none")
	cmd.Flags().StringVar(&o.metrics, "metrics", "", "address for Prometheus metrics, such as localhost:9880")
}

// initialise makes everything in the data directory, and issues what needs the trust anchor's key, so that it can be
// taken away at once.
func (g *global) initialise(cmd *cobra.Command, o *initOptions) error {
	text, err := os.ReadFile(o.tree)
	if err != nil {
		return fault.New(fault.BadInput, "couldn't read the tree: %w", err)
	}
	tree, err := holdings.ParseTree(text)
	if err != nil {
		return fault.Wrap(err, "%s", o.tree)
	}
	c := o.config(o.host)
	c.Policy.Algorithm = o.algorithm
	if err := c.check(); err != nil {
		return err
	}
	return g.make(c, o, func(st store.Store, keys, anchor []byte) error {
		return ca.Init(st, g.data, c.policy, tree, keys, anchor, g.who)
	}, func(h *installation, keys, anchor []byte) error { return h.firstIssue(cmd.Context(), keys, anchor) })
}

// make makes the data directory: what fill writes into its store, and what begin then does. When it fails, what it made is
// removed.
func (g *global) make(c *config, o *initOptions, fill func(st store.Store, keys, anchor []byte) error, begin func(h *installation, keys, anchor []byte) error) (err error) {
	if entries, err := os.ReadDir(g.data); err == nil && len(entries) > 0 {
		return fault.New(fault.Conflict, "%s is not empty; choose another directory or remove that one", g.data)
	}
	if err := checkPrivate(g.data); err != nil {
		return err
	}
	if _, err := os.Stat(ca.HighWaterPath(g.data)); !errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Conflict, "%s remembers an installation that was in %s; remove it if that one is gone for good", ca.HighWaterPath(g.data), g.data)
	}
	keys, anchor, _, err := o.secrets.read(true)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(g.data, 0o700); err != nil {
		return fault.New(fault.BadInput, "couldn't make the data directory: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(g.data)
			_ = os.Remove(ca.HighWaterPath(g.data))
		}
	}()
	if err := c.write(g.data); err != nil {
		return fault.Wrap(err, "couldn't write the configuration")
	}
	if c.TLS.Certificate == "" {
		if err := makeTLS(filepath.Join(g.data, "tls"), c.host()); err != nil {
			return err
		}
	}
	st, err := store.Open(g.storePath(), store.Options{Create: true})
	if err != nil {
		return err
	}
	err = fill(st, keys, anchor)
	if closeErr := st.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	h, err := g.open(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer h.close()
	return begin(h, keys, anchor)
}

// checkPrivate wants an empty directory that is there already to be ours, and nobody else's to read or write. Links are followed.
func checkPrivate(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fault.Wrap(err, "couldn't look at %s", dir)
	case !info.IsDir():
		return fault.New(fault.BadInput, "%s is no directory; choose another name", dir)
	case info.Mode().Perm()&0o022 != 0:
		return fault.New(fault.BadInput, "others may write into %s (its mode is %04o), where private keys will be: take that right away ('chmod 700 %s'), or let init make the directory", dir, info.Mode().Perm(), dir)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return fault.New(fault.BadInput, "%s belongs to another user: make it yours, or let init make the directory", dir)
	}
	return fault.Wrap(os.Chmod(dir, 0o700), "couldn't close %s to others", dir)
}

// firstIssue publishes the trust anchor's own objects and the root's certificate.
func (h *installation) firstIssue(ctx context.Context, keys, anchor []byte) error {
	if err := h.engine.CheckHighWater(false); err != nil {
		return err
	}
	if err := h.engine.Unseal(ctx, keys, anchor, 4); err != nil {
		return err
	}
	return h.engine.Settle(ctx)
}

// config is that of new addresses.
func (o *initOptions) config(host string) *config {
	c := newConfig(host, o.httpsPort, o.rsyncPort)
	c.Listen.Metrics = o.metrics
	if o.rsyncPort == 0 {
		c.Listen.Rsync = ""
		c.RsyncBase = "rsync://" + host + "/"
	}
	return c
}
