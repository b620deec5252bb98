package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/aspa"
	"cadastre/ca"
)

func newASPA(g *global) *cobra.Command {
	cmd := newNoun("aspa", "Manage ASPAs: which providers an AS has", "  cadastre aspa add AS37100 AS6453 AS3356\n  cadastre aspa import aspas.csv")
	cmd.AddCommand(aspaImport(g), aspaAdd(g), aspaRemove(g), aspaList(g))
	return cmd
}

const aspaReplaceUsage = "these are all its providers, in place of those that it has"

func aspaImport(g *global) *cobra.Command {
	q := api.ASPAImport{}
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Import ASPAs from files: CSV, JSON, or Krill's lines",
		Long: "Takes ASPAs from files, or for - from standard input: CSV with a header that names the columns customer, providers and comment in any\n" +
			"order; CSV of the customer AS and its providers without one; Krill's lines, \"AS64500 => AS64501, AS64502 # comment\", which 'cadastre\n" +
			"aspas' prints too; and the JSON of rpki-client, Routinator, Krill and RIPE NCC. All are one decision. Each ASPA is of the holder of the\n" +
			"customer AS. Providers come to those that it has, unless --replace. What no one holds is refused, and nothing of the file is taken,\n" +
			"unless --only-held.",
		Example: "  cadastre aspa import aspas.csv\n  cadastre aspa import aspas.csv --replace --dry-run",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.Files, err = readUploads(cmd, args); err != nil {
				return err
			}
			q.Why = g.why()
			f, err := ask[api.ASPAImport, *ca.Effect](cmd.Context(), g, "/aspas/import", q)
			return g.finish(cmd, f, err)
		},
	}
	addConsent(cmd, &q.Consent)
	cmd.Flags().StringVar(&q.Holder, "holder", "", "whose ASPAs they are")
	cmd.Flags().BoolVar(&q.OnlyHeld, "only-held", false, "leave out what is not held, and say what was left")
	cmd.Flags().BoolVar(&q.Replace, "replace", false, aspaReplaceUsage)
	return cmd
}

func aspaAdd(g *global) *cobra.Command {
	q := api.ASPAChange{}
	var until string
	cmd := &cobra.Command{
		Use:   "add CUSTOMER PROVIDER... | CUSTOMER,PROVIDER[,PROVIDER]...",
		Short: "Add providers of an AS",
		Long: "Adds providers of an AS: of one customer AS, or of several at once, each as one word with commas. All of them are one decision. There is\n" +
			"one ASPA of each customer AS, with all its providers; it is issued anew when they change. AS0 alone says that the AS has no provider.",
		Example: "  cadastre aspa add AS37100 AS6453 AS3356\n  cadastre aspa add AS37100 AS0 --replace --dry-run\n  cadastre aspa add AS37100,AS6453 AS37101,AS6453,AS3356",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.Until, err = parseDate("--until", until); err != nil {
				return err
			}
			q.ASPAs, q.Why = aspasOf(args), g.why()
			f, err := ask[api.ASPAChange, *ca.Effect](cmd.Context(), g, "/aspas/add", q)
			return g.finish(cmd, f, err)
		},
	}
	addConsent(cmd, &q.Consent)
	cmd.Flags().StringVar(&q.Holder, "holder", "", "who holds the customer AS; else whoever does")
	cmd.Flags().BoolVar(&q.Replace, "replace", false, aspaReplaceUsage)
	cmd.Flags().StringVar(&q.Comment, "comment", "", "what is kept with it")
	cmd.Flags().StringVar(&until, "until", "", "when the ASPA ends by itself: a day, 2026-01-31, or a moment (RFC 3339)")
	return cmd
}

