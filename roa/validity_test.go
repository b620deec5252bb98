package roa_test

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cadastre/roa"
	"cadastre/routes"
)

func route(prefix string, origin uint32) routes.Announcement {
	return routes.Announcement{Prefix: netip.MustParsePrefix(prefix), Origin: origin}
}

// TestValidity is RFC 6811, section 2, case by case.
func TestValidity(t *testing.T) {
	var table roa.Table
	for _, text := range []string{"41.0.0.0/16,16,AS1", "41.0.0.0/20,24,AS2", "41.1.0.0/16,32,AS0", "2c00::/12,32,AS3"} {
		v, err := roa.ParseVRP(text)
		if err != nil {
			t.Fatal(err)
		}
		table.Add(v)
	}
	for _, c := range []struct {
		routes.Announcement
		want roa.Validity
	}{
		{route("41.0.0.0/16", 1), roa.Valid},
		{route("41.0.0.0/16", 2), roa.InvalidAS},
		{route("41.0.0.0/17", 1), roa.InvalidLength},
		{route("41.0.0.0/24", 2), roa.Valid},
		{route("41.0.0.0/24", 1), roa.InvalidLength},
		{route("41.0.0.0/25", 2), roa.InvalidLength},
		{route("41.0.0.0/24", 9), roa.InvalidAS},
		{route("41.1.0.0/16", 0), roa.InvalidAS}, // RFC 7607: AS 0 matches nothing
		{route("41.1.2.0/24", 1), roa.InvalidAS},
		{route("41.0.0.0/8", 1), roa.NotFound},
		{route("8.8.8.0/24", 1), roa.NotFound},
		{route("2c00::/32", 3), roa.Valid},
		{route("2c00::/33", 3), roa.InvalidLength},
		{route("2001:db8::/32", 3), roa.NotFound},
	} {
		if got := table.Validity(c.Announcement); got != c.want {
			t.Errorf("%s by AS%d is %s, want %s", c.Prefix, c.Origin, got, c.want)
		}
	}
}

// TestTableFindsWhatCovers compares it with a look at each VRP.
func TestTableFindsWhatCovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) netip.Prefix {
			a := netip.AddrFrom4([4]byte{41, 0, byte(rapid.IntRange(0, 3).Draw(t, label)), byte(rapid.IntRange(0, 3).Draw(t, label) << 6)})
			return netip.PrefixFrom(a, rapid.IntRange(8, 28).Draw(t, label)).Masked()
		}
		var table roa.Table
		var list []roa.VRP
		for range rapid.IntRange(0, 20).Draw(t, "n") {
			p := draw("vrp")
			v := roa.VRP{Prefix: p, MaxLength: min(32, p.Bits()+rapid.IntRange(0, 4).Draw(t, "more")), ASN: uint32(rapid.IntRange(0, 2).Draw(t, "as"))}
			if len(list) > 0 && rapid.Bool().Draw(t, "remove") {
				table.Remove(list[0])
				list = list[1:]
			}
			table.Add(v)
			list = append(list, v)
		}
		p := draw("prefix")
		var want []roa.VRP
		for _, v := range list {
			if v.Prefix.Bits() <= p.Bits() && v.Prefix.Contains(p.Addr()) {
				want = append(want, v)
			}
		}
		if got, all := roa.Lines(table.Covering(p)), roa.Lines(want); strings.Join(got, " ") != strings.Join(all, " ") || len(table.Covering(p)) != len(want) {
			t.Fatalf("what covers %s is %v, want %v", p, got, all)
		}
	})
}

// authorised is what intents authorise by the ledger as it is.
func authorised(h *testBook, intents []roa.Intent) (all []roa.VRP) {
	for _, in := range intents {
		vrps, _ := roa.Authorised(in, h.ledger.Holding(in.Holder))
		all = append(all, vrps...)
	}
	return all
}

