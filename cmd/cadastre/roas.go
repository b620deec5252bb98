package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/ca"
	"cadastre/internal/fault"
	"cadastre/roa"
)

func newROA(g *global) *cobra.Command {
	cmd := newNoun("roa", "Manage ROAs", "  cadastre roa add 196.10.0.0/22 AS37100 24\n  cadastre roa import announcements.csv")
	cmd.AddCommand(roaImport(g), roaChange(g, "add", "Authorise an AS to announce a prefix"), roaChange(g, "remove", "End an authorisation"), roaList(g), roaExport(g), roaSuggest(g))
	return cmd
}

func roaImport(g *global) *cobra.Command {
	q := api.ROAImport{}
	var announced []string
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Import intents from files: CSV, JSON, or Krill's lines",
		Long: "Takes intents from files, or for - from standard input: CSV with a header that names the columns in any order, as RIPE NCC, ARIN,\n" +
			"Krill, Routinator and rpki-client write them; CSV of prefix,ASn[,maxlength[,comment]] without one; what 'cadastre vrps' prints; JSON of\n" +
			"the same; and Krill's lines, \"A: 192.0.2.0/24-24 => 64496 # comment\", where R: removes. All are one decision. Each intent is its holder's: the\n" +
			"most specific organisation that holds the whole prefix. What no one holds is refused, and nothing of the file is taken, unless --only-held.",
		Example: "  cadastre roa import announcements.csv\n  cadastre roa import announcements.csv --only-held\n  cadastre roa import acme.csv --announced bgp.csv --dry-run",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.Files, err = readUploads(cmd, args); err != nil {
				return err
			}
			if q.Announced, err = readAnnounced(cmd, announced); err != nil {
				return err
			}
			q.Why = g.why()
			f, err := ask[api.ROAImport, *ca.Effect](cmd.Context(), g, "/roas/import", q)
			return g.finish(cmd, f, err)
		},
	}
	addConsent(cmd, &q.Consent)
	cmd.Flags().StringVar(&q.Holder, "holder", "", "whose intents they are")
	cmd.Flags().BoolVar(&q.OnlyHeld, "only-held", false, "leave out what is not held, and say what was left")
	cmd.Flags().BoolVar(&q.AllowAS0, "allow-as0", false, "AS0 is meant: nobody may announce the prefix")
	cmd.Flags().BoolVar(&q.Replace, "replace", false, replaceUsage)
	cmd.Flags().StringSliceVar(&announced, "announced", nil, announcedUsage)
	return cmd
}

const (
	announcedUsage = "file of what is announced now, beside what is known ('cadastre routes'), in any form that 'routes import' reads"
	replaceUsage   = "in place of the same prefix and AS with another maxLength"
)

func roaChange(g *global, verb, short string) *cobra.Command {
	q := api.ROAChange{}
	var announced, files []string
	var until string
	cmd := &cobra.Command{
		Use:   verb + " PREFIX ASn [MAXLENGTH] | PREFIX,ASn[,MAXLENGTH]...",
		Short: short,
		Long:  short + ": one, or several at once, each as one word with commas. All of them are one decision.",
		Example: "  cadastre roa " + verb + " 196.10.0.0/22 AS37100\n  cadastre roa " + verb + " 196.10.0.0/22 AS37100 24 --holder acme --dry-run\n" +
			"  cadastre roa " + verb + " 196.10.0.0/24,AS37100 196.10.1.0/24,AS37100",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.Intents, err = intentsOf(args, len(files) > 0); err != nil {
				return err
			}
			if q.Files, err = readUploads(cmd, files); err != nil {
				return err
			}
			if q.Announced, err = readAnnounced(cmd, announced); err != nil {
				return err
			}
			if q.Until, err = parseDate("--until", until); err != nil {
				return err
			}
			q.Why = g.why()
			f, err := ask[api.ROAChange, *ca.Effect](cmd.Context(), g, "/roas/"+verb, q)
			return g.finish(cmd, f, err)
		},
	}
	addConsent(cmd, &q.Consent)
	cmd.Flags().StringVar(&q.Holder, "holder", "", "whose intent it is; else, of one to add the most specific holder's, of one to remove that of any holder")
	cmd.Flags().StringSliceVar(&announced, "announced", nil, announcedUsage)
	if verb == "add" {
		cmd.Flags().BoolVar(&q.AllowAS0, "allow-as0", false, "AS0 is meant: nobody may announce the prefix")
		cmd.Flags().BoolVar(&q.Replace, "replace", false, replaceUsage)
		cmd.Flags().StringVar(&q.Comment, "comment", "", "what is kept with it")
		cmd.Flags().StringVar(&until, "until", "", "when it ends by itself: "+untilUsage)
	} else {
		cmd.Flags().StringSliceVar(&files, "file", nil, "file of those to remove, in any form that 'roa import' reads; - is standard input")
	}
	return cmd
}

// intentsOf is the words of each intent that arguments name.
func intentsOf(args []string, none bool) ([][]string, error) {
	switch {
	case len(args) == 0 && none:
		return nil, nil
	case len(args) > 0 && strings.Contains(args[0], ","):
		var list [][]string
		for _, arg := range args {
			list = append(list, strings.Split(arg, ","))
		}
		return list, nil
	case len(args) == 2 || len(args) == 3:
		return [][]string{args}, nil
	}
	return nil, fault.New(fault.BadInput, "write PREFIX ASn [MAXLENGTH], or several as PREFIX,ASn[,MAXLENGTH]")
}

