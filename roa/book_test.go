package roa_test

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/principal"
	"cadastre/internal/store"
	"cadastre/roa"
	"cadastre/routes"
)

func TestAddFindsTheHolder(t *testing.T) {
	h := furnished(t)
	o := h.want(h.book.Add(h.ledger, rows(t, "41.0.0.0/20,AS1\n41.0.0.0/19,AS1\n41.1.0.0/24,AS1\n41.1.0.0/24,AS1"), fromFile))
	var got []string
	for _, in := range o.Added {
		got = append(got, in.String())
	}
	if want := "41.0.0.0/20,20,AS1 for shop; 41.0.0.0/19,19,AS1 for isp; 41.1.0.0/24,24,AS1 for other"; strings.Join(got, "; ") != want || o.Duplicates != 1 {
		t.Errorf("it adds %s and %d are twice", strings.Join(got, "; "), o.Duplicates)
	}
	if got := strings.Join(o.Holders(), " "); got != "isp other shop" {
		t.Errorf("it touches %s", got)
	}
	if again, err := h.book.Add(h.ledger, rows(t, "41.0.0.0/20,AS1"), fromFile); err != nil || !again.Empty() || again.Duplicates != 1 {
		t.Errorf("again it is %+v, %v", again, err)
	}
	// the isp may want what its customer holds of it; the customer may not want the isp's
	opt := fromFile
	opt.Holder = "ISP"
	if o := h.want(h.book.Add(h.ledger, rows(t, "41.0.0.0/24,AS1"), opt)); o.Added[0].Holder != "isp" {
		t.Errorf("it adds %v", o.Added)
	}
}

func TestAddRefuses(t *testing.T) {
	h := furnished(t)
	for name, c := range map[string]struct {
		holder, row string
		kind        fault.Kind
		want        string
	}{
		"no one":          {"", "42.0.0.0/16,AS1", fault.NotHeld, "held by no one"},
		"pool":            {"", "41.200.0.0/16,AS1", fault.NotHeld, "in the pool of afrinic"},
		"several":         {"", "41.0.0.0/15,AS1", fault.NotHeld, "parts of it are held by isp, other, shop"},
		"another's":       {"isp", "41.1.0.0/24,AS1", fault.NotHeld, "isp does not hold 41.1.0.0/24; it is held by other"},
		"the parent's":    {"shop", "41.0.0.0/16,AS1", fault.NotHeld, "held by isp, shop"},
		"nobody's at all": {"isp", "8.8.8.0/24,AS1", fault.NotHeld, "held by no one"},
		"the root":        {"iana", "8.8.8.0/24,AS1", fault.NotHeld, "iana does not hold"},
		"no such holder":  {"nobody", "41.0.0.0/24,AS1", fault.NotFound, "nobody"},
		"AS 0":            {"", "41.0.0.0/24,AS0", fault.BadInput, "AS0 is meant"},
		"AS_TRANS":        {"", "41.0.0.0/24,AS23456", fault.BadInput, "RFC 6793"},
		"documentation":   {"", "41.0.0.0/24,AS64496", fault.BadInput, "RFC 5398"},
		"private":         {"", "41.0.0.0/24,AS65534", fault.BadInput, "RFC 6996"},
		"reserved":        {"", "41.0.0.0/24,AS131071", fault.BadInput, "reserved"},
		"private 32-bit":  {"", "41.0.0.0/24,AS4200000000", fault.BadInput, "RFC 6996"},
		"last":            {"", "41.0.0.0/24,AS4294967295", fault.BadInput, "RFC 7300"},
	} {
		opt := fromFile
		opt.Holder = c.holder
		_, err := h.book.Add(h.ledger, rows(t, "41.0.0.0/25,AS1\n"+c.row), opt)
		if c.holder == "" {
			if err == nil || !strings.Contains(err.Error(), "rows.csv:2: ") {
				t.Errorf("%s: the error names no line: %v", name, err)
			}
		}
		if fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is %v (%v); want %v that says %q", name, err, fault.KindOf(err), c.kind, c.want)
		}
	}
	for origin := uint32(131072); origin < 131074; origin++ {
		row := roa.Row{Prefix: netip.MustParsePrefix("41.0.0.0/24"), MaxLength: 24, Origin: origin}
		if _, err := h.book.Add(h.ledger, []roa.Row{row}, roa.Options{}); err != nil {
			t.Error(err)
		}
	}
	row, err := roa.ParseRow("41.0.0.0/24", "AS0", "32")
	if err == nil {
		h.want(h.book.Add(h.ledger, []roa.Row{row}, roa.Options{AllowAS0: true}))
	}
	if err != nil || len(h.book.Of("shop")) != 1 {
		t.Errorf("AS 0 is refused even when it is meant: %v", err)
	}
	row.Origin = 64512
	if _, err := h.book.Add(h.ledger, []roa.Row{row}, roa.Options{}); fault.KindOf(err) != fault.BadInput || strings.Contains(err.Error(), "nothing of") {
		t.Errorf("a typed row's error speaks of a file: %v", err)
	}
}

