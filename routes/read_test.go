package routes_test

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cadastre/internal/fault"
	"cadastre/routes"
)

func announced(prefix string, origin uint32, peers int) routes.Announcement {
	return routes.Announcement{Prefix: netip.MustParsePrefix(prefix), Origin: origin, Peers: peers}
}

// TestText reads the forms of text that people have.
func TestText(t *testing.T) {
	two := []routes.Announcement{announced("192.0.2.0/24", 64496, 40), announced("2001:db8::/32", 64497, 7)}
	bare := []routes.Announcement{announced("192.0.2.0/24", 64496, 0), announced("2001:db8::/32", 64497, 0)}
	for name, c := range map[string]struct {
		text string
		want []routes.Announcement
		left int
	}{
		"RIS":          {"% This is RISwhois\n\n%\n64497\t2001:db8::/32\t7\n{64500,64501}\t198.51.100.0/24\t3\n64496\t192.0.2.0/24\t40\n", two, 1},
		"RIS AS_SET 1": {"{64500}\t198.51.100.0/24\t3\n64496\t192.0.2.0/24\t40\n64497\t2001:db8::/32\t7\n", two, 1},
		"CSV":          {"192.0.2.0/24,AS64496\r\n2001:db8::/32 , as64497\r\n", bare, 0},
		"CSV, peers":   {"192.0.2.0/24,64496,40\n# no\n2001:db8::/32,64497,7", two, 0},
		"header":       {"\ufeff\"ASN\",Max Length,\"IP Prefix\",Visibility\nAS64497,32,2001:db8::/32,7\n64496,24,192.0.2.0/24,40\n", two, 0},
		"RIPE's JSON":  {` [{"asn":"AS64496","prefix":"192.0.2.0/24","visibility":40,"verified":true},{"asn":64497,"prefix":"2001:db8::/32","visibility":7}]`, two, 0},
		"extended":     {`{"lastUpdated":"x","announcements":[{"asn":"AS64496","prefix":"192.0.2.0/24","visibility":40},{"asn":"64497","prefix":"2001:db8::/32","visibility":7}]}`, two, 0},
		"twice":        {"192.0.2.0/24,64496,30\n2001:db8::/32,64497,7\n192.0.2.1/24,64496,10\n", two, 0},
	} {
		got, err := routes.Read(name, strings.NewReader(c.text), day(1))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if list := slices.Collect(got.All()); !slices.Equal(list, c.want) || got.Left != c.left || !got.Time.Equal(day(1)) {
			t.Errorf("%s: %v, %d left out\nwant %v", name, list, got.Left, c.want)
		}
	}
}

// TestRefusedText names what is wrong, and takes nothing.
func TestRefusedText(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"", "no announcement"},
		{"% comment\n", "no announcement"},
		{"192.0.2.0/24,AS64496\n192.0.2.0/33,AS1\n", `file:2: "192.0.2.0/33" is no prefix`},
		{"192.0.2.0/24,ASx\n", "file:1: "},
		{"192.0.2.0/24,AS1,many\n", `file:1: "many" is no number of peers`},
		{"192.0.2.0/24,AS1," + strings.Repeat("9", 5000) + "\n", "file can't be read (line 1: it is longer"},
		{"<html>\n", "file:1: "},
		{`[{"asn":1}]`, `file:1: "" is no prefix`},
		{`[{"asn":1,"prefix":"192.0.2.0/24"}`, "JSON"},
		{"\x1f\x8bnothing", "can't be unpacked"},
		{"cadastre routes 1\n{}\n", "damaged"},
		{"\x00\x00\x00\x01\x00\x10\x00\x04\x00\x00\x00\x00", "no table of routes"},
	} {
		_, err := routes.Read("file", strings.NewReader(c.text), day(1))
		if fault.KindOf(err) != fault.BadInput || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.40q: %v, want %q", c.text, err, c.says)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add([]byte("64497\t2001:db8::/32\t7\n{1,2}\t10.0.0.0/8\t3\n"))
	f.Add([]byte("prefix,asn,peers\n192.0.2.0/24,64496,40\n"))
	f.Add([]byte(`{"announcements":[{"asn":"AS64496","prefix":"192.0.2.0/24","visibility":40}]}`))
	f.Fuzz(func(t *testing.T, octets []byte) { sound(t, octets) })
}

