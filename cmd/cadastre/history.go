package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cadastre/holdings"
	"cadastre/internal/inr"
)

func holdingsHistory(g *global) *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:   "history PREFIX|AS|HOLDER",
		Short: "Show who held something, on one day or ever, and by which decisions",
		Long: "Shows who held resources, or what a holder had: each delegation with the decisions that began and ended it, who took them and\n" +
			"why, and the transfer that they were a step of. With --at it is all that was so at any moment of a day, or at one moment, from each\n" +
			"registry down to the most specific holder; without, the whole past in the order of time.",
		Example: "  cadastre holdings history 196.10.0.0/24 --at 2026-01-31\n  cadastre holdings history AS37100\n  cadastre holdings history afrinic/f36b9f4b --at 2026-01-31T12:00:00Z -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			q := holdings.HistoryQuery{}
			if q.Resources, err = inr.Parse(args[0]); err != nil || q.Resources.Empty() {
				q.Holder = args[0]
			}
			if q.From, err = parseDate("--at", at); err != nil {
				return err
			}
			if len(at) == len(time.DateOnly) {
				q.Until = q.From.AddDate(0, 0, 1)
			}
			list, err := ask[holdings.HistoryQuery, []holdings.Tenure](cmd.Context(), g, "/holdings/history", q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), list, func(w io.Writer) { printHistory(w, args[0], at, list) })
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "a day in UTC, 2026-01-31, or a moment (RFC 3339)")
	return cmd
}

func printHistory(w io.Writer, what, at string, list []holdings.Tenure) {
	if len(list) == 0 {
		fmt.Fprintf(w, "nothing is known of %s\n", what)
	}
	for _, t := range list {
		indent := ""
		if at != "" {
			indent = strings.Repeat("  ", max(t.Depth-1, 0))
		}
		by := t.From
		if by == "" {
			by = t.Source
		}
		fmt.Fprintf(w, "%s%s: %s %s by %s, ground %s", indent, t.Holder, shortened(t.Resources.String(), 90), t.Status, by, t.Ground)
		if !t.Registered.IsZero() {
			fmt.Fprintf(w, ", registered %s", t.Registered.Format(time.DateOnly))
		}
		if t.Incoming {
			fmt.Fprint(w, ", beside its donor")
		}
		fmt.Fprintf(w, "\n%s    from %s\n", indent, actText(t.Began))
		if t.Ended != nil {
			fmt.Fprintf(w, "%s    to   %s\n", indent, actText(*t.Ended))
		}
	}
}

func actText(a holdings.Act) string {
	text := fmt.Sprintf("%s by decision %d of %s", a.Time.Format(time.RFC3339), a.Decision, a.Actor)
	if a.Reason != "" {
		text += ": " + a.Reason
	}
	if t := a.Transfer; t != nil {
		text += fmt.Sprintf(" (transfer %d %s: %s, %s to %s)", t.ID, t.Step, t.Kind, t.From, t.To)
	}
	return text
}
