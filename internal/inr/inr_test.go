package inr_test

import (
	"net/netip"
	"strings"
	"testing"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

func parse(t testing.TB, text string) inr.Set {
	t.Helper()
	s, err := inr.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"":                                           "",
		" ,\n\t, ":                                   "",
		"192.0.2.0/24":                               "192.0.2.0/24",
		"192.0.2.7":                                  "192.0.2.7/32",
		"192.0.2.0-192.0.2.255":                      "192.0.2.0/24",
		"192.0.2.0-192.0.2.9":                        "192.0.2.0-192.0.2.9",
		"192.0.2.128/25,192.0.2.0/25":                "192.0.2.0/24",
		"192.0.2.0/24 192.0.2.0/25":                  "192.0.2.0/24",
		"2001:db8::/32 192.0.2.0/24 as64500":         "192.0.2.0/24, 2001:db8::/32, AS64500",
		"AS3-AS5, AS1, AS2":                          "AS1-AS5",
		"AS64500-64510":                              "AS64500-AS64510",
		"0.0.0.0/0, ::/0, AS0-AS4294967295":          "0.0.0.0/0, ::/0, AS0-AS4294967295",
		"255.255.255.255, 255.255.255.254":           "255.255.255.254/31",
		"255.255.255.255, 0.0.0.0":                   "0.0.0.0/32, 255.255.255.255/32",
		"0.0.0.0-255.255.255.254":                    "0.0.0.0-255.255.255.254",
		"AS4294967295, AS4294967294":                 "AS4294967294-AS4294967295",
		"AS4294967295 AS0":                           "AS0, AS4294967295",
		"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "::/0",
	} {
		if got := parse(t, text).String(); got != want {
			t.Errorf("%q reads as %q, not as %q", text, got, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"192.0.2.0/33", "192.0.2.1/24", "192.0.2", "192.0.2.9-192.0.2.0", "192.0.2.0-2001:db8::", "192.0.2.0/24-192.0.3.0/24",
		"::ffff:192.0.2.0/120", "::ffff:192.0.2.1", "::-::ffff:192.0.2.1", "fe80::1%eth0", "fe80::%a-fe80::1%a", "2001:db8::/129", "AS", "AS-1", "AS4294967296", "AS5-AS4", "AS1-", "ASx",
		"64500", "192.0.2.0/24;192.0.3.0/24", "/24", "-", "0x7f000001", "192.0.2.0/+24", "192.0.2.00/24",
	} {
		s, err := inr.Parse(text)
		if fault.KindOf(err) != fault.BadInput || !s.Empty() {
			t.Errorf("%q reads as %q, %v", text, s, err)
			continue
		}
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error does not name %q: %v", text, err)
		}
	}
	for text, want := range map[string]uint32{"64500": 64500, "AS64500": 64500, "as0": 0, "4294967295": 4294967295} {
		if got, err := inr.ParseAS(text); got != want || err != nil {
			t.Errorf("ParseAS(%q) = %d, %v", text, got, err)
		}
	}
}

// TestEnds has sets that touch the ends of their lines, where the next number does not exist.
func TestEnds(t *testing.T) {
	everything := inr.Everything()
	for _, c := range []struct{ a, minus, want string }{
		{"0.0.0.0/0", "0.0.0.0/32", "0.0.0.1-255.255.255.255"},
		{"0.0.0.0/0", "255.255.255.255/32", "0.0.0.0-255.255.255.254"},
		{"0.0.0.0/0", "0.0.0.0/0", ""},
		{"::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"},
		{"::/0", "::/1", "8000::/1"},
		{"AS0-AS4294967295", "AS0, AS4294967295", "AS1-AS4294967294"},
		{"AS4294967295", "AS4294967295", ""},
		{"AS0", "AS1", "AS0"},
		{"192.0.2.0/24, 2001:db8::/32", "AS1", "192.0.2.0/24, 2001:db8::/32"},
	} {
		if got := parse(t, c.a).Minus(parse(t, c.minus)); !got.Equal(parse(t, c.want)) {
			t.Errorf("%s without %s is %s", c.a, c.minus, got)
		}
	}
	if everything.Contains(parse(t, "AS0")) {
		t.Error("AS 0 can be held")
	}
	if !everything.Contains(parse(t, "0.0.0.0/0, ::/0, AS1-AS4294967295")) {
		t.Errorf("everything is %s", everything)
	}
	if got := everything.Prefixes(); len(got) != 2 || got[0] != netip.MustParsePrefix("0.0.0.0/0") || got[1] != netip.MustParsePrefix("::/0") {
		t.Errorf("the prefixes of everything are %v", got)
	}
	// the widest range that is no prefix takes twice its bits, less two
	if got := parse(t, "0.0.0.1-255.255.255.254").Prefixes(); len(got) != 62 {
		t.Errorf("it takes %d prefixes", len(got))
	}
	if !everything.Union(everything).Equal(everything) || !everything.Contains(everything) || everything.Overlaps(inr.Set{}) || !everything.Contains(inr.Set{}) {
		t.Error("everything and nothing do not get along")
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string][3]uint64{
		"":                            {},
		"0.0.0.0/0":                   {1 << 32},
		"192.0.2.0/24, 192.0.4.0/32":  {257},
		"2001:db8::/32":               {0, 1 << 16},
		"2001:db8::/64":               {0, 1},
		"::/0":                        {0, 1 << 48},
		"AS0-AS4294967295":            {0, 0, 1 << 32},
		"192.0.2.0/31, AS1, AS3-AS4 ": {2, 0, 3},
	} {
		v4, sites, asns := parse(t, text).Addresses()
		if [3]uint64{v4, sites, asns} != want {
			t.Errorf("%q has %d addresses, %d sites, %d AS numbers", text, v4, sites, asns)
		}
	}
}

func TestOf(t *testing.T) {
	p := netip.MustParsePrefix("192.0.2.77/24")
	if got := inr.OfPrefix(p).String(); got != "192.0.2.0/24" {
		t.Errorf("OfPrefix(%s) = %s", p, got)
	}
	if got := inr.OfPrefix(netip.MustParsePrefix("2001:db8::/127")).String(); got != "2001:db8::/127" {
		t.Errorf("it is %s", got)
	}
	if got := inr.OfAS(1, 3).String(); got != "AS1-AS3" {
		t.Errorf("it is %s", got)
	}
	if got := inr.Sum(); !got.Empty() || got.String() != "" {
		t.Errorf("the sum of nothing is %s", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "192.0.2.0/24", "192.0.2.0-192.0.2.9, AS64500-AS64510", "::/0 AS0", "::ffff:1.2.3.4", "1.2.3.4-", "AS1-2-3", "fe80::%1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := inr.Parse(text)
		if err != nil {
			if fault.KindOf(err) != fault.BadInput {
				t.Errorf("%q: %v is of kind %s", text, err, fault.KindOf(err))
			}
			return
		}
		if !canonical(s) {
			t.Errorf("%q reads as %s, which is not canonical", text, s)
		}
		again, err := inr.Parse(s.String())
		if err != nil || !again.Equal(s) {
			t.Errorf("%q reads as %s, which reads as %s, %v", text, s, again, err)
		}
	})
}
