package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/moves"
	"cadastre/roa"
)

func newTransfer(g *global) *cobra.Command {
	cmd := newNoun("transfer", "Move resources from one holder to another without a gap",
		"  cadastre transfer initiate --from afrinic/acme --to lacnic/acme --under lacnic --kind move --dry-run\n  cadastre transfer list\n  cadastre transfer show 7")
	cmd.AddCommand(transferInitiate(g),
		transferOfAll(g, "merge", holdings.Merger, "Move a holder's resources and routes to the holder that it merges with"),
		transferOfAll(g, "takeover", holdings.Takeover, "Move the resources and routes of a holder that closes to another holder"),
		transferApprove(g),
		transferObject(g),
		transferStep(g, "consent", "Waive the source registry's right to object", "the source's registry does not object to transfer %d"),
		transferStep(g, "cancel", "Cancel a transfer before its finalisation; the source's side stays as it is", "transfer %d is cancelled"),
		transferStep(g, "dispute", "Park a transfer with both sides valid; --reason says why", "transfer %d is parked, with both sides valid"),
		transferStep(g, "resolve", "End a dispute: the transfer goes on", "transfer %d goes on"),
		transferStep(g, "hold", "Do not finalise a transfer until 'cadastre transfer release'", "transfer %d will not be finalised until 'cadastre transfer release %d'"),
		transferStep(g, "release", "Release a transfer that was held, so that it can be finalised", "transfer %d is not held any more"),
		transferForce(g), transferAbandon(g), transferOffer(g), transferList(g), transferShow(g), transferEvidence(g))
	return cmd
}

// transferFlags are those of all commands that begin a transfer.
type transferFlags struct {
	q      api.TransferInitiate
	routes []string
	file   string
}

func (f *transferFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.q.Under, "under", "", "the organisation that the recipient is to be below, where it is new")
	cmd.Flags().StringVar(&f.q.Name, "name", "", "the name of a new recipient; else the source's")
	cmd.Flags().StringVar(&f.q.Peer, "peer", "", "the installation that the recipient is at, where it is not this one")
	cmd.Flags().StringVar(&f.q.Soak, "soak", "", "for how long the recipient's side is seen before the source's goes, such as 4h; else as the registry has it")
	cmd.Flags().BoolVar(&f.q.Hold, "hold", false, "finalise only after 'cadastre transfer release'")
	cmd.Flags().BoolVar(&f.q.DryRun, "dry-run", false, "only say what would happen")
	cmd.Flags().StringVar(&f.q.Code, "code", "", "the code that --dry-run printed, where the brake holds what would be lost")
}

// addRoutes adds the flags of commands that stage routes.
func addRoutes(cmd *cobra.Command, routes *[]string, file *string) {
	cmd.Flags().StringArrayVar(routes, "route", nil, "a route of the new holder: prefix,ASn[,maxlength]; may be repeated")
	cmd.Flags().StringVar(file, "routes-file", "", "CSV of such routes")
}

// begin asks for the transfer and prints what it does.
func (f *transferFlags) begin(cmd *cobra.Command, g *global) (err error) {
	if f.q.Routes, err = readRoutes(f.routes, f.file); err != nil {
		return err
	}
	f.q.Why = g.why()
	begun, err := ask[api.TransferInitiate, *moves.Begun](cmd.Context(), g, "/transfers/initiate", f.q)
	if err != nil {
		return err
	}
	return g.print(cmd.OutOrStdout(), begun, func(w io.Writer) { printBegun(w, begun) })
}

// readRoutes is the fields of routes on the command line, and of those in a CSV file.
func readRoutes(words []string, file string) (routes [][]string, err error) {
	for _, word := range words {
		fields := strings.Split(word, ",")
		if _, err := roa.ParseRow(fields...); err != nil {
			return nil, fault.Wrap(err, "--route %s", word)
		}
		routes = append(routes, fields)
	}
	if file == "" {
		return routes, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.New(fault.BadInput, "couldn't read %s: %w", file, err)
	}
	rows, err := roa.ParseCSV(file, bytes.NewReader(text))
	for _, r := range rows {
		routes = append(routes, []string{r.Prefix.String(), fmt.Sprintf("AS%d", r.Origin), strconv.Itoa(r.MaxLength)})
	}
	return routes, err
}

func transferInitiate(g *global) *cobra.Command {
	f := transferFlags{}
	var kind string
	cmd := &cobra.Command{
		Use:   "initiate --from HANDLE --to HANDLE [RESOURCES...]",
		Short: "Begin a transfer of resources from one holder to another; without resources, of all",
		Long: "Begins a transfer: whole blocks, parts of them, AS numbers. The recipient's side is certified and published first, is seen for as long as\n" +
			"the soak says, and only then the source's goes; both are valid meanwhile. What was delegated on goes along.\n\n" +
			"A merger, a takeover and a move to another registry (--kind merger, takeover, move) take the holder's routes along. A transfer to a new\n" +
			"holder (--kind transfer) brings the routes that are named; the source's stay for a while by consent with --bridge.",
		Example: "  cadastre transfer initiate --from afrinic/acme --to afrinic/shop 196.10.0.0/24 --route 196.10.0.0/24,AS37100 --bridge 48h --dry-run\n" +
			"  cadastre transfer initiate --from afrinic/acme --to lacnic/acme --under lacnic --kind move --soak 8h\n" +
			"  cadastre transfer initiate --from afrinic/acme --to acme --peer lacnic --kind move 196.10.0.0/24 AS37100",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if f.q.Resources, err = inr.Parse(strings.Join(args, " ")); err != nil {
				return err
			}
			f.q.Kind = holdings.TransferKind(kind)
			return f.begin(cmd, g)
		},
	}
	cmd.Flags().StringVar(&f.q.From, "from", "", "the holder that gives them")
	cmd.Flags().StringVar(&f.q.To, "to", "", "the holder that gets them")
	cmd.Flags().StringVar(&kind, "kind", string(holdings.Market), "transfer, merger, takeover or move")
	addRoutes(cmd, &f.routes, &f.file)
	cmd.Flags().StringVar(&f.q.Bridge, "bridge", "", "for how long the source's routes stay authorised, by consent of both, such as 48h")
	f.add(cmd)
	_ = cmd.MarkFlagRequired("from")
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

// transferOfAll begins a transfer of all that a holder has, its routes included.
func transferOfAll(g *global, verb string, kind holdings.TransferKind, short string) *cobra.Command {
	f := transferFlags{q: api.TransferInitiate{Kind: kind}}
	cmd := &cobra.Command{
		Use:     verb + " FROM INTO",
		Short:   short,
		Long:    short + ". All that the first holds goes to the second, and so does what it had authorised and delegated on; 'transfer initiate' moves a part.",
		Example: "  cadastre transfer " + verb + " afrinic/acme afrinic/shop --dry-run\n  cadastre transfer " + verb + " afrinic/acme afrinic/shop --reason 'contract of 3 May'",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.q.From, f.q.To = args[0], args[1]
			return f.begin(cmd, g)
		},
	}
	f.add(cmd)
	return cmd
}
