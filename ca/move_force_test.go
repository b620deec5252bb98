package ca_test

import (
	"context"
	"slices"
	"testing"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/relying"
	"cadastre/moves"
)

// TestForcedFromAHolderHere: where the donor's CA is here and the recipient's is elsewhere and never comes, the donor's certificate is
// named, and what ends with it takes a code. What goes along with the same holder is published by a CA here, and does not end.
func TestForcedFromAHolderHere(t *testing.T) {
	for kind, lost := range map[holdings.TransferKind][]string{holdings.Merger: {}, holdings.Market: {"41.0.16.0/20,20,AS36002"}} {
		inScene(t, func(s *scene) {
			s.Enrol("afrinic/z", "afrinic", holdings.LIR)
			s.Elsewhere("afrinic/z")
			s.Settle()
			s.mover.Look = func(context.Context, string, string, ...string) (*relying.Report, error) { return s.Seen(), nil }
			id := s.begin(moves.Request{Kind: kind, From: "afrinic/a", To: "afrinic/z", Resources: s.Set("41.0.0.0/18")})
			s.until(func() bool { st, _ := s.mover.Show(id); return st.On == "the CA of afrinic/z" })
			s.until(func() bool {
				_, err := s.mover.Force(t.Context(), s.By(), id, ca.Consent{DryRun: true})
				return fault.KindOf(err) != fault.Busy
			})
			dry, err := s.mover.Force(t.Context(), s.By(), id, ca.Consent{DryRun: true})
			if err != nil || len(dry.Certificates) != 1 || !slices.Equal(dry.Lost, lost) || (dry.Code == "") != (len(lost) == 0) {
				t.Fatalf("a %s: certificates %v, lost %v, code %q: %v", kind, dry.Certificates, dry.Lost, dry.Code, err)
			}
			if _, err := s.mover.Force(t.Context(), s.By(), id, ca.Consent{}); len(lost) > 0 && fault.KindOf(err) != fault.Refused {
				t.Fatalf("a %s is forced without a code: %v", kind, err)
			}
		})
	}
}