func FuzzOwn(f *testing.F) {
	var out bytes.Buffer
	if err := routes.Of(day(2), announced("192.0.2.0/24", 64496, 3), announced("2001:db8::/32", 1, 0)).Write(&out); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Fuzz(func(t *testing.T, octets []byte) { sound(t, octets) })
}

// TestDamage: no octet of a table that was written can change unnoticed.
func TestDamage(t *testing.T) {
	var out bytes.Buffer
	if err := routes.Of(day(2), announced("192.0.2.0/24", 64496, 3), announced("2001:db8::/32", 1, 0)).Write(&out); err != nil {
		t.Fatal(err)
	}
	for i := range out.Bytes() {
		octets := bytes.Clone(out.Bytes())
		octets[i] ^= 1
		if _, err := routes.Read("table", bytes.NewReader(octets), day(2)); fault.KindOf(err) != fault.BadInput {
			t.Errorf("octet %d was changed: %v", i, err)
		}
		if _, err := routes.Read("table", bytes.NewReader(out.Bytes()[:i]), day(2)); fault.KindOf(err) != fault.BadInput {
			t.Errorf("cut at octet %d: %v", i, err)
		}
	}
}

// TestLookups finds what a prefix covers, and what covers it, as a look at every announcement does.
func TestLookups(t *testing.T) {
	prefix := rapid.Custom(func(t *rapid.T) netip.Prefix {
		var a netip.Addr
		if rapid.Bool().Draw(t, "v4") {
			a = netip.AddrFrom4([4]byte{10, rapid.Byte().Draw(t, "b") & 3, rapid.Byte().Draw(t, "c") & 3})
		} else {
			a = netip.AddrFrom16([16]byte{0x20, rapid.Byte().Draw(t, "b") & 1, 8: rapid.Byte().Draw(t, "c") & 0x81, 15: rapid.Byte().Draw(t, "d") & 3})
		}
		return netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits")).Masked()
	})
	rapid.Check(t, func(t *rapid.T) {
		var list []routes.Announcement
		for range rapid.IntRange(0, 30).Draw(t, "n") {
			list = append(list, routes.Announcement{Prefix: prefix.Draw(t, "prefix"), Origin: rapid.Uint32Range(0, 3).Draw(t, "as")})
		}
		table, p := routes.Of(day(1), list...), prefix.Draw(t, "of")
		slices.SortFunc(list, routes.Announcement.Compare)
		list = slices.CompactFunc(list, func(a, b routes.Announcement) bool { return a.Key() == b.Key() })
		var covered, covering []routes.Announcement
		for _, a := range list {
			switch {
			case a.Prefix.Bits() >= p.Bits() && p.Contains(a.Prefix.Addr()):
				covered = append(covered, a)
			case a.Prefix.Bits() < p.Bits() && a.Prefix.Contains(p.Addr()):
				covering = append(covering, a)
			}
		}
		slices.SortStableFunc(covering, func(a, b routes.Announcement) int { return a.Prefix.Bits() - b.Prefix.Bits() })
		if got := slices.Collect(table.Covered(p)); !slices.Equal(got, covered) {
			t.Fatalf("%s covers %v, want %v", p, got, covered)
		}
		if got := slices.Collect(table.Covering(p)); !slices.Equal(got, covering) {
			t.Fatalf("%s is covered by %v, want %v", p, got, covering)
		}
		for _, a := range list {
			if got, ok := table.Find(a.Prefix, a.Origin); !ok || got.Key() != a {
				t.Fatalf("%v is not found", a)
			}
		}
	})
}

// TestMerge: what two sources have is there once, with the peers of both.
func TestMerge(t *testing.T) {
	merged := routes.Merge(nil, routes.Of(day(2), announced("192.0.2.0/24", 1, 3), announced("192.0.2.0/24", 2, 1)), routes.Of(day(1), announced("192.0.2.0/24", 1, 4)))
	want := []routes.Announcement{announced("192.0.2.0/24", 1, 7), announced("192.0.2.0/24", 2, 1)}
	if got := slices.Collect(merged.All()); !slices.Equal(got, want) || !merged.Time.Equal(day(1)) {
		t.Errorf("%v of %s, want %v", got, merged.Time, want)
	}
	if routes.Merge(nil, nil) != nil || routes.Merge(nil, nil).Len() != 0 {
		t.Error("nothing becomes something")
	}
}
