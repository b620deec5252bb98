package moves_test

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/registrytest"
	"cadastre/moves"
	"cadastre/roa"
)

const (
	soak         = 30 * time.Minute // between repositories
	transferSoak = 4 * time.Hour
)

// scene is an installation with a mover.
type scene struct {
	*registrytest.Registry
	mover *moves.Mover
}

func inScene(t *testing.T, test func(s *scene)) {
	t.Helper()
	registrytest.Run(t, registrytest.Registries, soak, func(h *registrytest.Registry) {
		h.Give("afrinic", "41.0.0.0/8,AS36000-36999,2c00::/12")
		h.Give("lacnic", "45.0.0.0/8")
		h.Give("nic.br", "45.0.0.0/12")
		h.Enrol("afrinic/a", "afrinic", holdings.LIR)
		h.Enrol("afrinic/b", "afrinic", holdings.LIR)
		h.Enrol("nic.br/x", "nic.br", holdings.LIR)
		h.Give("afrinic/a", "41.0.0.0/16,2c00:1::/32,AS36001")
		h.Give("afrinic/b", "41.1.0.0/16")
		h.Give("nic.br/x", "45.1.0.0/16")
		h.Intend("41.0.0.0/16,AS36001,20\n41.0.16.0/20,AS36002\n41.0.128.0/17,AS36003\n41.1.0.0/16,AS36004\n45.1.0.0/16,AS36005\n2c00:1::/32,AS36001\n")
		s := &scene{Registry: h}
		s.start()
		s.rest()
		test(s)
	})
}

func (s *scene) start() {
	s.mover = moves.New(s.Engine(), s.Dir(), slog.New(slog.DiscardHandler))
}

// step has the mover decide and the engine follow, once.
func (s *scene) step() time.Duration {
	s.Helper()
	wait, err := s.mover.Step(context.Background())
	if err != nil {
		s.Fatal(err)
	}
	s.Insist()
	s.Settle()
	if s.Registry.Failed() {
		s.FailNow()
	}
	return wait
}

// rest lets time go by until nothing is under way.
func (s *scene) rest() {
	s.Helper()
	s.until(func() bool { l, _ := s.Ledger(); return len(l.Unrest()) == 0 })
	time.Sleep(3 * soak)
	s.Settle()
	s.Complete()
}

// until lets time go by until something is so.
func (s *scene) until(so func() bool) {
	s.Helper()
	for end := time.Now().Add(14 * 24 * time.Hour); !so(); {
		if time.Now().After(end) {
			l, _ := s.Ledger()
			for _, t := range l.Unrest() {
				st, _ := s.mover.Show(t.ID)
				s.Logf("transfer %d is %s and waits for %s", t.ID, t.State, st.Waits)
			}
			s.Fatal("two weeks were not enough")
		}
		time.Sleep(min(max(s.step(), time.Second), time.Minute))
	}
}

func (s *scene) begin(q moves.Request) uint64 {
	s.Helper()
	if q.Soak == 0 {
		q.Soak = transferSoak
	}
	return initiated(s.Registry, s.mover, q).ID
}

// initiated begins a transfer as somebody does who looks at it first.
func initiated(h *registrytest.Registry, m *moves.Mover, q moves.Request) holdings.Transfer {
	h.Helper()
	looked, err := m.Initiate(h.By(), q, ca.Consent{DryRun: true})
	if err != nil {
		h.Fatal(err)
	}
	begun, err := m.Initiate(h.By(), q, ca.Consent{Code: looked.Code})
	if err != nil {
		h.Fatal(err)
	}
	return begun.Transfer
}

func (s *scene) state(id uint64) holdings.TransferState {
	l, _ := s.Ledger()
	return l.Transfer(id).State
}

func (s *scene) has(vrp string) bool { return slices.Contains(s.VRPs(), vrp) }

