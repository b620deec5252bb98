package api

import (
	"context"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/principal"
	"cadastre/roa"
)

// PolicyShow asks for the policy that applies to an organisation, or for those of all registries.
type PolicyShow struct {
	Registry string `json:"registry,omitempty"`
}

// PolicySet asks that a registry have this policy for transfers.
type PolicySet struct {
	Why
	Policy holdings.Policy `json:"policy"`
}

func (s server) policy(mux *router) {
	handle(mux, principal.Read, "/policy/show", s.policyShow)
	handle(mux, principal.Change, "/policy/set", func(ctx context.Context, q PolicySet) (*ca.Effect, error) {
		return s.engine.Decide(ca.Consent{}, ca.OfLedger(func(l *holdings.Ledger) (*holdings.Outcome, error) { return l.SetPolicy(q.by(ctx), q.Policy) }))
	})
}

func (s server) policyShow(_ context.Context, q PolicyShow) ([]holdings.Policy, error) {
	list := []holdings.Policy{}
	err := s.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		if q.Registry != "" {
			p, ok := l.PolicyOf(q.Registry)
			if !ok {
				return fault.New(fault.NotFound, "there is no registry %q, which could have a policy; 'cadastre policy show' lists them", q.Registry)
			}
			list = append(list, p)
			return nil
		}
		for _, handle := range l.Children(l.Root()) {
			if p, ok := l.PolicyOf(handle); ok {
				list = append(list, p)
			}
			for _, below := range l.Children(handle) {
				if p, _ := l.PolicyOf(below); p.Registry == below {
					list = append(list, p)
				}
			}
		}
		return nil
	})
	return list, err
}
