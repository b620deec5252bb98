package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/moves"
)

func newRegistries(g *global) *cobra.Command {
	cmd := newNoun("registries", "Manage other installations that resources move to and come from",
		"  cadastre registries introduce > introduction.xml\n  cadastre registries add ripe --introduction theirs.xml\n  cadastre registries list")
	cmd.AddCommand(registriesIntroduce(g), registriesAdd(g), registriesList(g), registriesShow(g), registriesUpdate(g), registriesDistrust(g), registriesTrust(g), registriesRemove(g))
	return cmd
}

func registriesIntroduce(g *global) *cobra.Command {
	var tal, roots string
	cmd := &cobra.Command{
		Use:   "introduce",
		Short: "Print the introduction of this installation, for another to add",
		Long: "Prints the introduction of this installation: its identity, where it is sent messages, the registries that it keeps, and the trust\n" +
			"anchor below which others look for what it publishes. Both sides introduce themselves, and add each other.",
		Example: "  cadastre registries introduce > introduction.xml\n  cadastre registries introduce --tal iana.tal --tls-ca iana-ca.pem > introduction.xml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			q := api.RegistriesIntroduce{}
			for _, file := range []struct {
				path string
				to   *string
			}{{tal, &q.TAL}, {roots, &q.TLSRoots}} {
				if file.path == "" {
					continue
				}
				if *file.to, err = readExchanged(cmd, file.path); err != nil {
					return err
				}
			}
			introduction, err := ask[api.RegistriesIntroduce, api.XML](cmd.Context(), g, "/registries/introduce", q)
			if err != nil {
				return err
			}
			return g.printXML(cmd, introduction)
		},
	}
	cmd.Flags().StringVar(&tal, "tal", "", "file with the TAL of the trust anchor that registries here are certified by, if it is not our own")
	cmd.Flags().StringVar(&roots, "tls-ca", "", "PEM file of TLS authorities that others need to fetch what is published, besides the one that init made")
	return cmd
}

func registriesAdd(g *global) *cobra.Command {
	q := api.RegistriesAdd{}
	var introduction string
	cmd := &cobra.Command{
		Use:   "add [NAME] --introduction FILE",
		Short: "Add another installation by its introduction",
		Long: "Takes the introduction that another installation printed. Check by another way that it is theirs: from then on what it says about\n" +
			"transfers counts. The name is what it is called here; by default what it calls itself.",
		Example: "  cadastre registries add ripe --introduction theirs.xml\n  cadastre registries add --introduction -",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.Introduction, err = readExchanged(cmd, introduction); err != nil {
				return err
			}
			if q.Why = g.why(); len(args) > 0 {
				q.Name = args[0]
			}
			added, err := ask[api.RegistriesAdd, *moves.PeerStatus](cmd.Context(), g, "/registries/add", q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), added, func(w io.Writer) {
				fmt.Fprintf(w, "%s is known as the keeper of %s\n", added.Name, strings.Join(added.Registries, ", "))
			})
		},
	}
	cmd.Flags().StringVar(&introduction, "introduction", "", "file with its introduction; - reads standard input")
	_ = cmd.MarkFlagRequired("introduction")
	return cmd
}

func registriesList(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "Show the installations that are known, and when each was last heard",
		Example: "  cadastre registries list\n  cadastre registries list -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := ask[api.Nothing, []moves.PeerStatus](cmd.Context(), g, "/registries/list", api.Nothing{})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), list, func(w io.Writer) { printRegistries(w, list) })
		},
	}
}

func printRegistries(w io.Writer, list []moves.PeerStatus) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tREGISTRIES\tOPEN\tLAST CONTACT\tIDENTITY ENDS\tSERVICE\tERROR")
	for _, p := range list {
		if !p.Distrusted.IsZero() {
			p.Error = "distrusted since " + when(p.Distrusted)
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", p.Name, shortened(strings.Join(p.Registries, ","), 40), p.Open, when(p.Contact), when(p.IdentityExpires), p.ServiceURI, orDash(p.Error))
	}
	_ = table.Flush()
}

func registriesShow(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "show NAME",
		Short:   "Show what is known of another installation",
		Example: "  cadastre registries show ripe\n  cadastre registries show ripe -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := ask[api.Named, *moves.PeerStatus](cmd.Context(), g, "/registries/show", api.Named{Name: args[0]})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), p, func(w io.Writer) {
				printRegistries(w, []moves.PeerStatus{*p})
				fmt.Fprintf(w, "its key is %s\nits trust anchor is\n%s\n", p.Handle, strings.TrimSpace(p.TAL))
			})
		},
	}
}

func registriesUpdate(g *global) *cobra.Command {
	q := api.RegistriesUpdate{}
	var introduction string
	cmd := &cobra.Command{
		Use:   "update NAME --introduction FILE | --reset-replay",
		Short: "Take a new introduction of another installation, or its messages again after its clock was wrong",
		Long: "With --introduction it takes a new introduction: what the old identity signs is refused from then on. With --reset-replay it\n" +
			"forgets when the newest message was signed; until the next one comes, an old one could be replayed.",
		Example: "  cadastre registries update ripe --introduction theirs.xml\n  cadastre registries update ripe --reset-replay",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.Why, q.Name = g.why(), args[0]; !q.ResetReplay {
				if q.Introduction, err = readExchanged(cmd, introduction); err != nil {
					return err
				}
			}
			if _, err := ask[api.RegistriesUpdate, api.Nothing](cmd.Context(), g, "/registries/update", q); err != nil {
				return err
			}
			if q.ResetReplay {
				return g.say(cmd, "the next message of %s is taken, whenever it was signed", q.Name)
			}
			return g.say(cmd, "%s is known by its new introduction", q.Name)
		},
	}
	cmd.Flags().StringVar(&introduction, "introduction", "", "file with its new introduction; - reads standard input")
	cmd.Flags().BoolVar(&q.ResetReplay, "reset-replay", false, "forget when its newest message was signed: its clock was ahead and has been put right")
	cmd.MarkFlagsOneRequired("introduction", "reset-replay")
	cmd.MarkFlagsMutuallyExclusive("introduction", "reset-replay")
	return cmd
}

func registriesRemove(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "remove NAME",
		Short:   "Remove another installation",
		Long:    "Forgets another installation, and answers it no more. It is refused while transfers with it are open.",
		Example: "  cadastre registries remove ripe --reason 'it has a new address'",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := ask[api.RegistriesRemove, api.Nothing](cmd.Context(), g, "/registries/remove", api.RegistriesRemove{Why: g.why(), Name: args[0]}); err != nil {
				return err
			}
			return g.say(cmd, "%s is not known any more", args[0])
		},
	}
}
