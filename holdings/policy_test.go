package holdings_test

import (
	"strings"
	"testing"
	"time"

	"cadastre/holdings"
	"cadastre/internal/fault"
)

// rule sets the policy of a registry.
func (h *testLedger) rule(registry string, profile holdings.Profile, change func(*holdings.Policy)) {
	h.Helper()
	p := holdings.DefaultPolicy(registry, profile)
	if change != nil {
		change(&p)
	}
	h.commit(h.ledger.SetPolicy(by("the board"), p))
}

// bazaar is two registries, an NIR, and holders in each.
func bazaar(t testing.TB) *testLedger {
	h := chained(t)
	h.give("lacnic", "24.0.0.0/8", "", time.Time{})
	h.give("nic.br", "24.0.0.0/16", "", time.Time{})
	for handle, parent := range map[string]string{"latam": "lacnic", "brasil": "nic.br"} {
		h.commit(h.ledger.Enrol(by("x"), holdings.Organisation{Handle: handle, Parent: parent, Kind: holdings.LIR}))
	}
	h.give("brasil", "24.0.0.0/20", "", time.Time{})
	h.give("latam", "24.1.0.0/20", "", time.Time{})
	return h
}

// wish is a transfer that nobody began yet.
func wish(t testing.TB, kind holdings.TransferKind, from, to, resources string) holdings.Transfer {
	return holdings.Transfer{Kind: kind, From: from, To: to, Resources: set(t, resources)}
}

const later = 365 * 24 * time.Hour

