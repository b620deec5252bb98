package moves_test

import (
	"context"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/aspa"
	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/principal"
	"cadastre/internal/registrytest"
	"cadastre/internal/relying"
	"cadastre/internal/store"
	"cadastre/internal/validate"
	"cadastre/moves"
	"cadastre/roa"
)

// handoffScene is a scene whose registry afrinic has holders enough for a few batches, one of them with a customer.
func handoffScene(s *scene) {
	for _, h := range []string{"c", "d", "e", "f"} {
		s.Enrol("afrinic/"+h, "afrinic", holdings.LIR)
	}
	s.Give("afrinic/c", "41.2.0.0/16")
	s.Give("afrinic/d", "41.3.0.0/16,AS36100")
	s.Give("afrinic/e", "41.4.0.0/16") // authorises nothing
	s.Give("afrinic/f", "41.5.0.0/16,41.6.0.0/15")
	s.Enrol("customer", "afrinic/f", holdings.EndUser)
	s.Give("customer", "41.7.0.0/16")
	s.Intend("41.2.0.0/16,AS36010\n41.3.0.0/17,AS36011,24\n41.6.0.0/16,AS36012\n41.7.0.0/16,AS36013\n41.7.128.0/17,AS36014\n")
	s.rest()
}

func (s *scene) plan(q moves.HandoffRequest) *moves.HandoffPlan {
	s.Helper()
	p, err := s.mover.PlanHandoff(q)
	if err != nil {
		s.Fatal(err)
	}
	return p
}

func (s *scene) handOff(q moves.HandoffRequest) uint64 {
	s.Helper()
	q.Code = s.plan(q).Code
	st, err := s.mover.StartHandoff(s.By(), q)
	if err != nil {
		s.Fatal(err)
	}
	return st.Transfer.ID
}

func (s *scene) handoff(id uint64) *moves.HandoffStatus {
	s.Helper()
	st, err := s.mover.Handoff(id)
	if err != nil {
		s.Fatal(err)
	}
	return st
}

// handedOff checks that a registry has nothing any more, its successor all, and nothing else has changed.
func (s *scene) handedOff(id uint64, from, to string, before []string) {
	s.Helper()
	l, _ := s.Ledger()
	switch st := s.handoff(id); {
	case s.state(id) != holdings.Finalised || st.Done != st.Holders || st.Left+st.UnderWay != 0:
		s.Fatalf("the handoff is %s: %+v", s.state(id), st)
	case !l.Holding(from).Empty() || s.Certified(from) != "" || s.Certified("afrinic/a") != "":
		s.Fatalf("%s has %s, certified %q", from, l.Holding(from), s.Certified(from))
	case !slices.Equal(before, s.VRPs()):
		s.Fatalf("before\n%v\nafter\n%v", before, s.VRPs())
	}
	if !l.Holding(to).Contains(s.Set("41.0.0.0/8,AS36000-36999,2c00::/12")) {
		s.Fatalf("%s holds %s", to, l.Holding(to))
	}
}

// TestHandoff: a registry's holders go to its successor in batches, and its own certificate goes last.
func TestHandoff(t *testing.T) {
	inScene(t, func(s *scene) {
		handoffScene(s)
		before := s.VRPs()
		q := moves.HandoffRequest{Registry: "afrinic", To: "lacnic", Batch: 2, Pace: time.Hour, Soak: transferSoak}
		p := s.plan(q)
		if len(p.Holders) != 6 || p.Batches != 3 || p.Organisations != 7 || p.VRPs != 10 || p.Holders[5].To != "lacnic/f" || !slices.Equal(p.Holders[5].Customers, []string{"customer"}) {
			t.Fatalf("%+v", p)
		}
		for code, want := range map[string]fault.Kind{"": fault.Refused, "00000000": fault.Refused} {
			q.Code = code
			if _, err := s.mover.StartHandoff(s.By(), q); fault.KindOf(err) != want {
				t.Fatalf("code %q: %v", code, err)
			}
		}
		id := s.handOff(q)
		most := 0
		s.until(func() bool {
			l, _ := s.Ledger()
			starting := 0
			for _, w := range l.Within(id) {
				if w.State == holdings.Accepted && w.Seen.IsZero() {
					starting++
				}
			}
			most = max(most, starting)
			if s.state(id) != holdings.Finalised && s.Certified("afrinic") == "" {
				t.Fatal("the registry's certificate has gone before its holders")
			}
			return s.state(id) == holdings.Finalised
		})
		if most == 0 || most > 3 {
			t.Fatalf("%d holders began at once", most)
		}
		s.rest()
		s.handedOff(id, "afrinic", "lacnic", before)
		if s.Certified("lacnic/f/customer") != "41.7.0.0/16" {
			t.Fatal("the customer has", s.Certified("lacnic/f/customer"))
		}
	})
}

