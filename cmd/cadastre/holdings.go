package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

func newHoldings(g *global) *cobra.Command {
	cmd := newNoun("holdings", "Manage who holds which resources", "  cadastre holdings list --holder afrinic/f36b9f4b\n  cadastre holdings import delegated-afrinic-extended-20230324.gz")
	cmd.AddCommand(holdingsImport(g), holdingsDelegate(g), holdingsTake(g, "return", "Give resources back to who delegated them"),
		holdingsTake(g, "revoke", "Take resources from an organisation: all that it holds where none are named"), holdingsExchange(g), holdingsExpire(g), holdingsList(g), holdingsHistory(g), holdingsTransfers(g))
	return cmd
}

// addConsent adds the flags of commands whose effect can be looked at first.
func addConsent(cmd *cobra.Command, c *ca.Consent) {
	cmd.Flags().BoolVar(&c.DryRun, "dry-run", false, "only say what would happen")
	cmd.Flags().StringVar(&c.Code, "code", "", "the code that the plan printed, where the brake holds it")
}

func holdingsImport(g *global) *cobra.Command {
	q := api.HoldingsImport{}
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Import registries' delegated-extended files",
		Long: "Takes delegated-extended files (versions 2 to 2.3, plain or gzip) of registries in the tree. A later file of a registry is a\n" +
			"difference: what is new, gone or changed hands follows in the RPKI by itself. A file that would take too much away is held by\n" +
			"the brake until the command is repeated with the code that the plan printed.\n\n" +
			"What another registry has stays with it: such a line is left out and told, and the next import looks again. Of a file with wrong\n" +
			"lines nothing is taken; with --except-wrong the others are, and what the wrong ones named stays as it was.",
		Example: "  cadastre holdings import delegated-afrinic-extended-20230324.gz\n  cadastre holdings import delegated-afrinic-extended-20260505.gz --dry-run\n  cadastre holdings import delegated-afrinic-extended-20260505.gz --code 1a2b3c4d",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.Files, err = readUploads(cmd, args); err != nil {
				return err
			}
			q.Why = g.why()
			f, err := ask[api.HoldingsImport, *ca.Effect](cmd.Context(), g, "/holdings/import", q)
			return g.finish(cmd, f, err)
		},
	}
	addConsent(cmd, &q.Consent)
	cmd.Flags().BoolVar(&q.ExceptWrong, "except-wrong", false, "leave out lines that are wrong, and list them")
	cmd.Flags().BoolVar(&q.Force, "force", false, "take a file that is older than the last one of its registry")
	return cmd
}

func holdingsDelegate(g *global) *cobra.Command {
	q := api.HoldingsDelegate{}
	var assigned bool
	var since, until string
	cmd := &cobra.Command{
		Use:     "delegate --to HANDLE RESOURCES...",
		Short:   "Delegate resources to an organisation from the one above it",
		Long:    "Delegates resources to an organisation from the one above it. An organisation that is not there yet is added below --from.",
		Example: "  cadastre holdings delegate --from afrinic/f36b9f4b --to acme 196.10.0.0/24 --assigned --ground contract-17\n  cadastre holdings delegate --to acme 196.10.1.0/24 --until 2027-06-30 --ground contract-18",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.Resources, err = inr.Parse(strings.Join(args, " ")); err != nil {
				return err
			}
			if q.Since, err = parseDate("--since", since); err != nil {
				return err
			}
			if q.Until, err = parseDate("--until", until); err != nil {
				return err
			}
			if q.Status = holdings.Allocated; assigned {
				q.Status = holdings.Assigned
			}
			q.Why = g.why()
			f, err := ask[api.HoldingsDelegate, *ca.Effect](cmd.Context(), g, "/holdings/delegate", q)
			return g.finish(cmd, f, err)
		},
	}
	addConsent(cmd, &q.Consent)
	cmd.Flags().StringVar(&q.To, "to", "", "the organisation that gets them")
	cmd.Flags().StringVar(&q.From, "from", "", "the organisation above it, where it is new")
	cmd.Flags().StringVar(&q.Name, "name", "", "the name of a new organisation; it appears in no certificate")
	cmd.Flags().BoolVar(&assigned, "assigned", false, "for use by the recipient alone; else it may delegate on")
	cmd.Flags().StringVar(&since, "since", "", "when it began: 2026-01-31, or with a time (RFC 3339)")
	cmd.Flags().StringVar(&until, "until", "", "when it ends by itself: "+untilUsage)
	cmd.Flags().StringVar(&q.Ground, "ground", "by hand", "the ground on which they are delegated")
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

