package moves_test

import (
	"context"
	"slices"
	"testing"
	"time"

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
			s.Delegate("afrinic/z")
			s.Settle()
			s.mover.Look = func(context.Context, string, string, ...string) (*relying.Report, error) { return s.Seen(), nil }
			id := s.begin(moves.Request{Kind: kind, From: "afrinic/a", To: "afrinic/z", Resources: s.Set("41.0.0.0/18")})
			s.until(func() bool { st, _ := s.mover.Show(id); return st.On == "the CA of afrinic/z" })
			dry, err := s.foresee(id)
			if err != nil || len(dry.Certificates) != 1 || !slices.Equal(dry.Lost, lost) || (dry.Code == "") != (len(lost) == 0) {
				t.Fatalf("a %s: certificates %v, lost %v, code %q: %v", kind, dry.Certificates, dry.Lost, dry.Code, err)
			}
			if len(lost) > 0 {
				if _, err := s.mover.Force(t.Context(), s.By(), id, ca.Consent{}); fault.KindOf(err) != fault.Refused {
					t.Fatalf("a %s is forced without a code: %v", kind, err)
				}
			}
			s.mover.Look = func(context.Context, string, string, ...string) (*relying.Report, error) {
				return fromCache(s.Seen()), nil
			}
			time.Sleep(time.Hour)
			s.step()
			s.until(func() bool {
				dry, err = s.mover.Force(t.Context(), s.By(), id, ca.Consent{DryRun: true})
				return err == nil && len(dry.Unseen) > 0
			})
			if dry.Code == "" || !slices.Equal(dry.Unseen, dry.Certificates) {
				t.Fatalf("a %s whose donor's repository can't be reached: %+v", kind, dry)
			}
			if _, err := s.mover.Force(t.Context(), s.By(), id, ca.Consent{}); fault.KindOf(err) != fault.Refused {
				t.Fatalf("a %s that nobody can foresee is forced without a code: %v", kind, err)
			}
			if _, err := s.mover.Force(t.Context(), s.By(), id, ca.Consent{Code: dry.Code}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// foresee is what forcing a transfer costs, once somebody has looked.
func (s *scene) foresee(id uint64) (f *moves.Forced, err error) {
	s.until(func() bool {
		f, err = s.mover.Force(context.Background(), s.By(), id, ca.Consent{DryRun: true})
		return fault.KindOf(err) != fault.Busy
	})
	return f, err
}

// fromCache is a report as it is when no repository could be reached.
func fromCache(r *relying.Report) *relying.Report {
	c := *r
	c.Repositories = slices.Clone(r.Repositories)
	for i := range c.Repositories {
		c.Repositories[i].How = relying.HowCache
	}
	return &c
}
