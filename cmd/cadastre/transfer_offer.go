package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/internal/fault"
)

func transferOffer(g *global) *cobra.Command {
	q := api.TransferOffer{}
	cmd := &cobra.Command{
		Use:   "offer ID",
		Short: "Print the parent_response that a holder's CA elsewhere needs to move with its resources",
		Long: "Prints the parent_response (RFC 8183) for the CA of a holder whose resources move, where it is elsewhere. The holder gives it to\n" +
			"its CA as another parent; what that is certified there is published beside what it has, which shrinks when the transfer is over.",
		Example: "  cadastre transfer offer 7 > parent_response.xml\n  cadastre transfer offer 7 --holder acme/shop > parent_response.xml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.ID, err = strconv.ParseUint(args[0], 10, 64); err != nil {
				return fault.New(fault.BadInput, "%q is no number of a transfer; 'cadastre transfer list' shows them", args[0])
			}
			offer, err := ask[api.TransferOffer, api.XML](cmd.Context(), g, "/transfers/offer", q)
			if err != nil {
				return err
			}
			return g.printXML(cmd, offer)
		},
	}
	cmd.Flags().StringVar(&q.Holder, "holder", "", "the holder whose CA it is for, where several move; its handle on this side")
	return cmd
}
