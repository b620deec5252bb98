package moves_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"cadastre/aspa"
	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/payload"
	"cadastre/internal/registrytest"
	"cadastre/internal/transferwire"
	"cadastre/moves"
)

// change changes ASPA intents as a file says.
func (s *scene) change(f *aspa.File, opt aspa.Options) (*ca.Effect, error) {
	return s.Engine().ChangeObjects(opt.By, ca.Consent{}, aspa.Changing(f, opt))
}

// names has the holders of customer ASes ask for ASPAs, a line each.
func names(r *registrytest.Registry, lines string) {
	r.Helper()
	f, err := aspa.ReadFile("test", strings.NewReader(lines))
	r.OK(err)
	_, err = r.Engine().ChangeObjects(r.By(), ca.Consent{}, aspa.Changing(f, aspa.Options{By: r.By(), Replace: true}))
	r.OK(err)
}

// aspa has the holder of a customer AS ask for an ASPA.
func (s *scene) aspa(line string) {
	s.Helper()
	names(s.Registry, line)
	s.Insist()
	s.rest()
}

const ourASPA = "AS36001 => AS174, AS3356"

// TestASPAGoesAlong: an AS goes to another registry with its holder, and its ASPA is there for every reader at every moment, although the
// keys of both sides roll meanwhile. The relying party of the scene misses it otherwise.
func TestASPAGoesAlong(t *testing.T) {
	inScene(t, func(s *scene) {
		s.aspa(ourASPA)
		begun, err := s.mover.Initiate(s.By(), moves.Request{Kind: holdings.Portability, From: "afrinic/a", To: "nic.br/a", Under: "nic.br", Soak: transferSoak}, ca.Consent{})
		if err != nil || len(begun.CarriedObjects) != 1 || begun.CarriedObjects[0].String() != ourASPA || len(begun.LostObjects) != 0 {
			t.Fatalf("it says %+v (%v)", begun, err)
		}
		id := begun.Transfer.ID
		s.OK(s.mover.Approve(s.By(), id))
		s.until(func() bool { return s.state(id) == holdings.Accepted })
		f, err := aspa.ReadFile("test", strings.NewReader("AS36001 => AS6453"))
		s.OK(err)
		if _, err := s.change(f, aspa.Options{By: s.By()}); err == nil || !strings.Contains(err.Error(), "AS36001 is in transfer 1") {
			t.Fatal("its providers change while it moves:", err)
		}
		for i, holder := range []string{"nic.br", "iana", "afrinic", "afrinic/a"} {
			s.OK(s.Engine().RollKey(s.By(), holder, time.Duration(i)*20*time.Minute))
			s.step()
		}
		for s.state(id) != holdings.Finalised {
			if !s.has(ourASPA) {
				t.Fatal("it is missing while the transfer is", s.state(id))
			}
			s.step()
			time.Sleep(10 * time.Minute)
		}
		s.rest()
		if _, b := s.Ledger(); !s.has(ourASPA) || len(b.Objects.Of("nic.br/a")) != 1 || s.Certified("afrinic/a") != "" {
			t.Fatal("afterwards there is", s.VRPs())
		}
	})
}

// TestASPAOfACancelledTransfer: what came to the recipient goes with the transfer, and the donor's was never touched.
func TestASPAOfACancelledTransfer(t *testing.T) {
	inScene(t, func(s *scene) {
		s.aspa(ourASPA)
		id := s.begin(moves.Request{Kind: holdings.Merger, From: "afrinic/a", To: "afrinic/b", Resources: s.Set("AS36001")})
		s.until(func() bool { l, _ := s.Ledger(); return !l.Transfer(id).Seen.IsZero() })
		if _, b := s.Ledger(); len(b.Objects.Of("afrinic/b")) != 1 {
			t.Fatal("the recipient's side has it not before the transfer is final")
		}
		s.OK(s.mover.Cancel(s.By(), id))
		s.rest()
		if _, b := s.Ledger(); !s.has(ourASPA) || len(b.Objects.Of("afrinic/b")) != 0 {
			t.Fatal("afterwards there is", s.VRPs())
		}
	})
}

