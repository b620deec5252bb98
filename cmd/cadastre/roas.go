package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/ca"
)

func newROA(g *global) *cobra.Command {
	cmd := newNoun("roa", "What holders want authorised", "  cadastre roa add 196.10.0.0/22 AS37100 24\n  cadastre roa import announcements.csv")
	cmd.AddCommand(roaImport(g), roaChange(g, "add", "Authorise an AS to announce a prefix"), roaChange(g, "remove", "End an authorisation"), roaList(g))
	return cmd
}

func roaImport(g *global) *cobra.Command {
	q := api.ROAImport{}
	var announced []string
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Take intents from CSV: prefix,ASn[,maxlength]",
		Long: "Takes intents from CSV files of prefix,ASn[,maxlength[,comment]], with a header or none. Each is its holder's: the most specific\n" +
			"organisation that holds the whole prefix. What no one holds is refused, and nothing of the file is taken, unless --only-held.",
		Example: "  cadastre roa import announcements.csv\n  cadastre roa import announcements.csv --only-held\n  cadastre roa import acme.csv --holder acme --dry-run",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.Files, err = readUploads(args); err != nil {
				return err
			}
			if q.Announced, err = readUploads(announced); err != nil {
				return err
			}
			q.By = g.by()
			f, err := ask[api.ROAImport, *ca.Effect](cmd.Context(), g, "/roas/import", q)
			return g.finish(cmd, f, err)
		},
	}
	addConsent(cmd, &q.Consent)
	cmd.Flags().StringVar(&q.Holder, "holder", "", "whose intents they are")
	cmd.Flags().BoolVar(&q.OnlyHeld, "only-held", false, "leave out what is not held, and say what was left")
	cmd.Flags().BoolVar(&q.AllowAS0, "allow-as0", false, "AS0 is meant: nobody may announce the prefix")
	cmd.Flags().StringSliceVar(&announced, "announced", nil, "CSV of what is announced now, for warnings about maxLength")
	return cmd
}

func roaChange(g *global, verb, short string) *cobra.Command {
	q := api.ROAChange{}
	cmd := &cobra.Command{
		Use:     verb + " PREFIX ASn [MAXLENGTH]",
		Short:   short,
		Example: "  cadastre roa " + verb + " 196.10.0.0/22 AS37100\n  cadastre roa " + verb + " 196.10.0.0/22 AS37100 24 --holder acme --dry-run",
		Args:    cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			q.By, q.Intents = g.by(), [][]string{args}
			f, err := ask[api.ROAChange, *ca.Effect](cmd.Context(), g, "/roas/"+verb, q)
			return g.finish(cmd, f, err)
		},
	}
	addConsent(cmd, &q.Consent)
	cmd.Flags().StringVar(&q.Holder, "holder", "", "whose intent it is; else the most specific holder's")
	if verb == "add" {
		cmd.Flags().BoolVar(&q.AllowAS0, "allow-as0", false, "AS0 is meant: nobody may announce the prefix")
	}
	return cmd
}

func roaList(g *global) *cobra.Command {
	q := api.ROAList{}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "Show intents and how they stand",
		Example: "  cadastre roa list --holder acme\n  cadastre roa list --parked -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := ask[api.ROAList, []api.ROAIntent](cmd.Context(), g, "/roas/list", q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), list, func(w io.Writer) {
				table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				fmt.Fprintln(table, "HOLDER\tPREFIX\tMAXLENGTH\tORIGIN\tSTANDS\tWHY")
				for _, in := range list {
					why := in.Status.Reason
					if in.Wait != nil {
						why = strings.TrimPrefix(why+"; "+waitWords(in.Wait), "; ")
					}
					if !in.Until.IsZero() {
						why = strings.TrimSuffix("ends "+when(in.Until)+"; "+why, "; ")
					}
					fmt.Fprintf(table, "%s\t%s\t%d\tAS%d\t%s\t%s\n", in.Holder, in.Prefix, in.MaxLength, in.Origin, in.Status.State, why)
				}
				_ = table.Flush()
			})
		},
	}
	cmd.Flags().StringVar(&q.Holder, "holder", "", "of one holder alone")
	cmd.Flags().BoolVar(&q.Parked, "parked", false, "only those that do not stand as a whole")
	return cmd
}
