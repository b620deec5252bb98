package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"cadastre/daemon"
	"cadastre/internal/progress"
)

type serveOptions struct {
	secrets             secretFlags
	once                bool
	www, trace          string
	restored, takeClock bool
	ready               func(*daemon.Directory) // called when the first plan is done; may be nil
}

func newServe(g *global) *cobra.Command {
	o := serveOptions{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon: sign what is due, publish, and serve RRDP and rsync",
		Long: "Runs the daemon. It keeps the RPKI as the ledger says, serves it over RRDP and rsync, and answers the other commands through a\n" +
			"Unix socket in the data directory. With --once it signs what is due, publishes, has transfers take the steps that they are\n" +
			"ready for, writes the RRDP and rsync trees to disk, and ends. For transfers it waits until the looks and calls that it began have ended,\n" +
			"and half a minute at most for those that are due soon.\n" +
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
	d := &daemon.Options{
		Secrets: o.secrets.get(false), Trace: o.trace, Restored: o.restored, TakeClock: o.takeClock,
		Progress: progress.Show(os.Stderr, log), Ready: o.ready,
	}
	if o.once {
		return daemon.Once(ctx, g.data, o.www, d, os.Stdout, log)
	}
	return daemon.Serve(ctx, g.data, d, log)
}
