package moves_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/transferwire"
	"cadastre/moves"
)

// claim is what the first installation would say of a transfer that it begins.
func (p *pair) claim(ref, kind, resources string) *transferwire.Source {
	return &transferwire.Source{
		Ref: ref, State: transferwire.Initiated, Kind: kind, From: "afrinic/x", FromRegistry: "afrinic", To: "ripe/evil", ToRegistry: "ripe", Under: "ripe",
		Legs: []transferwire.Leg{{Kind: "lir", Parts: []transferwire.Part{{Resources: p.a.Set(resources), Status: "allocated"}}}},
	}
}

// shown is the certificates of an organisation of an installation, with the proof that they are those of an installation.
func (p *pair) shown(of *site, holder string, installation *site) []transferwire.Shown {
	p.Helper()
	identity, err := installation.Engine().Federation.Identity()
	p.ok(err)
	trust, err := envelope.ParseTrust(identity)
	p.ok(err)
	signed, err := of.Engine().SignAs(holder, transferwire.Statement(trust.KeyID()))
	p.ok(err)
	var list []transferwire.Shown
	for _, s := range signed {
		list = append(list, transferwire.Shown(s))
	}
	return list
}

func wireRoute(prefix string, origin uint32) transferwire.Route {
	at := netip.MustParsePrefix(prefix)
	return transferwire.Route{Prefix: at, MaxLength: at.Bits(), Origin: origin}
}

func (p *pair) policy(registry string, change func(*holdings.Policy)) {
	p.Helper()
	set := holdings.DefaultPolicy(registry, holdings.OnMarket)
	change(&set)
	_, err := p.b.Engine().Decide(ca.Consent{}, ca.OfLedger(func(l *holdings.Ledger) (*holdings.Outcome, error) { return l.SetPolicy(p.b.By(), set) }))
	p.ok(err)
}

// pass lets time go by.
func (p *pair) pass(d time.Duration) {
	p.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Minute) {
		p.step()
	}
}

// TestAnotherInstallationsHandoff: what another installation calls a handoff is bound by the policies here like all that comes from
// there, and brings no routes that nobody agreed to.
func TestAnotherInstallationsHandoff(t *testing.T) {
	inPair(t, func(p *pair) {
		staged := p.claim("aaaaaaaaaaaaaaaa", "handoff", "1.1.0.0/16")
		staged.Staged = []transferwire.Route{wireRoute("1.1.0.0/16", 666)}
		if _, status := p.say(staged); status != http.StatusBadRequest {
			t.Error("routes are staged for a handoff: status", status)
		}
		if answer, _ := p.say(p.claim("bbbbbbbbbbbbbbbb", "handoff", "1.1.0.0/16")); answer == nil || answer.State != transferwire.Initiated {
			t.Fatalf("%+v", answer)
		}
		p.pass(time.Hour)
		if p.b.state("bbbbbbbbbbbbbbbb") != holdings.Initiated || p.b.Certified("ripe/evil") != "" {
			t.Fatal("nobody approved it, and it is", p.b.state("bbbbbbbbbbbbbbbb"))
		}
		p.policy("ripe", func(set *holdings.Policy) { set.Profile = holdings.Restricted })
		if answer, _ := p.say(p.claim("cccccccccccccccc", "handoff", "1.2.0.0/16")); answer == nil || answer.State != transferwire.Refused || !strings.Contains(answer.Reason, "restricted") {
			t.Errorf("a restricted registry takes a handoff: %+v", answer)
		}
		p.policy("ripe", func(set *holdings.Policy) { set.Exchanges = []holdings.Exchange{{With: "arin"}} })
		if answer, _ := p.say(p.claim("dddddddddddddddd", "handoff", "1.3.0.0/16")); answer == nil || answer.State != transferwire.Refused || !strings.Contains(answer.Reason, "takes no") {
			t.Errorf("a registry that exchanges nothing takes a handoff: %+v", answer)
		}
	})
}