func TestPoliciesOfTransfers(t *testing.T) {
	type policies map[string]func(*holdings.Policy)
	profile := func(p holdings.Profile) func(*holdings.Policy) {
		return func(x *holdings.Policy) { *x = holdings.DefaultPolicy(x.Registry, p) }
	}
	locked := func(x *holdings.Policy) {
		x.LockIn = map[holdings.ResourceKind]holdings.Term{holdings.IPv4: holdings.Days(730)}
	}
	for name, c := range map[string]struct {
		policies policies
		t        holdings.Transfer
		after    time.Duration // from now
		says     string        // empty where it may begin
	}{
		"no record":                {nil, wish(t, holdings.Market, "isp", "latam", "41.0.0.0/24"), 0, ""},
		"restricted source":        {policies{"afrinic": profile(holdings.Restricted)}, wish(t, holdings.Market, "isp", "latam", "41.0.0.0/24"), 0, "afrinic is restricted to mergers and takeovers, and this is a transfer"},
		"restricted recipient":     {policies{"lacnic": profile(holdings.Restricted)}, wish(t, holdings.Portability, "isp", "latam", "41.0.0.0/24"), 0, "lacnic is restricted"},
		"restricted above an NIR":  {policies{"lacnic": profile(holdings.Restricted)}, wish(t, holdings.Market, "isp", "brasil", "41.0.0.0/24"), 0, "lacnic is restricted"},
		"an NIR with its own":      {policies{"lacnic": profile(holdings.Restricted), "nic.br": nil}, wish(t, holdings.Market, "isp", "brasil", "41.0.0.0/24"), 0, ""},
		"restricted, merger":       {policies{"afrinic": profile(holdings.Restricted), "lacnic": profile(holdings.Restricted)}, wish(t, holdings.Merger, "isp", "latam", "41.0.0.0/24"), 0, ""},
		"restricted, takeover":     {policies{"afrinic": profile(holdings.Restricted)}, wish(t, holdings.Takeover, "isp", "other", "41.0.0.0/24"), 0, ""},
		"handoff":                  {policies{"afrinic": profile(holdings.Restricted), "lacnic": locked}, wish(t, holdings.Handoff, "isp", "latam", "41.0.0.0/24"), 0, ""},
		"locked in":                {policies{"afrinic": locked}, wish(t, holdings.Market, "isp", "other", "41.0.0.0/24"), later, "afrinic keeps ipv4 with who received it for 730d, and isp did on 2026-06-01; come again on 2028-05-31"},
		"locked in, move":          {policies{"afrinic": locked}, wish(t, holdings.Portability, "isp", "latam", "41.0.0.0/24"), later, "afrinic keeps ipv4"},
		"locked in, merger":        {policies{"afrinic": locked}, wish(t, holdings.Merger, "isp", "other", "41.0.0.0/24"), later, ""},
		"locked in, other kind":    {policies{"afrinic": locked}, wish(t, holdings.Market, "isp", "other", "2c00:1::/32, AS36864"), later, ""},
		"locked in, long ago":      {policies{"afrinic": locked}, wish(t, holdings.Market, "isp", "other", "41.0.0.0/24"), 2 * later, ""},
		"locked in, the recipient": {policies{"lacnic": locked}, wish(t, holdings.Market, "isp", "latam", "41.0.0.0/24"), 0, ""},
		"portable and locked in": {policies{"afrinic": func(p *holdings.Policy) { locked(p); p.Profile = holdings.Portable }},
			wish(t, holdings.Market, "isp", "latam", "41.0.0.0/24"), 0, "afrinic keeps ipv4"},
		"as of right": {policies{"afrinic": func(p *holdings.Policy) {
			locked(p)
			p.Profile, p.Exchanges = holdings.Portable, []holdings.Exchange{{With: holdings.Anyone}}
		}}, wish(t, holdings.Portability, "isp", "latam", "41.0.0.0/24"), 0, ""},
		"portable, and not a move": {policies{"afrinic": func(p *holdings.Policy) {
			p.Profile, p.Exchanges = holdings.Portable, []holdings.Exchange{{With: holdings.Anyone}}
		}}, wish(t, holdings.Market, "isp", "latam", "41.0.0.0/24"), 0, "afrinic lets no ipv4 go to lacnic"},
		"as of right, and not taken": {policies{"afrinic": profile(holdings.Portable), "lacnic": func(p *holdings.Policy) { p.Exchanges = []holdings.Exchange{{With: holdings.Anyone}} }},
			wish(t, holdings.Portability, "isp", "latam", "41.0.0.0/24"), 0, "lacnic takes no ipv4 from afrinic; leave out 41.0.0.0/24"},
		"exchanged": {policies{"afrinic": func(p *holdings.Policy) {
			p.Exchanges = []holdings.Exchange{{With: "lacnic", Out: []holdings.ResourceKind{holdings.IPv4}, In: holdings.ResourceKinds}}
		}}, wish(t, holdings.Market, "isp", "brasil", "41.0.0.0/24"), 0, ""},
		"exchanged, another kind": {policies{"afrinic": func(p *holdings.Policy) {
			p.Exchanges = []holdings.Exchange{{With: "lacnic", Out: []holdings.ResourceKind{holdings.IPv4}, In: holdings.ResourceKinds}}
		}}, wish(t, holdings.Market, "isp", "latam", "41.0.0.0/24, AS36864"), 0, "afrinic lets no asn go to lacnic; leave out AS36864"},
		"exchanged with others": {policies{"afrinic": func(p *holdings.Policy) {
			p.Exchanges = []holdings.Exchange{{With: "ripe", Out: holdings.ResourceKinds}}
		}}, wish(t, holdings.Market, "isp", "latam", "41.0.0.0/24"), 0, "afrinic lets no ipv4 go to lacnic"},
		"exchanged within": {policies{"afrinic": func(p *holdings.Policy) { p.Exchanges = []holdings.Exchange{{With: holdings.Anyone}} }},
			wish(t, holdings.Market, "isp", "other", "41.0.0.0/24"), 0, ""},
		"too small": {policies{"lacnic": func(p *holdings.Policy) { p.Smallest = map[holdings.ResourceKind]int{holdings.IPv4: 24} }},
			wish(t, holdings.Market, "isp", "latam", "41.0.0.0/23, 41.0.2.0/25"), 0, "lacnic transfers nothing smaller than a /24, and 41.0.2.0/25 is"},
		"small, in a merger": {policies{"lacnic": func(p *holdings.Policy) { p.Smallest = map[holdings.ResourceKind]int{holdings.IPv4: 24} }},
			wish(t, holdings.Merger, "isp", "latam", "41.0.2.0/25"), 0, ""},
		"long bridge": {policies{"lacnic": func(p *holdings.Policy) { p.Bridge = holdings.Days(7) }},
			func() holdings.Transfer {
				x := wish(t, holdings.Market, "isp", "latam", "41.0.2.0/24")
				x.Bridge = holdings.Days(8)
				return x
			}(), 0, "lacnic allows a bridge copy for 7d at most, and this would last 8d"},
		"elsewhere": {policies{"afrinic": func(p *holdings.Policy) {
			p.Exchanges = []holdings.Exchange{{With: "ripe", In: holdings.ResourceKinds}}
		}}, holdings.Transfer{Kind: holdings.Market, From: "isp", Peer: "p", ToRegistry: "ripe", Elsewhere: "x", Resources: set(t, "41.0.0.0/24")}, 0, "afrinic lets no ipv4 go to ripe"},
		"from elsewhere": {policies{"afrinic": func(p *holdings.Policy) {
			p.Exchanges = []holdings.Exchange{{With: "RIPE", In: holdings.ResourceKinds}}
		}}, holdings.Transfer{Kind: holdings.Market, To: "isp", Peer: "p", FromRegistry: "ripe", Elsewhere: "x", Resources: set(t, "62.0.0.0/24")}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := bazaar(t)
			for registry, change := range c.policies {
				h.rule(registry, holdings.OnMarket, change)
			}
			h.sane()
			at := by("x")
			at.Time = noon.Add(c.after)
			_, err := h.ledger.Initiate(at, c.t, holdings.Organisation{})
			if c.says == "" && err != nil {
				t.Errorf("it may not begin: %v", err)
			} else if c.says != "" {
				fails(t, err, fault.Forbidden, c.says)
			}
		})
	}
}

