package main

import (
	"time"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/ca"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/term"
)

func holdingsExchange(g *global) *cobra.Command {
	q := api.HoldingsExchange{}
	var give, get, until, deadline string
	cmd := &cobra.Command{
		Use:   "exchange HOLDER --give OLD --get NEW (--until DATE | --deadline TIME)",
		Short: "Give a holder resources in place of others, which it keeps until a deadline",
		Long: "Gives a holder one block in place of several, or any resources in place of others, in one decision: the new are delegated, and the old\n" +
			"end at the deadline by themselves, through the brake like all that ends by its date. Until then the holder has both, and renumbers: it adds\n" +
			"ROAs for the new ones.",
		Example: "  cadastre holdings exchange acme --give '196.10.0.0/24 196.10.7.0/24' --get 196.11.0.0/22 --deadline 90d --dry-run\n" +
			"  cadastre holdings exchange acme --give '196.10.0.0/24 196.10.7.0/24' --get 196.11.0.0/22 --until 2027-06-30",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.Give, err = inr.Parse(give); err != nil {
				return fault.Wrap(err, "--give")
			}
			if q.Get, err = inr.Parse(get); err != nil {
				return fault.Wrap(err, "--get")
			}
			if deadline == "" {
				q.Deadline, err = parseDate("--until", until)
			} else {
				q.Deadline, err = ahead(deadline)
			}
			if err != nil {
				return err
			}
			q.Why, q.Holder = g.why(), args[0]
			f, err := ask[api.HoldingsExchange, *ca.Effect](cmd.Context(), g, "/holdings/exchange", q)
			return g.finish(cmd, f, err)
		},
	}
	addConsent(cmd, &q.Consent)
	cmd.Flags().StringVar(&give, "give", "", "what it has, and gives up at the deadline")
	cmd.Flags().StringVar(&get, "get", "", "what it gets at once")
	cmd.Flags().StringVar(&until, "until", "", "when the old end: "+untilUsage)
	cmd.Flags().StringVar(&deadline, "deadline", "", "the same as a time from now: 90d, or 36h")
	cmd.Flags().StringVar(&q.Ground, "ground", "", "the ground on which it gets the new ones; else that it is an exchange")
	_ = cmd.MarkFlagRequired("give")
	_ = cmd.MarkFlagRequired("get")
	cmd.MarkFlagsOneRequired("until", "deadline")
	cmd.MarkFlagsMutuallyExclusive("until", "deadline")
	return cmd
}

// ahead is the moment that is so far from now.
func ahead(text string) (time.Time, error) {
	long, err := term.Parse(text)
	if err == nil && long == 0 {
		err = fault.New(fault.BadInput, "%q is now; write when it is to be, such as 90d or 36h", text)
	}
	return time.Now().UTC().Add(long.Duration()), fault.Wrap(err, "--deadline")
}