// TestProvenBeforeAccepted: a transfer from elsewhere is accepted when its source shows a certificate for what moves, and ROAs for what
// goes along, below the trust anchor of its introduction; approval alone is not enough.
func TestProvenBeforeAccepted(t *testing.T) {
	inPair(t, func(p *pair) {
		p.policy("ripe", func(set *holdings.Policy) { set.Approval = holdings.ApproveNone })
		l, _ := p.a.Ledger()
		certificates := p.shown(p.a, "afrinic/x", p.a)
		for i, c := range []struct {
			kind, resources, says string
			change                func(*transferwire.Source)
		}{
			{"move", "1.1.0.0/16", "a certificate of its own for 1.1.0.0/16", func(*transferwire.Source) {}},
			{"move", "1.2.0.0/16", "a certificate of its own for 1.2.0.0/16", func(s *transferwire.Source) { s.Certificates = certificates }},
			{"move", "41.0.0.0/16", "a certificate of its own for 41.0.0.0/16", func(s *transferwire.Source) {
				s.Certificates = []transferwire.Shown{{URI: "rsync://0.example/nothing.cer"}}
			}},
			{"move", "41.0.0.0/16", "a certificate of its own for 41.0.0.0/16", func(s *transferwire.Source) { // that of another installation below one TAL
				s.Certificates = []transferwire.Shown{{URI: certificates[0].URI}}
			}},
			{"move", "41.0.0.0/16", "a certificate of its own for 41.0.0.0/16", func(s *transferwire.Source) { // with the proof of that installation
				s.Certificates = p.shown(p.a, "afrinic/x", p.b)
			}},
			{"move", "41.0.0.0/16", "a certificate of its own for 41.0.0.0/16", func(s *transferwire.Source) { // with a key of the claimant's
				s.Certificates = p.shown(p.b, "ripe", p.a)
				s.Certificates[0].URI = certificates[0].URI
			}},
			{"takeover", "41.0.0.0/24", "a ROA", func(s *transferwire.Source) {
				s.Certificates, s.Carried = certificates, []transferwire.Route{wireRoute("41.0.0.0/24", 666)}
			}},
		} {
			ref := strings.Repeat(string(rune('a'+i)), 16)
			s := p.claim(ref, c.kind, c.resources)
			c.change(s)
			if answer, status := p.say(s); answer == nil || answer.State != transferwire.Initiated {
				t.Fatalf("%s: %d %+v", c.resources, status, answer)
			}
			p.pass(10 * time.Minute)
			st, err := p.b.mover.Show(p.b.at(ref).ID)
			if p.ok(err); st.State != holdings.Initiated || !strings.Contains(st.Waits, c.says) || st.On != "north" {
				t.Errorf("%s is %s, and waits for %q on %q", c.resources, st.State, st.Waits, st.On)
			}
			p.ok(p.b.mover.Cancel(p.b.By(), st.ID))
		}
		if p.b.Certified("ripe/evil") != "" {
			t.Error("what was not proven is certified")
		}
		if l.Holding("afrinic/x").Empty() {
			t.Fatal("the source lost something")
		}
		ref := p.begin(moves.Request{}) // what is proven needs nobody here
		p.rest()
		p.moved(ref)
	})
}

// TestAnAssertionHoldsUpNobody: what another installation says of space that is held here keeps its holder from nothing.
func TestAnAssertionHoldsUpNobody(t *testing.T) {
	inPair(t, func(p *pair) {
		if answer, _ := p.say(p.claim("aaaaaaaaaaaaaaaa", "transfer", "80.1.0.0/16")); answer == nil || answer.State != transferwire.Initiated {
			t.Fatalf("%+v", answer)
		}
		p.keep = nil
		own := initiated(p.b.Registry, p.b.mover, moves.Request{
			Kind: holdings.Takeover, From: "ripe/old", To: "ripe/new", Under: "ripe", Resources: p.b.Set("80.1.128.0/17"), Soak: transferSoak,
		})
		p.until(func() bool { return p.b.at(own.Ref).State == holdings.Finalised })
		if err := p.b.mover.Approve(p.b.By(), p.b.at("aaaaaaaaaaaaaaaa").ID); err != nil {
			t.Fatal(err)
		}
		p.pass(time.Hour)
		st, err := p.b.mover.Show(p.b.at("aaaaaaaaaaaaaaaa").ID)
		if p.ok(err); st.State != holdings.Initiated || !strings.Contains(st.Waits, "is held by ripe already") {
			t.Errorf("it is %s and waits for %q", st.State, st.Waits)
		}
	})
}

