package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/ca"
	"cadastre/internal/term"
)

func newKeys(g *global) *cobra.Command {
	cmd := newNoun("keys", "Show and roll the keys of organisations' CAs (RFC 6489)", "  cadastre keys show acme\n  cadastre keys roll acme --soak 24h")
	cmd.AddCommand(keysRoll(g), keysActivate(g), keysShow(g))
	return cmd
}

// rollSoak is the staging period of RFC 6489, section 2.
const rollSoak = term.Term(24 * time.Hour)

func keysRoll(g *global) *cobra.Command {
	soak := rollSoak
	var abandon bool
	cmd := &cobra.Command{
		Use:   "roll HOLDER",
		Short: "Roll the key of an organisation's CA",
		Long: "Makes a new key for an organisation's CA and has it certified beside the old one. When it has been published for the time of --soak\n" +
			"it issues everything that the old one did, and as long again after that the old one is revoked; no VRP is missing at any moment.\n" +
			"A registry's new key, and that of a holder in a transfer, issues no sooner than every reader can have its certificate (soak in\n" +
			"config.toml). Leave it a day where there is no hurry: rpki-client 9.9 looks after 90 minutes again at a key whose manifest it\n" +
			"could not get three times.\n" +
			"With --abandon the roll that is under way is given up instead: the new key, which does not issue yet, is revoked, and the old\n" +
			"one goes on. 'repository local' and 'repository configure' give up a move that is under way by themselves.",
		Example: "  cadastre keys roll acme\n  cadastre keys roll acme --soak 1h --reason 'yearly'\n  cadastre keys roll acme --abandon",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := api.KeysRoll{Why: g.why(), Holder: args[0], Soak: soak.String(), Abandon: abandon}
			rolled, err := ask[api.KeysRoll, api.KeysRolled](cmd.Context(), g, "/keys/roll", q)
			if err != nil {
				return err
			}
			if abandon {
				return g.say(cmd, "the new key of %s is given up, and the old one goes on", q.Holder)
			}
			if rolled.Wait != nil {
				return g.say(cmd, "%s is to get a new key, which waits: %s", q.Holder, waitWords(rolled.Wait))
			}
			return g.say(cmd, "%s gets a new key, which issues when it has been published for %s", q.Holder, q.Soak)
		},
	}
	cmd.Flags().Var(&soak, "soak", "how long the new key is published before it issues")
	cmd.Flags().BoolVar(&abandon, "abandon", false, "give up the roll that is under way")
	cmd.MarkFlagsMutuallyExclusive("soak", "abandon")
	return cmd
}

func keysActivate(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "activate HOLDER",
		Short:   "Let the new key of a roll take over early, once no validator would lose a VRP",
		Example: "  cadastre keys activate acme",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := api.KeysActivate{Why: g.why(), Holder: args[0]}
			if _, err := ask[api.KeysActivate, api.Nothing](cmd.Context(), g, "/keys/activate", q); err != nil {
				return err
			}
			return g.say(cmd, "the new key of %s issues as soon as every reader can have its certificate; 'cadastre keys show %s' says when", q.Holder, q.Holder)
		},
	}
}

func keysShow(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "show HOLDER",
		Short:   "Show the keys of an organisation's CA: what each is certified for, where, and its state",
		Example: "  cadastre keys show acme\n  cadastre keys show acme -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := ask[api.Holder, []ca.KeyStatus](cmd.Context(), g, "/keys/show", api.Holder{Holder: args[0]})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), list, func(w io.Writer) { printKeys(w, list) })
		},
	}
}

func printKeys(w io.Writer, list []ca.KeyStatus) {
	if len(list) == 0 {
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KEY\tSTATE\tISSUES\tCLASS\tEXPIRES\tREPOSITORY\tRESOURCES")
	for _, k := range list {
		issues := "-"
		switch {
		case k.State == "active":
			issues = "now"
		case !k.Issues.IsZero():
			issues = "from " + when(k.Issues)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.SKI, k.State, issues, orDash(k.Class), when(k.Expires), orDash(k.Repository), orDash(shortened(k.Resources.String(), 90)))
	}
	_ = table.Flush()
}
