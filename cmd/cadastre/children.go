package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/ca"
)

func newChildren(g *global) *cobra.Command {
	cmd := newNoun("children", "Manage organisations whose CA is elsewhere (RFC 6492)",
		"  cadastre children add acme --request child_request.xml > parent_response.xml\n  cadastre children list")
	cmd.AddCommand(childrenAdd(g), childrenResponse(g), childrenShow(g), childrenList(g), childrenUpdate(g), childrenRemove(g))
	return cmd
}

func childrenAdd(g *global) *cobra.Command {
	q := api.ChildrenAdd{}
	var request string
	cmd := &cobra.Command{
		Use:   "add HANDLE --request FILE",
		Short: "Let an organisation of the ledger run its CA elsewhere, and print the parent_response for it",
		Long: "Takes the child_request that an organisation's CA made (RFC 8183), and prints the parent_response that it needs. From then on the CA\n" +
			"may ask for certificates over what the organisation holds, and sees at its next contact what is delegated to it or taken.",
		Example: "  cadastre children add acme --request child_request.xml > parent_response.xml\n  cadastre children add acme --request - -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.Request, err = readExchanged(cmd, request); err != nil {
				return err
			}
			q.Why, q.Holder = g.why(), args[0]
			response, err := ask[api.ChildrenAdd, api.XML](cmd.Context(), g, "/children/add", q)
			if err != nil {
				return err
			}
			return g.printXML(cmd, response)
		},
	}
	cmd.Flags().StringVar(&request, "request", "", "file with its child_request; - reads standard input")
	_ = cmd.MarkFlagRequired("request")
	return cmd
}

func childrenResponse(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "response HANDLE",
		Short:   "Print the parent_response for an organisation's CA again",
		Example: "  cadastre children response acme > parent_response.xml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			response, err := ask[api.Holder, api.XML](cmd.Context(), g, "/children/response", api.Holder{Holder: args[0]})
			if err != nil {
				return err
			}
			return g.printXML(cmd, response)
		},
	}
}

func childrenShow(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "show HANDLE",
		Short:   "Show an organisation's CA, and the keys that it has certified",
		Example: "  cadastre children show acme\n  cadastre children show acme -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			child, err := ask[api.Holder, *ca.ChildStatus](cmd.Context(), g, "/children/show", api.Holder{Holder: args[0]})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), child, func(w io.Writer) {
				printChildren(w, []ca.ChildStatus{*child})
				printKeys(w, child.Keys)
			})
		},
	}
}

func childrenList(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "Show the organisations whose CA is elsewhere, and the last message of each",
		Example: "  cadastre children list\n  cadastre children list -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := ask[api.Nothing, []ca.ChildStatus](cmd.Context(), g, "/children/list", api.Nothing{})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), list, func(w io.Writer) { printChildren(w, list) })
		},
	}
}

func printChildren(w io.Writer, list []ca.ChildStatus) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "HOLDER\tHANDLE\tKEYS\tLAST CONTACT\tLAST VALID\tIDENTITY ENDS\tNOTICE ENDS")
	for _, c := range list {
		notice := "-"
		if !c.Notice.IsZero() {
			notice = c.Notice.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", c.Holder, c.Handle, len(c.Keys), when(c.Contact), when(c.Valid), when(c.IdentityExpires), notice)
	}
	_ = table.Flush()
}

func childrenUpdate(g *global) *cobra.Command {
	u := updateFlags{}
	cmd := &cobra.Command{
		Use:   "update HANDLE --request FILE | --reset-replay",
		Short: "Give an organisation's CA a new identity, or take its messages again after its clock was wrong",
		Long: "With --request it takes a new child_request, and prints the parent_response: what the old identity signs is refused from then on.\n" +
			"With --reset-replay it forgets when the newest message was signed; until the next one comes, an old one could be replayed.",
		Example: "  cadastre children update acme --request child_request.xml > parent_response.xml\n  cadastre children update acme --reset-replay",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			update, err := u.read(cmd)
			if err != nil {
				return err
			}
			response, err := ask[api.ChildrenUpdate, api.XML](cmd.Context(), g, "/children/update", api.ChildrenUpdate{Why: g.why(), Update: update, Holder: args[0]})
			switch {
			case err != nil:
				return err
			case update.ResetReplay:
				return g.say(cmd, "the next message of %s is taken, whenever it was signed", args[0])
			}
			return g.printXML(cmd, response)
		},
	}
	u.add(cmd)
	return cmd
}

func childrenRemove(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "remove HANDLE",
		Short:   "Remove an organisation's CA elsewhere, and revoke its certificates",
		Long:    "Revokes the certificates of an organisation's CA that is elsewhere, and answers it no more. The organisation and what it holds stay.",
		Example: "  cadastre children remove acme --reason 'it runs no CA any more'",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := ask[api.ChildrenRemove, api.Nothing](cmd.Context(), g, "/children/remove", api.ChildrenRemove{Why: g.why(), Holder: args[0]}); err != nil {
				return err
			}
			return g.say(cmd, "%s has no CA elsewhere any more", args[0])
		},
	}
}