func TestOnlyHeldLeavesTheRest(t *testing.T) {
	h := furnished(t)
	opt := fromFile
	opt.OnlyHeld = true
	o, err := h.book.Add(h.ledger, rows(t, "41.0.0.0/24,AS1\n42.0.0.0/16,AS1\n41.0.0.0/15,AS1\n41.0.1.0/24,AS64512\n"), opt)
	if err != nil || len(o.Added) != 1 || len(o.Left) != 3 || o.Left[1].Row.Line != 3 || !o.Left[2].NoOrigin {
		t.Errorf("it is %+v, %v", o, err)
	}
	if _, err := h.book.Add(h.ledger, rows(t, "41.0.0.0/24,AS0"), opt); fault.KindOf(err) != fault.BadInput {
		t.Errorf("AS 0 is left and not refused: %v", err)
	}
}

func TestRemove(t *testing.T) {
	h := furnished(t)
	h.want(h.book.Add(h.ledger, rows(t, "41.0.0.0/20,AS1\n41.0.0.0/20,AS1,24\n41.0.0.0/20,AS2\n"), fromFile))
	in := roa.Intent{Holder: "Shop", Prefix: netip.MustParsePrefix("41.0.0.0/20"), MaxLength: 24, Origin: 1}
	o := h.want(h.book.Remove([]roa.Intent{in, in}))
	if len(o.Removed) != 1 || o.Duplicates != 1 || o.Removed[0].Actor != "tester" {
		t.Errorf("it removes %+v", o)
	}
	if _, err := h.book.Remove([]roa.Intent{in}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("it is removed twice: %v", err)
	}
	if got := strings.Join(roa.Lines(h.book.VRPs("shop", h.ledger.Holding("shop"))), " "); got != "41.0.0.0/20,20,AS1 41.0.0.0/20,20,AS2" {
		t.Errorf("what stands is %s", got)
	}
}

func TestALossParksAndAReturnRestores(t *testing.T) {
	h := furnished(t)
	h.want(h.book.Add(h.ledger, rows(t, "41.1.0.0/17,AS1,20\n41.1.64.0/24,AS1\n"), fromFile))
	h.decide(h.ledger.Revoke(decided, "other", set(t, "41.1.64.0/24")))
	h.give("isp", "41.1.64.0/24")
	status := func(i int) (s roa.Status) {
		h.view(func(r store.Reader) (err error) {
			s, err = roa.StatusOf(h.book.Of("other")[i], h.ledger, r)
			return err
		})
		return s
	}
	part, parked := status(0), status(1)
	if want := "41.1.0.0/18,20,AS1 41.1.65.0/24,24,AS1 41.1.66.0/23,23,AS1 41.1.68.0/22,22,AS1 41.1.72.0/21,21,AS1 41.1.80.0/20,20,AS1 41.1.96.0/19,20,AS1"; part.State != roa.Part ||
		strings.Join(roa.Lines(part.VRPs), " ") != want {
		t.Errorf("of the /17 stands %v", roa.Lines(part.VRPs))
	}
	lost := h.ledger.LastDecision() - 1
	if parked.State != roa.Parked || parked.Decision != lost || len(parked.VRPs) != 0 || !slices.Equal(parked.To, []string{"isp"}) ||
		!strings.Contains(parked.Reason, "(a test); it is held by isp") {
		t.Errorf("the /24 is %+v", parked)
	}
	h.decide(h.ledger.Return(decided, "isp", set(t, "41.1.64.0/24")))
	h.give("other", "41.1.64.0/24")
	if s := status(0); s.State != roa.Live || len(s.VRPs) != 1 || s.Reason != "" {
		t.Errorf("it came back as %+v", s)
	}
}

func TestWarnings(t *testing.T) {
	h := furnished(t)
	h.want(h.book.Add(h.ledger, rows(t, "41.0.0.0/24,AS1\n"), fromFile))
	announced := []*routes.Table{nil, routes.Of(fromFile.Time, route("41.0.2.0/25", 1), route("41.0.2.128/25", 1), route("41.0.3.0/24", 2))}
	for name, c := range map[string]struct{ text, opened string }{
		"exact":                  {"41.0.0.0/22,AS1", ""},
		"all open":               {"41.0.8.0/22,AS1,24", "41.0.8.0/22"},
		"the book has one":       {"41.0.0.0/23,AS1,24", "41.0.1.0/24"},
		"the rows have another":  {"41.0.0.0/23,AS1,24\n41.0.1.0/24,AS1", ""},
		"rows of another origin": {"41.0.0.0/23,AS1,24\n41.0.1.0/24,AS2", "41.0.1.0/24"},
		"announced in halves":    {"41.0.2.0/23,AS1,24", "41.0.3.0/24"},
		"between is not enough":  {"41.0.8.0/22,AS1,24\n41.0.8.0/23,AS1", "41.0.8.0/22"},
	} {
		opt := fromFile
		opt.Announced = announced
		o, err := h.book.Add(h.ledger, rows(t, c.text), opt)
		if err != nil {
			t.Fatal(err)
		}
		var opened inr.Set
		for _, w := range o.Warnings {
			opened = opened.Union(w.Opened)
		}
		if opened.String() != c.opened {
			t.Errorf("%s: it warns that %q is open, want %q", name, opened, c.opened)
		}
	}
	h.want(h.book.Remove(h.book.Of("shop")))
	if o, err := h.book.Add(h.ledger, rows(t, "41.0.0.0/23,AS1,24"), fromFile); err != nil || o.Warnings[0].Opened.String() != "41.0.0.0/23" {
		t.Errorf("a removed intent spares the warning: %+v, %v", o, err)
	}
	o, err := h.book.Add(h.ledger, rows(t, "41.0.8.0/22,AS1,24\n2c00:1::/32,AS1,64\n41.0.0.0/25,AS1\n"), fromFile)
	if err != nil || len(o.Warnings) != 3 || !strings.Contains(o.Warnings[0].Text, "all of its 4 /24") ||
		!strings.Contains(o.Warnings[1].Text, "4294967296 /64") || !strings.Contains(o.Warnings[2].Text, "longer than /24") {
		t.Errorf("the warnings are %+v, %v", o.Warnings, err)
	}
}