// TestASPAOfANewHolder: with a bridge it stays until that ends; without one it is named before, and ends with the finalisation.
func TestASPAOfANewHolder(t *testing.T) {
	inScene(t, func(s *scene) {
		s.aspa(ourASPA)
		begun, err := s.mover.Initiate(s.By(), moves.Request{Kind: holdings.Market, From: "afrinic/a", To: "afrinic/b", Resources: s.Set("AS36001")}, ca.Consent{DryRun: true})
		if err != nil || len(begun.LostObjects) != 1 || !strings.Contains(strings.Join(begun.Warnings, "\n"), "the ASPA "+ourASPA+" of afrinic/a ends") {
			t.Fatalf("it says %+v (%v)", begun, err)
		}
		id := s.begin(moves.Request{Kind: holdings.Market, From: "afrinic/a", To: "afrinic/b", Resources: s.Set("AS36001"), Bridge: 48 * time.Hour})
		s.until(func() bool { return s.state(id) == holdings.Finalised })
		if !s.has(ourASPA) {
			t.Fatal("the bridge has no ASPA")
		}
		s.bridgeEnds(id, ourASPA)
		s.rest()
	})
}

// TestASPAComesBack: an AS goes to another holder and back, and its providers change meanwhile. The parked ASPA that its first holder kept
// gives way to the one that comes along, and is there again, parked, when that transfer is cancelled.
func TestASPAComesBack(t *testing.T) {
	inScene(t, func(s *scene) {
		s.aspa(ourASPA)
		there := moves.Request{Kind: holdings.Merger, From: "afrinic/a", To: "afrinic/b", Resources: s.Set("AS36001")}
		back := moves.Request{Kind: holdings.Merger, From: "afrinic/b", To: "afrinic/a", Resources: s.Set("AS36001")}
		s.begin(there)
		s.rest()
		newer := "AS36001 => AS6453"
		s.aspa(newer)
		kept := func() string {
			_, b := s.Ledger()
			return b.Objects.Of("afrinic/a")[0].Says.String()
		}
		if !s.has(newer) || s.has(ourASPA) || kept() != ourASPA {
			t.Fatal("at the second holder there is", s.VRPs(), "and the first keeps", kept())
		}
		id := s.begin(back)
		s.until(func() bool { l, _ := s.Ledger(); return !l.Transfer(id).Seen.IsZero() })
		if kept() != newer {
			t.Fatal("the first holder is to have", kept())
		}
		s.OK(s.mover.Cancel(s.By(), id))
		s.rest()
		if !s.has(newer) || kept() != ourASPA {
			t.Fatal("after the cancellation there is", s.VRPs(), "and the first keeps", kept())
		}
		s.begin(back)
		s.rest()
		if !s.has(newer) || s.has(ourASPA) || kept() != newer {
			t.Fatal("back at the first holder there is", s.VRPs())
		}
	})
}

// TestASPAsOfASourceElsewhere: what a source says that goes along is refused where it can't be right, and has to be shown before it is taken.
func TestASPAsOfASourceElsewhere(t *testing.T) {
	inPair(t, func(p *pair) {
		p.policy("ripe", func(set *holdings.Policy) { set.Approval = holdings.ApproveNone })
		for i, c := range []struct{ kind, says, why string }{
			{"aspa", "AS680 => AS174", "is not about what moves"},
			{"aspa", "AS36001 => AS174,AS3356", "is not how what goes along is written"},
			{"aspa", "AS36001 => AS36001", "provider of itself"},
			{"roa", "41.0.0.0/16,16,AS36001", "is not how what goes along is written"},
			{"spl", "AS36001", "not known here"},
		} {
			s := p.claim(strings.Repeat(string(rune('a'+i)), 16), "takeover", "41.0.0.0/24,AS36001")
			s.Objects = []transferwire.Object{{Kind: payload.Kind(c.kind), Says: c.says}}
			if answer, status := p.say(s); answer != nil && answer.State != transferwire.Refused || answer != nil && !strings.Contains(answer.Reason, c.why) || answer == nil && status != http.StatusBadRequest {
				t.Errorf("%s: %d %+v", c.says, status, answer)
			}
		}
		ref := strings.Repeat("z", 16)
		s := p.claim(ref, "takeover", "41.0.0.0/24,AS36001")
		s.Certificates, s.Objects = p.shown(p.a, "afrinic/x", p.a), []transferwire.Object{{Kind: aspa.Kind, Says: "AS36001 => AS666"}}
		p.say(s)
		p.pass(10 * time.Minute)
		st, err := p.b.mover.Show(p.b.at(ref).ID)
		if p.ok(err); st.State != holdings.Initiated || !strings.Contains(st.Waits, "shows the ASPA AS36001 => AS666, which is to go along") {
			t.Errorf("it is %s, and waits for %q", st.State, st.Waits)
		}
	})
}
