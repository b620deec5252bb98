package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/internal/fault"
	"cadastre/moves"
)

// transferStep is a command that takes one step of a transfer.
func transferStep(g *global, verb, short, said string) *cobra.Command {
	return &cobra.Command{
		Use:     verb + " ID",
		Short:   short,
		Example: "  cadastre transfer " + verb + " 7\n  cadastre transfer " + verb + " 7 --reason 'letter of 3 May' -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := transferID(args[0])
			if err != nil {
				return err
			}
			status, err := ask[api.TransferStep, *moves.Status](cmd.Context(), g, "/transfers/"+verb, api.TransferStep{Why: g.why(), ID: id})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), status, func(w io.Writer) {
				fmt.Fprintln(w, strings.ReplaceAll(said, "%d", args[0]))
				printWaits(w, status)
			})
		},
	}
}

func transferApprove(g *global) *cobra.Command {
	q := api.TransferApprove{}
	var routes []string
	var file string
	cmd := &cobra.Command{
		Use:   "approve ID",
		Short: "Agree to a transfer, for the recipient's registry",
		Long: "The recipient's registry agrees to a transfer. Where the holder is a new one, its routes can be named here too, besides those that the\n" +
			"source named: they are authorised from the first on the recipient's side.",
		Example: "  cadastre transfer approve 7\n  cadastre transfer approve 7 --route 196.10.0.0/24,AS37100 --reason 'request 4711'\n  cadastre transfer approve 7 --routes-file routes.csv -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.ID, err = transferID(args[0]); err != nil {
				return err
			}
			if q.Routes, err = readRoutes(routes, file); err != nil {
				return err
			}
			q.Why = g.why()
			status, err := ask[api.TransferApprove, *moves.Status](cmd.Context(), g, "/transfers/approve", q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), status, func(w io.Writer) {
				fmt.Fprintf(w, "the recipient's registry agrees to transfer %d\n", q.ID)
				printWaits(w, status)
			})
		},
	}
	addRoutes(cmd, &routes, &file)
	return cmd
}

func transferObject(g *global) *cobra.Command {
	q := api.TransferObject{}
	cmd := &cobra.Command{
		Use:   "object ID --ground GROUND",
		Short: "Object to a move for the source's registry, on a ground that its policy lists",
		Long: "A registry that is portable lets its holders go as of right. It may object for a time, on the grounds that its policy lists ('cadastre\n" +
			"policy show'); what is behind it is the reason. The move then waits until that is resolved, or it is cancelled.",
		Example: "  cadastre transfer object 7 --ground court-order --reason 'order of 3 May, case 12/345'\n  cadastre transfer object 7 --ground dispute -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.ID, err = transferID(args[0]); err != nil {
				return err
			}
			q.Why = g.why()
			status, err := ask[api.TransferObject, *moves.Status](cmd.Context(), g, "/transfers/object", q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), status, func(w io.Writer) {
				fmt.Fprintf(w, "the source's registry objects to transfer %d\n", q.ID)
				printWaits(w, status)
			})
		},
	}
	cmd.Flags().StringVar(&q.Ground, "ground", "", "the ground, one of those that the registry's policy lists")
	_ = cmd.MarkFlagRequired("ground")
	return cmd
}

func transferID(word string) (uint64, error) {
	id, err := strconv.ParseUint(word, 10, 64)
	if err != nil {
		return 0, fault.New(fault.BadInput, "%q is no number of a transfer; 'cadastre transfer list' shows them", word)
	}
	return id, nil
}

func transferList(g *global) *cobra.Command {
	q := api.TransferList{}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "Show the transfers, and what each waits for",
		Example: "  cadastre transfer list\n  cadastre transfer list --open -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := ask[api.TransferList, []moves.Status](cmd.Context(), g, "/transfers/list", q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), list, func(w io.Writer) { printTransfers(w, list) })
		},
	}
	cmd.Flags().BoolVar(&q.Open, "open", false, "only those with something still to be done")
	return cmd
}

func transferShow(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "Show a transfer as a timeline, and what it waits for, on whom, and until when",
		Example: "  cadastre transfer show 7\n  cadastre transfer show 7 -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := transferID(args[0])
			if err != nil {
				return err
			}
			status, err := ask[api.TransferShow, *moves.Status](cmd.Context(), g, "/transfers/show", api.TransferShow{ID: id})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), status, func(w io.Writer) { printTransfer(w, status, speaksUnicode()) })
		},
	}
}