// untilUsage says what parseDate reads as an end.
const untilUsage = "2026-01-31, as that day begins in UTC, or a moment (RFC 3339)"

func parseDate(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fault.New(fault.BadInput, "%s is %q; write 2026-01-31 or 2026-01-31T12:00:00Z", flag, text)
}

func holdingsTake(g *global, verb, short string) *cobra.Command {
	q := api.HoldingsTake{}
	cmd := &cobra.Command{
		Use:     verb + " --holder HANDLE [RESOURCES...]",
		Short:   short,
		Long:    short + ". What rested on them goes by itself: ROAs are withdrawn and revoked, certificates below shrunk or revoked.",
		Example: "  cadastre holdings " + verb + " --holder acme 196.10.0.0/24 --dry-run\n  cadastre holdings " + verb + " --holder acme 196.10.0.0/24 --reason 'contract ended'",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.Resources, err = inr.Parse(strings.Join(args, " ")); err != nil {
				return err
			}
			q.Why = g.why()
			f, err := ask[api.HoldingsTake, *ca.Effect](cmd.Context(), g, "/holdings/"+verb, q)
			return g.finish(cmd, f, err)
		},
	}
	addConsent(cmd, &q.Consent)
	cmd.Flags().StringVar(&q.Holder, "holder", "", "the organisation that holds them")
	_ = cmd.MarkFlagRequired("holder")
	return cmd
}

func holdingsExpire(g *global) *cobra.Command {
	q := api.HoldingsExpire{}
	cmd := &cobra.Command{
		Use:   "expire",
		Short: "End delegations that have come to their date",
		Long: "Ends what was delegated until now or before, of all holders or of one. The daemon does so by itself, each holder's for itself where\n" +
			"the brake holds some; this is for what it holds, which 'cadastre status' lists with its code.",
		Example: "  cadastre holdings expire --dry-run\n  cadastre holdings expire --holder acme --code 1a2b3c4d",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q.Why = g.why()
			f, err := ask[api.HoldingsExpire, *ca.Effect](cmd.Context(), g, "/holdings/expire", q)
			return g.finish(cmd, f, err)
		},
	}
	cmd.Flags().StringVar(&q.Holder, "holder", "", "of this holder alone")
	addConsent(cmd, &q.Consent)
	return cmd
}

func holdingsList(g *global) *cobra.Command {
	q := api.HoldingsList{}
	cmd := &cobra.Command{
		Use:     "list [RESOURCES...]",
		Short:   "Show who holds what",
		Example: "  cadastre holdings list\n  cadastre holdings list 196.10.0.0/24\n  cadastre holdings list --holder afrinic/f36b9f4b -o json",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.Resources, err = inr.Parse(strings.Join(args, " ")); err != nil {
				return err
			}
			list, err := ask[api.HoldingsList, []api.Holding](cmd.Context(), g, "/holdings/list", q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), list, func(w io.Writer) { printHoldings(w, list) })
		},
	}
	cmd.Flags().StringVar(&q.Holder, "holder", "", "one organisation, with its delegations")
	return cmd
}

func printHoldings(w io.Writer, list []api.Holding) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "HANDLE\tKIND\tABOVE\tNAME\tHOLDS")
	for _, h := range list {
		o := h.Organisation
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", o.Handle, o.Kind, o.Parent, o.Name, shortened(h.Resources.String(), 90))
	}
	_ = table.Flush()
	for _, h := range list {
		for _, d := range h.Delegations {
			until := ""
			if !d.Until.IsZero() {
				until = " until " + d.Until.Format(time.RFC3339)
			}
			from := d.From
			if d.Source != "" {
				from = d.Source // a parent elsewhere
			}
			fmt.Fprintf(w, "  %d: %s %s by %s since %s%s, ground %s, decision %d\n", d.ID, d.Resources, d.Status, from, d.Since.Format(time.DateOnly), until, d.Ground, d.Decision)
		}
	}
}