// bridgeEnds waits until what a bridge of 48 hours brought is gone, and checks that this was when the bridge ended.
func (s *scene) bridgeEnds(id uint64, brought string) {
	s.Helper()
	s.until(func() bool { return !s.has(brought) })
	l, _ := s.Ledger()
	if late := time.Since(l.Transfer(id).When(holdings.StepFinalised).Add(48 * time.Hour)); late < 0 || late > time.Hour {
		s.Fatal("the bridge ended", late, "after its time")
	}
}

// TestMoveInsideARegistry: part of a block goes to another holder of the same registry, with a route of its own.
func TestMoveInsideARegistry(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.begin(moves.Request{Kind: holdings.Merger, From: "afrinic/a", To: "afrinic/b", Resources: s.Set("41.0.0.0/18")})
		s.rest()
		if s.state(id) != holdings.Finalised {
			t.Fatal(s.state(id))
		}
		for _, want := range []string{"41.0.0.0/18,20,AS36001", "41.0.16.0/20,20,AS36002", "41.0.64.0/18,20,AS36001", "41.0.128.0/17,20,AS36001"} {
			if !s.has(want) {
				t.Errorf("%s is missing of %v", want, s.VRPs())
			}
		}
		if s.has("41.0.0.0/16,20,AS36001") {
			t.Error("the whole is still authorised")
		}
		if got := s.Certified("afrinic/a"); got != "41.0.64.0/18,41.0.128.0/17,2c00:1::/32,AS36001" && s.Registry.Certified("afrinic/b") == "" {
			t.Error(got)
		}
	})
}

// TestMoveBetweenRegistries: a holder goes from a registry to an NIR of another, with all that it has.
func TestMoveBetweenRegistries(t *testing.T) {
	inScene(t, func(s *scene) {
		before := s.VRPs()
		id := s.begin(moves.Request{Kind: holdings.Portability, From: "afrinic/a", To: "nic.br/a", Under: "nic.br"})
		s.step()
		if s.state(id) != holdings.Initiated {
			t.Fatal("nobody approved it, and it is", s.state(id))
		}
		if err := s.mover.Approve(s.By(), id); err != nil {
			t.Fatal(err)
		}
		s.rest()
		if s.state(id) != holdings.Finalised || !slices.Equal(before, s.VRPs()) {
			t.Fatalf("it is %s; before\n%v\nafter\n%v", s.state(id), before, s.VRPs())
		}
		if s.Certified("afrinic/a") != "" || s.Certified("nic.br/a") == "" {
			t.Fatal("certificates:", s.Certified("afrinic/a"), s.Certified("nic.br/a"))
		}
	})
}

// TestMoveWhileKeysRoll: the keys of all who are concerned roll meanwhile, one with no soak of its own.
func TestMoveWhileKeysRoll(t *testing.T) {
	inScene(t, func(s *scene) {
		before := s.VRPs()
		id := s.begin(moves.Request{Kind: holdings.Merger, From: "afrinic/a", To: "nic.br/x", Resources: s.Set("41.0.0.0/17")})
		if err := s.mover.Approve(s.By(), id); err != nil {
			t.Fatal(err)
		}
		s.until(func() bool { return s.state(id) == holdings.Accepted })
		for i, holder := range []string{"lacnic", "nic.br", "nic.br/x", "iana", "afrinic", "afrinic/a"} {
			if err := s.Engine().RollKey(s.By(), holder, time.Duration(i)*20*time.Minute); err != nil {
				t.Fatal(err)
			}
			s.step()
		}
		s.rest()
		if s.state(id) != holdings.Finalised || !s.has("41.0.0.0/17,20,AS36001") || !s.has("41.0.128.0/17,20,AS36001") || len(s.VRPs()) != len(before)+1 {
			t.Fatalf("it is %s; %v", s.state(id), s.VRPs())
		}
		for _, holder := range []string{"lacnic", "nic.br", "nic.br/x", "iana", "afrinic", "afrinic/a"} {
			keys, err := s.Engine().Keys(holder)
			if err != nil || len(keys) != 1 || keys[0].State != "active" {
				t.Errorf("%s has %+v, %v", holder, keys, err)
			}
		}
	})
}