func TestLockInBeginsAnewWithTheHolder(t *testing.T) {
	h := bazaar(t)
	lock := func(p *holdings.Policy) {
		p.LockIn = map[holdings.ResourceKind]holdings.Term{holdings.IPv4: holdings.Days(100)}
	}
	h.rule("lacnic", holdings.OnMarket, lock)
	h.rule("afrinic", holdings.OnMarket, lock)
	at := by("later")
	at.Time = noon.Add(holdings.Days(100).Duration())
	for to, says := range map[string]string{"latam": "", "brasil": "lacnic keeps ipv4"} {
		kind := map[string]holdings.TransferKind{"latam": holdings.Portability, "brasil": holdings.Market}[to]
		resources := map[string]string{"latam": "41.0.128.0/24", "brasil": "41.0.129.0/24"}[to]
		o := h.commit(h.ledger.Initiate(at, wish(t, kind, "isp", to, resources), holdings.Organisation{}))
		id := o.Transfers[0].ID
		h.commit(h.ledger.Accept(at, id, ""))
		h.commit(h.ledger.Finalise(at, id, ""))
		err := h.ledger.MayInitiate(&holdings.Transfer{Kind: holdings.Market, From: to, To: "other", Resources: set(t, resources)}, at.Time)
		if says == "" && err != nil {
			t.Errorf("a holder that moved begins anew: %v", err)
		} else if says != "" {
			fails(t, err, fault.Forbidden, says)
		}
	}
}

// waits is what a transfer waits for, in words.
func (h *testLedger) waits(id uint64, now time.Time) string {
	j := h.ledger.Assess(h.ledger.Transfer(id), now)
	var words []string
	for _, w := range j.Waits {
		text := string(w.Side) + " " + w.Registry + " " + w.For
		if !w.Until.IsZero() {
			text += " " + holdings.Term(w.Until.Sub(noon)).String() + " " + string(w.Silence)
		}
		words = append(words, text)
	}
	if j.Lapsed != "" {
		words = append(words, "lapsed: "+j.Lapsed)
	}
	if j.Ready() {
		words = append(words, "ready")
	}
	return strings.Join(words, "; ")
}