// TestHandoffOfAnNIR: the successor is the registry above it.
func TestHandoffOfAnNIR(t *testing.T) {
	inScene(t, func(s *scene) {
		before := s.VRPs()
		id := s.handOff(moves.HandoffRequest{Registry: "nic.br", To: "lacnic", Soak: transferSoak})
		s.rest()
		if s.state(id) != holdings.Finalised || !slices.Equal(before, s.VRPs()) || s.Certified("nic.br") != "" || s.Certified("lacnic/x") != "45.1.0.0/16" {
			t.Fatal(s.state(id), s.VRPs(), s.Certified("nic.br"), s.Certified("lacnic/x"))
		}
		if l, _ := s.Ledger(); !l.Free("lacnic").Contains(s.Set("45.0.0.0/16")) {
			t.Fatal("the pool is not the successor's:", l.Free("lacnic"))
		}
	})
}

// TestHandoffWithAnNIR: the holders of an NIR below a failed registry become holders of the successor, which is an NIR itself
// in the second handoff.
func TestHandoffWithAnNIR(t *testing.T) {
	inScene(t, func(s *scene) {
		before := s.VRPs()
		id := s.handOff(moves.HandoffRequest{Registry: "lacnic", To: "afrinic", Soak: transferSoak})
		s.rest()
		l, _ := s.Ledger()
		if s.state(id) != holdings.Finalised || !slices.Equal(before, s.VRPs()) || !l.Holding("lacnic").Empty() || !l.Holding("nic.br").Empty() || s.Certified("afrinic/x") != "45.1.0.0/16" {
			t.Fatal(s.state(id), s.VRPs(), l.Holding("nic.br"), s.Certified("afrinic/x"))
		}
	})
}

// TestHandoffSurvivesRestarts, in the middle of batches, and a pause.
func TestHandoffSurvivesRestarts(t *testing.T) {
	inScene(t, func(s *scene) {
		handoffScene(s)
		before := s.VRPs()
		id := s.handOff(moves.HandoffRequest{Registry: "afrinic", To: "lacnic", Batch: 2, Soak: transferSoak})
		begun := func() int { l, _ := s.Ledger(); return len(l.Within(id)) }
		s.until(func() bool { return begun() > 0 })
		if _, err := s.mover.PauseHandoff(s.By(), "afrinic", true); err != nil {
			t.Fatal(err)
		}
		was := begun()
		for range 40 {
			time.Sleep(min(max(s.step(), time.Second), 15*time.Minute))
		}
		if st := s.handoff(id); begun() != was || !st.Paused || st.Left != 6-was || st.Transfer.State != holdings.Accepted {
			t.Fatalf("paused with %d begun, and now %d: %+v", was, begun(), st)
		}
		s.Reopen()
		s.start()
		if st := s.handoff(id); !st.Paused {
			t.Fatal("the pause did not survive")
		}
		if _, err := s.mover.PauseHandoff(s.By(), "afrinic", false); err != nil {
			t.Fatal(err)
		}
		for n := 0; s.state(id) != holdings.Finalised; n++ {
			if n%5 == 3 {
				s.Reopen()
				s.start()
			}
			time.Sleep(min(max(s.step(), time.Second), 5*time.Minute))
		}
		s.rest()
		s.handedOff(id, "afrinic", "lacnic", before)
	})
}

