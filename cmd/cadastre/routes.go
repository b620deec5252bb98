package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/ca"
	"cadastre/internal/fault"
	"cadastre/routes"
)

func newRoutes(g *global) *cobra.Command {
	cmd := newNoun("routes", "Show what is announced in BGP, and what ROAs make of it", "  cadastre routes status\n  cadastre routes show 196.10.0.0/22")
	cmd.AddCommand(routesStatus(g), routesShow(g), routesImport(g), routesForget(g), routesIgnore(g, false), routesIgnore(g, true), routesIgnored(g))
	return cmd
}

func routesStatus(g *global) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show where announcements are read, how old they are, and what failed",
		Example: "  cadastre routes status",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			status, err := ask[api.Nothing, api.RoutesStatus](cmd.Context(), g, "/routes/status", api.Nothing{})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), status, func(w io.Writer) { printRoutesStatus(w, status) })
		},
	}
}

func printRoutesStatus(w io.Writer, status api.RoutesStatus) {
	if status.Why != "" {
		fmt.Fprintln(w, status.Why)
	} else {
		fmt.Fprintf(w, "%d announcements are known, of %s\n", status.Known, when(status.Time))
	}
	if len(status.Sources) == 0 {
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SOURCE\tANNOUNCED\tREAD\tIPV4\tIPV6\tLEFT OUT\tSTATE")
	for _, s := range status.Sources {
		state := "used"
		switch {
		case s.Error != "" && s.Used:
			state = "used; the last reading failed: " + s.Error
		case s.Error != "":
			state = "not used; the last reading failed: " + s.Error
		case s.Time.IsZero():
			state = "not read yet"
		case !s.Used:
			state = "too old"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%d\t%s\n", s.Name, dash(s.Time), dash(s.Read), s.V4, s.V6, s.Left, state)
	}
	_ = table.Flush()
}

// dash is a time as the other commands print it, - where there is none.
func dash(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return when(at)
}

func routesShow(g *global) *cobra.Command {
	return &cobra.Command{
		Use: "show PREFIX", Short: "Show what is announced of a prefix and around it, and whether that is valid (RFC 6811)",
		Example: "  cadastre routes show 196.10.0.0/22\n  cadastre routes show 2c0f:ea00::/32 -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := api.RoutesShow{}
			if err := q.Prefix.UnmarshalText([]byte(args[0])); err != nil || !q.Prefix.IsValid() {
				return fault.New(fault.BadInput, "%q is no prefix; write 196.10.0.0/24 or 2c0f:ea00::/32", args[0])
			}
			shown, err := ask[api.RoutesShow, api.RoutesShown](cmd.Context(), g, "/routes/show", q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), shown, func(w io.Writer) {
				if shown.Why != "" {
					fmt.Fprintln(w, shown.Why)
					return
				}
				table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				fmt.Fprintln(table, "PREFIX\tORIGIN\tPEERS\tSINCE\tSTATE\tCOVERED BY")
				for _, a := range shown.Announcements {
					state := string(a.State)
					if a.Ignored {
						state += " (ignored)"
					}
					fmt.Fprintf(table, "%s\tAS%d\t%s\t%s\t%s\t%s\n", a.Prefix, a.Origin, peers(a.Announcement), dash(a.Since), state, strings.Join(a.By, " "))
				}
				_ = table.Flush()
				fmt.Fprintf(w, "as announced on %s\n", when(shown.Time))
			})
		},
	}
}

// peers is how many peers see an announcement, - where that is not known.
func peers(a routes.Announcement) string {
	if a.Peers == 0 {
		return "-"
	}
	return fmt.Sprint(a.Peers)
}

func routesImport(g *global) *cobra.Command {
	return &cobra.Command{
		Use: "import FILE...", Short: "Take what is announced from files",
		Long: "Takes announcements from files, or for - from standard input, in place of what was imported before: RIS whois dumps, MRT with TABLE_DUMP_V2\n" +
			"as RouteViews and RIS write it, CSV of prefix,ASn[,peers] with a header or without one, or RIPE NCC's JSON; plain, or packed by gzip or bzip2.\n" +
			"They are used beside what the sources of [routes] in config.toml say, until they are too old (routes.oldest).",
		Example: "  cadastre routes import riswhoisdump.IPv4.gz riswhoisdump.IPv6.gz\n  cadastre routes import rib.20261130.0800.bz2",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			q := api.RoutesImport{}
			if q.Files, err = readAnnounced(cmd, args); err != nil {
				return err
			}
			status, err := ask[api.RoutesImport, api.RoutesStatus](cmd.Context(), g, "/routes/import", q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), status, func(w io.Writer) { printRoutesStatus(w, status) })
		},
	}
}

