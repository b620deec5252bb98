package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/escrow"
	"cadastre/internal/fault"
	"cadastre/moves"
)

func newHandoff(g *global) *cobra.Command {
	cmd := newNoun("handoff", "Move a failed registry's holders to its successor",
		"  cadastre handoff plan --registry afrinic --to ripencc\n  cadastre handoff start --registry afrinic --to ripencc --code 1a2b3c4d\n  cadastre handoff status")
	cmd.AddCommand(handoffPlan(g), handoffStart(g),
		handoffSteer(g, "status", "Show how far a handoff is, what it waits for, and when it will be done"),
		handoffSteer(g, "pause", "Pause a handoff: no further batch begins; holders on their way go on"),
		handoffSteer(g, "resume", "Resume a handoff, and try again with holders that were left out"))
	return cmd
}

const handoffLong = "The successor is certified for all that the registry holds first; then the holders move below it, batch after batch, each with what it\n" +
	"had authorised and with its customers: the new certificates and ROAs are published and seen for the time of the soak before the old\n" +
	"ones go. The registry's own certificate goes last, and with it what no holder has. The successor is in the tree here, beside or\n" +
	"above the other. Holders of an NIR below the registry become holders of the successor itself.\n" +
	"A holder whose CA is elsewhere is offered its new parent, and waited for without holding up others; 'cadastre transfer force' goes on\n" +
	"without one that never comes.\n" +
	"With --escrow the holders are those that the registry deposited, with their routes and the identities of their CAs."

// addHandoff adds the flags that say which handoff is meant.
func addHandoff(cmd *cobra.Command, q *api.HandoffStart) {
	cmd.Flags().StringVar(&q.Registry, "registry", "", "the registry that fails")
	cmd.Flags().StringVar(&q.To, "to", "", "the registry that gets its holders")
	cmd.Flags().IntVar(&q.Batch, "batch", moves.DefaultBatch, "how many holders begin at once")
	cmd.Flags().StringVar(&q.Pace, "pace", "0s", "how long from one batch to the next at least; it begins when half of the one before is published")
	cmd.Flags().StringVar(&q.Soak, "soak", "", "how long readers see the new side before the old one goes; as the policies have it where none is named")
	_ = cmd.MarkFlagRequired("registry")
	_ = cmd.MarkFlagRequired("to")
}

// deposits is where what a registry deposited is, and what opens it.
type deposits struct{ folder, identity, signer string }

func (d *deposits) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&d.folder, "escrow", "", "the folder of the registry's deposits, where it was another installation's and its holders are not here")
	cmd.Flags().StringVar(&d.identity, "identity", "", "the file of 'escrow keygen' that opens them")
	cmd.Flags().StringVar(&d.signer, "signer", "", "the certificate of who signed them, as its 'escrow signer' printed it")
	cmd.MarkFlagsRequiredTogether("escrow", "identity", "signer")
}

// snapshot is what a registry left, by its deposits; nil where none are named. What opens them stays on this side.
func (d *deposits) snapshot(registry string) (*moves.Snapshot, error) {
	if d.folder == "" {
		return nil, nil
	}
	trust, err := readSigner(d.signer)
	if err != nil {
		return nil, err
	}
	identity, err := escrow.ReadIdentity(d.identity)
	if err != nil {
		return nil, err
	}
	state, err := escrow.Open(d.folder, identity, trust)
	if err != nil {
		return nil, err
	}
	if _, ok := state.Ledger.Organisation(registry); !ok {
		return nil, fault.New(fault.NotFound, "there is no organisation %q in what was deposited in %s", registry, d.folder)
	}
	identities := map[string][]byte{}
	for _, c := range state.Children {
		identities[c.Holder] = c.TrustAnchor
	}
	return moves.SnapshotOf(state.Ledger, state.Book, identities, registry), nil
}

func handoffPlan(g *global) *cobra.Command {
	q, d := api.HandoffStart{}, deposits{}
	cmd := &cobra.Command{
		Use:     "plan --registry X --to Y",
		Short:   "Show what a handoff would do, certificate for certificate, and the code that starts it",
		Long:    "Shows every certificate, VRP and CA elsewhere that a handoff concerns, in their order, and prints its code. Nothing is changed.\n\n" + handoffLong,
		Example: "  cadastre handoff plan --registry afrinic --to ripencc\n  cadastre handoff plan --registry afrinic --to ripencc --batch 50 --pace 1h -o json\n  cadastre handoff plan --registry afrinic --to ripencc --escrow /var/escrow/afrinic --identity successor.age --signer afrinic.pem",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if q.Snapshot, err = d.snapshot(q.Registry); err != nil {
				return err
			}
			q.Why = g.why()
			p, err := ask[api.HandoffStart, *moves.HandoffPlan](cmd.Context(), g, "/handoffs/plan", q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), p, func(w io.Writer) { printHandoffPlan(w, p) })
		},
	}
	addHandoff(cmd, &q)
	d.add(cmd)
	return cmd
}