// TestHandoffRefusals: what can't be is said beforehand, and a holder whose transfer is cancelled stays until it is resumed.
func TestHandoffRefusals(t *testing.T) {
	inScene(t, func(s *scene) {
		for _, c := range []struct {
			from, to string
			want     fault.Kind
		}{{"afrinic", "iana", fault.BadInput}, {"iana", "afrinic", fault.BadInput}, {"afrinic", "afrinic/a", fault.BadInput}, {"lacnic", "nic.br", fault.BadInput}, {"afrinic", "nobody", fault.NotFound}, {"nobody", "afrinic", fault.NotFound}} {
			if _, err := s.mover.PlanHandoff(moves.HandoffRequest{Registry: c.from, To: c.to}); fault.KindOf(err) != c.want {
				t.Errorf("from %s to %s: %v", c.from, c.to, err)
			}
		}
		before := s.VRPs()
		id := s.handOff(moves.HandoffRequest{Registry: "afrinic", To: "lacnic", Batch: 1, Soak: transferSoak})
		s.until(func() bool { l, _ := s.Ledger(); return len(l.Within(id)) == 2 })
		l, _ := s.Ledger()
		stays := l.Within(id)[1]
		if err := s.mover.Cancel(s.By(), stays.ID); err != nil {
			t.Fatal(err)
		}
		if err := s.mover.Cancel(s.By(), id); fault.KindOf(err) != fault.Conflict {
			t.Fatal("a handoff that has begun was cancelled:", err)
		}
		if _, err := s.Engine().Delegate(s.By(), holdings.Delegation{To: "afrinic/b", Resources: s.Set("41.9.0.0/16"), Status: holdings.Allocated, Ground: "late"}, ca.Consent{}); fault.KindOf(err) != fault.Conflict {
			t.Fatal("a registry that is handed off delegates still:", err)
		}
		for range 200 {
			time.Sleep(min(max(s.step(), time.Second), 5*time.Minute))
		}
		if s.state(id) != holdings.Accepted || s.Certified(stays.From) == "" {
			t.Fatal("the handoff went on without", stays.From)
		}
		if _, err := s.mover.PauseHandoff(s.By(), "afrinic", false); err != nil {
			t.Fatal(err)
		}
		s.rest()
		s.handedOff(id, "afrinic", "lacnic", before)
	})
}

// TestHandoffWaitsForNoOthers: a holder whose CA is elsewhere and does not come gets its offer, and only it and the registry's
// own certificate wait.
func TestHandoffWaitsForNoOthers(t *testing.T) {
	inScene(t, func(s *scene) {
		handoffScene(s)
		s.Delegate("afrinic/e")
		s.Settle()
		before := s.VRPs()
		id := s.handOff(moves.HandoffRequest{Registry: "afrinic", To: "lacnic", Batch: 1, Soak: transferSoak})
		s.until(func() bool { return s.handoff(id).Done == 5 })
		if _, offered := s.Engine().Delegated("lacnic/e"); !offered {
			t.Fatal("it got no offer")
		}
		st := s.handoff(id)
		if st.UnderWay != 1 || st.Left != 0 || len(st.Waits) != 1 || st.Waits[0].On != "the CA of lacnic/e" || s.Certified("afrinic") == "" {
			t.Fatalf("%+v", st)
		}
		if !slices.Equal(before, s.VRPs()) {
			t.Fatal(s.VRPs())
		}
		if err := s.mover.Cancel(s.By(), st.Waits[0].Transfer); err != nil {
			t.Fatal(err)
		}
	})
}