// TestDistrusted: an operator's decision counts more than what another installation says. What came from there is withdrawn, whether it is final or
// not, by the brake; nothing more is taken, and then is again.
func TestDistrusted(t *testing.T) {
	inPair(t, func(p *pair) {
		p.keep = nil
		first := p.begin(moves.Request{Resources: p.a.Set("41.0.16.0/20"), From: "afrinic/x/shop", To: "ripe/shop", Under: "ripe"})
		p.approve(first)
		p.rest()
		second := p.begin(moves.Request{})
		p.approve(second)
		p.until(func() bool { return !p.a.at(second).Seen.IsZero() })
		dry, err := p.b.mover.Distrust(p.b.By(), "north", ca.Consent{DryRun: true})
		if p.ok(err); len(dry.Cancels) != 1 || len(dry.Disowns) != 1 || dry.Intents == 0 || dry.Effect.Held == "" || p.b.state(second) != holdings.Accepted {
			t.Fatalf("%+v", dry)
		}
		if _, err := p.b.mover.Distrust(p.b.By(), "north", ca.Consent{}); fault.KindOf(err) != fault.Refused {
			t.Fatal("the brake does not hold it:", err)
		}
		if _, status := p.say(p.claim("aaaaaaaaaaaaaaaa", "move", "41.5.0.0/16")); status != http.StatusForbidden {
			t.Error("something is taken although the brake holds the rest: status", status)
		}
		held, err := p.b.mover.Distrust(p.b.By(), "north", ca.Consent{DryRun: true})
		p.ok(err)
		_, err = p.b.mover.Distrust(p.b.By(), "north", ca.Consent{Code: held.Effect.Code})
		p.ok(err)
		p.pass(2 * transferSoak)
		l, b := p.b.Ledger()
		for _, holder := range []string{"ripe/x", "ripe/shop", "ripe/x/shop"} {
			if !l.Holding(holder).Empty() || p.b.Certified(holder) != "" || len(b.Of(holder)) > 0 {
				t.Errorf("%s has something still: %s %v", holder, l.Holding(holder), b.Of(holder))
			}
		}
		for _, v := range p.b.VRPs() {
			if strings.HasPrefix(v, "41.") {
				t.Error("it says still", v)
			}
		}
		if p.b.at(first).When(holdings.StepDisowned).IsZero() || p.b.state(second) != holdings.Cancelled || !p.b.at(second).Done() {
			t.Error(p.b.at(first).Steps, p.b.state(second))
		}
		if _, err := p.b.mover.Initiate(p.b.By(), moves.Request{From: "ripe/old", To: "afrinic/old", Under: "afrinic", Peer: "north", Kind: holdings.Portability}, ca.Consent{}); fault.KindOf(err) != fault.Forbidden {
			t.Error("a transfer to it begins:", err)
		}
		if p.a.state(second) != holdings.Accepted {
			t.Fatal("the source was told something:", p.a.state(second))
		}
		p.ok(p.b.mover.Trust(p.b.By(), "north"))
		p.until(func() bool { return p.a.state(second) == holdings.Cancelled })
		again := p.begin(moves.Request{To: "ripe/x2", Under: "ripe", Resources: p.a.Set("41.0.128.0/17")})
		p.approve(again)
		p.until(func() bool { return p.both(holdings.Finalised, again) })
		p.rest()
		p.ok(p.b.mover.RemovePeer(p.b.By(), "north"))
	})
	inPair(t, func(p *pair) { // the source distrusts: what has not left stays, and no silence has to be waited for
		ref := p.begin(moves.Request{})
		p.approve(ref)
		p.until(func() bool { return !p.a.at(ref).Seen.IsZero() })
		_, err := p.a.mover.Distrust(p.a.By(), "south", ca.Consent{})
		p.ok(err)
		if p.a.state(ref) != holdings.Cancelled {
			t.Fatal("it is", p.a.state(ref))
		}
		p.ok(p.a.mover.Abandon(p.a.By(), p.a.at(ref).ID, moves.Silence, false))
		p.until(func() bool { return p.a.at(ref).Done() })
		p.ok(p.a.mover.RemovePeer(p.a.By(), "south"))
	})
}