func roaList(g *global) *cobra.Command {
	q := api.ROAList{}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "Show intents and their status",
		Example: "  cadastre roa list --holder acme\n  cadastre roa list --parked -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := ask[api.ROAList, []api.ROAIntent](cmd.Context(), g, "/roas/list", q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), list, func(w io.Writer) {
				table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				seen := slices.ContainsFunc(list, func(in api.ROAIntent) bool { return in.Status.BGP != nil && in.Status.BGP.State != roa.NotHeld })
				head := ""
				if seen {
					head = "BGP\t"
				}
				fmt.Fprintln(table, "HOLDER\tPREFIX\tMAXLENGTH\tORIGIN\tSTANDS\t"+head+"WHY")
				for _, in := range list {
					why, bgp := whyIntent(in.Status.Reason, in.Wait, in.Until), ""
					if seen {
						bgp = bgpWords(in.Status.BGP) + "\t"
					}
					fmt.Fprintf(table, "%s\t%s\t%d\tAS%d\t%s\t%s%s\n", in.Holder, in.Prefix, in.MaxLength, in.Origin, in.Status.State, bgp, why)
				}
				_ = table.Flush()
			})
		},
	}
	cmd.Flags().StringVar(&q.Holder, "holder", "", "of one holder alone")
	cmd.Flags().BoolVar(&q.Parked, "parked", false, "only those that do not stand as a whole")
	return cmd
}

// whyIntent says why an intent stands as it does, what it waits for, and when it ends.
func whyIntent(why string, wait *ca.Wait, until time.Time) string {
	if wait != nil {
		why = strings.TrimPrefix(why+"; "+waitWords(wait), "; ")
	}
	if !until.IsZero() {
		why = strings.TrimSuffix("ends "+when(until)+"; "+why, "; ")
	}
	return why
}

func roaExport(g *global) *cobra.Command {
	q := api.ROAList{}
	var form string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print intents in a form that others read",
		Long: "Prints what holders want authorised, of one holder or of all: as CSV, Krill's lines, the JSON of RIPE NCC's API or of rpki-client, Routinator's\n" +
			"CSV, or SLURM (RFC 8416), with which a relying party has them without being published. 'roa import' reads each of these but SLURM.",
		Example: "  cadastre roa export --holder acme > acme.csv\n  cadastre roa export --as slurm > slurm.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := ask[api.ROAList, []api.ROAIntent](cmd.Context(), g, "/roas/list", q)
			if err != nil {
				return err
			}
			rows := make([]roa.Row, 0, len(list))
			for _, in := range list {
				rows = append(rows, roa.Row{Prefix: in.Prefix, Origin: in.Origin, MaxLength: in.MaxLength, Comment: in.Comment})
			}
			var failed error
			printErr := printText(cmd.OutOrStdout(), func(w io.Writer) { failed = roa.Export(w, form, rows) })
			return errors.Join(failed, printErr)
		},
	}
	cmd.Flags().StringVar(&q.Holder, "holder", "", "of one holder alone")
	cmd.Flags().StringVar(&form, "as", "csv", "the form: "+strings.Join(roa.Exports, ", "))
	return cmd
}

// bgpWords says how an intent stands to what is announced, and what would do in place of it.
func bgpWords(bgp *roa.InBGP) string {
	switch {
	case bgp == nil:
		return "-"
	case len(bgp.By) > 0:
		return fmt.Sprintf("%s beside %s", bgp.State, shortened(strings.Join(bgp.By, " "), 70))
	case bgp.State == roa.TooPermissive:
		return fmt.Sprintf("%s: %s would do", bgp.State, shortened(strings.Join(roa.Lines(bgp.Instead), " "), 100))
	case bgp.Disallows > 0:
		return fmt.Sprintf("%s; %d announcements that it covers are invalid", bgp.State, bgp.Disallows)
	}
	return string(bgp.State)
}

func roaSuggest(g *global) *cobra.Command {
	q := api.ROASuggest{}
	cmd := &cobra.Command{
		Use:   "suggest",
		Short: "Suggest ROAs for what is announced",
		Long: "Prints a ROA for each announcement that is not valid, in lines that 'roa import' reads. What looks like a hijack, or can't be authorised, is told\n" +
			"in a comment and not suggested; what is ignored ('cadastre routes ignore') is left out. So are intents that are too permissive told, with\n" +
			"narrower ones that would do. Look at the lines before you import them: what is announced need not be what is meant.",
		Example: "  cadastre roa suggest --holder acme > wanted\n  cadastre roa import wanted --dry-run",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := ask[api.ROASuggest, *roa.Suggested](cmd.Context(), g, "/roas/suggest", q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), s, func(w io.Writer) { printSuggested(w, s) })
		},
	}
	cmd.Flags().StringVar(&q.Holder, "holder", "", "for one holder alone")
	return cmd
}

func printSuggested(w io.Writer, s *roa.Suggested) {
	if s.Why != "" {
		fmt.Fprintf(w, "# %s\n", s.Why)
		return
	}
	fmt.Fprintf(w, "# as announced on %s\n", when(s.Time))
	for _, a := range s.Announcements {
		if a.Doubt != "" {
			fmt.Fprintf(w, "# %s by AS%d (%s, %s) is not suggested: %s\n", a.Prefix, a.Origin, a.Holder, a.State, a.Doubt)
			continue
		}
		fmt.Fprintf(w, "# %s: it is %s, seen by %s peers, since %s\nA: %s-%d => %d\n", a.Holder, a.State, peers(a.Announcement), dash(a.Since), a.Prefix, a.Prefix.Bits(), a.Origin)
	}
	for _, n := range s.TooPermissive {
		fmt.Fprintf(w, "# %s is too permissive; this would do: %s\n", n.Intent, shortened(strings.Join(roa.Lines(n.Instead), " "), 200))
	}
}
