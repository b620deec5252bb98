package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/ca"
	"cadastre/holdings"
)

func newOrganisations(g *global) *cobra.Command {
	cmd := newNoun("organisations", "Manage the organisations of the tree", "  cadastre organisations list --below afrinic\n  cadastre organisations add acme --parent afrinic --kind lir\n  cadastre organisations remove acme")
	q := api.Enrol{}
	var kind string
	add := &cobra.Command{
		Use:     "add HANDLE",
		Short:   "Add an organisation, or change its name or country",
		Example: "  cadastre organisations add acme --parent afrinic/f36b9f4b --kind enduser --name 'Acme Ltd'",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q.Why, q.Organisation.Handle, q.Organisation.Kind = g.why(), args[0], holdings.Kind(kind)
			f, err := ask[api.Enrol, *ca.Effect](cmd.Context(), g, "/organisations/enrol", q)
			return g.finish(cmd, f, err)
		},
	}
	add.Flags().StringVar(&q.Organisation.Parent, "parent", "", "the organisation above it")
	add.Flags().StringVar(&kind, "kind", string(holdings.LIR), "rir, nir, lir or enduser")
	add.Flags().StringVar(&q.Organisation.Name, "name", "", "its name; it appears in no certificate")
	add.Flags().StringVar(&q.Organisation.Country, "country", "", "its country code")
	_ = add.MarkFlagRequired("parent")
	cmd.AddCommand(add, organisationsList(g), organisationsRemove(g))
	return cmd
}

func organisationsList(g *global) *cobra.Command {
	q := api.OrganisationsList{}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "Show the organisations of the tree, each below its parent",
		Example: "  cadastre organisations list\n  cadastre organisations list --below afrinic -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := ask[api.OrganisationsList, []ca.OrganisationStatus](cmd.Context(), g, "/organisations/list", q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), list, func(w io.Writer) { printOrganisations(w, list) })
		},
	}
	cmd.Flags().StringVar(&q.Below, "below", "", "only this one and those below it")
	return cmd
}

func printOrganisations(w io.Writer, list []ca.OrganisationStatus) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "HANDLE\tKIND\tNAME\tINTENTS\tRESOURCES")
	for _, o := range list {
		resources := orDash(shortened(o.Resources, 60))
		if o.Elsewhere {
			resources += " (its CA is elsewhere)"
		}
		fmt.Fprintf(table, "%s%s\t%s\t%s\t%d\t%s\n", strings.Repeat("  ", o.Depth), o.Handle, o.Kind, orDash(o.Name), o.Intents, resources)
	}
	_ = table.Flush()
}

func organisationsRemove(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "remove HANDLE",
		Short: "Remove a holder that holds nothing any more",
		Long: "Removes a holder that has nothing any more: no resources, nobody below it, no intents, no CA or server elsewhere. What it had once\n" +
			"stays in 'cadastre holdings history'.",
		Example: "  cadastre organisations remove acme --reason 'it was wound up'",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := ask[api.OrganisationsRemove, *ca.Effect](cmd.Context(), g, "/organisations/remove", api.OrganisationsRemove{Why: g.why(), Handle: args[0]})
			return g.finish(cmd, f, err)
		},
	}
}
