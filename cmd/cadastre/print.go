package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cadastre/ca"
	"cadastre/ca/kinds"
	"cadastre/internal/fault"
)

// finish prints the effect of a decision, and returns the error that came with it.
func (g *global) finish(cmd *cobra.Command, f *ca.Effect, err error) error {
	if f == nil || err != nil && fault.KindOf(err) != fault.Refused {
		return err
	}
	if printErr := g.print(cmd.OutOrStdout(), f, func(w io.Writer) { printEffect(w, f) }); printErr != nil {
		return printErr
	}
	return err
}

func printEffect(w io.Writer, f *ca.Effect) {
	for _, warning := range f.Warnings {
		fmt.Fprintf(w, "warning: %s\n", warning)
	}
	switch {
	case f.Decision != 0:
		fmt.Fprintf(w, "decision %d is taken\n", f.Decision)
	case f.DryRun:
		fmt.Fprintln(w, "nothing was changed; this is what would be:")
	case f.Held != "":
		fmt.Fprintln(w, "nothing was changed; the brake holds this:")
	}
	printAnnouncements(w, f.Announcements, f.DryRun)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tnew\tgone\tchanged\t")
	for _, row := range []struct {
		what string
		d    ca.Delta
	}{{"delegations", f.Delegations}, {"holders", f.Holders}, {"certificates", f.Certificates}} {
		if row.d != (ca.Delta{}) {
			fmt.Fprintf(table, "%s\t%d\t%d\t%d\t\n", row.what, row.d.New, row.d.Gone, row.d.Changed)
		}
	}
	fmt.Fprintf(table, "VRPs\t%d\t%d\t\t\n", len(f.Gained), len(f.Lost))
	for _, k := range kinds.Table {
		if gained, lost := f.ObjectsGained.Of(k), f.ObjectsLost.Of(k); len(gained)+len(lost) > 0 {
			fmt.Fprintf(table, "%s\t%d\t%d\t\t\n", k.Payloads, len(gained), len(lost))
		}
	}
	_ = table.Flush()
	printObjects(w, "+", f.ObjectsGained)
	printObjects(w, "-", f.ObjectsLost)
	if f.Duplicates > 0 {
		fmt.Fprintf(w, "already there: %d\n", f.Duplicates)
	}
	if len(f.Largest) > 0 {
		fmt.Fprintln(w, "the largest losses:")
		losses := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, loss := range f.Largest {
			lost := []string{fmt.Sprintf("%d VRPs", loss.VRPs)}
			for i, k := range kinds.Table {
				if n := loss.Objects[i]; n > 0 {
					lost = append(lost, fmt.Sprintf("%d %s", n, k.Payloads))
				}
			}
			fmt.Fprintf(losses, "  %s\t%s\t%s\t%s\n", loss.Holder, loss.Name, strings.Join(lost, ", "), shortened(loss.Resources.String(), 70))
		}
		_ = losses.Flush()
	}
	for _, over := range f.Overclaims {
		until := over.Until.Format(time.RFC3339)
		if over.Elsewhere != "" {
			fmt.Fprintf(w, "%s has its CA elsewhere and until %s to shed %s; it publishes at %s, so what will over-claim is not seen here\n", over.Holder, until, shortened(over.Resources.String(), 70), over.Elsewhere)
			continue
		}
		fmt.Fprintf(w, "%s has its CA elsewhere and until %s to shed %s; %d objects that it publishes will over-claim\n", over.Holder, until, shortened(over.Resources.String(), 70), over.Objects)
	}
	if len(f.Left) > 0 {
		fmt.Fprintf(w, "%d were left out:\n", len(f.Left))
		for _, left := range f.Left {
			fmt.Fprintf(w, "  %s\n", left)
		}
	}
	if f.Held != "" && f.DryRun {
		fmt.Fprintf(w, "the brake would hold it: %s\ncode: %s\n", f.Held, f.Code)
	}
}

// printObjects prints what is gained or lost of other payloads than VRPs, where that is few.
func printObjects(w io.Writer, sign string, list kinds.List) {
	const few = 20
	for _, v := range list[:min(few, len(list))] {
		fmt.Fprintf(w, "%s %s\n", sign, shortened(v.String(), 200))
	}
	if len(list) > few {
		fmt.Fprintf(w, "%s and %d more\n", sign, len(list)-few)
	}
}

func shortened(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return text[:n] + " …"
}
