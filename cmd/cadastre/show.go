package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/roa"
)

func newVRPs(g *global) *cobra.Command {
	q := api.VRPsList{}
	cmd := &cobra.Command{
		Use:   "vrps",
		Short: "Print what a validator must print: prefix,maxlength,ASn, sorted",
		Long: "Prints what a validator that fetches now must print: the VRPs of the serials that are published. With --committed those that are\n" +
			"signed and not in a serial yet are printed too, and those that were withdrawn and are still published are not.",
		Example: "  cadastre vrps\n  cadastre vrps | diff - <(my-validator)\n  cadastre vrps --committed",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			vrps, err := ask[api.VRPsList, api.VRPs](cmd.Context(), g, "/vrps", q)
			if err != nil {
				return err
			}
			list, err := parsedVRPs(vrps.Lines)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), list, func(w io.Writer) {
				for _, line := range vrps.Lines {
					fmt.Fprintln(w, line)
				}
			})
		},
	}
	cmd.Flags().BoolVar(&q.Committed, "committed", false, "what is signed, although it may not be published yet")
	return cmd
}

func parsedVRPs(lines []string) ([]roa.VRP, error) {
	out := []roa.VRP{}
	for _, line := range lines {
		vrp, err := roa.ParseVRP(line)
		if err != nil {
			return nil, err
		}
		out = append(out, vrp)
	}
	return out, nil
}

func newStatus(g *global) *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the status of this installation",
		Long: "Shows the status of this installation, and each thing that is decided and not yet published to validators: what, why, until when.\n" +
			"If there is none, all is published. With --wait the command returns when that is so, and prints meanwhile what it waits for.\n" +
			"If all else is done and something waits for an operator (the brake, the trust anchor's key, a full disk, the clock, work that\n" +
			"was refused), it ends with an error. If something waits for a CA elsewhere, it prints that and ends without an error.",
		Example: "  cadastre status\n  cadastre status --wait   # until every decision so far is published",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path := "/status"
			if wait {
				path = "/wait"
				ctx, told := context.WithCancel(cmd.Context())
				defer told()
				go g.tellWaits(ctx, cmd.ErrOrStderr())
			}
			s, err := ask[api.Nothing, *ca.Status](cmd.Context(), g, path, api.Nothing{})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), s, func(w io.Writer) { printStatus(w, s) })
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "return when every decision so far is published, here and at servers elsewhere; needs the daemon")
	return cmd
}

func printStatus(w io.Writer, s *ca.Status) {
	state := "no daemon"
	switch {
	case s.Frozen != "":
		state = "frozen: " + s.Frozen
	case s.Running && s.Settled:
		state = "all is published"
	case s.Running && s.Waiting > 0:
		state = atWork(s.Waiting)
	case s.Running:
		state = "all is published but for what waits"
	}
	fmt.Fprintf(w, "state        %s\nrevision     %d\nledger       %d organisations, %d delegations\nintents      %d\nauthorities  %d\n", state, s.Revision, s.Organisation, s.Delegations, s.Intents, s.Authorities)
	if s.Disputes > 0 {
		fmt.Fprintf(w, "in dispute   %d lines of registries' files, left out since others have that; the next import looks again\n", s.Disputes)
	}
	printWaiting(w, slices.DeleteFunc(slices.Clone(s.Waits), func(w ca.Wait) bool {
		return w.Kind == ca.NoDaemon || w.Kind == ca.ClockFrozen || w.Kind == ca.InWork && s.Frozen == "" && s.Running // the state says it
	}))
	if !s.FirstExpiry.IsZero() {
		fmt.Fprintf(w, "first expiry %s (%s)\n", s.FirstExpiry.Format(time.RFC3339), s.FirstHolder)
	}
	if !s.AnchorNeeded.IsZero() {
		fmt.Fprintf(w, "anchor's key needed again before %s\n", s.AnchorNeeded.Format(time.RFC3339))
	}
	if s.PoolSize > 0 {
		fmt.Fprintf(w, "key pool     %d of %d\n", s.PoolReady, s.PoolSize)
	}
	if k := s.Keys; k.Problem != "" {
		fmt.Fprintf(w, "keys         the %s that they are with cannot be used: %s\n", k.Keeper, k.Problem)
	} else if k.Keeper != "" {
		fmt.Fprintf(w, "keys         with a %s; a backup of the data directory has %s\n", k.Keeper, inBackup(k.Portable))
	}
	if n := s.Keys.Deactivated; n > 0 {
		fmt.Fprintf(w, "old keys     %d that nothing uses any more, destroyed within ten minutes if they can be\n", n)
	}
	if t := s.Transfers; t.Open > 0 {
		fmt.Fprintf(w, "transfers    %d open, %d disputed, %d held; one took its last step at %s\n", t.Open, t.Disputed, t.Held, when(t.Oldest))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Repositories)) {
		r := s.Repositories[name]
		fmt.Fprintf(w, "repository   %s: serial %d, %d objects, %s\n", name, r.Serial, r.Objects, r.Notify)
		if r.Quarantined != "" {
			fmt.Fprintf(w, "quarantined  %s: %s\n", name, r.Quarantined)
		}
	}
}

func inBackup(portable bool) string {
	if portable {
		return "them, sealed"
	}
	return "none of them"
}

func newDecisions(g *global) *cobra.Command {
	q := api.DecisionsList{From: 1}
	cmd := &cobra.Command{
		Use:     "decisions",
		Short:   "Show the log of decisions: who took each, when, why, and what it did",
		Example: "  cadastre decisions\n  cadastre decisions --from 17 -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := ask[api.DecisionsList, []holdings.Told](cmd.Context(), g, "/decisions", q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), list, func(w io.Writer) {
				for _, d := range list {
					fmt.Fprintf(w, "%d  %s  %s  %s\n", d.ID, d.Time.Format(time.RFC3339), d.Actor, d.Reason)
					for _, did := range d.Did {
						fmt.Fprintf(w, "    %s\n", shortened(did, 200))
					}
				}
			})
		},
	}
	cmd.Flags().Uint64Var(&q.From, "from", 1, "the first to show")
	return cmd
}

func newTAL(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "tal",
		Short:   "Print the trust anchor locator for validators (RFC 8630)",
		Example: "  cadastre tal > cadastre.tal",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			tal, err := ask[api.Nothing, api.Text](cmd.Context(), g, "/tal", api.Nothing{})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), map[string]string{"tal": tal.Text}, func(w io.Writer) { fmt.Fprint(w, tal.Text) })
		},
	}
}