func aspaRemove(g *global) *cobra.Command {
	q := api.ASPAChange{}
	var files []string
	cmd := &cobra.Command{
		Use:     "remove CUSTOMER [PROVIDER...] | CUSTOMER,PROVIDER[,PROVIDER]...",
		Short:   "Remove providers of an AS, or its ASPA",
		Long:    "Removes providers of an AS, or all of its ASPA where none is named: of one customer AS, or of several at once, each as one word with\ncommas. All of them are one decision.",
		Example: "  cadastre aspa remove AS37100 AS3356\n  cadastre aspa remove AS37100 --dry-run",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if len(args) == 0 && len(files) == 0 {
				return cobra.MinimumNArgs(1)(cmd, args)
			}
			if q.Files, err = readUploads(cmd, files); err != nil {
				return err
			}
			q.ASPAs, q.Why = aspasOf(args), g.why()
			f, err := ask[api.ASPAChange, *ca.Effect](cmd.Context(), g, "/aspas/remove", q)
			return g.finish(cmd, f, err)
		},
	}
	addConsent(cmd, &q.Consent)
	cmd.Flags().StringVar(&q.Holder, "holder", "", "whose ASPA it is; else of all that have one")
	cmd.Flags().StringSliceVar(&files, "file", nil, "file of those to remove, in any form that 'aspa import' reads; - is standard input")
	return cmd
}

// aspasOf is the words of each ASPA that arguments name.
func aspasOf(args []string) [][]string {
	var list [][]string
	for _, arg := range args {
		if strings.Contains(arg, ",") {
			list = append(list, strings.Split(arg, ","))
		}
	}
	if len(args) > 0 && len(list) < len(args) {
		return [][]string{args} // one, in words; a comma in it is between providers
	}
	return list
}

func aspaList(g *global) *cobra.Command {
	q := api.ASPAList{}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "Show ASPA intents and their status",
		Example: "  cadastre aspa list --holder acme\n  cadastre aspa list --parked -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := ask[api.ASPAList, []api.ASPAIntent](cmd.Context(), g, "/aspas/list", q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), list, func(w io.Writer) {
				table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				fmt.Fprintln(table, "HOLDER\tCUSTOMER\tPROVIDERS\tSTANDS\tWHY")
				for _, in := range list {
					_, providers, _ := strings.Cut(in.VAP.String(), " => ")
					fmt.Fprintf(table, "%s\tAS%d\t%s\t%s\t%s\n", in.Holder, in.Customer, shortened(providers, 100), in.Status.State, whyIntent(in.Status.Reason, in.Wait, in.Until))
				}
				_ = table.Flush()
			})
		},
	}
	cmd.Flags().StringVar(&q.Holder, "holder", "", "of one holder alone")
	cmd.Flags().BoolVar(&q.Parked, "parked", false, "only those that do not stand")
	return cmd
}

func newASPAs(g *global) *cobra.Command {
	q := api.ASPAsList{}
	cmd := &cobra.Command{
		Use:   "aspas",
		Short: "Print the ASPAs that a validator must print: ASn => ASn, ASn, by customer",
		Long: "Prints the ASPAs that a validator that fetches now must print: those of the serials that are published. With --committed those that are\n" +
			"signed and not in a serial yet are printed too, and those that were withdrawn and are still published are not. 'cadastre verify --aspas'\n" +
			"prints the same lines.",
		Example: "  cadastre aspas\n  cadastre aspas --committed",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			aspas, err := ask[api.ASPAsList, api.ASPAs](cmd.Context(), g, "/aspas", q)
			if err != nil {
				return err
			}
			list := []aspa.VAP{}
			for _, line := range aspas.Lines {
				v, err := aspa.ParseVAP(line)
				if err != nil {
					return err
				}
				list = append(list, v)
			}
			return g.print(cmd.OutOrStdout(), list, func(w io.Writer) {
				for _, line := range aspas.Lines {
					fmt.Fprintln(w, line)
				}
			})
		},
	}
	cmd.Flags().BoolVar(&q.Committed, "committed", false, "what is signed, although it may not be published yet")
	return cmd
}