func handoffStart(g *global) *cobra.Command {
	q, d := api.HandoffStart{}, deposits{}
	cmd := &cobra.Command{
		Use:     "start --registry X --to Y --code CODE",
		Short:   "Start a handoff, with the code of its plan",
		Long:    "Starts a handoff. It needs the code that its plan printed: where holders or routes have changed since, the plan has another.\n\n" + handoffLong,
		Example: "  cadastre handoff start --registry afrinic --to ripencc --code 1a2b3c4d --reason 'derecognised'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if q.Snapshot, err = d.snapshot(q.Registry); err != nil {
				return err
			}
			q.Why = g.why()
			s, err := ask[api.HandoffStart, *moves.HandoffStatus](cmd.Context(), g, "/handoffs/start", q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), s, func(w io.Writer) { printHandoffStatus(w, s) })
		},
	}
	addHandoff(cmd, &q)
	d.add(cmd)
	cmd.Flags().StringVar(&q.Code, "code", "", "the code that the plan printed")
	return cmd
}

func handoffSteer(g *global, verb, short string) *cobra.Command {
	q := api.HandoffSteer{}
	cmd := &cobra.Command{
		Use:     verb + " [--registry X]",
		Short:   short,
		Example: "  cadastre handoff " + verb + "\n  cadastre handoff " + verb + " --registry afrinic -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q.Why = g.why()
			s, err := ask[api.HandoffSteer, *moves.HandoffStatus](cmd.Context(), g, "/handoffs/"+verb, q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), s, func(w io.Writer) { printHandoffStatus(w, s) })
		},
	}
	cmd.Flags().StringVar(&q.Registry, "registry", "", "the registry that is handed off; the newest where none is named")
	return cmd
}

func printHandoffPlan(w io.Writer, p *moves.HandoffPlan) {
	for _, warning := range p.Warnings {
		fmt.Fprintf(w, "warning: %s\n", warning)
	}
	fmt.Fprintln(w, "nothing was changed; this is what would be, in this order:")
	fmt.Fprintf(w, "first, %s is certified for all that %s holds: %s\n", p.To, p.Registry, shortened(p.Resources.String(), 90))
	for _, h := range p.Holders {
		fmt.Fprintf(w, "batch %d: %s → %s  %s\n", h.Batch, h.Holder, h.To, h.Resources)
		for _, customer := range h.Customers {
			fmt.Fprintf(w, "  with %s below it\n", customer)
		}
		for _, elsewhere := range h.Elsewhere {
			fmt.Fprintf(w, "  the CA of %s is elsewhere, and is waited for\n", elsewhere)
		}
		for _, r := range h.Routes {
			fmt.Fprintf(w, "  %s,%d,AS%d\n", r.Prefix, r.MaxLength, r.Origin)
		}
		for _, said := range h.Objects {
			fmt.Fprintf(w, "  %s\n", shortened(said.String(), 200))
		}
	}
	pool := "nothing is left"
	if !p.Pool.Empty() {
		pool = shortened(p.Pool.String(), 70) + " goes to the pool of " + p.To
	}
	fmt.Fprintf(w, "last, the certificate of %s is revoked; %s\n", strings.Join(append([]string{p.Registry}, p.NIRs...), ", "), pool)
	kept := fmt.Sprintf("%d VRPs", p.VRPs)
	if p.Objects > 0 {
		kept += fmt.Sprintf(" and %d other signed objects", p.Objects)
	}
	fmt.Fprintf(w, "%d holders in %d batches of %d; %d new certificates, %d of them of CAs elsewhere, and %d revoked; %s, all kept\n",
		len(p.Holders), p.Batches, p.Batch, p.Organisations, p.Delegated, p.Revoked, kept)
	fmt.Fprintf(w, "%d keys to be made and %d signatures; it lasts %s at least\n", p.Keys, p.Signatures, p.Lasts)
	fmt.Fprintf(w, "code: %s\n", p.Code)
}

func printHandoffStatus(w io.Writer, s *moves.HandoffStatus) {
	t := s.Transfer
	state := string(t.State)
	switch {
	case t.Done():
		state = "done"
	case s.Paused:
		state = "paused"
	case t.State == "accepted":
		state = "under way"
	}
	fmt.Fprintf(w, "handoff %d of %s to %s is %s\n", t.ID, t.FromRegistry, t.ToRegistry, state)
	fmt.Fprintf(w, "%d holders: %d done, %d under way, %d left\n", s.Holders, s.Done, s.UnderWay, s.Left)
	if t.Waits != "" {
		fmt.Fprintf(w, "it waits for this: %s\n", shortened(t.Waits, 200))
	}
	if !s.Ends.IsZero() {
		fmt.Fprintf(w, "as fast as it went so far it will be done at %s\n", s.Ends.UTC().Format(time.RFC3339))
	}
	for _, holder := range slices.Sorted(maps.Keys(s.Refused)) {
		fmt.Fprintf(w, "left out: %s, because %s\n", holder, s.Refused[holder])
	}
	if len(s.Waits) == 0 {
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TRANSFER\tHOLDER\tTO\tON\tWAITS FOR")
	for _, wait := range s.Waits {
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\n", wait.Transfer, wait.Holder, wait.To, wait.On, shortened(wait.Waits, 120))
	}
	_ = table.Flush()
	for _, wait := range s.Waits {
		if wait.Force {
			fmt.Fprintf(w, "%s has not come for a day or more; 'cadastre transfer force %d --dry-run' says what it costs to go on without it\n", wait.On, wait.Transfer)
		}
	}
}