// readAnnounced reads files of announcements, and makes each as small as a request may be.
func readAnnounced(cmd *cobra.Command, paths []string) ([]api.Upload, error) {
	var out []api.Upload
	for _, path := range paths {
		table, err := readTable(cmd, path)
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		if err := table.Write(&b); err != nil {
			return nil, err
		}
		out = append(out, api.Upload{Name: filepath.Base(path), Data: b.Bytes()})
	}
	return out, nil
}

func readTable(cmd *cobra.Command, path string) (*routes.Table, error) {
	if path == "-" {
		return routes.Read(path, cmd.InOrStdin(), time.Now().UTC())
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fault.New(fault.BadInput, "couldn't read %s: %w", path, err)
	}
	defer func() { _ = file.Close() }() // it is only read
	return routes.Read(filepath.Base(path), file, time.Now().UTC())
}

func routesForget(g *global) *cobra.Command {
	return &cobra.Command{
		Use: "forget SOURCE", Short: "Forget what a source said, or what was imported",
		Long:    "Forgets what is kept of a source, by its name in 'cadastre routes status'; 'import' is what was imported. A source of config.toml is read anew,\nand believed even if little of it is left.",
		Example: "  cadastre routes forget import",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			status, err := ask[api.RoutesForget, api.RoutesStatus](cmd.Context(), g, "/routes/forget", api.RoutesForget{Source: args[0]})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), status, func(w io.Writer) { printRoutesStatus(w, status) })
		},
	}
}

func routesIgnore(g *global, again bool) *cobra.Command {
	verb, short := "ignore", "Ignore an announcement: a change may turn it invalid, and it is not suggested"
	if again {
		verb, short = "heed", "End that an announcement is ignored"
	}
	return &cobra.Command{
		Use: verb + " PREFIX ASn | PREFIX,ASn...", Short: short,
		Example: "  cadastre routes " + verb + " 196.10.0.0/24 AS64500 --reason 'a leak of theirs'",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			q := api.RoutesIgnore{Why: g.why(), Again: again}
			if q.Announcements, err = intentsOf(args, false); err != nil {
				return err
			}
			list, err := ask[api.RoutesIgnore, []ca.Ignored](cmd.Context(), g, "/routes/ignore", q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), list, func(w io.Writer) { printIgnored(w, list) })
		},
	}
}

func routesIgnored(g *global) *cobra.Command {
	return &cobra.Command{
		Use: "ignored", Short: "Show announcements that are ignored",
		Example: "  cadastre routes ignored",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := ask[api.Nothing, []ca.Ignored](cmd.Context(), g, "/routes/ignored", api.Nothing{})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), list, func(w io.Writer) { printIgnored(w, list) })
		},
	}
}

func printIgnored(w io.Writer, list []ca.Ignored) {
	if len(list) == 0 {
		fmt.Fprintln(w, "no announcement is ignored")
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PREFIX\tORIGIN\tSINCE\tBY\tREASON")
	for _, i := range list {
		fmt.Fprintf(table, "%s\tAS%d\t%s\t%s\t%s\n", i.Prefix, i.Origin, when(i.Time), i.Who, i.Reason)
	}
	_ = table.Flush()
}

// printAnnouncements prints what becomes of announcements: what turns invalid first, then the rest, where that is few.
func printAnnouncements(w io.Writer, a *ca.Announcements, dryRun bool) {
	const few = 20
	switch {
	case a == nil:
		return
	case a.Why != "":
		if dryRun {
			fmt.Fprintf(w, "announcements: %s\n", a.Why)
		}
		return
	}
	shown, total := 0, 0
	for _, i := range a.List {
		if i.Breaks() || shown < few {
			shown++
			ignored := ""
			if i.Ignored {
				ignored = " (ignored)"
			}
			fmt.Fprintf(w, "%s%s\n", i, ignored)
		}
	}
	for _, c := range a.Changes {
		total += c.Count
	}
	if total <= shown {
		return
	}
	for _, c := range a.Changes {
		fmt.Fprintf(w, "%d announcements in all would be %s and are %s\n", c.Count, c.Now, c.Was)
	}
}
