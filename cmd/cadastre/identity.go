package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/federation"
	"cadastre/internal/fault"
)

func newIdentity(g *global) *cobra.Command {
	cmd := newNoun("identity", "Show or replace this installation's identity for its peers (RFC 8183)",
		"  cadastre identity show\n  cadastre identity renew\n  cadastre identity activate --all")
	cmd.AddCommand(identityShow(g), identityRenew(g), identityActivate(g))
	return cmd
}

func identityShow(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "show",
		Short:   "Show the identity, until when it is good, and which peers know it",
		Example: "  cadastre identity show\n  cadastre identity show -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := ask[api.Nothing, []federation.IdentityStatus](cmd.Context(), g, "/identity/show", api.Nothing{})
			if err != nil {
				return err
			}
			return g.printIdentity(cmd, list)
		},
	}
}

func (g *global) printIdentity(cmd *cobra.Command, list []federation.IdentityStatus) error {
	return g.print(cmd.OutOrStdout(), list, func(w io.Writer) {
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "IDENTITY\tSTATE\tENDS\tKNOWN TO")
		for _, id := range list {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", id.Identity, id.State, when(id.Expires), orDash(strings.Join(id.Peers, " ")))
		}
		_ = table.Flush()
	})
}

func identityRenew(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "renew",
		Short: "Make a new identity, which is to replace the one in use when all peers know it",
		Long: "Makes a new identity beside the one in use. From then on the files for peers have the new one: print them again with 'children response',\n" +
			"'publishers response', 'parents request', 'repository request' and 'registries introduce', and give them to the peers. Messages are\n" +
			"signed with the old one meanwhile. Parents, servers and registries elsewhere are found to know the new one when they do; children and publishers are switched with\n" +
			"'identity activate'.",
		Example: "  cadastre identity renew --reason 'the old one nears its end'\n  cadastre children response acme > parent_response.xml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := ask[api.IdentityRenew, []federation.IdentityStatus](cmd.Context(), g, "/identity/renew", api.IdentityRenew{Why: g.why()})
			if err != nil {
				return err
			}
			return g.printIdentity(cmd, list)
		},
	}
}

func identityActivate(g *global) *cobra.Command {
	q := api.IdentityActivate{}
	cmd := &cobra.Command{
		Use:   "activate [child/HANDLE | publisher/HANDLE]... | --all",
		Short: "Answer peers with the new identity from now on",
		Long: "Answers the children and publishers that are named with the new identity from now on: they have taken its file. With --all everybody is,\n" +
			"and the old identity is no more; where a parent or server elsewhere does not know the new one yet, that takes --force.",
		Example: "  cadastre identity activate child/acme publisher/acme\n  cadastre identity activate --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			if q.All == (len(args) > 0) {
				return fault.New(fault.BadInput, "name the peers that know the new identity, or say --all, and not both")
			}
			q.Why, q.Peers = g.why(), args
			list, err := ask[api.IdentityActivate, []federation.IdentityStatus](cmd.Context(), g, "/identity/activate", q)
			if err != nil {
				return err
			}
			return g.printIdentity(cmd, list)
		},
	}
	cmd.Flags().BoolVar(&q.All, "all", false, "everybody; the old identity is no more")
	cmd.Flags().BoolVar(&q.Force, "force", false, "although parents or servers elsewhere do not know the new identity")
	return cmd
}
