package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cadastre/api"
	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/fault"
)

func newPolicy(g *global) *cobra.Command {
	cmd := newNoun("policy", "Show or set registries' policies for transfers",
		"  cadastre policy show\n  cadastre policy set afrinic --profile market --lock-in ipv4=730d --smallest ipv4=24")
	cmd.AddCommand(policyShow(g), policySet(g))
	return cmd
}

func policyShow(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "show [REGISTRY]",
		Short:   "Show the policies of registries for transfers, as set or by default",
		Example: "  cadastre policy show\n  cadastre policy show afrinic -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := ask[api.PolicyShow, []holdings.Policy](cmd.Context(), g, "/policy/show", api.PolicyShow{Registry: strings.Join(args, "")})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), list, func(w io.Writer) {
				for _, p := range list {
					printPolicy(w, p)
				}
			})
		},
	}
}

func printPolicy(w io.Writer, p holdings.Policy) {
	set := "by default"
	if p.Decision != 0 {
		set = fmt.Sprintf("decision %d", p.Decision)
	}
	fmt.Fprintf(w, "%s: %s (%s)\n", p.Registry, p.Profile, set)
	fmt.Fprintf(w, "  approves      %s; a transfer without an answer is cancelled after %s\n", p.Approval, p.Answer)
	if p.Profile == holdings.Portable {
		fmt.Fprintf(w, "  may object    for %s, on the grounds %s\n", p.Object, strings.Join(p.Grounds, ", "))
	}
	for _, kind := range slices.Sorted(maps.Keys(p.LockIn)) {
		fmt.Fprintf(w, "  locks in      %s for %s\n", kind, p.LockIn[kind])
	}
	for _, kind := range slices.Sorted(maps.Keys(p.Smallest)) {
		fmt.Fprintf(w, "  smallest      %s /%d\n", kind, p.Smallest[kind])
	}
	if len(p.Exchanges) == 0 {
		fmt.Fprintln(w, "  exchanges     everything with every registry")
	}
	for _, e := range p.Exchanges {
		fmt.Fprintf(w, "  exchanges     with %s: out %s, in %s\n", e.With, kindsText(e.Out), kindsText(e.In))
	}
	finalised := "when the registry says so"
	if p.Automatic {
		finalised = "by itself"
	}
	fmt.Fprintf(w, "  soak          %s, then finalised %s\n  bridge        %s at most\n", p.Soak, finalised, p.Bridge)
}

func kindsText(kinds []holdings.ResourceKind) string {
	if len(kinds) == 0 {
		return "nothing"
	}
	var words []string
	for _, k := range kinds {
		words = append(words, string(k))
	}
	return strings.Join(words, "+")
}

// policyFlags are the flags of 'policy set', as they are typed.
type policyFlags struct {
	profile, approval            string
	answer, object, soak, bridge string
	grounds                      []string
	lockIn, smallest, exchange   []string
	automatic                    bool
	changed                      func(flag string) bool
}

func policySet(g *global) *cobra.Command {
	f := &policyFlags{}
	cmd := &cobra.Command{
		Use:   "set REGISTRY",
		Short: "Set the policy of a registry for transfers",
		Long: "Sets what is named and leaves the rest as it is; another profile begins with the defaults of that profile.\n\n" +
			"  restricted  only mergers and takeovers move resources (APNIC-086, section 9.9)\n" +
			"  market      from holder to holder, as far as the flags let them\n" +
			"  portable    a holder moves as of right; the registry may object for a time, on listed grounds only, and silence is consent\n\n" +
			"--exchange takes REGISTRY:out:KINDS or REGISTRY:in:KINDS, with kinds as ipv4+ipv6+asn; REGISTRY may be * for all that are not named.\n" +
			"As soon as one is given, what none names does not go between registries; any lets everything go again, none nothing.",
		Example: "  cadastre policy set afrinic --profile restricted\n  cadastre policy set lacnic --profile portable --object 10d --grounds dispute,fraud,court-order\n" +
			"  cadastre policy set lacnic --lock-in ipv4=730d,asn=365d --smallest ipv4=24,ipv6=48 --exchange ripe:out:ipv4+asn --exchange ripe:in:ipv4\n" +
			"  cadastre policy set lacnic --approval always --soak 24h --automatic=false",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := ask[api.PolicyShow, []holdings.Policy](cmd.Context(), g, "/policy/show", api.PolicyShow{Registry: args[0]})
			if err != nil {
				return err
			}
			f.changed = cmd.Flags().Changed
			p, err := f.apply(args[0], list[0])
			if err != nil {
				return err
			}
			effect, err := ask[api.PolicySet, *ca.Effect](cmd.Context(), g, "/policy/set", api.PolicySet{Why: g.why(), Policy: p})
			if err != nil {
				return err
			}
			if effect.Decision == 0 {
				return g.say(cmd, "the policy of %s is so already", p.Registry)
			}
			return g.say(cmd, "%s has a new policy, by decision %d", p.Registry, effect.Decision)
		},
	}
	f.add(cmd.Flags())
	return cmd
}