// TestBreaks names what a change turns invalid, and nothing that was invalid or stays valid.
func TestBreaks(t *testing.T) {
	h := furnished(t)
	h.want(h.book.Add(h.ledger, rows(t, "41.0.7.0/24,AS37007\n41.0.8.0/24,AS37008,24"), fromFile))
	announced := []routes.Announcement{
		route("41.0.5.0/24", 37000), route("41.0.6.0/24", 36994), route("41.0.7.0/24", 37007), route("41.0.7.0/24", 1), route("41.0.0.0/16", 36994), route("41.1.0.0/24", 5),
		route("41.0.6.0/24", 36994),
	}
	half := len(announced) / 2
	tables := []*routes.Table{routes.Of(fromFile.Time, announced[:half]...), nil, routes.Of(fromFile.Time, announced[half-1:]...)}
	for name, c := range map[string]struct{ add, remove, want string }{
		"by AS and by length": {"41.0.0.0/16,AS36994", "", "41.0.5.0/24 by AS37000 AS; 41.0.6.0/24 by AS36994 longer"},
		"with a maxLength":    {"41.0.0.0/16,AS36994,24", "", "41.0.5.0/24 by AS37000 AS"},
		"with its own":        {"41.0.0.0/16,AS36994,24\n41.0.5.0/24,AS37000", "", ""},
		"removed":             {"41.0.0.0/16,AS36994,24\n41.0.5.0/24,AS37000", "41.0.7.0/24,AS37007", "41.0.7.0/24 by AS37007 AS"},
		"removed alone":       {"", "41.0.7.0/24,AS37007", ""}, // not found, which is not invalid
		"elsewhere":           {"41.1.1.0/24,AS1", "", ""},
	} {
		o, err := h.book.Change(h.ledger, &roa.File{Add: rows(t, c.add), Remove: rows(t, c.remove)}, fromFile)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, b := range h.book.Impacts(h.ledger, authorised(h, o.Removed), authorised(h, o.Added), tables...) {
			if !b.Breaks() {
				continue
			}
			word := "AS"
			if b.Now == roa.InvalidLength {
				word = "longer"
			}
			got = append(got, strings.TrimPrefix(b.String(), "the announcement of ")[:len(b.Prefix.String())+len(" by AS37000")]+" "+word)
		}
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%s: it breaks %v, want %s", name, got, c.want)
		}
	}
}

// TestWordsOfARow: what the tool says of a ROA beside others.
func TestWordsOfARow(t *testing.T) {
	h := furnished(t)
	h.want(h.book.Add(h.ledger, rows(t, "41.0.0.0/17,AS36994,24\n41.0.192.0/24,AS1"), fromFile))
	said := func(csv string, change func(*roa.Options)) (*roa.Outcome, string) {
		t.Helper()
		opt := fromFile
		opt.AllowAS0 = true
		if change != nil {
			change(&opt)
		}
		o, err := h.book.Change(h.ledger, &roa.File{Add: rows(t, csv)}, opt)
		if err != nil {
			t.Fatal(err)
		}
		var text []string
		for _, w := range o.Warnings {
			text = append(text, w.Text)
		}
		return o, strings.Join(text, "\n")
	}
	if _, text := said("41.0.0.0/17,AS36994,22", nil); !strings.Contains(text, "41.0.0.0/17,24,AS36994 for isp is there too, and the wider one rules") {
		t.Errorf("narrower: %q", text)
	}
	if o, text := said("41.0.0.0/17,AS36994,22", func(o *roa.Options) { o.Replace = true }); len(o.Removed) != 1 || len(o.Added) != 1 || strings.Contains(text, "wider one") {
		t.Errorf("replaced: %+v %q", o, text)
	}
	if _, text := said("41.0.0.0/17,AS36994,25", nil); !strings.Contains(text, "has no effect beside 41.0.0.0/17,25,AS36994") {
		t.Errorf("wider: %q", text)
	}
	if _, text := said("41.0.192.0/24,AS0,32", nil); text != "AS0 for 41.0.192.0/24 has no effect beside 41.0.192.0/24,24,AS1: AS1 may announce it all the same (RFC 6483, section 4)" {
		t.Errorf("AS0 beside an AS: %q", text)
	}
	if _, text := said("41.0.200.0/24,AS0,32", nil); text != "" {
		t.Errorf("AS0 with the maxLength that RFC 6483 suggests: %q", text)
	}
	h.want(h.book.Add(h.ledger, rows(t, "41.0.200.0/22,AS0,32"), func() roa.Options { o := fromFile; o.AllowAS0 = true; return o }()))
	if _, text := said("41.0.200.0/24,AS7", nil); !strings.Contains(text, "41.0.200.0/22,32,AS0 has no effect any more on what AS7 announces of 41.0.200.0/24") {
		t.Errorf("an AS beside AS0: %q", text)
	}
	// a comment that changes is taken; none leaves what is there
	if o, _ := said("41.0.192.0/24,AS1,,why", nil); len(o.Added) != 1 || o.Added[0].Comment != "why" || len(o.Removed) != 1 {
		t.Errorf("another comment: %+v", o)
	}
	if o, _ := said("41.0.192.0/24,AS1", nil); !o.Empty() || o.Duplicates != 1 {
		t.Errorf("no comment: %+v", o)
	}
	// a registry over its holders
	if o, _ := said("41.0.0.0/24,AS9", func(o *roa.Options) { o.Holder = "afrinic" }); len(o.Over) != 1 || !strings.Contains(o.Over[0], "held by shop, and afrinic would") {
		t.Errorf("over its holders: %q", o.Over)
	}
	if o, _ := said("41.200.0.0/24,AS9", func(o *roa.Options) { o.Holder = "afrinic" }); len(o.Over) != 0 {
		t.Errorf("of its own pool: %q", o.Over)
	}
}