// TestWordsAboutNothing: of what is said about transfers that are not known here nothing is kept, and of others only so much.
func TestWordsAboutNothing(t *testing.T) {
	inPair(t, func(p *pair) {
		kept := func() (words int) {
			for _, bucket := range []string{"transfer-word", "evidence", "transfer"} {
				words += p.b.Records(bucket)
			}
			return words
		}
		before := kept()
		for i := range 10 {
			s := p.claim(fmt.Sprintf("aaaaaaaaaaaaaaa%d", i), "move", "41.0.0.0/16")
			s.FromRegistry = "arin"
			if answer, _ := p.say(s); answer == nil || answer.State != transferwire.Refused {
				t.Fatalf("%+v", answer)
			}
			s.FromRegistry, s.State = "afrinic", transferwire.Cancelled
			if answer, _ := p.say(s); answer == nil || answer.State != transferwire.Cancelled {
				t.Fatalf("%+v", answer)
			}
			if _, status := p.sayRecipient(&transferwire.Recipient{Ref: fmt.Sprintf("bbbbbbbbbbbbbbb%d", i), State: transferwire.Accepted}); status != http.StatusNotFound {
				t.Fatal("status", status)
			}
		}
		if now := kept(); now != before {
			t.Errorf("%d records are kept of what was said about nothing", now-before)
		}
		if testing.Short() { // what follows reads 80 MB of XML
			return
		}
		large := p.claim("cccccccccccccccc", "move", "41.0.0.0/16")
		for i := range 20_000 {
			at := netip.PrefixFrom(netip.AddrFrom4([4]byte{41, 0, byte(i / 256), byte(i)}), 32)
			large.Carried = append(large.Carried, transferwire.Route{Prefix: at, MaxLength: 32, Origin: 4200000000})
		}
		status, said := 0, 0
		for i := range 100 {
			large.Carried[0].Origin = uint32(i)
			said += len(large.XML())
			if _, status = p.say(large); status != http.StatusOK {
				break
			}
		}
		if status != http.StatusPreconditionRequired || said > 80<<20 {
			t.Errorf("it said %d MB, and the last was answered with %d", said>>20, status)
		}
	})
}

// TestManyLegs: a message has bounds, and what is at the bounds is accepted, which would take hours if it grew with their product.
func TestManyLegs(t *testing.T) {
	inPair(t, func(p *pair) {
		p.policy("ripe", func(set *holdings.Policy) { set.Approval = holdings.ApproveNone })
		many := p.claim("aaaaaaaaaaaaaaaa", "transfer", "41.0.0.0/8")
		many.Certificates = p.shown(p.a, "afrinic", p.a)
		for i := range 2000 {
			at := netip.PrefixFrom(netip.AddrFrom4([4]byte{41, byte(i >> 8), byte(i), 0}), 24)
			many.Legs = append(many.Legs, transferwire.Leg{Path: fmt.Sprintf("c%d", i), Kind: "enduser", Parts: []transferwire.Part{{Resources: p.a.Set(at.String()), Status: "assigned"}}})
			for j := range 9 {
				many.Staged = append(many.Staged, transferwire.Route{Prefix: at, MaxLength: 24, Origin: uint32(1000 + j)})
			}
		}
		if _, status := p.say(many); status != http.StatusBadRequest {
			t.Error("2,001 legs are taken: status", status)
		}
		many.Legs, many.Staged = many.Legs[:2000], many.Staged[:9*1999]
		if answer, status := p.say(many); answer == nil || answer.State != transferwire.Initiated {
			t.Fatalf("%d %+v", status, answer)
		}
		for range 100 {
			if _, err := p.b.mover.Step(context.Background()); err != nil {
				t.Fatal(err)
			}
			if p.b.state(many.Ref) == holdings.Accepted {
				break
			}
			time.Sleep(time.Second)
		}
		if p.b.state(many.Ref) != holdings.Accepted {
			t.Fatal("it is", p.b.state(many.Ref))
		}
		for range 3 {
			if _, err := p.b.mover.Step(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		_, err := p.b.mover.Distrust(p.b.By(), "north", ca.Consent{Unbraked: true})
		p.ok(err)
	})
}
