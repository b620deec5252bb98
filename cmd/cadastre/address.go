package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"cadastre/ca"
	"cadastre/daemon"
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
			published, configured, err := daemon.Addresses(g.data)
			if err != nil {
				return err
			}
			s := addressStatus{published, configured}
			return g.print(cmd.OutOrStdout(), s, func(w io.Writer) {
				fmt.Fprintf(w, "published    %s %s\nconfigured   %s %s\n", s.Published.RRDPBase, s.Published.RsyncBase, s.Configured.RRDPBase, s.Configured.RsyncBase)
			})
		},
	}
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
			done, err := daemon.Readdress(cmd.Context(), g.data, secrets.get(false), g.by(), warnings())
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), done, func(w io.Writer) { printReaddressed(w, g.data, done) })
		},
	}
	secrets.add(cmd)
	return cmd
}

func printReaddressed(w io.Writer, data string, done *daemon.Readdressed) {
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
