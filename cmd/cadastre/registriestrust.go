package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/internal/fault"
	"cadastre/moves"
)

func registriesDistrust(g *global) *cobra.Command {
	q := api.RegistriesDistrust{}
	cmd := &cobra.Command{
		Use:   "distrust NAME",
		Short: "Take no messages from another installation any more, and withdraw what came from it",
		Long: "Takes nothing more from another installation, from this moment on, and withdraws what came from it: transfers with it that are under\n" +
			"way are cancelled, and what it transferred to holders here is taken from whoever has it now, with the ROAs and ASPAs that came along. The\n" +
			"brake may hold the withdrawal until the command is repeated with the code that it printed; nothing is taken meanwhile either. It can always\n" +
			"be done, whatever the other installation says. 'registries trust' accepts what it says again.",
		Example: "  cadastre registries distrust ripe --dry-run\n  cadastre registries distrust ripe --reason 'it transfers what it does not hold'\n  cadastre registries distrust ripe --code 1a2b3c4d",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q.Why, q.Name = g.why(), args[0]
			d, err := ask[api.RegistriesDistrust, *moves.Distrusted](cmd.Context(), g, "/registries/distrust", q)
			if d == nil || err != nil && fault.KindOf(err) != fault.Refused {
				return err
			}
			if printErr := g.print(cmd.OutOrStdout(), d, func(w io.Writer) { printDistrusted(w, d) }); printErr != nil {
				return printErr
			}
			return err
		},
	}
	addConsent(cmd, &q.Consent)
	return cmd
}

func printDistrusted(w io.Writer, d *moves.Distrusted) {
	if !d.DryRun {
		fmt.Fprintf(w, "nothing more is taken from %s\n", d.Name)
	}
	fmt.Fprintf(w, "%d transfers are cancelled, what %d had brought is withdrawn, and %d intents end\n", len(d.Cancels), len(d.Disowns), d.Intents)
	if d.Effect != nil {
		printEffect(w, d.Effect)
	}
}

func registriesTrust(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "trust NAME",
		Short: "Take messages from another installation again",
		Long: "Takes what another installation says again, after 'registries distrust'. What was withdrawn does not come back: its holders' transfers\n" +
			"begin anew.",
		Example: "  cadastre registries trust ripe --reason 'it was broken into, and is clean again'",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := ask[api.RegistriesTrust, api.Nothing](cmd.Context(), g, "/registries/trust", api.RegistriesTrust{Why: g.why(), Name: args[0]}); err != nil {
				return err
			}
			return g.say(cmd, "%s is trusted: what it says is taken again", args[0])
		},
	}
}
