package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/rrdp/publisher"
)

func newPublishers(g *global) *cobra.Command {
	cmd := newNoun("publishers", "Manage CAs elsewhere that publish here (RFC 8181)",
		"  cadastre publishers add acme --request publisher_request.xml > repository_response.xml\n  cadastre publishers list")
	cmd.AddCommand(publishersAdd(g), publishersResponse(g), publishersShow(g), publishersList(g), publishersUpdate(g), publishersRemove(g))
	return cmd
}

func publishersAdd(g *global) *cobra.Command {
	q := api.PublishersAdd{}
	var request string
	cmd := &cobra.Command{
		Use:   "add HANDLE --request FILE",
		Short: "Let a CA elsewhere publish here, and print the repository_response for it",
		Long: "Takes the publisher_request that a CA made (RFC 8183), and prints the repository_response that it needs. It may publish below one\n" +
			"URI of its own, in the repository of a registry.",
		Example: "  cadastre publishers add acme --request publisher_request.xml > repository_response.xml\n  cadastre publishers add acme --request - --repository afrinic",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.Request, err = readExchanged(cmd, request); err != nil {
				return err
			}
			q.Handle = args[0]
			response, err := ask[api.PublishersAdd, api.XML](cmd.Context(), g, "/publishers/add", q)
			if err != nil {
				return err
			}
			return g.printXML(cmd, response)
		},
	}
	cmd.Flags().StringVar(&request, "request", "", "file with its publisher_request; - reads standard input")
	cmd.Flags().StringVar(&q.Repository, "repository", "", "the registry in whose repository it publishes (default: the root)")
	_ = cmd.MarkFlagRequired("request")
	return cmd
}

func publishersResponse(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "response HANDLE",
		Short:   "Print the repository_response for a publisher again",
		Example: "  cadastre publishers response acme > repository_response.xml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			response, err := ask[api.Publisher, api.XML](cmd.Context(), g, "/publishers/response", api.Publisher{Handle: args[0]})
			if err != nil {
				return err
			}
			return g.printXML(cmd, response)
		},
	}
}

func publishersShow(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "show HANDLE",
		Short:   "Show a publisher: what it has published, its limits, and what is wrong with its objects",
		Example: "  cadastre publishers show acme\n  cadastre publishers show acme -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := ask[api.Publisher, *publisher.Info](cmd.Context(), g, "/publishers/show", api.Publisher{Handle: args[0]})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), p, func(w io.Writer) { printPublisher(w, p) })
		},
	}
}

func printPublisher(w io.Writer, p *publisher.Info) {
	fmt.Fprintf(w, "publisher       %s\nrepository      %s\nbase            %s\nnotification    %s\nadded           %s\nidentity ends   %s\n",
		p.Handle, p.Registry, p.Base, orDash(p.Notification), when(p.Added), when(p.IdentityExpires))
	fmt.Fprintf(w, "last message    %s\nlast change     %s\nobjects         %d of %d\nbytes           %d of %d\nkept            %d of %d bytes, with what was replaced in the last hours\nobject bytes    at most %d\nchanges         at most %d an hour\n",
		when(p.LastSigned), when(p.LastPublished), p.Objects, p.Limits.Objects, p.Bytes, p.Limits.Bytes, p.Kept, p.Limits.Kept, p.Limits.ObjectBytes, p.Limits.Changes)
	for _, problem := range p.Problems {
		fmt.Fprintf(w, "problem         %s\n", problem)
	}
}

func publishersList(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "Show who publishes here, and how much",
		Example: "  cadastre publishers list\n  cadastre publishers list -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := ask[api.Nothing, []publisher.Info](cmd.Context(), g, "/publishers/list", api.Nothing{})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), list, func(w io.Writer) {
				table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				fmt.Fprintln(table, "HANDLE\tREPOSITORY\tOBJECTS\tBYTES\tLAST MESSAGE\tLAST CHANGE\tIDENTITY ENDS\tPROBLEMS")
				for _, p := range list {
					fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%s\t%s\t%s\t%d\n", p.Handle, p.Registry, p.Objects, p.Bytes, when(p.LastSigned), when(p.LastPublished), when(p.IdentityExpires), len(p.Problems))
				}
				_ = table.Flush()
			})
		},
	}
}

func publishersUpdate(g *global) *cobra.Command {
	u := updateFlags{}
	cmd := &cobra.Command{
		Use:   "update HANDLE --request FILE | --reset-replay",
		Short: "Give a publisher a new identity, or take its messages again after its clock was wrong",
		Long: "With --request it takes a new publisher_request, and prints the repository_response: what the old identity signs is refused from\n" +
			"then on. With --reset-replay it forgets when the newest message was signed; until the next one comes, an old one could be replayed.",
		Example: "  cadastre publishers update acme --request publisher_request.xml > repository_response.xml\n  cadastre publishers update acme --reset-replay",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			update, err := u.read(cmd)
			if err != nil {
				return err
			}
			response, err := ask[api.PublishersUpdate, api.XML](cmd.Context(), g, "/publishers/update", api.PublishersUpdate{Update: update, Handle: args[0]})
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

func publishersRemove(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "remove HANDLE",
		Short:   "Remove a publisher, and withdraw all that it published",
		Example: "  cadastre publishers remove acme",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := ask[api.Publisher, api.Nothing](cmd.Context(), g, "/publishers/remove", api.Publisher{Handle: args[0]}); err != nil {
				return err
			}
			return g.say(cmd, "%s publishes here no more", args[0])
		},
	}
}
