package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/holdings"
)

func holdingsTransfers(g *global) *cobra.Command {
	q := api.TransferLog{}
	cmd := &cobra.Command{
		Use:   "transfers",
		Short: "Show the public record of transfers; with -o json it is a RIR's transfer log",
		Long: "Shows the transfers that are over and, in 4.1, those between RIRs that are in progress. With -o json it is the file that the daemon serves\n" +
			"at /transfers/REGISTRY/transfers_latest.json (4.1) and transfers_latest_4.0.json; without --registry that of all, as the NRO's.",
		Example: "  cadastre holdings transfers\n  cadastre holdings transfers --registry afrinic --format 4.0 -o json > transfers_latest.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := ask[api.TransferLog, json.RawMessage](cmd.Context(), g, "/holdings/transfers", q)
			if err != nil {
				return err
			}
			log, err := holdings.ParseTransferLog(text)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), text, func(w io.Writer) { printTransferLog(w, log) })
		},
	}
	cmd.Flags().StringVar(&q.Registry, "registry", "", "a RIR; all where none is named")
	cmd.Flags().StringVar(&q.Format, "format", holdings.TransferLog41, "of -o json: 4.0, or 4.1 with what is in progress")
	return cmd
}

func printTransferLog(w io.Writer, log *holdings.TransferLog) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DATE\tTYPE\tFROM\tTO\tRESOURCES")
	for _, e := range log.Transfers {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", e.Transferred.Format(time.RFC3339), e.Type, partyText(e.SourceRIR, e.Source), partyText(e.RecipientRIR, e.Recipient), shortened(e.Resources.String(), 90))
	}
	for _, e := range log.InProgress {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", e.Status, e.Type, partyText(e.SourceRIR, e.Source), partyText(e.RecipientRIR, e.Recipient), shortened(e.Resources.String(), 90))
	}
	_ = table.Flush()
}

func partyText(rir string, p holdings.LogParty) string {
	if p.Name == "" {
		return rir
	}
	return p.Name + ", " + rir
}