// TestCancelledMove: the recipient's side goes as it came, and the donor's was never touched.
func TestCancelledMove(t *testing.T) {
	inScene(t, func(s *scene) {
		before := s.VRPs()
		id := s.begin(moves.Request{Kind: holdings.Portability, From: "afrinic/a", To: "nic.br/a", Under: "nic.br"})
		if err := s.mover.Approve(s.By(), id); err != nil {
			t.Fatal(err)
		}
		s.until(func() bool { l, _ := s.Ledger(); return !l.Transfer(id).Seen.IsZero() })
		if err := s.mover.Cancel(s.By(), id); err != nil {
			t.Fatal(err)
		}
		s.rest()
		if s.state(id) != holdings.Cancelled || !slices.Equal(before, s.VRPs()) || s.Certified("nic.br/a") != "" {
			t.Fatalf("it is %s; %v; %s", s.state(id), s.VRPs(), s.Certified("nic.br/a"))
		}
		if _, b := s.Ledger(); len(b.Of("nic.br/a")) > 0 {
			t.Fatal("what a cancelled transfer brought is there still")
		}
	})
}

// TestBridge: a new holder's own routes come, the old one's stay for a while by consent.
func TestBridge(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.begin(moves.Request{Kind: holdings.Market, From: "afrinic/a", To: "afrinic/b", Resources: s.Set("41.0.16.0/20"), Bridge: 48 * time.Hour,
			Routes: routes(t, "41.0.16.0/20", "AS36099")})
		s.until(func() bool { return s.state(id) == holdings.Finalised })
		if !s.has("41.0.16.0/20,20,AS36002") || !s.has("41.0.16.0/20,20,AS36099") {
			t.Fatal(s.VRPs())
		}
		s.bridgeEnds(id, "41.0.16.0/20,20,AS36002")
		s.rest()
	})
}

// TestMoveSurvivesRestarts: whoever starts again finds where each transfer stands.
func TestMoveSurvivesRestarts(t *testing.T) {
	inScene(t, func(s *scene) {
		before := s.VRPs()
		id := s.begin(moves.Request{Kind: holdings.Takeover, From: "afrinic/a", To: "afrinic/b"})
		for n := 0; s.state(id) != holdings.Finalised; n++ {
			if n%7 == 3 {
				s.Reopen()
				s.start()
			}
			time.Sleep(min(max(s.step(), time.Second), time.Minute))
		}
		s.rest()
		if !slices.Equal(before, s.VRPs()) {
			t.Fatalf("before\n%v\nafter\n%v", before, s.VRPs())
		}
	})
}

func routes(t *testing.T, prefix, origin string) []roa.Row {
	t.Helper()
	row, err := roa.ParseRow(prefix, origin)
	if err != nil {
		t.Fatal(err)
	}
	return []roa.Row{row}
}

// TestRoutesNamedAtApproval: inside one installation, what the recipient's registry names when it agrees is part of what the source
// waits to see.
func TestRoutesNamedAtApproval(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.begin(moves.Request{Kind: holdings.Market, From: "afrinic/a", To: "nic.br/x", Resources: s.Set("41.0.128.0/17")})
		if err := s.mover.Approve(s.By(), id, rows(t, "41.0.192.0/18,AS36022,20\n")...); err != nil {
			t.Fatal(err)
		}
		own := roa.VRP{Prefix: netip.MustParsePrefix("41.0.192.0/18"), MaxLength: 20, ASN: 36022}
		s.until(func() bool { return s.state(id) == holdings.Accepted })
		if st, err := s.mover.Show(id); err != nil || !slices.Contains(st.Agreed, own) {
			t.Fatal("it is not among what the source waits to see:", st, err)
		}
		s.until(func() bool { l, _ := s.Ledger(); return !l.Transfer(id).Seen.IsZero() })
		if s.state(id) != holdings.Accepted || !s.has(own.String()) {
			t.Fatalf("it is %s and seen without that: %v", s.state(id), s.VRPs())
		}
		s.rest()
		if s.state(id) != holdings.Finalised || !s.has(own.String()) {
			t.Fatalf("it is %s: %v", s.state(id), s.VRPs())
		}
	})
}
