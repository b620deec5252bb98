package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/internal/term"
	"cadastre/moves"
)

func transferForce(g *global) *cobra.Command {
	q := api.TransferForce{}
	cmd := &cobra.Command{
		Use:   "force ID",
		Short: "Make a transfer go on without waiting for CAs elsewhere",
		Long: "A holder with a CA of its own moves when that CA has taken the offer of its new parent and publishes below it. One that never does holds\n" +
			"up its transfer, and the handoff that this is part of, for ever. This has the transfer go on: after its soak, in which it can still be\n" +
			"cancelled, the old certificates get the notice that such a CA has when it loses something, and end. --dry-run says which certificates\n" +
			"those are and which VRPs and ASPAs would be lost with them, and prints the code that it takes then, or where that could not be seen.",
		Example: "  cadastre transfer force 7 --dry-run\n  cadastre transfer force 7 --code 1a2b3c4d --reason 'no answer to four letters'",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.ID, err = transferID(args[0]); err != nil {
				return err
			}
			q.Why = g.why()
			f, err := ask[api.TransferForce, *moves.Forced](cmd.Context(), g, "/transfers/force", q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), f, func(w io.Writer) { printForced(w, f) })
		},
	}
	cmd.Flags().BoolVar(&q.DryRun, "dry-run", false, "only say what would be lost")
	cmd.Flags().StringVar(&q.Code, "code", "", "the code that --dry-run printed, where VRPs are lost or may be")
	return cmd
}

func transferAbandon(g *global) *cobra.Command {
	q := api.TransferAbandon{}
	cmd := &cobra.Command{
		Use:   "abandon ID",
		Short: "End a transfer with another installation that does not answer any more",
		Long: "A transfer with another installation ends on both sides by what the two tell each other. When the other has been silent for a week, this\n" +
			"ends it here: what is not final is cancelled. With --keep, for the recipient's side, that stays instead, as if the source had\n" +
			"finalised. If the other comes back, it is told; where it had finalised, 'transfer show' says so on both sides. The recipient's side\n" +
			"of what both have accepted takes the whole week: it can't know whether the source has finalised.",
		Example: "  cadastre transfer abandon 7 --reason 'their data centre burned down'\n  cadastre transfer abandon 7 --keep --reason 'lacnic was derecognised'",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.ID, err = transferID(args[0]); err != nil {
				return err
			}
			q.Why = g.why()
			s, err := ask[api.TransferAbandon, *moves.Status](cmd.Context(), g, "/transfers/abandon", q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), s, func(w io.Writer) {
				fmt.Fprintf(w, "transfer %d is %s, without an answer of %s\n", s.ID, s.State, s.Peer)
				printWaits(w, s)
			})
		},
	}
	cmd.Flags().StringVar(&q.Silent, "silent", term.Text(moves.Silence), "for how long the other has been silent, at the least")
	cmd.Flags().BoolVar(&q.Keep, "keep", false, "keep the recipient's side, as if the source had finalised")
	return cmd
}

func printForced(w io.Writer, f *moves.Forced) {
	without := strings.Join(f.Without, ", ")
	if f.DryRun {
		fmt.Fprintf(w, "nothing was changed; transfer %d would go on without the CA of %s:\n", f.Transfer.ID, without)
	} else {
		fmt.Fprintf(w, "transfer %d goes on without the CA of %s\n", f.Transfer.ID, without)
	}
	printed(w, "certificates that end or shrink", f.Certificates)
	printed(w, "what is lost with them", f.Lost)
	printed(w, "could not be looked below, so that more may be lost", f.Unseen)
	if len(f.Certificates) > 0 {
		fmt.Fprintf(w, "not before %s\n", when(f.Until))
	}
	switch {
	case f.DryRun && f.Code != "":
		fmt.Fprintf(w, "to do it, repeat with --code %s\n", f.Code)
	case !f.DryRun:
		printWaits(w, &f.Transfer)
	}
}
