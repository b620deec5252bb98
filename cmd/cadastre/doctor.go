package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"cadastre/daemon"
	"cadastre/internal/fault"
)

func newDoctor(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check the data directory: store, log of decisions, keys, published files, high-water mark, disk",
		Long: "Reads all records of the store with their checksums, replays the log of decisions, looks whether each authority has its key, holds\n" +
			"what would be served against what was announced, and looks at the high-water mark and the free disk. It opens the directory as a start\n" +
			"does, so no daemon may run, and damaged files of a repository that can be restored are restored. It signs nothing.\n\n" +
			"Each problem says what to do. The exit status is that of the first.",
		Example: "  cadastre doctor\n  cadastre doctor -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := daemon.Examine(g.data, warnings())
			err := g.print(cmd.OutOrStdout(), checks, func(w io.Writer) {
				for _, c := range checks {
					if c.Err != nil {
						fmt.Fprintf(w, "%-16s %s: %s\n", c.What, c.Kind, c.Problem)
					} else {
						fmt.Fprintf(w, "%-16s ok, %s\n", c.What, c.Found)
					}
				}
			})
			if err != nil {
				return err
			}
			bad := slices.DeleteFunc(slices.Clone(checks), func(c daemon.Finding) bool { return c.Err == nil })
			if len(bad) == 0 {
				return nil
			}
			return fault.New(fault.KindOf(bad[0].Err), "%d of %d checks found a problem, the first of them that of the %s", len(bad), len(checks), bad[0].What)
		},
	}
}