func (f *policyFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.profile, "profile", "", "restricted, market or portable")
	flags.StringVar(&f.approval, "approval", "", "which transfers to its holders it approves: never, between (registries) or always")
	flags.StringVar(&f.answer, "answer", "", "how long a transfer waits for an answer before it is cancelled, such as 30d")
	flags.StringVar(&f.object, "object", "", "how long a portable registry may object")
	flags.StringSliceVar(&f.grounds, "grounds", nil, "the grounds on which it may")
	flags.StringSliceVar(&f.lockIn, "lock-in", nil, "how long a holder keeps a kind of resources, such as ipv4=730d; 0d for none")
	flags.StringSliceVar(&f.smallest, "smallest", nil, "the length of the smallest prefixes, such as ipv4=24; 0 for none")
	flags.StringArrayVar(&f.exchange, "exchange", nil, "REGISTRY:out:KINDS or REGISTRY:in:KINDS, any or none; replaces those that there are")
	flags.StringVar(&f.soak, "soak", "", "how long the recipient's side is seen before the donor's goes")
	flags.BoolVar(&f.automatic, "automatic", true, "finalise by itself after the soak")
	flags.StringVar(&f.bridge, "bridge", "", "for how long at most a new holder keeps what the donor had authorised")
}

// apply is a policy with what the flags change.
func (f *policyFlags) apply(registry string, p holdings.Policy) (holdings.Policy, error) {
	if f.changed("profile") && holdings.Profile(holdings.Fold(f.profile)) != p.Profile {
		p = holdings.DefaultPolicy(registry, holdings.Profile(holdings.Fold(f.profile)))
	}
	p.Registry = holdings.Fold(registry) // an NIR that has none of its own begins with its RIR's
	if f.changed("approval") {
		p.Approval = holdings.Approval(f.approval)
	}
	if f.changed("grounds") {
		p.Grounds = f.grounds
	}
	if f.changed("automatic") {
		p.Automatic = f.automatic
	}
	for _, term := range []struct {
		flag, text string
		to         *holdings.Term
	}{{"answer", f.answer, &p.Answer}, {"object", f.object, &p.Object}, {"soak", f.soak, &p.Soak}, {"bridge", f.bridge, &p.Bridge}} {
		if !f.changed(term.flag) {
			continue
		}
		parsed, err := holdings.ParseTerm(term.text)
		if err != nil {
			return p, fault.Wrap(err, "--%s", term.flag)
		}
		*term.to = parsed
	}
	if err := eachOf("lock-in", f.lockIn, &p.LockIn, holdings.ParseTerm); err != nil {
		return p, err
	}
	if err := eachOf("smallest", f.smallest, &p.Smallest, strconv.Atoi); err != nil {
		return p, err
	}
	if f.changed("exchange") {
		return p, parseExchanges(f.exchange, &p)
	}
	return p, nil
}

// eachOf sets what words like ipv4=24 say; what is zero is taken out.
func eachOf[V int | holdings.Term](flag string, words []string, to *map[holdings.ResourceKind]V, parse func(string) (V, error)) error {
	all := maps.Clone(*to)
	if all == nil {
		all = map[holdings.ResourceKind]V{}
	}
	for _, word := range words {
		kind, text, found := strings.Cut(word, "=")
		value, err := parse(text)
		if !found || err != nil {
			return fault.New(fault.BadInput, "--%s: %q is not like ipv4=...; 'cadastre policy set --help' shows how it is written", flag, word)
		}
		if all[holdings.ResourceKind(holdings.Fold(kind))] = value; value == 0 {
			delete(all, holdings.ResourceKind(holdings.Fold(kind)))
		}
	}
	*to = all
	return nil
}

func parseExchanges(words []string, p *holdings.Policy) error {
	p.Exchanges = nil
	for _, word := range words {
		parts := strings.Split(word, ":")
		switch {
		case len(words) == 1 && word == "any":
			return nil
		case len(words) == 1 && word == "none":
			p.Exchanges = []holdings.Exchange{{With: holdings.Anyone}}
			return nil
		case len(parts) != 3 || parts[1] != "out" && parts[1] != "in":
			return fault.New(fault.BadInput, "--exchange: %q is not like ripe:out:ipv4+asn", word)
		}
		at := slices.IndexFunc(p.Exchanges, func(e holdings.Exchange) bool { return e.With == holdings.Fold(parts[0]) })
		if at < 0 {
			at = len(p.Exchanges)
			p.Exchanges = append(p.Exchanges, holdings.Exchange{With: holdings.Fold(parts[0])})
		}
		for kind := range strings.SplitSeq(parts[2], "+") {
			if k := holdings.ResourceKind(holdings.Fold(kind)); parts[1] == "out" {
				p.Exchanges[at].Out = append(p.Exchanges[at].Out, k)
			} else {
				p.Exchanges[at].In = append(p.Exchanges[at].In, k)
			}
		}
	}
	return nil
}
