package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/ca"
	"cadastre/daemon"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/object"
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

// get reads both when they are needed; with confirm what is typed is asked for twice.
func (s *secretFlags) get(confirm bool) daemon.Secrets {
	return func() (keys, anchor []byte, own bool, err error) { return s.read(confirm) }
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
	made := madeAs{g.data, daemon.ConfigPath(g.data), filepath.Join(g.data, "anchor.key"), s.AnchorNeeded}
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
	if err := c.Check(); err != nil {
		return err
	}
	return daemon.Found(cmd.Context(), g.data, c, tree, g.who, o.secrets.get(true))
}

// config is that of new addresses.
func (o *initOptions) config(host string) *daemon.Config {
	c := daemon.NewConfig(host, o.httpsPort, o.rsyncPort)
	c.Listen.Metrics = o.metrics
	if o.rsyncPort == 0 {
		c.Listen.Rsync = ""
		c.RsyncBase = "rsync://" + host + "/"
	}
	return c
}
