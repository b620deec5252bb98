package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/ca"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

func holdingsExchange(g *global) *cobra.Command {
	q := api.HoldingsExchange{}
	var give, get, until, deadline string
	cmd := &cobra.Command{
		Use:   "exchange HOLDER --give OLD --get NEW --until DATE",
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
			q.By, q.Holder = g.by(), args[0]
			f, err := ask[api.HoldingsExchange, *ca.Effect](cmd.Context(), g, "/holdings/exchange", q)
			return g.finish(cmd, f, err)
		},
	}
	addConsent(cmd, &q.Consent)
	cmd.Flags().StringVar(&give, "give", "", "what it has, and gives up at the deadline")
	cmd.Flags().StringVar(&get, "get", "", "what it gets at once")
	cmd.Flags().StringVar(&until, "until", "", "when the old end: 2026-01-31, or with a time (RFC 3339)")
	cmd.Flags().StringVar(&deadline, "deadline", "", "the same as a time from now: 90d, or 36h")
	cmd.Flags().StringVar(&q.Ground, "ground", "", "the ground on which it gets the new ones; else that it is an exchange")
	_ = cmd.MarkFlagRequired("give")
	_ = cmd.MarkFlagRequired("get")
	cmd.MarkFlagsOneRequired("until", "deadline")
	cmd.MarkFlagsMutuallyExclusive("until", "deadline")
	return cmd
}

// maxDays keeps a deadline within what can be reckoned with.
const maxDays = 36500

// ahead is the moment that is so many days, or a duration, from now.
func ahead(text string) (time.Time, error) {
	if days, inDays := strings.CutSuffix(text, "d"); inDays {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n <= maxDays {
			return time.Now().UTC().AddDate(0, 0, n), nil
		}
	} else if long, err := time.ParseDuration(text); err == nil && long > 0 {
		return time.Now().UTC().Add(long), nil
	}
	return time.Time{}, fault.New(fault.BadInput, "--deadline is %q; write 90d or 36h", text)
}
