package roa_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"cadastre/internal/fault"
	"cadastre/roa"
)

func TestParseCSV(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"plain":          {"41.0.0.0/16,AS36994\n", "41.0.0.0/16,16,AS36994"},
		"maxlength":      {"41.0.0.0/16,36994,24", "41.0.0.0/16,24,AS36994"},
		"empty length":   {"41.0.0.0/16,as36994,\n", "41.0.0.0/16,16,AS36994"},
		"header":         {"prefix,asn,maxLength\n41.0.0.0/16,AS1,24\n", "41.0.0.0/16,24,AS1"},
		"wordy header":   {"\"IPv4 Prefix\",Origin AS\n41.0.0.0/16,AS1\n", "41.0.0.0/16,16,AS1"},
		"all the quirks": {"\ufeff# announced\r\n\r\n prefix , asn \r\n \"41.0.0.0/16\" , \"AS1\" , 20 , \"so, there\"\r\n", "41.0.0.0/16,20,AS1"},
		"quoted quotes":  {`41.0.0.0/16,AS1,,"a ""b"" c"`, "41.0.0.0/16,16,AS1"},
		"IPv6":           {"2c00:1::/32,AS1,48", "2c00:1::/32,48,AS1"},
		"two":            {"41.0.0.0/16,AS1\n41.0.0.0/16,AS2", "41.0.0.0/16,16,AS1 41.0.0.0/16,16,AS2"},
		"nothing":        {"", ""},
	} {
		list, err := roa.ParseCSV("f.csv", strings.NewReader(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got []string
		for _, r := range list {
			got = append(got, roa.VRP{Prefix: r.Prefix, MaxLength: r.MaxLength, ASN: r.Origin}.String())
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: it reads %v, want %s", name, got, c.want)
		}
	}
}

func TestParseCSVNamesWrongLines(t *testing.T) {
	for line, want := range map[string]string{
		"41.0.0.1/16,AS1":          "the prefix is 41.0.0.0/16",
		"41.0.0.0,AS1":             "no prefix",
		"::ffff:41.0.0.0/112,AS1":  "no prefix",
		"41.0.0.0/16":              "1 fields",
		"41.0.0.0/16,AS1,24,a,b":   "5 fields",
		"41.0.0.0/16,AS1x":         "no AS number",
		"41.0.0.0/16,AS4294967296": "no AS number",
		"41.0.0.0/16,AS1,15":       "from 16 to 32",
		"41.0.0.0/16,AS1,33":       "from 16 to 32",
		"2c00::/32,AS1,129":        "from 32 to 128",
		"41.0.0.0/16,AS1,long":     "no maxLength",
		"41.0.0.0/16,\"AS1":        "quote is not closed",
		"prefix,asn":               "no prefix",
		"AS1,41.0.0.0/16":          "no prefix",
		"41.0.0.0/16;AS1":          "1 fields",
	} {
		_, err := roa.ParseCSV("f.csv", strings.NewReader("41.0.0.0/16,AS1\n\n"+line+"\n"))
		if fault.KindOf(err) != fault.BadInput || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "f.csv:3: ") {
			t.Errorf("%s: the error is %v; want one of line 3 that says %q", line, err, want)
		}
	}
}

// What is read can be written and is read as the same again.
func FuzzParseCSV(f *testing.F) {
	f.Add("prefix,asn,maxlength\n41.0.0.0/16,AS36994,24\n# x\n\"2c00::/12\" , 1\r\n")
	f.Add("\ufeff41.0.0.0/16,AS1,,comment\n")
	f.Add("\x1f\x8b")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := roa.ParseCSV("f.csv", strings.NewReader(text))
		if err != nil {
			if fault.KindOf(err) != fault.BadInput {
				t.Fatalf("the error is of kind %v: %v", fault.KindOf(err), err)
			}
			return
		}
		var out strings.Builder
		for _, r := range list {
			if r.Prefix != r.Prefix.Masked() || r.MaxLength < r.Prefix.Bits() || r.MaxLength > r.Prefix.Addr().BitLen() {
				t.Fatalf("it took %+v", r)
			}
			fmt.Fprintf(&out, "%s,AS%d,%d\n", r.Prefix, r.Origin, r.MaxLength)
		}
		again, err := roa.ParseCSV("f.csv", strings.NewReader(out.String()))
		if err != nil || len(again) != len(list) {
			t.Fatalf("written, it is %d rows of %d: %v", len(again), len(list), err)
		}
		for i, r := range list {
			if a := again[i]; a.Prefix != r.Prefix || a.Origin != r.Origin || a.MaxLength != r.MaxLength {
				t.Fatalf("%+v becomes %+v", r, a)
			}
		}
	})
}

func TestLinesSortAsTheCLocaleDoes(t *testing.T) {
	v := func(p string, n int, as uint32) roa.VRP {
		return roa.VRP{Prefix: netip.MustParsePrefix(p), MaxLength: n, ASN: as}
	}
	got := strings.Join(roa.Lines([]roa.VRP{v("9.0.0.0/8", 8, 1), v("2c00::/12", 12, 2), v("41.0.0.0/8", 8, 10), v("41.0.0.0/8", 8, 9), v("9.0.0.0/8", 8, 1)}), " ")
	if want := "2c00::/12,12,AS2 41.0.0.0/8,8,AS10 41.0.0.0/8,8,AS9 9.0.0.0/8,8,AS1"; got != want {
		t.Errorf("the lines are %s", got)
	}
}
