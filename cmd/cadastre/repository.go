package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/ca"
)

func newRepository(g *global) *cobra.Command {
	cmd := newNoun("repository", "Show or set where organisations' CAs publish: here, or at a server elsewhere (RFC 8181)",
		"  cadastre repository request acme > publisher_request.xml\n  cadastre repository configure acme --response repository_response.xml")
	cmd.AddCommand(repositoryRequest(g), repositoryConfigure(g), repositoryLocal(g), repositoryShow(g))
	return cmd
}

func repositoryRequest(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "request HOLDER",
		Short:   "Print the publisher_request that a publication server elsewhere wants of an organisation's CA",
		Example: "  cadastre repository request acme > publisher_request.xml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := ask[api.Holder, api.XML](cmd.Context(), g, "/repository/request", api.Holder{Holder: args[0]})
			if err != nil {
				return err
			}
			return g.printXML(cmd, request)
		},
	}
}

func repositoryConfigure(g *global) *cobra.Command {
	q := api.RepositoryConfigure{}
	var response string
	cmd := &cobra.Command{
		Use:   "configure HOLDER --response FILE",
		Short: "Make an organisation's CA publish at a server elsewhere, or move it there",
		Long: "Takes the repository_response (RFC 8183) that a publication server made of our publisher_request. A CA that publishes already moves:\n" +
			"it publishes in both places until all that it authorises is seen in the new one, and then withdraws what is in the old one.",
		Example: "  cadastre repository configure acme --response repository_response.xml\n  cadastre repository configure acme --response -",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.Response, err = readExchanged(cmd, response); err != nil {
				return err
			}
			q.Why, q.Holder = g.why(), args[0]
			if _, err := ask[api.RepositoryConfigure, api.Nothing](cmd.Context(), g, "/repository/configure", q); err != nil {
				return err
			}
			return g.say(cmd, "%s publishes there from now on; 'cadastre repository show %s' says how far it is", q.Holder, q.Holder)
		},
	}
	cmd.Flags().StringVar(&response, "response", "", "file with the repository_response; - reads standard input")
	_ = cmd.MarkFlagRequired("response")
	return cmd
}

func repositoryLocal(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "local HOLDER",
		Short:   "Make an organisation's CA publish here, in the repository of its registry",
		Example: "  cadastre repository local acme",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := api.RepositoryLocal{Why: g.why(), Holder: args[0]}
			if _, err := ask[api.RepositoryLocal, api.Nothing](cmd.Context(), g, "/repository/local", q); err != nil {
				return err
			}
			return g.say(cmd, "%s publishes here from now on", q.Holder)
		},
	}
}

func repositoryShow(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "show [HOLDER]",
		Short:   "Show the servers elsewhere where an organisation's CA publishes, or those of all",
		Example: "  cadastre repository show acme\n  cadastre repository show -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := api.RepositoryShow{}
			if len(args) > 0 {
				q.Holder = args[0]
			}
			list, err := ask[api.RepositoryShow, []ca.RemoteStatus](cmd.Context(), g, "/repository/show", q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), list, func(w io.Writer) { printRemotes(w, q.Holder, list) })
		},
	}
}

func printRemotes(w io.Writer, holder string, list []ca.RemoteStatus) {
	if holder != "" && len(list) == 0 {
		fmt.Fprintf(w, "%s publishes here, in the repository of its registry\n", holder)
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "HOLDER\tBASE\tOBJECTS\tSTANDS\tIDENTITY ENDS\tSERVICE\tERROR")
	for _, o := range list {
		stands := "being left"
		switch {
		case o.Unsent:
			stands = "changes to be sent"
		case o.Current:
			stands = "all is sent"
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", o.Holder, o.Base, o.Objects, stands, when(o.IdentityExpires), o.ServiceURI, orDash(o.Error))
	}
	_ = table.Flush()
}