// What stands of an intent covers exactly what its prefix and the holding share, in prefixes that can't be joined, and
// never for more specifics than were asked for unless the prefix itself is one.
func TestAuthorisedCoversExactlyWhatIsHeld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		address := func(label string) netip.Addr {
			var b [4]byte
			binary.BigEndian.PutUint32(b[:], 41<<24+rapid.Uint32Range(0, 1023).Draw(t, label))
			return netip.AddrFrom4(b)
		}
		var held []inr.IPRange
		for range rapid.IntRange(0, 6).Draw(t, "ranges") {
			a, b := address("from"), address("to")
			if a.Compare(b) > 0 {
				a, b = b, a
			}
			held = append(held, inr.IPRange{First: a, Last: b})
		}
		holding := inr.Of(held, nil)
		p := netip.PrefixFrom(address("prefix"), rapid.IntRange(22, 32).Draw(t, "bits")).Masked()
		in := roa.Intent{Prefix: p, MaxLength: rapid.IntRange(p.Bits(), 32).Draw(t, "maxLength"), Origin: 1}
		vrps, parked := roa.Authorised(in, holding)
		var covered inr.Set
		for _, v := range vrps {
			if covered.Overlaps(inr.OfPrefix(v.Prefix)) || v.MaxLength != max(in.MaxLength, v.Prefix.Bits()) || v.ASN != 1 {
				t.Fatalf("%v authorises %v", in, vrps)
			}
			covered = covered.Union(inr.OfPrefix(v.Prefix))
		}
		if want := inr.OfPrefix(p).Intersect(holding); !covered.Equal(want) || parked != want.Empty() {
			t.Fatalf("of %v with %v stands %v", p, holding, vrps)
		}
		for i := 1; i < len(vrps); i++ {
			a, b := vrps[i-1].Prefix, vrps[i].Prefix
			if a.Bits() == b.Bits() && netip.PrefixFrom(a.Addr(), a.Bits()-1).Masked() == netip.PrefixFrom(b.Addr(), b.Bits()-1).Masked() {
				t.Fatalf("%v and %v are one prefix", a, b)
			}
		}
	})
}

// Adding and removing leaves in the store, in the book and in a plain set the same intents.
func TestBookAgreesWithItsStore(t *testing.T) {
	h := furnished(t)
	rapid.Check(t, func(t *rapid.T) {
		plain := map[string]bool{}
		for _, in := range h.book.Of("shop") {
			plain[in.String()] = true
		}
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			addr := netip.AddrFrom4([4]byte{41, 0, byte(rapid.IntRange(0, 15).Draw(t, "net")), 0})
			row := roa.Row{Prefix: netip.PrefixFrom(addr, 24), MaxLength: rapid.IntRange(24, 26).Draw(t, "length"), Origin: rapid.Uint32Range(1, 3).Draw(t, "origin")}
			in := roa.Intent{Holder: "shop", Prefix: row.Prefix, MaxLength: row.MaxLength, Origin: row.Origin}
			var o *roa.Outcome
			var err error
			if rapid.Bool().Draw(t, "add") {
				o, err = h.book.Add(h.ledger, []roa.Row{row, row}, roa.Options{By: holdings.By{Who: principal.Principal{Name: "tester"}, Time: noon}})
				plain[in.String()] = true
			} else if o, err = h.book.Remove([]roa.Intent{in}); plain[in.String()] {
				delete(plain, in.String())
			} else if fault.KindOf(err) == fault.NotFound {
				continue
			}
			h.want(o, err)
		}
		stored := h.reload()
		if !slices.Equal(h.book.Of("shop"), stored.Of("shop")) || len(plain) != len(stored.Of("shop")) || stored.Len() != h.book.Len() {
			t.Fatalf("%d in the book, %d in the store, want %d", h.book.Len(), stored.Len(), len(plain))
		}
		for _, in := range stored.Of("shop") {
			if !plain[in.String()] {
				t.Fatalf("%v is in the store", in)
			}
		}
	})
}