func TestAssess(t *testing.T) {
	h := bazaar(t)
	h.rule("lacnic", holdings.Portable, nil)
	begin := func(kind holdings.TransferKind, from, to, resources string) uint64 {
		return h.commit(h.ledger.Initiate(by("x"), wish(t, kind, from, to, resources), holdings.Organisation{})).Transfers[0].ID
	}
	day := func(n int) time.Time { return noon.Add(holdings.Days(n).Duration()) }
	check := func(what string, id uint64, now time.Time, want string) {
		t.Helper()
		if got := h.waits(id, now); got != want {
			t.Errorf("%s: it waits for %q, want %q", what, got, want)
		}
	}
	within := begin(holdings.Market, "isp", "other", "41.0.0.0/24")
	check("within a registry", within, noon, "ready")
	in := begin(holdings.Market, "isp", "latam", "41.0.1.0/24")
	check("between registries", in, noon, "recipient lacnic approval 30d cancellation")
	check("unanswered", in, day(30), "lapsed: lacnic gave no approval until 2026-07-01T12:00:00Z")
	h.commit(h.ledger.Approve(by("x"), in, nil, ""))
	check("approved", in, day(31), "ready")
	check("handed over", begin(holdings.Handoff, "isp", "latam", "41.0.2.0/24"), noon, "ready")

	out := begin(holdings.Portability, "latam", "other", "24.1.0.0/24")
	check("portable", out, noon, "source lacnic objection 10d consent; recipient afrinic approval 30d cancellation")
	check("silence", out, day(10), "recipient afrinic approval 30d cancellation")
	if next := h.ledger.Assess(h.ledger.Transfer(out), noon).Next(); !next.Equal(day(10)) {
		t.Errorf("the next change is at %v", next)
	}
	// the time to object is what it was when it began; what else the policy says counts as it is
	h.rule("lacnic", holdings.Portable, func(p *holdings.Policy) { p.Object, p.Grounds = 0, []string{"Fraud"} })
	h.rule("afrinic", holdings.OnMarket, func(p *holdings.Policy) { p.Approval = holdings.ApproveNone })
	check("other policies", out, noon, "source lacnic objection 10d consent")
	object := func(ground string, now time.Time) error {
		return h.ledger.MayObject(h.ledger.Transfer(out), ground, now)
	}
	fails(t, object("dispute", noon), fault.Forbidden, "those are fraud")
	fails(t, object(" ", noon), fault.Forbidden, "name the ground")
	fails(t, object("fraud", day(10)), fault.Forbidden, "its silence is consent")
	fails(t, h.ledger.MayObject(h.ledger.Transfer(in), "fraud", noon), fault.Forbidden, "afrinic has no say")
	if err := object("FRAUD", day(9)); err != nil {
		t.Error(err)
	}
	h.commit(h.ledger.Object(by("x"), out, "fraud", ""))
	check("objected", out, day(99), "source lacnic resolution")
	h.commit(h.ledger.Resolve(by("x"), out, ""))
	check("resolved", out, day(10), "ready")
	h.commit(h.ledger.Dispute(by("x"), out, "a court"))
	check("disputed", out, day(10), "source lacnic resolution")
	h.commit(h.ledger.Resolve(by("x"), out, ""))
	h.commit(h.ledger.Consent(by("x"), out, ""))
	check("consented", out, noon, "ready")
	fails(t, object("fraud", noon), fault.Forbidden, "consented")
	h.accept(out)
	check("accepted", out, noon, "ready")
	if h.ledger.Assess(h.ledger.Transfer(out), noon).Lapsed != "" {
		t.Error("what is accepted lapses")
	}
	fails(t, object("fraud", noon), fault.Conflict, "is accepted")

	elsewhere := h.commit(h.ledger.Initiate(by("x"), holdings.Transfer{Kind: holdings.Market, From: "isp", Peer: "p", ToRegistry: "ripe", Elsewhere: "x", Resources: set(t, "41.0.9.0/24")}, holdings.Organisation{}))
	check("the recipient is elsewhere", elsewhere.Transfers[0].ID, noon, "recipient ripe acceptance 30d cancellation")
	come := h.commit(h.ledger.Initiate(by("x"), holdings.Transfer{Kind: holdings.Portability, To: "latam", Peer: "p", FromRegistry: "ripe", Elsewhere: "x", Waits: day(3), Resources: set(t, "62.0.9.0/24")}, holdings.Organisation{}))
	check("the source is elsewhere", come.Transfers[0].ID, noon, "source ripe objection 3d consent; recipient lacnic approval 30d cancellation")
	fails(t, h.ledger.MayObject(h.ledger.Transfer(come.Transfers[0].ID), "x", day(3)), fault.Forbidden, "silence")
}