// TestHandoffWithoutACAThatNeverComes: the operator has its transfer go on, after he was told what is lost by that and with the
// code of it alone, and the handoff comes to its end.
func TestHandoffWithoutACAThatNeverComes(t *testing.T) {
	inScene(t, func(s *scene) {
		handoffScene(s)
		s.Delegate("afrinic/e")
		s.Ask("afrinic/e")
		s.Settle()
		before := s.VRPs()
		theirs := validate.VRP{Prefix: netip.MustParsePrefix("41.4.0.0/16"), MaxLength: 16, ASN: 36015} // of the CA elsewhere
		s.mover.Look = func(context.Context, string, string, ...string) (*relying.Report, error) {
			r := s.Seen()
			for _, uri := range s.Engine().CertificatesOf("afrinic/e") {
				r.Authorities = append(slices.Clone(r.Authorities), validate.AuthorityResult{CertificateURI: uri, VRPs: []validate.VRP{theirs}})
			}
			return r, nil
		}
		id := s.handOff(moves.HandoffRequest{Registry: "afrinic", To: "lacnic", Batch: 1, Soak: transferSoak})
		if _, err := s.mover.Force(t.Context(), s.By(), id, ca.Consent{}); fault.KindOf(err) != fault.Conflict {
			t.Fatal("a registry's own transfer is forced:", err)
		}
		s.until(func() bool { return s.handoff(id).Done == 5 })
		stays := s.handoff(id).Waits[0].Transfer
		l, _ := s.Ledger()
		for _, w := range l.Within(id) {
			if _, err := s.mover.Force(t.Context(), s.By(), w.ID, ca.Consent{DryRun: true}); w.ID != stays && fault.KindOf(err) != fault.Conflict {
				t.Fatalf("transfer %d, whose CA is here or that is over, is forced: %v", w.ID, err)
			}
		}
		time.Sleep(time.Hour)
		s.step()
		if w := s.handoff(id).Waits; len(w) != 1 || w[0].Force {
			t.Fatalf("after an hour: %+v", w)
		}
		time.Sleep(24 * time.Hour)
		s.step()
		if w := s.handoff(id).Waits; len(w) != 1 || !w[0].Force {
			t.Fatalf("after a day: %+v", w)
		}
		dry, err := s.foresee(stays)
		if err != nil || !slices.Equal(dry.Lost, []string{theirs.String()}) || len(dry.Certificates) != 1 || dry.Code == "" {
			t.Fatalf("%+v %v", dry, err)
		}
		for _, code := range []string{"", "00000000"} {
			if _, err := s.mover.Force(t.Context(), s.By(), stays, ca.Consent{Code: code}); fault.KindOf(err) != fault.Refused {
				t.Fatalf("with the code %q: %v", code, err)
			}
		}
		if _, err := s.mover.Force(t.Context(), s.By(), stays, ca.Consent{Code: dry.Code}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // for the look that is under way
		s.Reopen()
		s.start()
		s.rest()
		l, _ = s.Ledger()
		if w := l.Transfer(stays); w.State != holdings.Finalised || w.When(holdings.StepForced).IsZero() || w.When("finalised").Sub(w.When(holdings.StepForced)) < transferSoak {
			t.Fatal("it was forced, and took these steps:", w.Steps)
		}
		s.handedOff(id, "afrinic", "lacnic", before)
	})
}

// deposit is what a registry elsewhere deposited.
func deposit(s *scene, identity []byte) *moves.Snapshot {
	s.Helper()
	check := func(err error) {
		if err != nil {
			s.Fatal(err)
		}
	}
	st, err := store.Open(filepath.Join(filepath.Dir(s.Dir()), "elsewhere"), store.Options{Create: true, NoSync: true})
	check(err)
	defer func() { _ = st.Close() }()
	tree, err := holdings.ParseTree([]byte(registrytest.Registries))
	check(err)
	_, err = st.Update(store.Any, func(w store.Writer) error {
		return holdings.Create(w, tree, principal.Principal{Name: "tester"}, time.Now())
	})
	check(err)
	var l *holdings.Ledger
	var b *roa.Book
	check(st.View(func(r store.Reader) (err error) {
		if l, err = holdings.Load(r); err == nil {
			b, err = roa.Load(r)
		}
		return err
	}))
	apply := func(o *holdings.Outcome, err error) {
		check(err)
		_, err = st.Update(store.Any, o.Write)
		check(err)
		l.Apply(o)
	}
	give := func(to, what string) {
		apply(l.Delegate(s.By(), holdings.Delegation{To: to, Resources: s.Set(what), Status: holdings.Allocated, Ground: "contract"}))
	}
	give("afrinic", "41.0.0.0/8, AS36001")
	for i, h := range []string{"afrinic/a", "afrinic/b", "afrinic/gone", "afrinic/x", "afrinic/b/one", "two"} {
		parent := "afrinic"
		if i > 3 {
			parent = "afrinic/b"
		}
		apply(l.Enrol(s.By(), holdings.Organisation{Handle: h, Parent: parent, Kind: holdings.LIR, Name: "Holder " + h}))
	}
	give("afrinic/a", "41.0.0.0/16, AS36001")
	give("afrinic/b", "41.1.0.0/16,41.2.0.0/16")
	give("afrinic/x", "41.3.0.0/16")
	give("afrinic/b/one", "41.1.1.0/24")
	give("two", "41.1.2.0/24")
	rows, err := roa.ParseCSV("x.csv", strings.NewReader("41.0.0.0/16,AS36001,20\n41.1.0.0/16,AS36002\n41.1.1.0/24,AS36003\n41.1.2.0/24,AS36004\n41.2.0.0/17,AS36005\n"))
	check(err)
	in, err := b.Add(l, rows, roa.Options{By: holdings.By{Who: principal.Principal{Name: "tester"}, Time: time.Now()}})
	check(err)
	b.Apply(in)
	f, err := aspa.ReadFile("test", strings.NewReader(ourASPA))
	check(err)
	r, err := aspa.Resolve(b.Objects, l, f, aspa.Options{By: s.By()})
	check(err)
	b.Objects.Apply(&r.ObjectChange)
	return moves.SnapshotOf(l, b, map[string][]byte{"afrinic/x": identity}, "afrinic")
}

var deposited = []string{"41.0.0.0/16,20,AS36001", "41.1.0.0/16,16,AS36002", "41.1.1.0/24,24,AS36003", "41.1.2.0/24,24,AS36004", "41.2.0.0/17,17,AS36005"}

// TestHandoffFromEscrow: the registry is in the tree and its holders are in what it deposited.
func TestHandoffFromEscrow(t *testing.T) {
	for name, known := range map[string]bool{"known": true, "unknown": false} {
		t.Run(name, func(t *testing.T) {
			registrytest.Run(t, registrytest.Registries, soak, func(h *registrytest.Registry) {
				s := &scene{Registry: h}
				s.start()
				s.Give("lacnic", "45.0.0.0/8")
				if known {
					s.Give("afrinic", "41.0.0.0/14, AS36001")
				}
				s.Enrol("lacnic/a", "lacnic", holdings.LIR) // another of that name
				s.Give("lacnic/a", "45.1.0.0/16")
				s.Intend("45.1.0.0/16,AS36099\n")
				s.Enrol("lacnic/identity", "lacnic", holdings.LIR)
				identity := s.Delegate("lacnic/identity")
				s.rest()
				e := deposit(s, identity)
				if !known { // it was one that this tree does not have
					e.Registry = "elsewhere"
				}
				before := s.VRPs()
				q := moves.HandoffRequest{Registry: e.Registry, To: "lacnic", Batch: 2, Soak: transferSoak, Snapshot: e}
				id := s.handOff(q)
				s.until(func() bool { return s.handoff(id).UnderWay > 0 })
				s.Reopen()
				s.start()
				s.until(func() bool { return s.handoff(id).Done == 2 })
				if want := append(append(slices.Clone(deposited), before...), ourASPA); !slices.Equal(s.VRPs(), want) {
					t.Fatalf("%v instead of %v", s.VRPs(), want)
				}
				if s.Certified("lacnic/a-2") != "41.0.0.0/16, AS36001" || s.Certified("lacnic/b/one") != "41.1.1.0/24" || s.Certified("lacnic/b/two") != "41.1.2.0/24" {
					t.Fatal(s.Certified("lacnic/a-2"), s.Certified("lacnic/b/one"), s.Certified("lacnic/b/two"))
				}
				c, offered := s.Engine().Delegated("lacnic/x")
				if !offered || !slices.Equal(c.TrustAnchor, identity) {
					t.Fatal("the CA elsewhere got no offer")
				}
				if known && s.Certified("afrinic") == "" {
					t.Fatal("the registry's certificate went before its last holder")
				}
				if err := s.mover.Cancel(s.By(), s.handoff(id).Waits[0].Transfer); err != nil { // it never comes
					t.Fatal(err)
				}
				s.until(func() bool { return s.state(id) != holdings.Accepted })
				s.rest()
				l, _ := s.Ledger()
				if s.state(id) != holdings.Finalised || known && (s.Certified("afrinic") != "" || !l.Holding("afrinic").Empty()) || !l.Holding("lacnic").Contains(s.Set("41.0.0.0/14")) {
					t.Fatal(s.state(id), l.Holding("afrinic"), l.Holding("lacnic"))
				}
			})
		})
	}
}
