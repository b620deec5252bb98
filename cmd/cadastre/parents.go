package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/ca"
)

func newParents(g *global) *cobra.Command {
	cmd := newNoun("parents", "Manage CAs elsewhere that certify organisations here (RFC 6492)",
		"  cadastre parents request acme > child_request.xml\n  cadastre parents add acme apnic --response parent_response.xml")
	cmd.AddCommand(parentsRequest(g),
		parentsResponse(g, "add", "Have an organisation's CA ask a parent elsewhere for certificates", "added to the parents"),
		parentsResponse(g, "update", "Take a new parent_response of a parent that is known: a new identity or address", "updated among the parents"),
		parentsList(g), parentsRefresh(g), parentsRemove(g))
	return cmd
}

func parentsRequest(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "request HOLDER",
		Short:   "Print the child_request that a parent elsewhere wants of an organisation's CA",
		Example: "  cadastre parents request acme > child_request.xml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := ask[api.Holder, api.XML](cmd.Context(), g, "/parents/request", api.Holder{Holder: args[0]})
			if err != nil {
				return err
			}
			return g.printXML(cmd, request)
		},
	}
}

// parentsResponse is the commands that take a parent_response: add and update.
func parentsResponse(g *global, verb, short, done string) *cobra.Command {
	q := api.ParentsAdd{}
	var response string
	cmd := &cobra.Command{
		Use:   verb + " HOLDER NAME --response FILE",
		Short: short,
		Long: short + ".\nThe file is the parent_response (RFC 8183) that the parent made of our child_request; the name is ours for it. What the parent\n" +
			"certifies the organisation then holds, beside what is delegated to it here.",
		Example: "  cadastre parents " + verb + " acme apnic --response parent_response.xml\n  cadastre parents " + verb + " acme apnic --response -",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.Response, err = readExchanged(cmd, response); err != nil {
				return err
			}
			q.Why, q.Holder, q.Name = g.why(), args[0], args[1]
			if _, err := ask[api.ParentsAdd, api.Nothing](cmd.Context(), g, "/parents/"+verb, q); err != nil {
				return err
			}
			return g.say(cmd, "%s is %s of %s", q.Name, done, q.Holder)
		},
	}
	cmd.Flags().StringVar(&response, "response", "", "file with the parent_response; - reads standard input")
	_ = cmd.MarkFlagRequired("response")
	return cmd
}

func parentsList(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "list [HOLDER]",
		Short:   "Show parents elsewhere, what they certify, and how they answer",
		Example: "  cadastre parents list\n  cadastre parents list acme -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := api.ParentsList{}
			if len(args) > 0 {
				q.Holder = args[0]
			}
			list, err := ask[api.ParentsList, []ca.ParentStatus](cmd.Context(), g, "/parents/list", q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), list, func(w io.Writer) { printParents(w, list) })
		},
	}
}

func printParents(w io.Writer, list []ca.ParentStatus) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "HOLDER\tNAME\tLAST ANSWER\tIDENTITY ENDS\tSERVICE\tERROR")
	for _, p := range list {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", p.Holder, p.Name, when(p.Refreshed), when(p.IdentityExpires), p.ServiceURI, orDash(p.Error))
	}
	_ = table.Flush()
	for _, p := range list {
		for _, class := range p.Classes {
			fmt.Fprintf(w, "%s by %s, class %s: %s\n", p.Holder, p.Name, class.Name, shortened(class.Entitled.String(), 90))
			printKeys(w, class.Keys)
		}
	}
}

func parentsRefresh(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "refresh [HOLDER [NAME]]",
		Short:   "Ask parents elsewhere now what they certify, and act on it",
		Long:    "Asks parents elsewhere now what they certify, and follows it: one parent, those of an organisation, or all. The daemon does so by itself.",
		Example: "  cadastre parents refresh\n  cadastre parents refresh acme apnic",
		Args:    cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := api.ParentsRefresh{}
			for i, to := range []*string{&q.Holder, &q.Name} {
				if i < len(args) {
					*to = args[i]
				}
			}
			if _, err := ask[api.ParentsRefresh, api.Nothing](cmd.Context(), g, "/parents/refresh", q); err != nil {
				return err
			}
			return g.say(cmd, "the parents were asked")
		},
	}
}

func parentsRemove(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "remove HOLDER NAME",
		Short:   "Remove a parent elsewhere: it is asked to revoke what it certified",
		Long:    "Leaves a parent elsewhere. What rested on its certificates is withdrawn, and it is asked to revoke them.",
		Example: "  cadastre parents remove acme apnic --reason 'the resources were returned'",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := api.ParentsRemove{Why: g.why(), Holder: args[0], Name: args[1]}
			if _, err := ask[api.ParentsRemove, api.Nothing](cmd.Context(), g, "/parents/remove", q); err != nil {
				return err
			}
			return g.say(cmd, "%s is no parent of %s any more", q.Name, q.Holder)
		},
	}
}