func TestTerms(t *testing.T) {
	h := bazaar(t)
	h.rule("lacnic", holdings.OnMarket, func(p *holdings.Policy) { p.Soak, p.Automatic = holdings.Days(1), false })
	h.rule("afrinic", holdings.OnMarket, func(p *holdings.Policy) { p.Soak, p.Bridge = 0, holdings.Days(2) })
	for to, want := range map[string]holdings.Terms{
		"latam": {Soak: holdings.Days(1), Automatic: false, Bridge: holdings.Days(2)},
		"other": {Soak: 0, Automatic: true, Bridge: holdings.Days(2)},
	} {
		if got := h.ledger.TermsOf(&holdings.Transfer{Kind: holdings.Market, From: "isp", To: to}); got != want {
			t.Errorf("the terms with %s are %+v", to, got)
		}
	}
	if got, _ := h.ledger.PolicyOf("shop"); got.Registry != "afrinic" || h.ledger.TermsOf(&holdings.Transfer{To: "brasil"}).Automatic {
		t.Errorf("the shop has the policy of %s", got.Registry)
	}
}

func TestSetPolicy(t *testing.T) {
	h := bazaar(t)
	if p, ok := h.ledger.PolicyOf("latam"); !ok || p.Profile != holdings.OnMarket || p.Approval != holdings.ApproveBetween || p.Soak.String() != "4h" || p.Registry != "lacnic" {
		t.Errorf("the default is %+v", p)
	}
	if _, ok := h.ledger.PolicyOf("iana"); ok {
		t.Error("the root has a policy")
	}
	h.rule("LACNIC", holdings.Portable, func(p *holdings.Policy) {
		p.Exchanges = []holdings.Exchange{{With: "RIPE", Out: []holdings.ResourceKind{"ipv6", "ipv4", "ipv6"}}}
	})
	if o, err := h.ledger.SetPolicy(by("again"), h.ledger.Policies()[0]); err != nil || !o.Empty() {
		t.Errorf("the same policy is a difference: %v", err)
	}
	h.sane()
	for says, c := range map[string]struct {
		registry string
		change   func(*holdings.Policy)
		kind     fault.Kind
	}{
		"no organisation nobody":  {"nobody", func(*holdings.Policy) {}, fault.NotFound},
		"policies are registries": {"isp", func(*holdings.Policy) {}, fault.BadInput},
		"no profile":              {"lacnic", func(p *holdings.Policy) { p.Profile = "free" }, fault.BadInput},
		"which transfers are":     {"lacnic", func(p *holdings.Policy) { p.Approval = "maybe" }, fault.BadInput},
		"an answer":               {"lacnic", func(p *holdings.Policy) { p.Answer = 0 }, fault.BadInput},
		"negative":                {"lacnic", func(p *holdings.Policy) { p.Soak = -1 }, fault.BadInput},
		"list the grounds":        {"lacnic", func(p *holdings.Policy) { p.Grounds = nil }, fault.BadInput},
		"no lock-in":              {"lacnic", func(p *holdings.Policy) { p.LockIn = map[holdings.ResourceKind]holdings.Term{"ipv5": 1} }, fault.BadInput},
		"no smallest":             {"lacnic", func(p *holdings.Policy) { p.Smallest = map[holdings.ResourceKind]int{"asn": 1} }, fault.BadInput},
		"twice":                   {"lacnic", func(p *holdings.Policy) { p.Exchanges = []holdings.Exchange{{With: "a"}, {With: "A"}} }, fault.BadInput},
		"no kind of resources": {"lacnic", func(p *holdings.Policy) {
			p.Exchanges = []holdings.Exchange{{With: "a", In: []holdings.ResourceKind{"ipv5"}}}
		}, fault.BadInput},
	} {
		p := holdings.DefaultPolicy(c.registry, holdings.Portable)
		c.change(&p)
		_, err := h.ledger.SetPolicy(by("x"), p)
		fails(t, err, c.kind, says)
	}
}

func FuzzParseTerm(f *testing.F) {
	for _, text := range []string{"30d", "4h", "0s", "1h30m", "-1d", "d", "99999999999999999999d", "36525d", "36526d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		term, err := holdings.ParseTerm(text)
		if err != nil {
			if fault.KindOf(err) != fault.BadInput {
				t.Fatal(err)
			}
			return
		}
		if again, err := holdings.ParseTerm(term.String()); err != nil || again != term {
			t.Fatalf("%q is %s, and that is %s, %v", text, term, again, err)
		}
	})
}
