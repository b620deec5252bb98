package main

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"cadastre/daemon"
	"cadastre/escrow"
	"cadastre/internal/fault"
)

// restoreOptions are those of escrow restore.
type restoreOptions struct {
	initOptions
	signer, identity, objects string
}

// restoredAs is what escrow restore prints.
type restoredAs struct {
	Data       string     `json:"data"`
	Deposit    uint64     `json:"deposit"`
	Time       time.Time  `json:"time"`
	State      escrow.Sum `json:"state"`
	Publishers int        `json:"publishers"`
	Parents    int        `json:"parents"`
}

func escrowRestore(g *global) *cobra.Command {
	o := restoreOptions{}
	cmd := &cobra.Command{
		Use:   "restore DIR",
		Short: "For a successor: make a new data directory from the deposits in a folder",
		Long: "Verifies the deposits, decrypts them, and makes a new data directory with their ledger, history, intents and peers. All keys are new, the\n" +
			"trust anchor's too: 'serve' then issues everything anew, and relying parties need the new TAL. Delegated CAs, publishers and parents\n" +
			"elsewhere are known as they were; they need the new identity ('children response', 'publishers response', 'parents request'). CAs\n" +
			"that published elsewhere publish here. Without --host the addresses are those of the registry that failed, for one who takes over its\n" +
			"names; --objects writes what it had published, as rsync served it, so that it can be served until it ends.",
		Example: "  cadastre escrow restore /var/escrow/north --identity successor.age --signer north.pem --data /var/lib/north --host rpki.example.net --passphrase-file FILE\n  cadastre escrow restore /var/escrow/north --identity successor.age --signer north.pem --data trial --host localhost",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			done, err := g.restore(cmd, args[0], &o)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), done, func(w io.Writer) {
				fmt.Fprintf(w, "%s is restored from deposit %d, of %s: %d organisations, %d delegations, %d intents, %d decisions, %d delegated CAs, %d publishers, %d parents elsewhere\n",
					done.Data, done.Deposit, when(done.Time), done.State.Organisations, done.State.Delegations, done.State.Intents, done.State.Decisions, done.State.Children, done.Publishers, done.Parents)
				fmt.Fprintf(w, "look at %s, then: cadastre serve --data %s\n", daemon.ConfigPath(done.Data), done.Data)
			})
		},
	}
	cmd.Flags().StringVar(&o.signer, "signer", "", "the certificate of the registry that made them, as its 'escrow signer' prints it")
	cmd.Flags().StringVar(&o.identity, "identity", "", "the file of 'escrow keygen' that they are encrypted to")
	cmd.Flags().StringVar(&o.objects, "objects", "", "a new folder for what was published at the time of the newest full deposit")
	cmd.Flags().StringVar(&o.host, "host", "", "the host that relying parties know (default: as deposited)")
	o.addAddresses(cmd)
	o.secrets.add(cmd)
	_ = cmd.MarkFlagRequired("signer")
	_ = cmd.MarkFlagRequired("identity")
	return cmd
}

// restore makes the data directory; when it fails, nothing is left of it.
func (g *global) restore(cmd *cobra.Command, from string, o *restoreOptions) (*restoredAs, error) {
	trust, err := readSigner(o.signer)
	if err != nil {
		return nil, err
	}
	identity, err := escrow.ReadIdentity(o.identity)
	if err != nil {
		return nil, err
	}
	report, err := escrow.Verify(from, trust)
	if err != nil {
		return nil, err
	}
	var objects func(uri string, object []byte) error
	if o.objects != "" {
		written, err := escrow.NewObjectTree(o.objects)
		if err != nil {
			return nil, err
		}
		defer written.Close()
		objects = written.Write
	}
	state, err := report.Load(identity, objects)
	if err != nil {
		return nil, err
	}
	c, err := o.configOf(cmd, state)
	if err != nil {
		return nil, err
	}
	by := g.by()
	if by.Reason == "" {
		by.Reason = state.Why()
	}
	if err := daemon.Restore(g.data, c, state.Restored(), by, o.secrets.get(true)); err != nil {
		return nil, err
	}
	return &restoredAs{g.data, state.Number, state.Time, report.Last().State, state.Publishers, len(state.Parents)}, nil
}

// configOf is the configuration that was deposited, at the addresses that were named, if any were.
func (o *restoreOptions) configOf(cmd *cobra.Command, s *escrow.State) (*daemon.Config, error) {
	https, err := url.Parse(s.RRDPBase)
	rsync, err2 := url.Parse(s.RsyncBase)
	if err != nil || err2 != nil {
		return nil, fault.New(fault.Corrupt, "the addresses %q and %q that were deposited cannot be read", s.RRDPBase, s.RsyncBase)
	}
	c := o.config(cmp.Or(o.host, https.Hostname()))
	if o.host == "" {
		if !cmd.Flags().Changed("https-port") {
			c.Listen.HTTPS = daemon.ListenOn(https.Hostname(), daemon.PortOf(https, 443))
		}
		if !cmd.Flags().Changed("rsync-port") {
			c.Listen.Rsync = daemon.ListenOn(rsync.Hostname(), daemon.PortOf(rsync, 873))
		}
		c.RRDPBase, c.RsyncBase, c.AnchorURL, c.ServiceBase = s.RRDPBase, s.RsyncBase, s.AnchorURL, s.ServiceBase
	}
	return c, c.TakePolicy(s)
}
